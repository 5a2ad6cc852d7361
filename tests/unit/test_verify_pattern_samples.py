"""Samples are spread, the same in every run, complete, and no larger for a larger file."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Set
from itertools import pairwise

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.transformed_artifacts import Item, sale
from validate import pattern_samples
from validate.pattern_samples import GROUP, SAMPLES, Earliest, Key, Latest, Samples, Spread
from validate.record_entries import read_file_lines


def samples_of(*records: list[Item], slice_keys: Set[Key] = frozenset()) -> Samples:
    """The samples of one part of a file."""
    lines = [orjson.dumps({"Item": item}) + b"\n" for record in records for item in record]
    samples = Samples(slice_keys)
    for record in read_file_lines(lines, sales=True):
        samples.add(record, sales=True)
    return samples


def samples_as_values(samples: Samples) -> list[object]:
    return [
        samples.slice,
        samples.records.kept,
        samples.statuses.kept,
        samples.buyers.kept,
        samples.producers.kept,
        samples.years.kept,
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


def test_a_year_keeps_all_sales_of_its_last_day() -> None:
    year = Latest()
    for date, pk in (("2024-03-01", "a"), ("2024-12-30", "b"), ("2024-12-30", "c")):
        year.add(date, pk, f"number of {pk}")
    year.add("2024-05-01", "d", "number of d")
    assert year.date == "2024-12-30"
    assert year.numbers == {"b": "number of b", "c": "number of c"}


def test_a_sampled_sale_has_exactly_its_own_lines() -> None:
    samples = Samples(frozenset())
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


def test_sales_outside_the_numbering_are_not_the_latest_of_their_year() -> None:
    numbered, cancelled = sale(1, lines=0), sale(7, lines=0)
    cancelled[0]["saleDate"] = {"S": numbered[0]["saleDate"]["S"][:4] + "-12-31"}
    samples = samples_of(numbered, cancelled)
    (latest,) = samples.years.kept.values()
    assert latest.date == numbered[0]["saleDate"]["S"]
    assert latest.numbers == {numbered[0]["PK"]["S"]: "1"}


@given(st.lists(st.integers(1, 99), max_size=9))
def test_the_samples_of_the_parts_are_those_of_the_whole(cuts: list[int]) -> None:
    records = [sale(n, buyer=n % 30, producer=n % 4, lines=n % 3) for n in range(1, 100)]
    whole, parts = samples_of(*records), Samples(frozenset())
    for start, end in pairwise([0, *sorted(set(cuts)), 100]):
        parts.extend(samples_of(*records[start:end]))
    assert samples_as_values(parts) == samples_as_values(whole)


@given(st.lists(st.integers(0, 3), max_size=60), st.integers(0, 60))
def test_a_year_in_parts_counts_the_ties_that_it_does_not_keep(days: list[int], cut: int) -> None:
    whole, first, second = Latest(), Latest(), Latest()
    for number, day in enumerate(days):
        for year in (whole, first if number < cut else second):
            year.add(f"2024-12-0{day}", f"sale {number}", str(number))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pattern_samples, "_TIES", 5)
        limited = [Latest(), Latest(), Latest()]
        for number, day in enumerate(days):
            for year in (limited[0], limited[1 if number < cut else 2]):
                year.add(f"2024-12-0{day}", f"sale {number}", str(number))
        limited[1].extend(limited[2])
    first.extend(second)
    assert first == whole
    assert limited[1] == limited[0]
