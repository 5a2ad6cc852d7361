"""Samples are spread, the same in every run, complete, and no larger for a larger file."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Set
from itertools import pairwise
from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.records.transformed import Item, sale
from validate.compare.file_records import read_file_lines
from validate.patterns import pattern_samples
from validate.patterns.pattern_samples import (
    GROUP,
    SAMPLES,
    Earliest,
    Highest,
    Key,
    Samples,
    SampleSize,
    Spread,
)

_SOME = SampleSize()


def samples_of(
    *records: list[Item], slice_keys: Set[Key] = frozenset(), size: SampleSize = _SOME
) -> Samples:
    """The samples of one part of a file."""
    lines = [orjson.dumps({"Item": item}) + b"\n" for record in records for item in record]
    samples = Samples("sales", slice_keys, size)
    for record in read_file_lines(lines, "sales"):
        samples.add(record)
    return samples


def samples_as_values(samples: Samples) -> list[object]:
    return [
        samples.slice,
        samples.records.kept,
        samples.groups["status"].kept,
        *(sorted(samples.named[name]) for name in ("buyerId", "producerId")),
        samples.years,
    ]


@given(st.lists(st.tuples(st.integers(0, 60).map(str), st.integers()), max_size=300))
def test_what_is_gathered_under_a_kept_key_is_complete(pairs: list[tuple[str, int]]) -> None:
    spread: Spread[list[int]] = Spread(list, size=5)
    everything = defaultdict(list)
    for key, value in pairs:
        everything[key].append(value)
        gathered = spread.under(key)
        if gathered is not None:
            gathered.append(value)
    assert len(spread.kept) == min(5, len(everything))
    assert all(gathered == everything[key] for key, gathered in spread.kept.items())


@given(st.lists(st.integers(0, 500).map(str), unique=True, max_size=100), st.randoms())
def test_the_choice_does_not_depend_on_the_order(keys: list[str], random: object) -> None:
    spreads = []
    for order in (keys, keys[::-1]):
        spread: Spread[list[int]] = Spread(list, size=7)
        for key in order:
            spread.under(key)
        spreads.append(set(spread.kept))
    assert spreads[0] == spreads[1]


@given(st.lists(st.tuples(st.dates().map(str), st.uuids().map(str)), max_size=250))
def test_a_group_keeps_its_first_sales_and_counts_all(sales: list[tuple[str, str]]) -> None:
    group = Earliest()
    for date, pk in sales:
        group.add(date, pk)
    assert group.first == sorted(sales)[:GROUP]
    assert group.total == len(sales)
    assert group.is_whole == (len(sales) <= GROUP)


def test_a_sampled_sale_has_exactly_its_own_lines() -> None:
    samples = Samples("sales", frozenset())
    records = [sale(n, lines=n % 4) for n in range(1, 101)]
    for start in range(0, 100, 7):
        samples.extend(samples_of(*records[start : start + 7]))
    expected = {record[0]["PK"]["S"]: record for record in records}
    assert len(samples.records.kept) == SAMPLES
    for pk, sample in samples.records.kept.items():
        assert [sample.item, *sample.lines] == expected[pk]


def test_the_items_of_the_slice_are_kept_lines_too() -> None:
    first, second = sale(1, lines=1), sale(2, lines=1)
    wanted = {
        (orjson.dumps(item["PK"]["S"]), orjson.dumps(item["SK"]["S"]))
        for item in (first[0], second[1])
    }
    samples = samples_of(first, second, slice_keys=wanted)
    assert set(samples.slice) == wanted
    assert list(samples.slice.values()) == [first[0], second[1]]


def numbered(number: int, day: str, **changes: str) -> list[Item]:
    item = sale(number, lines=0)[0]
    del item["GSI4PK"], item["GSI4SK"]  # what is in the index is another question
    item.update({name: {"S": value} for name, value in changes.items()}, saleDate={"S": day})
    return [item]


def test_every_year_has_its_highest_number_whether_or_not_it_is_in_the_index() -> None:
    records = [
        numbered(n, f"{year}-11-{28 - n:02}") for year in range(1990, 2026) for n in (1, 3, 2)
    ]
    samples = samples_of(*records)
    assert {year: highest.sales[0].number for year, highest in samples.years.items()} == {
        str(year): 3 for year in range(1990, 2026)
    }


def test_a_year_knows_no_number_of_sales_that_are_not_numbered_in_it() -> None:
    other_year = numbered(901, "2026-01-02")
    other_year[0]["year"] = {"N": "2025"}
    samples = samples_of(
        numbered(8, "2026-03-01", docType="proforma"),
        numbered(9, "2026-03-01", status="cancelled"),
        other_year,
    )
    assert samples.years == {"2026": Highest()}


@given(st.lists(st.integers(1, 99), max_size=9))
def test_the_samples_of_the_parts_are_those_of_the_whole(cuts: list[int]) -> None:
    records = [sale(n, buyer=n % 30, producer=n % 4, lines=n % 3) for n in range(1, 100)]
    whole, parts = samples_of(*records), Samples("sales", frozenset())
    for start, end in pairwise([0, *sorted(set(cuts)), 100]):
        parts.extend(samples_of(*records[start:end]))
    assert samples_as_values(parts) == samples_as_values(whole)


@pytest.mark.parametrize("most", [7, 40, None])
@pytest.mark.parametrize("known", [{}, {"sales": 99, "buyers": 30, "producers": 4}])
def test_groups_on_disk_are_those_in_memory(
    tmp_path: Path, most: int | None, known: dict[str, int]
) -> None:
    """However many parts there are, and whether the number of records is known or not."""
    size = SampleSize(most, known)
    records = [sale(n, buyer=n % 30, producer=n % 4, lines=0) for n in range(1, 100)]
    whole, parts = samples_of(*records, size=size), Samples("sales", frozenset(), size)
    for start in range(0, 99, 20):
        parts.extend(samples_of(*records[start : start + 20], size=size).finish(tmp_path))
    for attribute, there in (("buyerId", 30), ("producerId", 4)):
        found = dict(parts.named[attribute])
        assert found == dict(whole.named[attribute])
        assert len(found) == min(there, most or there)
        assert parts.named[attribute].kept == {}
        if most is not None:
            assert parts.named[attribute].count == len(found)
    assert parts.total == 99


def test_of_many_records_about_as_many_are_looked_at_as_are_asked_for() -> None:
    size = SampleSize(1_000, {"sales": 1_000_000})
    spread: Spread[list[int]] = Spread(list, 1_000, bar=size.bar("sales"))
    looked_at = sum(spread.under(f"SALE#{n}") is not None for n in range(20_000))
    assert looked_at < 20_000 * 0.0015
    assert SampleSize(None, {"sales": 1_000_000}).bar("sales") == 1 << 32


def test_samples_of_large_records_are_fewer(monkeypatch: pytest.MonkeyPatch) -> None:
    records = [sale(n, lines=9) for n in range(1, 101)]
    size = len(orjson.dumps({"Item": records[0][1]})) * 10
    monkeypatch.setattr(pattern_samples, "SAMPLE_BYTES", 5 * size)
    kept = samples_of(*records).records.kept
    assert 0 < sum(each.size for each in kept.values()) <= 5 * size
    assert all(len(each.rest) == 9 for each in kept.values())
