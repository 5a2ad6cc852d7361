"""docs/iam-policy.json is exactly what the tool needs: no call without a permission, no permission
without a call.

Every command runs through a proxy that sees each request. A row of COMMANDS says which policies
are attached for it; the first of them is the one that must be used up.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from fnmatch import fnmatchcase
from typing import Any

import orjson
import pytest
from mypy_boto3_dynamodb import DynamoDBClient

from tests.conftest import Sample, TableNames
from tests.scenarios.conftest import hire
from tests.support.aws.policies import POLICIES, Permission, permissions
from tests.support.aws.proxy import Answer, FaultyProxy, Forward, Plan, Request, error
from tests.support.operators.operator import ENTITIES, Operator, scan
from utils.embedded.aws import EmbeddedAws
from utils.telemetry.cloudwatch.metrics import NAMESPACE

ARN = "arn:aws:dynamodb:eu-west-1:111122223333:table/"
ROLE = "arn:aws:iam::111122223333:role/"
LOG_GROUP = "arn:aws:logs:eu-west-1:111122223333:log-group:/migration/s9"
BUCKET = "arn:aws:s3:::our-migration"
GROUP = "/iam/s9"  # in the place of the policies' /migration/s9

TABLES = TableNames("iam-Sales", "iam-Buyers", "iam-Producers")
RESTORED = "iam-Restored"
NAMES = {
    TABLES.sales: "SalesTable-dev",
    TABLES.buyers: "BuyersTable-dev",
    TABLES.producers: "ProducersTable-dev",
    RESTORED: "RestoredTable-dev",
}


@dataclass
class Account:
    """An AWS account that knows the tables by the names of the policies, and denies what `allowed`
    does not have (None: nothing). `calls` are the permissions that were needed."""

    names: dict[str, str]
    allowed: set[Permission] | None = None
    calls: set[Permission] = field(default_factory=set)

    def decide(self, request: Request) -> Answer | None:
        for needed in self.asked(request):
            self.calls.add(needed)
            if self.allowed is not None and not self.allows(needed):
                return error("AccessDeniedException", f"not allowed: {needed}")
        return None

    def asked(self, request: Request) -> Iterator[Permission]:
        """The permissions that AWS asks for a request to any of its services."""
        body = orjson.loads(request.body)
        if request.operation == "PutMetricData":
            assert body["Namespace"] == NAMESPACE  # the condition of the policy
            yield "cloudwatch:PutMetricData", "*"
        elif request.headers["X-Amz-Target"].startswith("Logs_"):
            assert body["logGroupName"] == GROUP
            stream = body["logStreamName"] if request.operation == "PutLogEvents" else ""
            yield f"logs:{request.operation}", f"{LOG_GROUP}:log-stream:{stream}"
        else:
            yield from self.needed(request.operation, body)

    def allows(self, needed: Permission) -> bool:
        return any(covers(permission, needed) for permission in self.allowed or ())

    def needed(self, operation: str, body: dict[str, Any]) -> Iterator[Permission]:
        """The permissions that AWS asks for a request. What a transaction does is asked for, not
        the transaction."""
        if operation == "TransactWriteItems":
            for member in body["TransactItems"]:
                ((kind, what),) = member.items()
                action = "ConditionCheckItem" if kind == "ConditionCheck" else f"{kind}Item"
                yield f"dynamodb:{action}", self.arn(what["TableName"])
            return
        batch = body.get("RequestItems", {})
        for table in batch or [body.get("TableName") or body.get("ResourceArn", "")]:
            place = self.arn(table or body["BackupArn"])
            if "IndexName" in body:
                place += f"/index/{body['IndexName']}"
            yield f"dynamodb:{operation}", place

    def arn(self, table: str) -> str:
        name, slash, rest = table.rpartition(":table/")[2].partition("/")
        return ARN + self.names[name] + slash + rest


def covers(permission: Permission, needed: Permission) -> bool:
    """Whether a policy's permission is for a call; `*` in a resource stands for any text."""
    return permission[0] == needed[0] and fnmatchcase(needed[1], permission[1])


@dataclass(eq=False)
class Late:
    """The first page of every table lacks its first item, and that of every index its last one, as
    if they had just been written: they are asked for again. Of which part the page is that comes
    first is not said: what both lack would not be missed in the index."""

    known: set[tuple[str, str]] | None = None  # None: nothing is late

    def __call__(self, request: Request, forward: Forward) -> Answer:
        answer, asked = forward(request.body), orjson.loads(request.body)
        place = asked["TableName"], asked.get("IndexName", "")
        if self.known is None or "Segment" not in asked or place in self.known:
            return answer
        page = orjson.loads(answer.content)
        if len(page["Items"]) < len("ab"):
            return answer
        self.known.add(place)
        del page["Items"][-1 if "IndexName" in asked else 0]
        page["Count"] = page["ScannedCount"] = len(page["Items"])
        return Answer(200, orjson.dumps(page))


@dataclass
class Scene:
    """An operator behind the account, whose migration is loaded."""

    operator: Operator
    account: Account
    dynamodb: DynamoDBClient
    late: Late

    def run(self, command: str) -> None:
        """Type a command, which must come to its end."""
        outcome = self.operator.run(*command.split())
        assert outcome.code in (0, 5), outcome.output

    def backup_of(self, entity: str) -> str:
        """The name of the youngest backup of an entity's table."""
        table = getattr(TABLES, entity)
        return max(path.name for path in self.operator.data.glob(f"backups/{table}-*"))


def load(scene: Scene) -> list[str]:
    """Each table lacks an item, and has another with other content and a line that S9 has not."""
    for entity in ENTITIES:
        changed, *_, missing = scene.operator.items(entity)  # of two records
        table = scene.operator.config["target"][f"{entity}Table"]
        scene.dynamodb.put_item(TableName=table, Item=edited(changed))
        scene.dynamodb.put_item(TableName=table, Item={**changed, "SK": {"S": "LINE#gone"}})
        key = {name: missing[name] for name in ("PK", "SK")}
        scene.dynamodb.delete_item(TableName=table, Key=key)
    scene.operator.configure(load={"onConflict": "overwrite"})
    return ["--phase load"]


def rollback(scene: Scene) -> list[str]:
    """Each table had an item that was replaced, and has got others. A sale had a line that was the
    same, and the application has made a sale for a buyer that the load has created."""
    scene.run("rollback --yes")
    for entity in ENTITIES:
        table = scene.operator.config["target"][f"{entity}Table"]
        item, *others = scene.operator.items(entity)
        scene.dynamodb.put_item(TableName=table, Item=edited(item))
        for line in (each for each in others if each["PK"] == item["PK"]):
            scene.dynamodb.put_item(TableName=TABLES.sales, Item=line)
    buyer = scene.operator.items("buyers")[-1]
    sale = {"PK": {"S": "SALE#own"}, "SK": {"S": "METADATA"}}
    named = {"GSI2PK": buyer["PK"], "GSI2SK": {"S": "2031-05-04"}, "buyerId": buyer["buyerId"]}
    scene.dynamodb.put_item(TableName=TABLES.sales, Item={**sale, **named})
    scene.operator.configure(load={"onConflict": "overwrite"})
    scene.run("--phase load")
    return ["rollback --yes"]


def repair(scene: Scene) -> list[str]:
    """Each table lacks an item, and has one that S9 has not; a sale of the application's own names
    a party that S9 has not."""
    for entity in ENTITIES:
        first, *_, missing = scene.operator.items(entity)
        table = getattr(TABLES, entity)
        extra = {**first, "SK": {"S": "EXTRA#1"}, "legacyId": {"S": "4711"}}
        scene.dynamodb.put_item(TableName=table, Item=extra)
        key = {name: missing[name] for name in ("PK", "SK")}
        scene.dynamodb.delete_item(TableName=table, Key=key)
    for entity in ENTITIES[:2]:
        party = {**scene.operator.items(entity)[0], "PK": {"S": f"{entity[:-1].upper()}#gone"}}
        scene.dynamodb.put_item(TableName=getattr(TABLES, entity), Item=party)
    named = {"GSI2PK": {"S": "BUYER#gone"}, "GSI2SK": {"S": "2031-05-04"}}
    sale = {"PK": {"S": "SALE#named"}, "SK": {"S": "METADATA"}, **named}
    scene.dynamodb.put_item(TableName=TABLES.sales, Item=sale)
    return ["--phase verify --repair --repair-extra"]


def sync(scene: Scene) -> list[str]:
    """It is not known what was written: the tables are read. Each lacks an item, and has another
    with other content, and one that has left S9; a sale of the application's names a party that
    has."""
    scene.operator.configure(load={"onConflict": "overwrite"})
    scene.run("--phase load")
    shutil.rmtree(scene.operator.data / "undo")
    ours = {"legacyId": {"S": "4711"}, "updatedBy": {"S": "migration@system"}}
    for entity in ENTITIES:
        changed, *_, missing = scene.operator.items(entity)
        table = getattr(TABLES, entity)
        scene.dynamodb.put_item(TableName=table, Item=edited(changed))
        key = {name: missing[name] for name in ("PK", "SK")}
        scene.dynamodb.delete_item(TableName=table, Key=key)
        for name in ("gone", "named"):
            left = {**changed, **ours, "PK": {"S": f"{entity[:-1].upper()}#{name}"}}
            scene.dynamodb.put_item(TableName=table, Item=left)
    named = {"GSI2PK": {"S": "BUYER#named"}, "GSI2SK": {"S": "2031-05-04"}}
    sale = {"PK": {"S": "SALE#own"}, "SK": {"S": "METADATA"}, **named}
    scene.dynamodb.put_item(TableName=TABLES.sales, Item=sale)
    return ["sync"]


def edited(item: dict[str, Any]) -> dict[str, Any]:
    """An item with other content."""
    return {**item, "updatedBy": {"S": "someone@example.com"}}


def create_tables(scene: Scene) -> list[str]:
    for name in (TABLES.sales, TABLES.buyers, TABLES.producers):
        scene.dynamodb.delete_table(TableName=name)
    scene.operator.configure(backup={"enabled": False}, target={"createTables": True})
    return ["--phase load"]


def verify(scene: Scene) -> list[str]:
    """What is in doubt at the first look is read again, in tables and in indexes."""
    scene.late.known = set()
    return ["--phase verify"]


def backup(scene: Scene) -> list[str]:
    """A record of the application's own in each table was written just now: it is read again."""
    now = datetime.now(timezone.utc) - timedelta(seconds=30)
    for entity in ENTITIES:
        item = {"PK": {"S": f"{entity}#own"}, "SK": {"S": "METADATA"}}
        time = {"S": f"{now:%Y-%m-%dT%H:%M:%S}.000Z"}
        own = {**item, "createdAt": time, "updatedAt": time}
        scene.dynamodb.put_item(TableName=getattr(TABLES, entity), Item=own)
    return ["backup"]


def plan(scene: Scene) -> list[str]:
    """A plan reads the tables as a backup does."""
    backup(scene)
    return ["--dry-run"]


def recovery(scene: Scene) -> list[str]:
    scene.operator.configure(backup={"pointInTimeRecovery": "enable"})
    return ["--phase load"]


def cloudwatch(scene: Scene) -> list[str]:
    settings = {"cloudWatch": True, "cloudWatchGroup": GROUP, "cloudWatchMetrics": True}
    scene.operator.configure(logging=settings)
    return ["--phase extract"]


def native(scene: Scene) -> list[str]:
    scene.operator.configure(backup={"native": True})
    return ["--phase load"]


def put_back(scene: Scene) -> list[str]:
    """Each table is made as it was when it held nothing, and filled again; of the parties those go
    that no sale names, and all of them when the sales are gone."""
    empty, full = {}, {}
    for name in ENTITIES:
        table = getattr(TABLES, name)
        scene.run(f"backup --table {table}")
        full[name], items = scene.backup_of(name), scan(scene.dynamodb, table).values()
        keys = [{part: item[part] for part in ("PK", "SK")} for item in items]
        write(scene, table, [{"DeleteRequest": {"Key": key}} for key in keys])
        scene.run(f"backup --table {table}")
        empty[name] = scene.backup_of(name)
        write(scene, table, [{"PutRequest": {"Item": item}} for item in items])
    emptied = ["buyers", "producers", "sales", "buyers", "producers"]
    return [
        *(f"restore {empty[name]} --yes" for name in emptied),
        *(f"restore {full[name]}" for name in ("buyers", "producers", "sales")),
    ]


def write(scene: Scene, table: str, requests: list[Any]) -> None:
    """Put or delete items, as many at a time as DynamoDB takes."""
    for first in range(0, len(requests), 25):
        some = requests[first : first + 25]
        scene.dynamodb.batch_write_item(RequestItems={table: some})


def put_into_a_new_table(scene: Scene) -> list[str]:
    scene.run("backup --table " + TABLES.sales)
    return [f"restore {scene.backup_of('sales')} --into {RESTORED}"]


def typed(*commands: str) -> Callable[[Scene], list[str]]:
    """Commands that need nothing before them."""
    return lambda _scene: list(commands)


COMMANDS = [
    (typed("check"), ["check"]),
    (plan, ["dryRun", "check"]),
    (load, ["load", "backup"]),
    (create_tables, ["createTables", "load", "backup"]),  # without a backup the load looks itself
    (verify, ["verify"]),
    (repair, ["repair", "verify"]),
    (backup, ["backup"]),
    (recovery, ["pointInTimeRecovery", "load", "backup"]),
    (native, ["nativeBackup", "load", "backup"]),
    (cloudwatch, ["cloudWatch"]),
    (put_back, ["restore", "backup"]),  # what there is is backed up first
    (put_into_a_new_table, ["restoreIntoNewTable"]),
    (rollback, ["rollback"]),  # nothing that is loaded before it may be forgotten
    (sync, ["sync"]),  # the last: it forgets what was written
]


@pytest.fixture(scope="module")
def loaded(
    tmp_path_factory: pytest.TempPathFactory,
    sample: Sample,
    aws: EmbeddedAws,
    dynamodb: DynamoDBClient,
) -> Iterator[Scene]:
    account = Account(NAMES)
    late = Late()
    plan = Plan({late: 1.0}, always=account.decide, operations=frozenset({"Scan"}))
    with FaultyProxy(aws, plan) as proxy:
        operator = hire(tmp_path_factory.mktemp("iam"), sample.s9, aws, TABLES)
        operator.configure(
            migration={"maxRetries": 1, "retryDelay": 0.001}, target={"endpoint": proxy.url}
        )
        scene = Scene(operator, account, dynamodb, late)
        scene.run("--full")
        yield scene


@pytest.fixture
def scene(loaded: Scene) -> Iterator[Scene]:
    """The scene with nothing denied and the settings as they were; nothing of a new table."""
    before = deepcopy(loaded.operator.config)
    loaded.account.allowed = loaded.late.known = None
    yield loaded
    loaded.operator.config = before
    with suppress(loaded.dynamodb.exceptions.ResourceNotFoundException):
        loaded.dynamodb.delete_table(TableName=RESTORED)


@pytest.mark.parametrize(("setting", "attached"), COMMANDS, ids=[names[0] for _, names in COMMANDS])
def test_a_command_needs_its_policies_and_uses_them_up(
    scene: Scene, setting: Any, attached: list[str]
) -> None:
    commands = setting(scene)
    assert_enough(scene, commands, attached)
    unused = {
        permission
        for permission in permissions(attached[0])
        if not any(covers(permission, needed) for needed in scene.account.calls)
    }
    assert not unused, f"nothing of {commands} needs {unused}"


def test_a_whole_migration_needs_the_policies_of_its_parts(scene: Scene) -> None:
    scene.operator.configure(load={"onConflict": "overwrite"})
    assert_enough(scene, ["--full --restart", "retry-quarantine"], ["load", "backup", "verify"])


def test_a_cut_over_needs_those_of_a_sync_and_of_a_verification(scene: Scene) -> None:
    scene.operator.configure(load={"onConflict": "skip"})
    assert_enough(scene, ["cutover --s9-is-stopped", "drift"], ["sync", "verify"])


def assert_enough(scene: Scene, commands: list[str], attached: list[str]) -> None:
    scene.account.calls.clear()
    scene.account.allowed = permissions(*attached)
    for command in commands:
        scene.operator.run(*command.split())
        denied = [call for call in scene.account.calls if not scene.account.allows(call)]
        assert not denied, f"{command} needs {denied}"
        # What a repair has left in the tables by intention is a difference for whoever comes later.
        assert scene.operator.outcomes[-1].code in (0, 4, 5), scene.operator.outcomes[-1].output


def test_the_policies_are_valid_documents() -> None:
    for name, policy in deepcopy(POLICIES).items():
        assert set(policy) == {"Version", "Statement"}, name
        assert policy["Version"] == "2012-10-17"
        for statement in policy["Statement"]:
            condition = statement.pop("Condition", None)
            assert set(statement) == {"Sid", "Effect", "Action", "Resource"}
            assert statement["Sid"].isalnum()
            assert statement["Effect"] == "Allow"
            (service,) = {action.partition(":")[0] for action in statement["Action"]}
            assert not [action for action in statement["Action"] if "*" in action]
            if service == "cloudwatch":  # whose metrics have no names of their own
                assert condition == {"StringEquals": {"cloudwatch:namespace": NAMESPACE}}
                assert statement["Resource"] == ["*"]
            else:
                if statement["Action"] == ["dynamodb:ListImports"]:  # which knows no resource
                    assert statement["Resource"] == ["*"]
                    continue
                begins = {"dynamodb": ARN, "iam": ROLE, "logs": f"{LOG_GROUP}:", "s3": BUCKET}
                if name == "import":  # DynamoDB has a log group of its own for them
                    begins["logs"] = LOG_GROUP.replace("/migration/s9", "/aws-dynamodb/*")
                assert all(place.startswith(begins[service]) for place in statement["Resource"])


def test_the_account_of_these_tests_denies_what_no_policy_allows(scene: Scene) -> None:
    scene.account.allowed = permissions("dryRun")
    outcome = scene.operator.run("--phase", "verify").ended(1)
    assert "denies access" in outcome.output
