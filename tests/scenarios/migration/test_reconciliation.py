"""S9 adds up its own columns, and the target what it holds: to the cent, and by an independent
hand."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.conftest import S9Database, TableNames
from tests.scenarios.conftest import hire
from tests.support.operators.operator import Operator, insert, line, party, sale, small_trade
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
            14, 4, 3, subtotal="-5.00", tax_amount="0", total=None, status="pagàto ", currency="eur"
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
