"""File and table are compared item by item: missing, extra, different, and lines counted."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st

from tests.support.records.transformed import Item, party, sale
from utils.files.spill import BUCKETS, Spill
from validate.compare.comparison import Comparison
from validate.compare.file_records import read_file_lines
from validate.compare.table_pages import read_table_page
from validate.verify.passes import SettlePass


def lines_of(records: Iterable[Sequence[Item]]) -> list[bytes]:
    return [orjson.dumps({"Item": item}) + b"\n" for record in records for item in record]


def page_of(items: Iterable[Item]) -> bytes:
    """An answer as another implementation writes it: other order, other spacing, escapes."""
    shuffled = [dict(reversed(item.items())) for item in items]
    return json.dumps({"Count": len(shuffled), "Items": shuffled}).encode()


def compared(
    records: Sequence[Sequence[Item]],
    items: Iterable[Item],
    *,
    entity: str = "sales",
    refused: Iterable[str] = (),
) -> Comparison:
    comparison = Comparison()
    comparison.add_bucket(
        entries_of_file(records, entity=entity, refused=refused),
        [entry for _, entry in read_table_page(page_of(items), entity).entries],
        entity,
    )
    return comparison


def entries_of_file(
    records: Iterable[Sequence[Item]], *, entity: str = "sales", refused: Iterable[str] = ()
) -> list[bytes]:
    found = read_file_lines(lines_of(records), entity, refused=frozenset(refused))
    return [record.entry[1] for record in found]


def keys(entries: Iterable[Any]) -> set[tuple[str, str]]:
    return {(entry["PK"], entry["SK"]) for entry in (each.as_json() for each in entries)}


def key_of(item: Item) -> tuple[str, str]:
    return item["PK"]["S"], item["SK"]["S"]


def flat(records: Iterable[Sequence[Item]]) -> list[Item]:
    return [item for record in records for item in record]


FATES = st.lists(st.sampled_from(["same", "gone", "changed", "stripped"]), min_size=9, max_size=9)


@given(FATES, st.integers(0, 3), st.integers(0, 3))
def test_every_difference_is_found_and_no_other(
    fates: list[str], extra_sales: int, foreign_parties: int
) -> None:
    records = [sale(n, lines=2) for n in (1, 2, 3)]
    table: list[Item] = []
    gone, changed = set(), set()
    for item, fate in zip(flat(records), fates, strict=True):
        if fate == "gone":
            gone.add(key_of(item))
            continue
        if fate == "changed":
            item = {**item, "updatedBy": {"S": "somebody"}}  # noqa: PLW2901
        if fate == "stripped":
            item = {name: value for name, value in item.items() if name != "legacyId"}  # noqa: PLW2901
        if fate != "same":
            changed.add(key_of(item))
        table.append(item)
    extra = flat(sale(100 + n, lines=1) for n in range(extra_sales))
    foreign = [{**party("buyer", n), "SK": {"S": "X"}} for n in range(foreign_parties)]
    for item in foreign:
        del item["legacyId"]

    found = compared(records, [*table, *extra, *foreign]).keys

    assert keys(found.missing.entries) == gone
    assert keys(found.different.entries) == changed
    assert keys(found.extra.entries) == {key_of(item) for item in extra}
    assert found.foreign == foreign_parties
    assert found.passed == (not gone and not changed and not extra)


def test_keys_with_tabs_line_breaks_and_quotes_stay_apart() -> None:
    odd = {**party("buyer", 1), "PK": {"S": 'BUYER#a\tb\n"c" '}}
    even = {**party("buyer", 1), "PK": {"S": "BUYER#a b"}}
    found = compared([[odd], [even]], [even], entity="buyers").keys
    assert keys(found.missing.entries) == {key_of(odd)}
    assert not found.extra.count


def test_numbers_of_the_table_are_compared_by_value() -> None:
    record = sale(1)
    stored = [{**item, "subtotal": {"N": "25.50"}} for item in record[:1]] + record[1:]
    assert compared([record], stored).keys.passed
    stored[0] = {**record[0], "subtotal": {"N": "25.51"}}
    assert compared([record], stored).keys.different.count == 1


def test_an_item_of_the_application_under_our_key_is_different() -> None:
    record = sale(1, lines=0)
    theirs = {name: value for name, value in record[0].items() if name != "legacyId"}
    found = compared([record], [theirs]).keys
    assert keys(found.different.entries) == {key_of(record[0])}
    assert found.foreign == 0


def test_a_sale_with_a_line_too_few_or_too_many_is_found() -> None:
    short, long, right = sale(1, lines=2), sale(2, lines=1), sale(3, lines=3)
    more = {**long[1], "SK": {"S": "LINE#another"}}
    found = compared([short, long, right], [*short[:-1], *long, more, *right]).lines
    wrong = {entry.sale: (entry.lines_count, entry.found) for entry in found.different.entries}
    assert wrong == {short[0]["PK"]["S"]: ("2", 1), long[0]["PK"]["S"]: ("1", 2)}
    assert found.checked == 3


def test_a_line_of_the_application_counts_as_a_line() -> None:
    record = sale(1, lines=1)
    record[0]["linesCount"] = {"N": "2"}
    theirs = {name: v for name, v in record[1].items() if name != "legacyId"}
    theirs["SK"] = {"S": "LINE#theirs"}
    found = compared([record], [*record, theirs])
    assert found.keys.passed
    assert found.lines.passed


def test_lines_without_their_sale_are_found() -> None:
    record = sale(1, lines=2)
    found = compared([record], record[1:]).lines
    (entry,) = found.different.entries
    assert (entry.sale, entry.lines_count, entry.found) == (record[0]["PK"]["S"], None, 2)


def test_records_that_the_load_refused_may_be_absent_and_only_those() -> None:
    records = [sale(1, lines=2), sale(2, lines=1)]
    found = compared(records, [], refused=["1"]).keys
    assert found.refused == 3
    assert keys(found.missing.entries) == {key_of(item) for item in records[1]}
    there = compared(records, flat(records), refused=["1"]).keys
    assert there.passed
    assert there.refused == 0
    other = [{**records[0][0], "total": {"N": "1"}}, *flat(records)[1:]]
    assert compared(records, other, refused=["1"]).keys.different.count == 1


def test_a_page_says_what_is_ours_and_where_the_next_one_starts() -> None:
    record = sale(1, buyer=3, producer=4, lines=2)
    theirs = {name: value for name, value in sale(2)[0].items() if name != "legacyId"}
    last = {"PK": {"S": "a"}, "SK": {"S": "b"}}
    answer = {"Items": [*record, theirs], "Count": 4, "LastEvaluatedKey": last}
    page = read_table_page(orjson.dumps(answer), "sales")
    assert (page.found.records, page.found.items, page.scanned) == (1, 3, 4)
    assert (page.last_key, page.ends_at) == (last, {name: theirs[name] for name in ("PK", "SK")})
    named = [(key, line.partition(b"\tC")) for key, line in page.references]
    assert all(key == party for key, (party, _, _) in named)
    assert {(orjson.loads(user), orjson.loads(key)) for key, (_, _, user) in named} == {
        (item["PK"]["S"], item[name]["S"])
        for item in (record[0], theirs)
        for name in ("GSI2PK", "GSI3PK")
    }
    empty = read_table_page(b'{"Items":[],"Count":0}', "sales")
    assert empty.last_key is empty.ends_at is None


def test_lists_are_cut_and_say_so() -> None:
    found = compared([[party("buyer", n)] for n in range(1, 1_103)], [], entity="buyers").keys
    missing = found.as_json()["missing"]
    assert (missing["count"], len(missing["list"]), missing["truncated"]) == (1_102, 1_000, True)


@given(st.lists(st.integers(1, 30), max_size=30, unique=True), st.randoms())
def test_in_which_order_and_in_how_many_pages_items_come_does_not_matter(
    cuts: list[int], random: Random
) -> None:
    records = [sale(n, lines=n % 4) for n in range(1, 12)]
    records[3][0]["linesCount"] = {"N": "7"}
    items = flat(records)
    del items[5], items[9]
    random.shuffle(items)
    entries = []
    for start, end in pairwise([0, *sorted(cuts), len(items)]):
        page = read_table_page(page_of(items[start:end]), "sales")
        entries += [entry for _, entry in page.entries]
    in_pages = Comparison()
    in_pages.add_bucket(entries_of_file(records), entries, "sales")
    assert in_pages == compared(records, items)
    assert in_pages.keys.missing.count == 2
    assert in_pages.lines.checked == len(records) - 2  # those two were sales
    assert in_pages.lines.different.count == 3


def test_an_item_that_a_scan_gives_twice_is_extra_once() -> None:
    record = sale(1, lines=1)
    found = compared([record], [*record, record[1]])
    assert keys(found.keys.extra.entries) == {key_of(record[1])}
    page = [entry for _, entry in read_table_page(page_of(record), "sales").entries]
    twice = Comparison()
    twice.add_bucket(entries_of_file([record]), page * 2, "sales")
    assert twice.keys.extra.count == len(record)


def test_a_line_of_the_application_on_another_page_counts_as_a_line() -> None:
    record = sale(1, lines=1)
    theirs = {name: v for name, v in record[1].items() if name != "legacyId"}
    theirs["SK"] = {"S": "LINE#theirs"}
    pages = [read_table_page(page_of(items), "sales") for items in (record, [theirs])]
    found = Comparison()
    found.add_bucket(
        entries_of_file([record]),
        [entry for page in pages for _, entry in page.entries],
        "sales",
    )
    assert found.keys.passed
    (wrong,) = found.lines.different.entries
    assert (wrong.lines_count, wrong.found) == ("1", 2)


def peak_memory(scratch: Path, sales: int) -> int:
    """Peak of what is allocated while the two sides of so many sales are compared."""
    in_file, in_table, alike = Spill(scratch), Spill(scratch), 0
    for start in range(0, sales, 100):
        records = [sale(start + n, lines=3) for n in range(100)]
        items = flat(records)[::-1]  # no record's items stand together as in the file
        found = read_file_lines(lines_of(records), "sales")
        in_file.add(record.entry for record in found)
        for first in range(3):
            in_table.add(read_table_page(page_of(items[first::3]), "sales").entries)
    work = SettlePass(in_file.finish(), in_table.finish(), scratch, "sales")
    del in_file, in_table, records, items, found
    tracemalloc.start()
    for numbers in range(BUCKETS):
        alike += work([range(numbers, numbers + 1)])[0].alike
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert alike == sales
    return peak


def test_memory_holds_a_bucket_and_never_the_table(tmp_path: Path) -> None:
    entries = 2 * 4 * 4_000  # both sides of 4,000 sales with three lines
    whole = entries * 100  # what a member of an entry takes in memory, at the least
    assert peak_memory(tmp_path, 4_000) < whole / 8
