"""A2: a run stays with the tables that it has reached, whatever its configuration leads to now."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import orjson
import pytest
from mypy_boto3_dynamodb import DynamoDBClient

from load.backup.table_description import creation_request
from tests.conftest import REGION, S9Database, TableNames
from tests.support.aws.proxy import Answer, FaultyProxy, Plan, Request, error
from tests.support.faults.sabotage import SHARED, SabotagedOperator
from tests.support.operators.operator import ENTITIES, IMPATIENT, Operator, scan_all, small_trade
from utils.aws.credentials import keys_to
from utils.config import TargetConfig
from utils.dynamodb.client import DynamoDB, forget_targets
from utils.dynamodb.reached import AnotherTable, Reached
from utils.embedded.aws import EmbeddedAws

OURS, THEIRS = "111111111111", "222222222222"  # the embedded AWS takes such keys for accounts
SHOWN = "is not the table that this run has reached"


def client(aws: EmbeddedAws, account: str) -> DynamoDBClient:
    return boto3.client(
        "dynamodb",
        endpoint_url=aws.endpoint_url,
        region_name=REGION,
        aws_access_key_id=account,
        aws_secret_access_key="x",
    )


def with_keys(tool: Operator, account: str) -> None:
    """From now on the credentials file has these keys."""
    path = tool.directory / "credentials"
    path.write_text(f"[default]\naws_access_key_id = {account}\naws_secret_access_key = x\n")
    tool.environment["AWS_SHARED_CREDENTIALS_FILE"] = str(path)


def through(tool: Operator, url: str) -> None:
    """The service is where the environment says, and takes any credentials."""
    tool.configure(
        target={"useLocalStack": False, "endpoint": None, "createTables": True},
        migration={**IMPATIENT, "batchSize": 1, "workers": 1, "continueOnError": False},
        load={"onConflict": "fail"},
    )
    tool.environment["AWS_ENDPOINT_URL"] = url
    with_keys(tool, OURS)


def stop_after(writes: int, then: Callable[[], object] = lambda: None) -> Plan:
    """After so many batches the old keys are not accepted any more; `then` happens then."""
    lock, seen = threading.Lock(), [0]

    def decide(request: Request) -> Answer | None:
        with lock:
            seen[0] += request.operation == "BatchWriteItem"
            if request.key_id != OURS or seen[0] <= writes:
                return None
            if then is not None and seen[0] == writes + 1:
                seen[0] += 1
                then()
        return error("ExpiredTokenException", "The security token included is expired")

    return Plan(always=decide)


def make_theirs(tool: Operator, aws: EmbeddedAws, tables: TableNames) -> Any:
    """The other account has the same tables, in which its application has records under the same
    keys, with other content; returns what is in them."""
    ours, theirs = client(aws, OURS), client(aws, THEIRS)
    for entity in ENTITIES:
        name = getattr(tables, entity)
        described: Any = ours.describe_table(TableName=name)["Table"]
        theirs.create_table(**creation_request(described, name))
        for item in tool.items(entity):
            theirs.put_item(TableName=name, Item={**item, "notes": {"S": "edited"}})
    return scan_all(theirs, tables)


@pytest.fixture
def tool(alone: Operator, s9: S9Database) -> Operator:
    small_trade(s9)
    return alone


@pytest.fixture
def proxy(aws: EmbeddedAws, tool: Operator) -> Iterator[FaultyProxy]:
    with FaultyProxy(aws) as proxy:
        through(tool, proxy.url)
        yield proxy


def test_a_run_does_not_go_on_in_another_account(
    tool: Operator, proxy: FaultyProxy, aws: EmbeddedAws, tables: TableNames
) -> None:
    proxy.plan = stop_after(2)
    tool.run("--full").failed(1, "expired")
    proxy.plan = Plan()
    before = make_theirs(tool, aws, tables)
    reached = tool.manifest()["reached"]["target"]
    assert {each["arn"] for each in reached.values()} == {
        f"arn:aws:dynamodb:{REGION}:{OURS}:table/{name}"
        for name in (tables.sales, tables.buyers, tables.producers)
    }
    with_keys(tool, THEIRS)
    for command in ("--resume", "rollback --yes", "--full --restart"):
        outcome = tool.run(*command.split())
        outcome.failed(1, SHOWN, OURS, THEIRS, "AWS_PROFILE", "data.directory")
    assert scan_all(client(aws, THEIRS), tables) == before
    with_keys(tool, OURS)
    tool.run("--resume").ended(0)
    with_keys(tool, THEIRS)
    tool.run("--phase", "verify").failed(1, SHOWN)
    assert scan_all(client(aws, THEIRS), tables) == before
    with_keys(tool, OURS)
    tool.run("rollback", "--yes").ended(0)
    assert not any(scan_all(client(aws, OURS), tables).values())


@pytest.mark.parametrize("shared", [False, True], ids=["one process", "processes"])
def test_renewed_credentials_of_another_account_write_nothing_there(
    tool: Operator, proxy: FaultyProxy, aws: EmbeddedAws, tables: TableNames, *, shared: bool
) -> None:
    before: list[Any] = []

    def change_of_account() -> None:
        before.append(make_theirs(tool, aws, tables))
        with_keys(tool, THEIRS)

    if shared:
        tool = SabotagedOperator.like(tool, set=SHARED)
        tool.configure(migration={"processes": 2, "workers": 2})
    proxy.plan = stop_after(2, change_of_account)
    tool.run("--full").failed(1, SHOWN, OURS, THEIRS, "credentials", "--resume")
    assert [scan_all(client(aws, THEIRS), tables)] == before
    proxy.plan = Plan()
    with_keys(tool, OURS)
    tool.run("--resume").ended(0)
    assert len(scan_all(client(aws, OURS), tables)["sales"]) == 5


def test_what_was_only_looked_at_must_be_reached_by_renewed_credentials_as_well(
    aws: EmbeddedAws, tables: TableNames, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a backup, which is bound to nothing."""

    def with_account(account: str) -> None:
        (tmp_path / "keys").write_text(
            f"[default]\naws_access_key_id = {account}\naws_secret_access_key = x\n"
        )

    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "keys"))
    for account in (OURS, THEIRS):
        request = creation_request_of(tables.sales)
        client(aws, account).create_table(**request)
    target = TargetConfig(endpoint=aws.endpoint_url)
    asked = orjson.dumps({"TableName": tables.sales})
    with_account(OURS)
    forget_targets()
    wire = DynamoDB(target)
    wire.call("DescribeTable", asked)
    wire.call("Scan", asked)
    with_account(THEIRS)
    keys_to(target).look_again(keys_to(target).current())
    with pytest.raises(AnotherTable, match=SHOWN):
        wire.call("Scan", asked)
    forget_targets()


def creation_request_of(table: str) -> Any:
    return {
        "TableName": table,
        "KeySchema": [{"AttributeName": "PK", "KeyType": "HASH"}],
        "AttributeDefinitions": [{"AttributeName": "PK", "AttributeType": "S"}],
        "BillingMode": "PAY_PER_REQUEST",
    }


def test_another_endpoint_in_the_environment_is_found(
    tool: Operator, proxy: FaultyProxy, aws: EmbeddedAws, tables: TableNames
) -> None:
    proxy.plan = stop_after(2)
    tool.run("--full").failed(1, "expired")
    before = dict(tool.environment)
    with EmbeddedAws() as other:
        for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_DYNAMODB"):
            tool.environment = {**before, name: other.endpoint_url}
            tool.run("--resume").failed(1, SHOWN, other.endpoint_url, proxy.url, "AWS_ENDPOINT_URL")
        assert not client(other, OURS).list_tables()["TableNames"]
    tool.environment = {
        **before,
        "AWS_ENDPOINT_URL": aws.endpoint_url,
    }  # another door to the same tables
    tool.run("--resume").ended(0)


def test_a_table_that_was_made_again_is_another_but_a_new_run_may_begin_there(
    tool: Operator, aws: EmbeddedAws, dynamodb: DynamoDBClient, tables: TableNames
) -> None:
    tool.run("--full").ended(0)
    first = tool.manifest()["reached"]["target"]
    for name in (tables.sales, tables.buyers, tables.producers):
        dynamodb.delete_table(TableName=name)
    tool.run("rollback", "--yes").failed(1, SHOWN, "now there is none", "dropped", "--full")
    tool.run("--full").ended(0)
    second = tool.manifest()["reached"]["target"]
    assert first.keys() == second.keys()
    assert all(first[name]["id"] != second[name]["id"] for name in first)
    dynamodb.delete_table(TableName=tables.sales)
    dynamodb.create_table(**creation_request_of(tables.sales))
    tool.run("rollback", "--yes").failed(1, SHOWN, "dropped and created again", "nothing to undo")
    tool.run("--phase", "verify").failed(1, SHOWN, "dropped and created again", "--full")


def test_an_unfinished_load_into_tables_that_were_made_again_is_begun_anew(
    tool: Operator, proxy: FaultyProxy, aws: EmbeddedAws, tables: TableNames
) -> None:
    proxy.plan = stop_after(4)
    tool.run("--full").failed(1, "expired")
    proxy.plan = Plan()
    ours = client(aws, OURS)
    for name in (tables.sales, tables.buyers, tables.producers):
        ours.delete_table(TableName=name)
    tool.run("--resume").failed(1, SHOWN, "now there is none", "--full --restart")
    tool.run("--full", "--restart").ended(0)
    assert len(scan_all(ours, tables)["sales"]) == 5
    tool.run("rollback", "--yes").ended(0)
    assert not any(scan_all(ours, tables).values())


def test_a_table_is_known_by_its_id_or_else_by_its_making_where_it_is() -> None:
    one = Reached("https://one", "arn:1", "id-1", 1.5)
    assert one.is_same(Reached("https://vpce", "arn:1", "id-1", 1.5))
    assert not one.is_same(Reached("https://one", "arn:1", "id-2", 1.5))
    assert not one.is_same(Reached("https://one", "arn:2", "id-1", 1.5))
    emulated = Reached("http://one", "arn:1", "", 1.5)
    assert emulated.is_same(Reached("http://one", "arn:1", "", 1.5))
    assert not emulated.is_same(Reached("http://one", "arn:1", "", 1.6))
    assert not emulated.is_same(Reached("http://two", "arn:1", "", 1.5))
    assert Reached.of_json(one.as_json()) == one
