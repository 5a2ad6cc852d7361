"""What a load writes is counted before it: items, bytes, and the units of every index."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import orjson
import pytest

from load.forecast.places import Place, places_of
from load.forecast.write_units import Census, take_census, units_for
from tests.support.records.transformed import TABLES, Item, Migration, sale
from utils.dynamodb.item_size import item_size
from utils.files.line_marks import CONFLICT, KEPT, SAME, TO_ADD, LineMarks

NOWHERE = "http://localhost:1"


def counted_by_hand(items: list[Item], places: tuple[Place, ...]) -> dict[str, tuple[int, int]]:
    """Items and write units of each place, from parsed items."""
    found = {}
    for place in places:
        here = [
            item if place.projected is None else {n: item[n] for n in item if n in place.projected}
            for item in items
            if place.partition_key in item and place.sort_key in item
        ]
        found[place.index] = (len(here), sum(units_for(item_size(each)) for each in here))
    return found


def census_of(migration: Migration, entity: str, marks: Path | None = None) -> Census:
    return take_census(migration.write(), TABLES[entity], places_of(TABLES[entity]), marks)


@pytest.fixture
def migration(tmp_path: Path) -> Migration:
    migration = Migration(tmp_path, NOWHERE)
    migration.fill(parties=5, sales=40)
    return migration


@pytest.mark.parametrize("entity", TABLES)
def test_units_of_table_and_indexes_are_those_of_each_item(
    migration: Migration, entity: str
) -> None:
    records = migration.records[entity]
    items = [item for record in records for item in record]
    items[0]["notes"] = {"S": "x" * 3_000}
    census = census_of(migration, entity)
    by_hand = counted_by_hand(items, places_of(TABLES[entity]))
    assert {each.place.index: (each.items, each.units) for each in census.places} == by_hand
    assert census.figures.new == sum(census.sizes.values()) == len(items)
    assert census.figures.records == len(records)
    assert census.figures.new_bytes == sum(map(item_size, items))
    assert census.figures.sent_bytes == sum(len(orjson.dumps({"Item": each})) + 1 for each in items)
    assert census.sizes == Counter(map(item_size, items))


def test_units_are_counted_by_partition_key(migration: Migration) -> None:
    migration.records["sales"] = [sale(n, buyer=1 + (n % 10 == 0), lines=3) for n in range(1, 31)]
    table, status, buyer, _, date = census_of(migration, "sales").places
    heads = [record[0] for record in migration.records["sales"]]
    statuses = Counter(head["GSI1PK"]["S"] for head in heads)
    assert {hot.key: hot.units for hot in status.keys.hottest(status.units)} == dict(
        statuses.most_common(3)
    )
    assert buyer.keys.hottest(buyer.units)[0].share == 0.9
    assert [(hot.key, hot.share) for hot in date.keys.hottest(date.units)] == [("SALE", 1.0)]
    assert {hot.units for hot in table.keys.hottest(table.units)} == {4}  # a sale and three lines


def test_further_indexes_of_the_table_cost_what_they_hold(migration: Migration) -> None:
    described: dict[str, Any] = {
        "GlobalSecondaryIndexes": [
            {
                "IndexName": "by-currency",
                "KeySchema": [
                    {"AttributeName": "status", "KeyType": "HASH"},
                    {"AttributeName": "saleNumber", "KeyType": "RANGE"},
                ],
                "Projection": {"ProjectionType": "KEYS_ONLY"},
            }
        ],
        "LocalSecondaryIndexes": [
            {
                "IndexName": "by-change",
                "KeySchema": [
                    {"AttributeName": "PK", "KeyType": "HASH"},
                    {"AttributeName": "updatedAt", "KeyType": "RANGE"},
                ],
                "Projection": {"ProjectionType": "ALL"},
            }
        ],
    }
    migration.records["sales"][0][0]["notes"] = {"S": "x" * 9_000}
    places = places_of(TABLES["sales"], described)
    census = take_census(migration.write(), TABLES["sales"], places)
    items = [item for record in migration.records["sales"] for item in record]
    by_hand = counted_by_hand(items, places)
    assert {each.place.index: (each.items, each.units) for each in census.places} == by_hand
    assert by_hand["by-currency"][0] == by_hand["by-currency"][1] == len(migration.records["sales"])
    assert by_hand["by-change"] == by_hand[""]


def test_a_text_that_looks_like_a_key_of_an_index_is_none(migration: Migration) -> None:
    line = migration.records["sales"][0][1]
    line["productDescription"] = {"S": "GSI1PK"}
    census = census_of(migration, "sales")
    assert census.places[1].items == len(migration.records["sales"])


def marked(migration: Migration, *marks: dict[int, int]) -> Path:
    """A plan of the load of sales: for each record from the first on, marks by line."""
    path = migration.workspace.root / "sales.plan"
    lines = [[orjson.dumps({"Item": i}) + b"\n" for i in r] for r in migration.records["sales"]]
    place = 0
    with LineMarks.create(path, sum(len(line) for record in lines for line in record)) as plan:
        for record, wanted in zip(lines, [*marks, *[{}] * len(lines)], strict=False):
            for number, line in enumerate(record):
                if number in wanted:
                    plan.mark(place, wanted[number])
                place += len(line)
    return path


def test_what_is_there_or_stays_is_not_written(migration: Migration) -> None:
    migration.records["sales"] = [sale(n, lines=2) for n in range(1, 6)]
    there, kept = dict.fromkeys(range(3), SAME), dict.fromkeys(range(3), KEPT)
    census = census_of(migration, "sales", marked(migration, there, kept))
    figures = census.figures
    assert (figures.there, figures.kept, figures.new, figures.replaced) == (3, 3, 9, 0)
    assert [each.items for each in census.places][:2] == [9, 3]
    assert figures.records == 5
    assert figures.least == figures.most == 0


def test_a_record_that_is_replaced_takes_a_transaction(migration: Migration) -> None:
    """All of it that changes, and the item that opens it, at twice the units; one item alone is
    put on condition. What is put again as it is takes nothing in an index."""
    migration.records["sales"] = [sale(n, lines=2) for n in (1, 2, 3)]
    one, line, two = {0: CONFLICT, 1: SAME, 2: SAME}, {0: SAME, 1: TO_ADD, 2: SAME}, {0: CONFLICT}
    two |= {1: CONFLICT, 2: SAME}
    figures = census_of(migration, "sales", marked(migration, one, line, two)).figures
    assert (figures.replaced, figures.there, figures.new) == (4, 5, 0)
    head = 1 + 4  # the table and four indexes, a unit each
    assert figures.least == head + 2 * (1 + 1) + 2 * (head + 1)
    assert figures.most - figures.least == 4 + 2 * 4  # entries that move
