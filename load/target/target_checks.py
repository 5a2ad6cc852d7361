"""The target as `check` and the plan look at it: credentials, tables, indexes, capacity, rights.

Nothing is written. What is asked is what a load itself asks, by the same functions; a thing that
is not as it must be hides none of the others.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import Any

import orjson

from load.backup.aws_recovery import check_recovery
from load.entities import TABLES
from load.target.aws_commands import command
from load.target.bucket_checks import check_bucket
from load.target.rights import needed, needed_in_s3, works_of
from load.target.switch_mark import Switched, refusal
from load.target.tables import doubts_of, problems_of, state_of
from load.target.writer_mark import LEASE, seen
from load.writing.known_attributes import types_of
from utils.aws.access import access_to
from utils.aws.credentials import provider_of
from utils.aws.errors import clock
from utils.aws.identity import Caller, Denied, NotTold, caller_of, denied
from utils.aws.session import region_of_profile
from utils.checking.looking import Looking
from utils.config import Config, json_name
from utils.dynamodb.backoff import RetryPolicy
from utils.dynamodb.client import DynamoDB, ResourceMissing, Unanswered, wire_to
from utils.dynamodb.retrying import ask
from utils.dynamodb.table_spec import MARK_KEY, TableSpec
from utils.entities import shape_of
from utils.error_handler import MigrationError, TargetError
from utils.files.workspace import Workspace
from utils.wording.figures import counted
from utils.wording.invocation import RESUME, again
from utils.wording.invocation import command as run_command

_PATIENT = RetryPolicy(1, 0.2)
_SIGN_IN = 120.0  # seconds for whoever has to type a code
_SKEW, _TOO_FAR = 60, 240  # seconds; of 300 that AWS tolerates
_GSI = "GlobalSecondaryIndexes"
_RECOVERY = "point-in-time recovery"

Table = Mapping[str, Any]


def check_target(config: Config, files: Workspace, looking: Looking) -> None:
    """Look at the target: credentials, endpoint, tables with their indexes, rights."""
    try:
        wire = _credentials(config, looking)
    except MigrationError as error:
        looking.failed(looking.now, error)
        _skip(looking, f"because of the {looking.now}")
        return
    _Looked(config, files, looking, wire).all()


def _credentials(config: Config, looking: Looking) -> DynamoDB:
    """Credentials, and how requests are going to be sent with them."""
    target = config.target
    looking.at("credentials", _SIGN_IN)
    if target.use_local_stack:
        looking.ok("credentials", "none are needed (target.useLocalStack)")
    else:
        looking.ok("credentials", f"found in {provider_of(target)}")
    looking.at("endpoint")
    access = access_to(target)
    said = f"requests go to {access.endpoint}, signed for {access.region}"
    if access.settings:
        said += f"; in play: {', '.join(access.settings)}"
    looking.ok("endpoint", said)
    return wire_to(target)


def _skip(looking: Looking, why: str) -> None:
    for spec in TABLES.values():
        looking.skip(f"table of {spec.entity}", why)
    looking.skip("rights", why)


class _Looked:
    """The steps, once there are credentials."""

    def __init__(self, config: Config, files: Workspace, looking: Looking, wire: DynamoDB) -> None:
        self._config = config
        self._target = config.target
        self._files = files
        self._look = looking
        self._wire = wire
        self._there: dict[str, Table] = {}  # by entity
        self._refusals: set[str] = set()

    def all(self) -> None:
        """Every step; one that fails does not end the others, unless nobody answers."""
        caller = self._whose()
        try:
            for spec in TABLES.values():
                self._table(spec)
        except Unanswered as error:
            self._look.failed("connection", error)
            _skip(self._look, f"because {self._address} cannot be reached")
            return
        self._region()
        self._clock()
        for spec in TABLES.values():
            if spec.entity in self._there and not self._config.load.imports:
                self._further(spec, self._there[spec.entity])
        if self._config.load.imports:
            check_bucket(self._config, self._look)
        self._rights(caller)

    @property
    def _address(self) -> str:
        return self._wire.endpoint

    def _ask(self, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
        answer: dict[str, Any] = ask(self._wire, _PATIENT, operation, request)
        return answer

    def _table(self, spec: TableSpec) -> None:
        """Whether a table is there, and as a load needs it."""
        name = self._target.table(spec.entity)
        step = f"table {name}"
        self._look.at(step)
        try:
            table = self._ask("DescribeTable", {"TableName": name})["Table"]
        except ResourceMissing:
            self._missing(spec, name)
            return
        except Unanswered:
            raise
        except TargetError as error:
            self._refused(step, error)
            return
        self._there[spec.entity] = table
        if self._config.load.imports:
            self._in_the_way(step, spec.entity)
            return
        problems = problems_of(self._target, spec, table)
        for problem in problems:
            self._look.fail(step, problem.what, f"{problem.remedy}; then: {again()}")
        if not problems:
            self._good(spec, name, table)

    def _in_the_way(self, step: str, entity: str) -> None:
        """A table that an import was to make."""
        if self._files.import_state(entity).exists():
            self._look.warn(
                step,
                "it is there: this data directory has begun to import it, or has",
                f"a run that stopped goes on with it: {run_command(RESUME)}; a new one is refused, "
                "unless load.method is batch",
            )
            return
        self._look.fail(
            step,
            "it is there already, and an import from S3 makes its table itself (load.method)",
            "name a table that is not there in `target`; or, to write into this one, set "
            f"load.method to batch; then: {again()}",
        )

    def _refused(self, step: str, error: TargetError) -> None:
        """What is told of one table is told once: the credentials are not accepted, mostly."""
        if error.message in self._refusals:
            self._look.skip(step, "because of what is said above")
            return
        self._refusals.add(error.message)
        self._look.failed(step, error)

    def _good(self, spec: TableSpec, name: str, table: Table) -> None:
        step = f"table {name}"
        units = _units(table)
        said = [
            f"its keys and {counted(len(spec.indexes), 'index', 'indexes')} are right",
            f"about {counted(table['ItemCount'], 'item')}",
            _capacity(table),
        ]
        if table.get("DeletionProtectionEnabled"):
            said.append("protected against deletion")
        figures = {"items": table["ItemCount"], "bytes": table.get("TableSizeBytes", 0)}
        if units is not None:
            figures["writeUnits"] = units
        if waiting := state_of(name, table):
            self._look.warn(step, f"{waiting}; a load waits for it", f"wait, then: {again()}")
        else:
            self._look.ok(step, ", ".join(said), **figures)

    def _missing(self, spec: TableSpec, name: str) -> None:
        step = f"table {name}"
        if self._config.load.imports:
            self._look.ok(step, "not there, as it has to be: an import makes it (load.method)")
            return
        if self._target.creates_tables:
            self._look.ok(step, "not there; a load creates it (target.createTables)")
            return
        setting = f"target.{json_name(shape_of(spec.entity).table_setting)}"
        other = region_of_profile(self._target)
        hint = ""
        if other and other != self._target.region and not self._target.endpoint_url:
            hint = f', or set target.region to "{other}" (AWS\'s own settings say so)'
        listing = command(self._target, "dynamodb", "list-tables")
        self._look.fail(
            step,
            f"there is no table {name} at {self._address} in the region {self._target.region}",
            f"set {setting} to its name (`{listing}` lists what is there){hint}, or set "
            f"target.createTables to true, so that a load creates it; then: {again()}",
        )

    def _region(self) -> None:
        arns = {table["TableArn"].split(":")[3] for table in self._there.values()}
        if arns and arns != {self._target.region}:
            self._look.warn(
                "region",
                f"the tables are in {', '.join(sorted(arns))}, and target.region is "
                f"{self._target.region}",
                f'set target.region to "{min(arns)}"',
            )

    def _clock(self) -> None:
        """This machine's clock against the service's."""
        try:
            there = parsedate_to_datetime(self._wire.date.decode())
        except (ValueError, TypeError):
            self._look.skip("clock", "the service does not say what time it is")
            return
        away = abs(round((datetime.now(timezone.utc) - there).total_seconds()))
        said = f"this machine says {clock()}, {counted(away, 'second')} from the service's"
        remedy = "set this machine's clock: timedatectl set-ntp true"
        if away > _TOO_FAR:
            self._look.fail("clock", f"{said}; AWS refuses requests that are 5 minutes off", remedy)
        elif away > _SKEW:
            self._look.warn("clock", f"{said}; AWS refuses requests that are 5 minutes off", remedy)
        else:
            self._look.ok("clock", f"{counted(away, 'second')} from the service's")

    def _further(self, spec: TableSpec, table: Table) -> None:
        """What of a table that is there tells on the load, besides keys and indexes."""
        name = self._target.table(spec.entity)
        for doubt in doubts_of(name, spec, table):
            remedy = "fix such records in S9, or delete the index while the load lasts"
            if "replicas" in doubt:
                remedy = "nothing, if that is meant; the load's write units are paid there as well"
            self._look.warn(f"table {name}", doubt, remedy)
        self._slow_indexes(name, table)
        self._expiry(spec, name)
        self._mark(name)
        if self._config.backup.point_in_time_recovery != "ignore":
            with self._look.step(f"{_RECOVERY} of {name}"):
                check_recovery(self._config, [name])
                wish = self._config.backup.point_in_time_recovery
                self._look.ok(f"{_RECOVERY} of {name}", f"as asked for ({wish})")

    def _slow_indexes(self, name: str, table: Table) -> None:
        """An index short of write units throttles its table."""
        units = _units(table)
        for index in table.get(_GSI, ()) if units else ():
            own = _units(index)
            if own is not None and units is not None and own < units:
                self._look.warn(
                    f"index {index['IndexName']} of {name}",
                    f"it may take {counted(own, 'write unit')} a second and the table {units:,}: "
                    "the load is throttled to what the index takes",
                    "give the index as many as the table, or bill the table on demand while the "
                    "load lasts: "
                    + command(
                        self._target,
                        *("dynamodb", "update-table", "--table-name", name),
                        *("--billing-mode", "PAY_PER_REQUEST"),
                    ),
                )

    def _expiry(self, spec: TableSpec, name: str) -> None:
        """DynamoDB deletes by an attribute (TTL): it must be none that a load writes."""
        step = f"expiry of {name}"
        self._look.at(step)
        try:
            found = self._ask("DescribeTimeToLive", {"TableName": name})["TimeToLiveDescription"]
        except TargetError as error:
            self._look.skip(step, error.message, error.remedy)
            return
        attribute = found.get("AttributeName", "")
        if found["TimeToLiveStatus"] in ("ENABLED", "ENABLING") and "N" in types_of(
            spec.entity, attribute
        ):
            specification = f"Enabled=false,AttributeName={attribute}"
            self._look.fail(
                step,
                f"DynamoDB deletes items of {name} by the attribute {attribute}, which a load "
                "writes",
                "turn that off: "
                + command(
                    self._target,
                    *("dynamodb", "update-time-to-live", "--table-name", name),
                    *("--time-to-live-specification", specification),
                ),
            )
        elif attribute:
            self._look.ok(step, f"by {attribute}, which no migrated item has")

    def _mark(self, name: str) -> None:
        """Whether somebody is writing to a table."""
        step = f"at work on {name}"
        self._look.at(step)
        request = {"TableName": name, "Key": MARK_KEY, "ConsistentRead": True}
        try:
            item = self._ask("GetItem", request).get("Item")
        except TargetError as error:
            self._look.skip(step, error.message, error.remedy)
            return
        if item is None:
            self._look.ok(step, "nobody")
            return
        if switched := Switched.in_item(item):
            history = refusal(self._target, name, switched, "a load")
            self._look.fail(step, history.message, history.remedy)
            return
        mark = seen(item, self._files)
        wait = f"wait until that has ended, then: {again()}"
        if mark.is_ours:
            self._look.warn(step, f"this data directory itself: {mark.words}", wait)
        elif mark.is_renewed:
            self._look.fail(step, f"somebody else is writing to it: {mark.words}", wait)
        else:
            self._look.warn(
                step,
                f"{mark.words}, but it seems to have been killed: its mark was not renewed",
                f"nothing: a load looks for {LEASE:.0f} s whether it still is, and begins then",
            )

    def _whose(self) -> Caller | None:
        """Whom the credentials belong to."""
        step = "account"
        self._look.at(step)
        if self._target.use_local_stack:
            self._look.ok(step, "none: a server of one's own (target.useLocalStack)")
            return None
        try:
            caller = caller_of(self._target)
        except NotTold as error:
            self._look.skip(step, str(error))
            return None
        except TargetError as error:
            self._refused(step, error)
            return None
        self._look.ok(step, f"{caller.account}, as {caller.arn}")
        return caller

    def _rights(self, caller: Caller | None) -> None:
        """What the credentials may do, as IAM simulates it."""
        step = "rights"
        self._look.at(step)
        if self._target.use_local_stack:
            self._look.skip(step, "a server of one's own asks for none")
        elif caller is None:
            self._look.skip(
                step,
                "whose credentials they are is not known, so that nothing can be "
                "simulated; the load tells what it is denied",
            )
        elif caller.is_root:
            self._look.warn(
                step,
                "these are the credentials of the account itself (root), which may do everything",
                "use a role with the policies of docs/iam-policy.json",
            )
        elif not caller.principal:
            self._look.skip(step, f"the rights of {caller.arn} cannot be simulated")
        else:
            self._simulate(step, caller)

    def _simulate(self, step: str, caller: Caller) -> None:
        refused: list[Denied] = []
        works = works_of(self._config)
        try:
            for actions, resources in self._asked(caller, works):
                refused += denied(self._target, caller, actions, resources)
        except NotTold as error:
            self._look.skip(
                step,
                f"could not be simulated: {error}",
                "to have it simulated, allow iam:SimulatePrincipalPolicy (policy `check` of "
                "docs/iam-policy.json)",
            )
            return
        if not refused:
            self._look.ok(step, f"everything that {', '.join(works)} need is allowed (simulated)")
            return
        listed = ", ".join(
            f"{each.action} on {each.resource.rpartition(':')[2]}" for each in refused
        )
        forbidden = any(each.explicitly for each in refused)
        how = (
            "a policy denies some of this explicitly, which no other can allow: remove its Deny; "
            if forbidden
            else ""
        )
        self._look.fail(
            step,
            f"{caller.principal} lacks rights: {listed}",
            f"{how}add to its policy: {_statement(refused)}; then: {again()}",
        )

    def _asked(self, caller: Caller, works: Sequence[str]) -> Iterator[tuple[list[str], list[str]]]:
        """What is to be simulated: actions, and the resources that all of them are needed on."""
        arns = {entity: self._arn(entity, caller) for entity in TABLES}
        by_action: dict[str, set[str]] = defaultdict(set)
        for work in works:
            for action, resource in needed(work, arns):
                by_action[action].add(resource)
        if self._config.load.imports:
            for action, resource in needed_in_s3(self._config.load.s3, caller.partition):
                by_action[action].add(resource)
        together: dict[tuple[str, ...], list[str]] = defaultdict(list)
        for action, resources in by_action.items():
            together[tuple(sorted(resources))].append(action)
        return ((actions, list(resources)) for resources, actions in together.items())

    def _arn(self, entity: str, caller: Caller) -> str:
        if entity in self._there:
            return str(self._there[entity]["TableArn"])
        place = f"{self._target.region}:{caller.account}"
        return f"arn:{caller.partition}:dynamodb:{place}:table/{self._target.table(entity)}"


def _statement(refused: Sequence[Denied]) -> str:
    """The statement of a policy that allows what is denied."""
    return orjson.dumps(
        {
            "Effect": "Allow",
            "Action": sorted({each.action for each in refused}),
            "Resource": sorted({each.resource for each in refused}),
        }
    ).decode()


def _units(described: Table) -> int | None:
    """The write units a second of a table or index; None where it is billed on demand."""
    if described.get("BillingModeSummary", {}).get("BillingMode") == "PAY_PER_REQUEST":
        return None
    units = (described.get("ProvisionedThroughput") or {}).get("WriteCapacityUnits", 0)
    return int(units) or None


def _capacity(table: Table) -> str:
    units = _units(table)
    if units is not None:
        return (
            f"provisioned with {counted(units, 'write unit')} a second (auto scaling, if there is "
            "any, is not seen)"
        )
    warm = (table.get("WarmThroughput") or {}).get("WriteUnitsPerSecond")
    most = (table.get("OnDemandThroughput") or {}).get("MaxWriteRequestUnits", -1)
    said = "on demand"
    if warm:
        said += f", warm for {counted(warm, 'write unit')} a second"
    return f"{said}, at most {most:,}" if most > 0 else said
