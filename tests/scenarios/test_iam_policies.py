"""docs/iam-policy.json is exactly what the tool needs: no call without a permission, no permission
without a call.

Every command runs through a proxy that sees each request. A row of COMMANDS says which policies
are attached for it; the first of them is the one that must be used up.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from itertools import product
from pathlib import Path
from typing import Any

import orjson
import pytest
from mypy_boto3_dynamodb import DynamoDBClient

from tests.conftest import S9Database, TableNames
from tests.faults.proxy import Answer, FaultyProxy, Plan, Request, error
from tests.scenarios.operator import Operator, small_trade
from utils.embedded.aws import EmbeddedAws

FILE = Path(__file__).parents[2] / "docs" / "iam-policy.json"
POLICIES: dict[str, Any] = orjson.loads(FILE.read_bytes())["policies"]
ARN = "arn:aws:dynamodb:eu-west-1:111122223333:table/"

Permission = tuple[str, str]


def permissions(*policies: str) -> set[Permission]:
    """What policies allow: every action on every resource."""
    return {
        pair
        for name in policies
        for statement in POLICIES[name]["Statement"]
        for pair in product(statement["Action"], statement["Resource"])
    }


@dataclass
class Account:
    """An AWS account that knows the tables by the names of the policies, and denies what `allowed`
    does not have (None: nothing). `calls` are the permissions that were needed."""

    names: dict[str, str]
    allowed: set[Permission] | None = None
    calls: set[Permission] = field(default_factory=set)

    def decide(self, request: Request) -> Answer | None:
        for needed in self.needed(request.operation, orjson.loads(request.body)):
            self.calls.add(needed)
            if self.allowed is not None and not self.allows(needed):
                return error("AccessDeniedException", f"not allowed: {needed}")
        return None

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


@dataclass
class Scene:
    """An operator behind the account; a migration is extracted, transformed and validated."""

    operator: Operator
    account: Account
    dynamodb: DynamoDBClient

    def prepare(self, *commands: str) -> None:
        """Type commands that may do anything."""
        for command in commands:
            self.operator.run(*command.split()).ended(0)

    def backup_of(self, entity: str) -> str:
        """The name of the youngest backup of an entity's table."""
        table = self.operator.config["target"][f"{entity}Table"]
        return max(path.name for path in self.operator.data.glob(f"backups/{table}-*"))


def load(scene: Scene) -> list[str]:
    scene.operator.configure(backup={"enabled": False})
    scene.prepare("--phase load")
    return ["--phase load"]


def create_tables(scene: Scene) -> list[str]:
    scene.operator.configure(backup={"enabled": False}, target={"createTables": True})
    return ["--phase load"]


def verify(scene: Scene) -> list[str]:
    scene.prepare("--phase load")
    return ["--phase verify"]


def after_a_load(scene: Scene) -> list[str]:
    scene.prepare("--phase load")
    return ["--dry-run"]


def back_up(scene: Scene) -> list[str]:
    scene.prepare("--phase load")
    return ["backup"]


def recovery(scene: Scene) -> list[str]:
    scene.prepare("--phase load")
    scene.operator.configure(backup={"pointInTimeRecovery": "enable"})
    return ["--phase load"]


def native(scene: Scene) -> list[str]:
    scene.prepare("--phase load")
    scene.operator.configure(backup={"native": True})
    return ["--phase load"]


def put_back(scene: Scene) -> list[str]:
    """Each table has lost an item, got another, and one has changed."""
    scene.prepare("--phase load", "backup")
    for entity in ("sales", "buyers", "producers"):
        table = scene.operator.config["target"][f"{entity}Table"]
        item, *_ = scene.dynamodb.scan(TableName=table)["Items"]
        key = {name: item[name] for name in ("PK", "SK")}
        scene.dynamodb.delete_item(TableName=table, Key=key)
        scene.dynamodb.put_item(TableName=table, Item={**item, "SK": {"S": "OTHER"}})
    return [f"restore {scene.backup_of(name)} --yes" for name in ("sales", "buyers", "producers")]


def put_into_a_new_table(scene: Scene) -> list[str]:
    table = scene.operator.config["target"]["salesTable"]
    scene.prepare("--phase load", "backup")
    return [f"restore {scene.backup_of('sales')} --into {table}-restored"]


COMMANDS = [
    (after_a_load, ["dryRun"]),
    (load, ["load"]),
    (create_tables, ["createTables", "load"]),
    (verify, ["verify"]),
    (back_up, ["backup"]),
    (recovery, ["pointInTimeRecovery", "load", "backup"]),
    (native, ["nativeBackup", "load", "backup"]),
    (put_back, ["restore", "backup"]),  # what there is is backed up first
    (put_into_a_new_table, ["restoreIntoNewTable"]),
]


@pytest.fixture
def scene(
    alone: Operator,
    s9: S9Database,
    aws: EmbeddedAws,
    dynamodb: DynamoDBClient,
    tables: TableNames,
) -> Iterator[Scene]:
    """A migration that is ready to be loaded into tables that are not there yet."""
    small_trade(s9)
    names = {
        tables.sales: "SalesTable-dev",
        tables.buyers: "BuyersTable-dev",
        tables.producers: "ProducersTable-dev",
        f"{tables.sales}-restored": "RestoredTable-dev",
    }
    account = Account(names)
    with FaultyProxy(aws, Plan(always=account.decide)) as proxy:
        alone.configure(
            migration={"maxRetries": 1, "retryDelay": 1}, target={"endpoint": proxy.url}
        )
        for phase in ("extract", "transform", "validate"):
            alone.run("--phase", phase).ended(0)
        yield Scene(alone, account, dynamodb)
    with suppress(dynamodb.exceptions.ResourceNotFoundException):
        dynamodb.delete_table(TableName=f"{tables.sales}-restored")


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
    scene.prepare("--phase load")
    assert_enough(scene, ["--full --restart", "retry-quarantine"], ["load", "backup", "verify"])


def assert_enough(scene: Scene, commands: list[str], attached: list[str]) -> None:
    scene.account.calls.clear()
    scene.account.allowed = permissions(*attached)
    for command in commands:
        outcome = scene.operator.run(*command.split())
        denied = [call for call in scene.account.calls if not scene.account.allows(call)]
        assert not denied, f"{command} needs {denied}"
        outcome.ended(0)


def test_the_policies_are_valid_documents() -> None:
    for name, policy in POLICIES.items():
        assert set(policy) == {"Version", "Statement"}, name
        assert policy["Version"] == "2012-10-17"
        for statement in policy["Statement"]:
            assert set(statement) == {"Sid", "Effect", "Action", "Resource"}
            assert statement["Sid"].isalnum()
            assert statement["Effect"] == "Allow"
            assert all(action.startswith("dynamodb:") for action in statement["Action"])
            assert not [action for action in statement["Action"] if "*" in action]
            assert all(place.startswith(ARN) for place in statement["Resource"])


def test_the_account_of_these_tests_denies_what_no_policy_allows(scene: Scene) -> None:
    scene.prepare("--phase load")
    scene.account.allowed = permissions("dryRun")
    outcome = scene.operator.run("--phase", "verify").ended(1)
    assert "denies access" in outcome.output
