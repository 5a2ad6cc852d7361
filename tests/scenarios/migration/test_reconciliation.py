"""S9 adds up its own columns, and the target what it holds: to the cent, and by an independent
hand."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from typing import Any

import orjson
import pytest
from mypy_boto3_dynamodb import DynamoDBClient

from tests.conftest import S9Database, Sample, TableNames
from tests.scenarios.conftest import DONE_TABLES, hire
from tests.support.operators.operator import (
    Operator,
    insert,
    line,
    party,
    sale,
    scan_all,
    small_trade,
)
from tests.support.records.reconciled import by_independent_hand, column_of_table, table_of
from utils.embedded.aws import EmbeddedAws

AMOUNTS = ("subtotal", "tax_amount", "total")


@pytest.fixture(params=["s9", "s9_on_mysql"])
def each(request: pytest.FixtureRequest) -> S9Database:
    """A database of the test's own, on PostgreSQL and on MariaDB."""
    database: S9Database = request.getfixturevalue(request.param)
    return database


@pytest.fixture
def desk(tmp_path: Path, each: S9Database, aws: EmbeddedAws, tables: TableNames) -> Operator:
    return hire(tmp_path, each, aws, tables)


def sums_file(operator: Operator) -> list[dict[str, Any]]:
    path = operator.data / "extracted" / "sales.sums.json"
    return [orjson.loads(text) for text in path.read_bytes().splitlines()]


def summed(operator: Operator) -> dict[tuple[Any, ...], list[Any]]:
    """What the file of S9's sums says: by columns and labels."""
    found: dict[tuple[Any, ...], list[Any]] = defaultdict(
        lambda: [0, 0, *[Decimal(0)] * 3, 0, 0, 0]
    )
    for each in sums_file(operator)[1:]:
        if "by" in each:
            row = found[tuple(each["by"]) + tuple(each["labels"])]
            amounts = map(Decimal, each["amounts"])
            parts = [each["records"], each["lines"], *amounts, *each["without"]]
            row[:] = [one + other for one, other in zip(row, parts, strict=True)]
    return {key: row for key, row in found.items() if any(row)}


def by_hand(s9: S9Database, without: dict[int, set[int]]) -> dict[tuple[Any, ...], list[Any]]:
    """The same from rows that are read here, one by one. `without` are the amounts that are none,
    by key."""
    found: dict[tuple[Any, ...], list[Any]] = defaultdict(
        lambda: [0, 0, *[Decimal(0)] * 3, 0, 0, 0]
    )
    lines = {
        int(str(sale)): int(str(count))
        for sale, count in s9.rows("SELECT msg_id, count(*) FROM msg_line GROUP BY msg_id")
    }
    for key, day, status, currency, buyer, producer, *amounts in s9.rows(
        "SELECT first_id, sale_date, status, currency, buyer_id, producer_id, "
        "subtotal, tax_amount, total FROM msg WHERE enabled = true"
    ):
        date = None if day is None else str(day)
        groups = (
            ("sale_date", "status", "currency", date, status, currency),
            ("buyer_id", "currency", buyer, currency),
            ("producer_id", "currency", producer, currency),
        )
        lacking = without.get(int(str(key)), set())
        for group in groups:
            row = found[group]
            row[0] += 1
            row[1] += lines.get(int(str(key)), 0)
            for place, amount in enumerate(amounts):
                if place in lacking:
                    row[5 + place] += 1
                else:
                    row[2 + place] += Decimal(str(amount).strip(" "))
    return dict(found)


def listed(operator: Operator) -> dict[int, set[int]]:
    return {each["key"]: set(each["without"]) for each in sums_file(operator) if "key" in each}


def trade(s9: S9Database) -> None:
    small_trade(s9)
    amounts = {"subtotal": "100.10", "tax_amount": "22.02", "total": "122.12"}
    insert(s9, "msg_anag", party(4, 2))
    insert(
        s9,
        "msg",
        sale(12, 1, 3, **amounts, status="Pagato", currency="EUR"),
        sale(13, 1, 3, **amounts, status="pagato", currency="CHF"),
        sale(
            14, 4, 3, subtotal="-5.00", tax_amount="0", total=None, status="PAGATO ", currency="eur"
        ),
        sale(15, 2, 3, enabled=False, **amounts),
        sale(16, 4, 3, **{**amounts, "total": "99999999999999.99"}, status="pagato", currency=""),
    )
    insert(s9, "msg_line", line(9, 12), line(10, 12), line(11, 14), line(12, 15))


def test_s9_adds_up_what_is_extracted(each: S9Database, desk: Operator) -> None:
    trade(each)
    desk.run("--phase", "extract").ended(0)
    everything = {0, 1, 2}
    assert listed(desk) == {10: everything, 11: everything, 14: {2}}
    assert summed(desk) == by_hand(each, listed(desk))
    assert sums_file(desk)[0] == {"absent": [], "again": [], "zero": []}
    manifest = desk.manifest()
    assert manifest["artifacts"]["extracted/sales.sums.json"]["records"] == len(sums_file(desk))


TYPES = {
    "postgresql": ["text", "double precision", "real", "money", "numeric", "char(30)", "bigint"],
    "mysql": ["text", "double", "decimal(65,30)", "char(30)", "bigint"],
}


@pytest.mark.parametrize("number", range(7))
def test_columns_of_any_type_are_added_up(each: S9Database, desk: Operator, number: int) -> None:
    types = TYPES[each.type]
    if number >= len(types):
        return
    trade(each)
    kind = types[number]
    using = f" USING total::numeric::{kind}" if each.type == "postgresql" else ""
    change = "ALTER COLUMN total TYPE" if each.type == "postgresql" else "MODIFY total"
    each.execute("UPDATE msg SET total = 122 WHERE total > 1000")
    if kind == "bigint":
        each.execute("UPDATE msg SET total = 122 WHERE total IS NOT NULL")
    each.execute(f"ALTER TABLE msg {change} {kind}{using}")
    none = {10: {0, 1, 2}, 11: {0, 1, 2}, 14: {2}}
    if kind in ("text", "char(30)"):
        for key, text in ((12, "1e3"), (13, "  7.50 "), (16, "")):
            each.execute("UPDATE msg SET total = %s WHERE first_id = %s", text, key)
        none |= {12: {2}, 16: {2}}
    if kind == "numeric":
        each.execute("UPDATE msg SET total = 'NaN' WHERE first_id = 13")
        none |= {13: {2}}
    if kind == "money":
        each.execute("UPDATE msg SET total = 5 WHERE first_id = 13")
    desk.run("--phase", "extract").ended(0)
    assert listed(desk) == none
    found, due = summed(desk), by_hand_of(each, kind, none)
    assert found == due


def test_neither_names_nor_texts_of_s9_get_in_the_way_of_its_sums(
    each: S9Database, desk: Operator
) -> None:
    trade(each)
    for name in ("w", "s", "k0", "a0", "n", "r", "l", "s0", "c0"):  # as the queries call theirs
        each.execute(f"ALTER TABLE msg ADD COLUMN {name} integer")
    for key, status in ((13, 'à "\\ \t\x01😀 '), (16, "PAGATO")):
        each.execute("UPDATE msg SET status = %s WHERE first_id = %s", status, key)
    desk.run("--phase", "extract").ended(0)
    assert summed(desk) == by_hand(each, listed(desk))


def by_hand_of(
    s9: S9Database, kind: str, without: dict[int, set[int]]
) -> dict[tuple[Any, ...], list[Any]]:
    if kind == "money":
        s9.execute("ALTER TABLE msg ALTER COLUMN total TYPE numeric")
    return by_hand(s9, without)


def test_a_column_that_s9_does_not_have_is_said_to_be_absent(
    each: S9Database, desk: Operator
) -> None:
    trade(each)
    each.execute("ALTER TABLE msg DROP COLUMN total")
    each.execute("ALTER TABLE msg DROP COLUMN currency")
    desk.run("--phase", "extract").ended(0)
    assert sums_file(desk)[0]["absent"] == [2]
    assert listed(desk) == {10: {0, 1}, 11: {0, 1}}
    found = summed(desk)
    assert found["buyer_id", "currency", 4, None] == [
        2,
        1,
        *_amounts("95.10", "22.02", "0"),
        0,
        0,
        2,
    ]


def _amounts(*texts: str) -> Iterator[Decimal]:
    return map(Decimal, texts)


def test_every_row_adds_up_from_s9_to_the_target(
    each: S9Database, desk: Operator, dynamodb: DynamoDBClient, tables: TableNames
) -> None:
    """With records in quarantine, amounts that S9 leaves open, and two currencies."""
    trade(each)
    insert(each, "msg", sale(17, 1, 3, total="50.00", status="whatever"))
    insert(each, "msg", sale(18, 77, 3, total="60.00"))
    outcome = desk.run("--full").ended(5)
    rows = table_of(desk.data)
    assert column_of_table(rows, "Difference") == {}
    source, target = by_independent_hand(each, dynamodb, tables)
    assert column_of_table(rows, "Target") == target
    assert column_of_table(rows, "S9 (SQL)", by=("currency",)) == source
    report = desk.report("reconciliation")
    assert report["passed"]
    assert report["entities"]["sales"]["differences"]["count"] == 0
    assert "Sales in money: S9 " in outcome.output
    assert ", in quarantine -2 sales, -110.00, computed +102.48, target 5 sales" in outcome.output
    assert ", no difference" in outcome.output
    whole = (desk.data / "reports" / "reconciliation.csv").read_text("utf-8-sig")
    assert "\nsales;added up in S9 at;20" in whole
    assert "\nsales;compared with the target at;20" in whole
    assert "reconciliation.csv" in outcome.output


def test_what_the_application_changes_is_no_difference_and_damage_is(
    each: S9Database, desk: Operator, dynamodb: DynamoDBClient, tables: TableNames
) -> None:
    trade(each)
    desk.run("--full").ended(0)
    items = scan_all(dynamodb, tables)["sales"]
    own = {
        int(item["legacyId"]["S"]): item
        for (_, sort_key), item in items.items()
        if sort_key == "METADATA"
    }
    later = {"updatedAt": {"S": "2027-01-01T00:00:00.000Z"}, "updatedBy": {"S": "anna"}}
    moved = {**own[12], **later, "status": {"S": "cancelled"}, "GSI1PK": {"S": "STATUS#cancelled"}}
    dynamodb.put_item(TableName=tables.sales, Item={**moved, "total": {"N": "130"}})
    gone = {**own[16], **later, "deletedAt": {"S": "2027-01-01T00:00:00.000Z"}}
    dynamodb.put_item(TableName=tables.sales, Item=gone)
    desk.run("--phase", "verify").ended(0)
    rows = table_of(desk.data)
    assert column_of_table(rows, "Difference") == {}
    changed = column_of_table(rows, "Changed by the application", by=("status",))
    assert changed["status", "cancelled", "EUR", "total"] == Decimal("130")
    assert changed["status", "paid", "EUR", "sales"] == -2
    assert changed["status", "paid", "EUR", "total"] == Decimal("-122.12") - Decimal(
        "99999999999999.99"
    )

    dynamodb.put_item(TableName=tables.sales, Item={**own[13], "total": {"N": "1.01"}})
    dynamodb.delete_item(TableName=tables.sales, Key={"PK": own[14]["PK"], "SK": own[14]["SK"]})
    desk.run("--phase", "verify").ended(4)
    rows = table_of(desk.data)
    off = column_of_table(rows, "Difference", by=("buyer",))
    assert sum(amount for key, amount in off.items() if key[3] == "sales") == -1
    named = {
        (row["Value"], row["Currency"]): row["Records that make it"]
        for row in rows
        if row["By"] == "month" and row["Figure"] == "total" and row["Records that make it"]
    }
    assert named == {("2024-05", "CHF"): "13", ("2024-05", "EUR"): "14"}
    problems = desk.report("verification")["problems"]
    assert any("of the reconciliation do not add up" in each for each in problems)
    assert not desk.report("reconciliation")["passed"]


def test_without_sums_of_s9_there_is_no_reconciliation_and_no_failure(
    alone: Operator, s9: S9Database
) -> None:
    small_trade(s9)
    alone.run("--full").ended(0)
    manifest = alone.manifest()
    del manifest["artifacts"]["extracted/sales.sums.json"]
    (alone.data / "manifest.json").write_bytes(orjson.dumps(manifest))
    outcome = alone.run("--phase", "verify").ended(0)
    assert "not reconciled in money" in outcome.stderr
    assert not (alone.data / "reports" / "reconciliation.csv").exists()


def test_records_that_are_read_again_are_added_up_as_they_are_now(
    each: S9Database, desk: Operator
) -> None:
    trade(each)
    each.execute("UPDATE msg SET status = 'whatever' WHERE first_id IN (12, 13)")
    desk.run("--full").ended(5)
    assert column_of_table(table_of(desk.data), "Difference") == {}
    each.execute("UPDATE msg SET status = 'pagato', total = 7 WHERE first_id = 12")
    each.execute("UPDATE msg SET status = 'pagato', total = NULL WHERE first_id = 13")
    desk.run("retry-quarantine").ended(0)
    rows = table_of(desk.data)
    assert column_of_table(rows, "Difference") == {}
    assert column_of_table(rows, "In quarantine") == {}
    assert len(desk.report("reconciliation")["entities"]["sales"]["readAgainAt"]) == 1
    assert summed(desk) == by_hand(each, listed(desk))


def test_a_file_that_is_not_what_s9_has_is_a_difference_that_names_its_sales(
    alone: Operator, s9: S9Database
) -> None:
    """The file and the table agree, and both are wrong."""
    trade(s9)
    alone.run("--phase", "extract").ended(0)
    alone.run("--phase", "transform").ended(0)
    path = alone.data / "transformed" / "sales.json"
    text = path.read_bytes()
    forged = text.replace(b'"total":{"N":"122.12"}', b'"total":{"N":"222.12"}', 1)
    assert forged != text
    path.write_bytes(forged)
    manifest = alone.manifest()
    manifest["artifacts"]["transformed/sales.json"]["sha256"] = sha256(forged).hexdigest()
    (alone.data / "manifest.json").write_bytes(orjson.dumps(manifest))
    for phase in ("validate", "load"):
        alone.run("--phase", phase).ended(0)
    outcome = alone.run("--phase", "verify").ended(4)
    rows = table_of(alone.data)
    off = {
        (row["By"], row["Value"]): row["Records that make it"]
        for row in rows
        if row["Figure"] == "total" and row["Records that make it"]
    }
    assert off["status", "paid"] == "12"
    assert "(12)" in outcome.output or "(12)" in str(alone.report("verification")["problems"])


def test_the_sample_adds_up_with_all_its_dirt(
    finished: Operator, sample: Sample, dynamodb: DynamoDBClient
) -> None:
    rows = table_of(finished.data)
    assert column_of_table(rows, "Difference") == {}
    source, target = by_independent_hand(sample.s9, dynamodb, DONE_TABLES)
    assert column_of_table(rows, "Target") == target
    assert column_of_table(rows, "In quarantine")
    in_s9 = column_of_table(rows, "S9 (SQL)", by=("currency",))
    assert {
        key: value for key, value in in_s9.items() if key[2].isalpha()
    }.items() <= source.items()
