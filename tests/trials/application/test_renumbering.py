"""A13: the numbering stays right when what it rests on changes after the first load."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from mypy_boto3_dynamodb import DynamoDBClient

from tests.conftest import S9Database, TableNames
from tests.support.aws.proxy import FaultyProxy, Plan, refusing
from tests.support.operators.operator import Operator, insert, line, party, sale, scan
from utils.embedded.aws import EmbeddedAws


def trade(s9: S9Database, *sales: dict[str, object]) -> None:
    """A buyer, a producer, and sales of one line each."""
    insert(s9, "msg_anag", party(1, 2), party(3, 1))
    add(s9, *sales)


def add(s9: S9Database, *sales: dict[str, object]) -> None:
    for row in sales:
        insert(s9, "msg", row)
        number = int(str(row["first_id"]))
        insert(s9, "msg_line", line(number, number))


def sold(number: int, day: str, **changes: object) -> dict[str, object]:
    return sale(number, 1, 3, sale_date=day, **changes)


def headers(dynamodb: DynamoDBClient, tables: TableNames) -> list[dict[str, Any]]:
    found = scan(dynamodb, tables.sales)
    return [item for (_, sk), item in found.items() if sk == "METADATA"]


def in_index(dynamodb: DynamoDBClient, tables: TableNames) -> set[str]:
    """The legacy ids of the sales that the index of numbers has."""
    return {item["legacyId"]["S"] for item in headers(dynamodb, tables) if "GSI4PK" in item}


def next_number(dynamodb: DynamoDBClient, tables: TableNames, year: int = 2025) -> int:
    """What the API asks, as it asks it."""
    answer = dynamodb.query(
        TableName=tables.sales,
        IndexName="GSI4-QueryByDate",
        KeyConditionExpression="GSI4PK = :sale AND GSI4SK BETWEEN :first AND :last",
        ExpressionAttributeValues={
            ":sale": {"S": "SALE"},
            ":first": {"S": f"{year}-01-01"},
            ":last": {"S": f"{year}-12-31"},
        },
        ScanIndexForward=False,
        Limit=1,
    )
    return 1 + int(answer["Items"][0]["saleNumber"]["N"])


def test_a_mended_record_that_becomes_the_last_one_takes_the_others_out(
    alone: Operator, s9: S9Database, dynamodb: DynamoDBClient, tables: TableNames
) -> None:
    mended = sold(8, "2025-11-05", status="sospeso")
    trade(s9, sold(6, "2025-11-04"), sold(7, "2025-11-10"), mended)
    alone.run("--full").ended(5)
    assert in_index(dynamodb, tables) == {"6", "7"}
    s9.execute("UPDATE msg SET status = 'pagato' WHERE first_id = 8")
    alone.run("retry-quarantine").ended(0)
    assert in_index(dynamodb, tables) == {"6", "8"}
    assert next_number(dynamodb, tables) == 9
    assert alone.report("verification")["passed"]


@pytest.mark.parametrize("policy", ["fail", "skip", "newer"])
def test_a_sale_that_s9_adds_changes_the_place_of_another_without_a_conflict(
    alone: Operator,
    s9: S9Database,
    dynamodb: DynamoDBClient,
    tables: TableNames,
    policy: str,
) -> None:
    trade(s9, sold(6, "2025-11-10"), sold(7, "2025-11-10"))
    alone.configure(load={"onConflict": policy}).run("--full").ended(0)
    assert in_index(dynamodb, tables) == {"7"}
    add(s9, sold(8, "2025-11-11"))
    alone.run("--full").ended(0)
    assert in_index(dynamodb, tables) == {"6", "7", "8"}
    add(s9, sold(9, "2025-11-01"))
    alone.run("--full").ended(0)
    assert in_index(dynamodb, tables) == {"9"}
    assert next_number(dynamodb, tables) == 10


def test_a_rollback_puts_the_place_in_the_numbering_back(
    alone: Operator, s9: S9Database, dynamodb: DynamoDBClient, tables: TableNames
) -> None:
    trade(s9, sold(6, "2025-11-10"), sold(7, "2025-11-10"))
    alone.run("--full").ended(0)
    before = scan(dynamodb, tables.sales)
    add(s9, sold(8, "2025-11-11"))
    alone.run("--full").ended(0)
    alone.run("rollback", "--yes").ended(0)
    assert scan(dynamodb, tables.sales) == before


YEAR = date.today().year  # the Sale Module gives numbers of no other
LAST = {"PK": {"S": "SALE#SALE8"}, "SK": {"S": "METADATA"}}
HELD = f"the highest number of its year (8 of {YEAR})"


@pytest.mark.parametrize(("days", "code"), [((2, 3), 5), ((3, 2), 4)], ids=["in order", "not"])
def test_that_dynamodb_refuses_the_last_sale_of_a_year_is_said_until_it_is_loaded(
    alone: Operator,
    s9: S9Database,
    aws: EmbeddedAws,
    dynamodb: DynamoDBClient,
    tables: TableNames,
    days: tuple[int, int],
    code: int,
) -> None:
    """It was decided with it which sales stand in the index: without it the API gives its number
    again, or even one that another sale in the table has."""
    six, seven = (f"{YEAR}-01-{day:02}" for day in days)
    trade(s9, sold(6, six), sold(7, seven), sold(8, f"{YEAR}-01-05"))
    with FaultyProxy(aws, Plan(always=refusing(LAST))) as proxy:
        alone.configure(target={"endpoint": proxy.url}, transformation={"generateIds": False})
        outcome = alone.run("--full").ended(code)
        assert HELD in outcome.stdout
        assert "then: python migrate.py retry-quarantine" in outcome.last_line
        assert HELD in alone.run("--phase", "verify").stdout
        proxy.plan = Plan()
        again = alone.run("retry-quarantine").ended(0)
    assert HELD not in again.stdout
    assert next_number(dynamodb, tables, YEAR) == 9


@pytest.mark.parametrize(
    ("phase", "dirt"),
    [("validate", {"notes": "x" * 1_200}), ("transform", {"doc_type": "ddt", "status": "sospeso"})],
)
def test_that_the_last_sale_of_a_year_is_in_quarantine_is_said(
    alone: Operator, s9: S9Database, phase: str, dirt: dict[str, object]
) -> None:
    older = sold(9, f"{YEAR - 1}-01-05", **dirt)
    cancelled = sold(10, f"{YEAR}-01-06", **{**dirt, "status": "annullato"})
    trade(s9, sold(7, f"{YEAR}-01-02"), sold(8, f"{YEAR}-01-05", **dirt), older, cancelled)
    outcome = alone.run("--full").ended(5)
    result = alone.manifest()["phases"][phase]["sales"]["result"]
    assert result["heldNumbers"] == {str(YEAR): 8, str(YEAR - 1): 9}
    assert HELD in outcome.stdout, "of this year: no number of another is given"


def test_an_edit_of_the_application_is_not_overwritten_for_the_numbering_and_verify_says_so(
    alone: Operator, s9: S9Database, dynamodb: DynamoDBClient, tables: TableNames
) -> None:
    """6 is the last one, is edited, and stays in the index when 7 comes, of an earlier day."""
    trade(s9, sold(5, "2025-11-01"), sold(6, "2025-11-10"))
    alone.configure(load={"onConflict": "skip"}).run("--full").ended(0)
    (edited,) = (item for item in headers(dynamodb, tables) if item["legacyId"]["S"] == "6")
    edited["notes"] = {"S": "changed by hand"}
    edited["updatedAt"], edited["updatedBy"] = {"S": "2030-01-01T10:00:00.000Z"}, {"S": "anna"}
    dynamodb.put_item(TableName=tables.sales, Item=edited)
    add(s9, sold(7, "2025-11-05"))
    outcome = alone.run("--full")
    assert edited in headers(dynamodb, tables)
    assert outcome.code == 4
    failures = [
        problem
        for pattern in alone.report("verification")["accessPatterns"]
        if pattern["name"] == "next sale number"
        for problem in pattern["failures"]
    ]
    assert "number 7 is taken by" in failures[0]
