"""The target's tables: are they there, with the right keys and indexes; if asked, create them."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from load.target.aws_commands import create_index, delete_index, delete_table, key_schema
from load.writing.known_attributes import may_be_empty, may_be_long, types_of, writers_of
from utils.config import TargetConfig, json_name
from utils.dynamodb.client import ResourceBusy, ResourceMissing
from utils.dynamodb.retrying import control
from utils.dynamodb.table_spec import PARTITION_KEY, SORT_KEY, Index, TableSpec
from utils.entities import shape_of
from utils.error_handler import TargetError
from utils.logger import get_logger
from utils.telemetry.events import EventStream, TableState
from utils.telemetry.tasks import Tasks
from utils.wording.figures import counted
from utils.wording.invocation import again

_POLL_SECONDS = 1.0
_SAY_EVERY = 15.0
_ACTIVE_WITHIN = 3600.0
_GSI, _LSI = "GlobalSecondaryIndexes", "LocalSecondaryIndexes"
_USABLE = frozenset({"ACTIVE"})
# States that do not pass by themselves, and what they mean (API reference, TableDescription).
_FOR_EVER = {
    "DELETING": "it is being deleted",
    "ARCHIVING": "it is being archived because its key in AWS KMS could not be reached",
    "ARCHIVED": "it was archived because its key in AWS KMS could not be reached; restore its "
    "backup",
    "INACCESSIBLE_ENCRYPTION_CREDENTIALS": "its key in AWS KMS cannot be reached: enable the "
    "key, or grant DynamoDB its use",
    "REPLICATION_NOT_AUTHORIZED": "its replicas may not be written to: correct their policy",
}


def prepare_tables(
    target: TargetConfig,
    specs: Sequence[TableSpec],
    *,
    create: bool,
    sleep: Callable[[float], None] = time.sleep,
    progress: Tasks | None = None,
) -> list[str]:
    """Check every table, create those that are missing if `create`; returns their names.

    Without `create` the missing tables are returned all the same when `target.createTables`
    would make them. Raises TargetError that lists everything that is wrong, and changes nothing
    in that case.
    """
    found = {spec.entity: describe(target, target.table(spec.entity)) for spec in specs}
    missing = [spec for spec in specs if found[spec.entity] is None]
    problems = [
        problem for spec in specs for problem, _ in problems_of(target, spec, found[spec.entity])
    ]
    if missing and not target.creates_tables:
        problems += [f"table {target.table(spec.entity)} is missing" for spec in missing]
    if problems:
        where = target.endpoint_url or f"DynamoDB in {target.region}"
        raise TargetError(
            f"the target at {where} is not ready:" + "".join(f"\n  - {p}" for p in problems),
            remedy="correct the tables (an index in the way can be deleted), correct the table "
            "names of `target`, or set target.createTables for those that are missing",
        )
    for spec in specs:
        if (table := found[spec.entity]) is not None:
            _warn(target.table(spec.entity), spec, table)
    if create:
        for spec in missing:
            _create(target, spec)
        names = [target.table(spec.entity) for spec in specs]
        wait_for_tables(target, names, sleep, progress or Tasks())
    return [target.table(spec.entity) for spec in missing]


def describe(target: TargetConfig, name: str) -> Mapping[str, Any] | None:
    """What DescribeTable says of a table, None when there is no such table."""
    try:
        table: dict[str, Any] = control(target, "DescribeTable", {"TableName": name})["Table"]
    except ResourceMissing:
        return None
    return table


class Problem(NamedTuple):
    """Why nothing can be loaded into a table as it is, and what to do about that."""

    what: str
    remedy: str


def problems_of(
    target: TargetConfig, spec: TableSpec, table: Mapping[str, Any] | None
) -> list[Problem]:
    """Every reason why nothing can be loaded into a table as it is; none of one that is not
    there (None)."""
    if table is None:
        return []
    name = target.table(spec.entity)
    if (state := table["TableStatus"]) in _FOR_EVER:
        return [
            Problem(f"table {name} is {state}: {_FOR_EVER[state]}", "correct that in the console")
        ]
    another = (
        "the keys of a table cannot be changed: name another one in "
        f"target.{json_name(shape_of(spec.entity).table_setting)}; or, if nothing in it is needed, "
        f"delete it ({delete_table(target, name)}) and set target.createTables to true"
    )
    problems = []
    wanted = key_schema(PARTITION_KEY, SORT_KEY)
    if table["KeySchema"] != wanted:
        what = f"table {name} has the key {_shown(table['KeySchema'])}, not PK, SK"
        problems.append(Problem(what, another))
    types = {a["AttributeName"]: a["AttributeType"] for a in table["AttributeDefinitions"]}
    problems += [
        Problem(f"table {name}: key attribute {key} has type {types[key]}, not S", another)
        for key in spec.key_attributes
        if types.get(key, "S") != "S"
    ]
    present = {i["IndexName"]: i for i in table.get(_GSI, [])}
    for index in spec.indexes:
        what = _wrong_with_index(name, index, present.get(index.name))
        if what:
            problems.append(Problem(what, _right_index(target, table, index, present)))
    return problems + _clashes(target, spec, table, types)


def _right_index(
    target: TargetConfig, table: Mapping[str, Any], index: Index, present: Collection[str]
) -> str:
    create = create_index(target, table, index)
    if index.name not in present:
        return f"create it: {create}"
    delete = delete_index(target, table["TableName"], index.name)
    return f"delete it: {delete}; and when it is gone, create it: {create}"


def _wrong_with_index(name: str, index: Index, found: Mapping[str, Any] | None) -> str:
    keys = key_schema(index.partition_key, index.sort_key)
    if found is None:
        return f"table {name} lacks the index {index.name} ({_shown(keys)})"
    if found["IndexStatus"] == "DELETING":
        return f"index {index.name} of {name} is being deleted"
    if found["KeySchema"] != keys:
        actual = _shown(found["KeySchema"])
        return f"index {index.name} of {name} has the key {actual}, not {_shown(keys)}"
    if found["Projection"]["ProjectionType"] != "ALL":
        return f"index {index.name} of {name} does not project ALL attributes"
    return ""


def further_keys(spec: TableSpec, table: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """The key attributes of indexes that the Sale Module does not name: kind of key, attribute,
    index. An item that has such an attribute is in the index, and must fit it."""
    own = set(spec.key_attributes)
    for index in (*table.get(_GSI, []), *table.get(_LSI, [])):
        for part in index["KeySchema"]:
            if part["AttributeName"] not in own:
                yield part["KeyType"], part["AttributeName"], index["IndexName"]


def _clashes(
    target: TargetConfig, spec: TableSpec, table: Mapping[str, Any], types: Mapping[str, str]
) -> list[Problem]:
    """Index keys that want another type than a load writes: DynamoDB would refuse each record."""
    name, problems = target.table(spec.entity), []
    for _, key, index in further_keys(spec, table):
        kinds, ours = writers_of(spec.entity, key), types_of(spec.entity, key)
        if ours - {types[key]}:
            what = (
                f"index {index} of {name} has the key {key} of type {types[key]}, and "
                f"{' and '.join(kinds)} have it as {' and '.join(sorted(ours))}: DynamoDB would "
                "refuse all of them that have it"
            )
            problems.append(Problem(what, f"delete it: {delete_index(target, name, index)}"))
    return problems


def _warn(name: str, spec: TableSpec, table: Mapping[str, Any]) -> None:
    """Say of what else a table has how it will tell on the load."""
    for doubt in doubts_of(name, spec, table):
        get_logger().warning("%s", doubt)


def doubts_of(name: str, spec: TableSpec, table: Mapping[str, Any]) -> Iterator[str]:
    """What else a table has that will tell on the load, in sentences."""
    for kind, key, index in further_keys(spec, table):
        if not writers_of(spec.entity, key):
            continue
        what = ["empty"] if may_be_empty(spec.entity, key) else []
        if kind == "RANGE" and may_be_long(spec.entity, key):
            what.append("longer than 1,024 bytes")
        if what:
            yield (
                f"The index {index} of {name} has the key {key}, which may be "
                f"{' or '.join(what)} in S9: DynamoDB refuses records where it is"
            )
    if regions := [each.get("RegionName", "?") for each in table.get("Replicas", [])]:
        yield f"{name} has replicas ({', '.join(regions)}): what is written goes there too"


def _shown(schema: Sequence[Mapping[str, str]]) -> str:
    return ", ".join(part["AttributeName"] for part in schema)


def table_request(target: TargetConfig, spec: TableSpec) -> dict[str, Any]:
    """What a table of the Sale Module's is created by: billed on demand, with its indexes."""
    return {
        "TableName": target.table(spec.entity),
        "KeySchema": key_schema(PARTITION_KEY, SORT_KEY),
        "AttributeDefinitions": [
            {"AttributeName": key, "AttributeType": "S"} for key in spec.key_attributes
        ],
        "BillingMode": "PAY_PER_REQUEST",
        "GlobalSecondaryIndexes": [
            {
                "IndexName": index.name,
                "KeySchema": key_schema(index.partition_key, index.sort_key),
                "Projection": {"ProjectionType": "ALL"},
            }
            for index in spec.indexes
        ],
    }


def _create(target: TargetConfig, spec: TableSpec) -> None:
    name = target.table(spec.entity)
    get_logger().info(
        "Creating table %s with %s", name, counted(len(spec.indexes), "index", "indexes")
    )
    with suppress(ResourceBusy):  # somebody has created it meanwhile
        control(target, "CreateTable", table_request(target, spec))


def wait_for_tables(
    target: TargetConfig, names: Sequence[str], sleep: Callable[[float], None], progress: Tasks
) -> None:
    """Wait, and say for what, until tables and their indexes can be used. Raises TargetError when
    they never can, or not in time."""
    with progress.task("load", "", len(names), unit="tables", step="waiting for tables") as task:
        for name in names:
            _wait_until_active(target, name, sleep, _States(name, progress.events))
            task.advance()


@dataclass
class _States:
    """The states of a table and of its indexes, told when they change."""

    table: str
    events: EventStream
    known: dict[str, str] = field(default_factory=dict)

    def see(self, table: Mapping[str, Any] | None) -> None:
        """This is how DynamoDB describes it now."""
        now = {"": table["TableStatus"] if table else "MISSING"}
        for index in table.get(_GSI, []) if table else []:
            now[index["IndexName"]] = index["IndexStatus"]
        for index, state in now.items():
            if self.known.get(index) != state:
                self.events.emit(TableState(table=self.table, state=state, index=index))
        self.known = now


def _wait_until_active(
    target: TargetConfig, name: str, sleep: Callable[[float], None], states: _States
) -> None:
    waited, told = 0.0, -_SAY_EVERY
    while True:
        table = describe(target, name)
        states.see(table)
        if not (waiting := _not_yet(name, table)):
            return
        if waited >= _ACTIVE_WITHIN:
            raise TargetError(
                f"{waiting} after {_ACTIVE_WITHIN / 60:.0f} minutes",
                remedy=f"look at it in the AWS console; when it is ACTIVE, run: {again()}",
            )
        if waited and waited - told >= _SAY_EVERY:
            get_logger().info("Waiting: %s (for %.0f s so far)", waiting, waited)
            told = waited
        sleep(_POLL_SECONDS)
        waited += _POLL_SECONDS


def state_of(name: str, table: Mapping[str, Any]) -> str:
    """What a table, or an index of it, is at that passes; "" when all of it can be used. Raises
    TargetError when it never can be."""
    return _not_yet(name, table)


def _not_yet(name: str, table: Mapping[str, Any] | None) -> str:
    """What a table is waited for; "" when it can be used. Raises TargetError when it never can."""
    state = table["TableStatus"] if table else "not there yet"
    if state in _FOR_EVER:
        raise TargetError(
            f"table {name} is {state}: {_FOR_EVER[state]}",
            remedy=f"fix that in the AWS console, then run: {again()}",
        )
    for index in table.get(_GSI, []) if table else []:
        if index["IndexStatus"] not in _USABLE:
            built = index["IndexStatus"] == "CREATING"
            how = "is being built (CREATING)" if built else f"is {index['IndexStatus']}"
            return f"index {index['IndexName']} of {name} {how}"
    return "" if state in _USABLE else f"table {name} is {state}"
