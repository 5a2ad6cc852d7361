"""Sums are exact, the same however the records are shared out, and small in memory."""

from __future__ import annotations

import pickle
import tracemalloc
from collections import defaultdict
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.records.facts import facts_from_json
from tests.support.records.transformed import sale
from utils.dynamodb.item_text import attributes_of
from validate.sums import sums as sums_module
from validate.sums.facts import OtherType, facts_of
from validate.sums.figures import Figures, amount_of, plain
from validate.sums.sums import Sums, SumsBuilder

_DIMENSIONS = ("year", "month", "status", "currency", "buyer", "producer")
Record = dict[str, Any]


def record(random: Random, **changes: Any) -> Record:
    date = f"{random.randint(2019, 2026)}-{random.randint(1, 12):02}-{random.randint(1, 28):02}"
    return {
        "saleDate": date,
        "status": random.choice(["draft", "paid", "cancelled", None]),
        "currency": random.choice(["EUR", "CHF"]),
        "buyerId": f"B{random.randint(1, 40)}",
        "producerId": f"P{random.randint(1, 5)}",
        "subtotal": f"{random.randint(-(10**9), 10**9)}.{random.randint(1, 99):02}",
        "taxAmount": random.choice(["0", "-0.01", "3E-7", "12345678901234567890.123456789", None]),
        "total": random.choice(["1.1", "1E+20", {"type": "S"}]),
        "lines": random.randint(0, 9),
        **changes,
    }


def labels(facts: Record) -> dict[str, Any]:
    date = facts["saleDate"]
    of_other = {
        "status": facts["status"],
        "currency": facts["currency"],
        "buyer": facts["buyerId"],
        "producer": facts["producerId"],
    }
    return {"year": date[:4], "month": date[:7], **of_other}


def expected(records: list[Record]) -> dict[tuple[Any, ...], list[Any]]:
    """The rows as they should be, in fractions, which are exact."""
    rows: dict[tuple[Any, ...], list[Any]] = defaultdict(lambda: [0, 0, *[Fraction(0)] * 3, 0])
    for each in records:
        for name, label in labels(each).items():
            row = rows[name, label, each["currency"]]
            row[0] += 1
            row[1] += each["lines"]
            for place, amount in enumerate(("subtotal", "taxAmount", "total"), 2):
                if isinstance(each[amount], str):
                    row[place] += Fraction(each[amount])
                else:
                    row[5] += 1
    return dict(rows)


def found(sums: Sums) -> dict[tuple[Any, ...], list[Any]]:
    rows: dict[tuple[Any, ...], Figures] = {}
    for by, label, currency, figures in sums.rows():
        key = (by, label, currency)
        rows[key] = rows[key] + figures if key in rows else figures
    return {
        key: [each.records, each.lines, *map(Fraction, each.amounts), sum(each.without)]
        for key, each in rows.items()
    }


def summed(scratch: Path, records: list[Record]) -> Sums:
    builder = SumsBuilder(scratch, "sales")
    for each in records:
        builder.add(*facts_from_json(each, "sales"))
    return builder.finish()


@pytest.mark.parametrize(("held", "passed"), [(20_000, 20_000), (20_000, 50), (50, 50)])
def test_sums_are_those_of_the_records_however_they_are_shared_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, held: int, passed: int
) -> None:
    monkeypatch.setattr(sums_module, "_HELD", held)
    monkeypatch.setattr(sums_module, "_PASSED", passed)
    random = Random(16)
    records = [record(random) for _ in range(1_500)]
    shares: list[list[Record]] = [[], [], []]
    for each in records:
        random.choice(shares).append(each)
    parts = [pickle.loads(pickle.dumps(summed(tmp_path, share))) for share in shares]
    adding = SumsBuilder(tmp_path, "sales")
    for part in parts:
        adding.take(part)
    whole = adding.finish()
    assert found(whole) == expected(records)
    assert {key[0] for key in found(whole)} == set(_DIMENSIONS)
    assert bool(whole.runs) == (passed == 50)
    totals: dict[Any, Figures] = {}
    for row in whole.rows():
        if row.by == "currency":
            known = totals.get(row.label)
            totals[row.label] = row.figures if known is None else known + row.figures
    for currency in ("EUR", "CHF"):
        own = [each for each in records if each["currency"] == currency]
        assert totals[currency].records == len(own)
        assert totals[currency].lines == sum(each["lines"] for each in own)


def test_what_is_no_record_of_ours_is_added_up_as_well(tmp_path: Path) -> None:
    """A table that is damaged may hold anything."""
    builder = SumsBuilder(tmp_path, "sales")
    item = {"PK": {"S": "SALE#1"}, "SK": {"S": "METADATA"}, "total": {"N": "7"}}
    builder.add(facts_of(attributes_of(item), "sales"), 1)
    strange = {**sale(1)[0], "saleDate": {"S": 'a\\"b;c d'}, "total": {"S": "7"}}
    builder.add(facts_of(attributes_of(strange), "sales"), 2)
    builder.add(b"", 4)
    builder.add(b"x", 8)
    long = {**sale(1)[0], "status": {"S": "é " * 5_000}, "total": {"N": "9" * 38 + "0" * 80}}
    builder.add(facts_of(attributes_of(long), "sales"), 16)
    rows = list(builder.finish().rows())
    years = {row.label: row.figures for row in rows if row.by == "year"}
    assert years[None].lines == 1 + 4 + 8
    assert years['a\\"b'].lines == 2
    assert years['a\\"b'].without == (0, 1, 1)
    assert sum(each.records for each in years.values()) == 5
    assert max(each.amounts[2] for each in years.values()) == Decimal("9" * 38 + "0" * 80)
    assert {row.label for row in rows if row.by == "status"} >= {("é " * 50)}
    assert OtherType("S") not in {row.label for row in rows}


@given(st.decimals(allow_nan=False, allow_infinity=False, places=9))
def test_an_amount_is_read_and_written_exactly(amount: Decimal) -> None:
    assert amount_of(str(amount).encode()) == amount
    assert Decimal(plain(amount)) == amount
    figures = Figures(1, 2, (amount, -amount), (0, 3))
    assert Figures.from_text(figures.as_text()) == figures
    assert figures - figures == Figures.none(len(figures.amounts))


@pytest.mark.parametrize("text", [b"", b"NaN", b"Infinity", b"1_000", b" 1", b"1e9999", b"x", b"."])
def test_what_is_no_number_is_none(text: bytes) -> None:
    assert amount_of(text) is None


def test_memory_does_not_grow_with_the_buyers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sums_module, "_HELD", 500)
    random = Random(1)
    peaks = []
    for buyers in (2_000, 8_000):
        tracemalloc.start()
        builder = SumsBuilder(tmp_path, "sales")
        for number in range(buyers):
            facts = record(random, buyerId=f"B{number}", producerId="P", saleDate="2024-01-01")
            builder.add(*facts_from_json(facts, "sales"))
        assert len(builder.finish().cells) <= 501
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 2 * peaks[0]
