"""C4, C9: what a table's further indexes want, and states that do not pass."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
import pytest
from mypy_boto3_dynamodb import DynamoDBClient

from load.entities import TABLES
from load.target.tables import prepare_tables, problems_of
from tests.conftest import REGION, S9Database, TableNames
from tests.support.aws.proxy import Answer, FaultyProxy, Forward, Plan, Request
from tests.support.aws.tables import create, create_good_tables, schema, strings
from tests.support.operators.operator import Operator, scan_all, small_trade
from utils import logger
from utils.config import LoggingConfig, TargetConfig
from utils.embedded.aws import EmbeddedAws
from utils.error_handler import TargetError

SALES = [TABLES["sales"]]


def target_at(url: str, tables: TableNames) -> TargetConfig:
    return TargetConfig(region=REGION, use_local_stack=True, endpoint=url, sales_table=tables.sales)


def create_sales(dynamodb: DynamoDBClient, name: str, kind: str, *key: str) -> None:
    """The table of sales, with one index more, whose first key attribute is of a type."""
    spec = TABLES["sales"]
    names = [*spec.key_attributes, *key]
    indexes = [
        {
            "IndexName": index,
            "KeySchema": keys,
            "Projection": {"ProjectionType": "ALL"},
        }
        for index, keys in [
            *((each.name, schema(each.partition_key, each.sort_key)) for each in spec.indexes),
            ("Reporting", schema(*key) if len(key) > 1 else schema(key[0], "PK")[:1]),
        ]
    ]
    types = strings(*names)
    types[len(spec.key_attributes)]["AttributeType"] = kind
    create(
        dynamodb,
        name,
        "sales",
        GlobalSecondaryIndexes=indexes,
        AttributeDefinitions=types,
    )


def test_an_index_that_wants_another_type_is_found_before_anything_is_read(
    alone: Operator, s9: S9Database, dynamodb: DynamoDBClient, tables: TableNames
) -> None:
    """DynamoDB would refuse every sale, and each of them would go to quarantine."""
    small_trade(s9)
    create_sales(dynamodb, tables.sales, "S", "saleNumber")
    for command in ("--dry-run", "--full"):
        outcome = alone.run(command)
        outcome.failed(1, f"index Reporting of {tables.sales}", "saleNumber", "type S", "as N")
    assert not list(alone.data.rglob("extracted/*.json"))


@pytest.mark.parametrize(
    ("kind", "key", "clashes"),
    [
        ("N", "saleNumber", False),
        ("S", "docType", False),
        ("N", "saleDate", True),
        ("N", "unitPrice", False),
        ("S", "unitPrice", True),
        ("B", "currency", True),
        ("S", "invoiceGenerated", True),
        ("S", "legacy", True),
        ("N", "ttl", False),
        ("N", "somebodyElses", False),
    ],
)
@pytest.mark.parametrize("local", [False, True], ids=["global", "local"])
def test_every_key_attribute_of_every_index_is_compared_with_what_is_written(
    kind: str, key: str, clashes: bool, local: bool
) -> None:
    spec = TABLES["sales"]
    projected = {"Projection": {"ProjectionType": "ALL"}, "IndexStatus": "ACTIVE"}
    own = [
        {"IndexName": i.name, "KeySchema": schema(i.partition_key, i.sort_key), **projected}
        for i in spec.indexes
    ]
    further = [{"IndexName": "Reporting", "KeySchema": schema("PK", key), **projected}]
    table = {
        "TableStatus": "ACTIVE",
        "KeySchema": schema("PK", "SK"),
        "AttributeDefinitions": [
            *strings(*spec.key_attributes),
            {"AttributeName": key, "AttributeType": kind},
        ],
        "GlobalSecondaryIndexes": own if local else [*own, *further],
        "LocalSecondaryIndexes": further if local else [],
    }
    problems = problems_of(TargetConfig(sales_table="Sales"), spec, table)
    assert [f"Reporting of Sales has the key {key}" in each.what for each in problems] == [
        True
    ] * clashes


def test_an_index_over_what_may_be_empty_is_told(
    aws: EmbeddedAws,
    dynamodb: DynamoDBClient,
    tables: TableNames,
    capsys: pytest.CaptureFixture[str],
) -> None:
    create_sales(dynamodb, tables.sales, "S", "buyerVatNumber", "notes")
    logger.set_up_screen(LoggingConfig(), verbose=False, quiet=False, color=False)
    prepare_tables(target_at(aws.endpoint_url, tables), SALES, create=False)
    told = " ".join(capsys.readouterr().err.split())
    assert "buyerVatNumber, which may be empty in S9" in told
    assert "notes, which may be longer than 1,024 bytes in S9" in told


def described(
    change: Callable[[dict[str, Any], int], None],
) -> Callable[[Request, Forward], Answer | None]:
    """Descriptions of tables are changed: `change` gets the table, and how often it was asked."""
    asked = [0]

    def fault(request: Request, forward: Forward) -> Answer:
        answer = forward(request.body)
        found = orjson.loads(answer.content)
        if "Table" in found:
            asked[0] += 1
            change(found["Table"], asked[0])
        return Answer(answer.status, orjson.dumps(found))

    return fault


def prepared(
    aws: EmbeddedAws,
    tables: TableNames,
    change: Callable[[dict[str, Any], int], None],
    sleep: Callable[[float], None],
) -> None:
    plan = Plan({described(change): 1.0}, operations=frozenset({"DescribeTable"}))
    with FaultyProxy(aws, plan) as proxy:
        prepare_tables(target_at(proxy.url, tables), SALES, create=True, sleep=sleep)


@pytest.mark.parametrize(
    "state", ["DELETING", "ARCHIVING", "ARCHIVED", "INACCESSIBLE_ENCRYPTION_CREDENTIALS"]
)
@pytest.mark.parametrize("first", [1, 2])
def test_a_state_that_never_passes_is_an_error_at_once(
    operator: Operator, aws: EmbeddedAws, tables: TableNames, state: str, first: int
) -> None:
    create_good_tables(operator, tables)

    def change(table: dict[str, Any], asked: int) -> None:
        if asked >= first:
            table["TableStatus"] = state

    with pytest.raises(TargetError, match=f"table {tables.sales} is {state}: it") as caught:
        prepared(aws, tables, change, lambda _: pytest.fail("it was waited for"))
    assert caught.value.remedy


def test_a_table_and_an_index_that_are_being_made_are_waited_for_and_it_is_said(
    operator: Operator, aws: EmbeddedAws, tables: TableNames, capsys: pytest.CaptureFixture[str]
) -> None:
    create_good_tables(operator, tables)
    logger.set_up_screen(LoggingConfig(), verbose=False, quiet=False, color=False)
    naps: list[float] = []

    def change(table: dict[str, Any], asked: int) -> None:
        if asked <= 20:
            table["TableStatus"] = "UPDATING"
        if 20 < asked <= 40:
            table["GlobalSecondaryIndexes"][2]["IndexStatus"] = "CREATING"

    prepared(aws, tables, change, naps.append)
    assert len(naps) == 39
    told = " ".join(capsys.readouterr().err.split())
    assert f"Waiting: table {tables.sales} is UPDATING (for 1 s so far)" in told
    assert f"index GSI3-QueryByStatus of {tables.sales} is being built (CREATING)" in told
    assert told.count("Waiting: ") == 3


def test_what_is_waited_for_too_long_is_named(
    operator: Operator, aws: EmbeddedAws, tables: TableNames, monkeypatch: pytest.MonkeyPatch
) -> None:
    create_good_tables(operator, tables)
    monkeypatch.setattr("load.target.tables._ACTIVE_WITHIN", 60.0)

    def change(table: dict[str, Any], _asked: int) -> None:
        table["TableStatus"] = "UPDATING"

    with pytest.raises(TargetError, match=f"{tables.sales} is UPDATING after 1 minutes"):
        prepared(aws, tables, change, lambda _: None)


def test_an_index_of_the_tools_that_is_being_deleted_is_a_problem(
    operator: Operator, aws: EmbeddedAws, tables: TableNames
) -> None:
    create_good_tables(operator, tables)

    def change(table: dict[str, Any], _asked: int) -> None:
        table["GlobalSecondaryIndexes"][0]["IndexStatus"] = "DELETING"

    with pytest.raises(TargetError, match="is being deleted"):
        prepared(aws, tables, change, lambda _: None)


def test_tables_that_are_there_may_have_further_indexes(
    alone: Operator, s9: S9Database, dynamodb: DynamoDBClient, tables: TableNames
) -> None:
    small_trade(s9)
    create_sales(dynamodb, tables.sales, "N", "saleNumber")
    alone.run("--full").ended(0)
    assert len(scan_all(dynamodb, tables)["sales"]) == 5
