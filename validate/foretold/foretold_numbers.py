"""The next sale number that the API would give after a load that has not been.

The API takes the latest-dated sale of the year in the index of numbers, and adds 1
(validate/patterns/access_patterns.py asks it after a load). What is in that index then is known by
what is in it now, and what the load puts there.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import orjson

from utils.dynamodb.item_text import Attributes, start_of, text_of
from utils.wording.figures import counted

_INDEX_KEY, _INDEX_DATE = "GSI4PK", "GSI4SK"
_MOST = 50  # of a year that are looked at, the latest-dated ones
_STARTS = {
    name: start_of(name, kind)
    for name, kind in (
        (_INDEX_DATE, "S"),
        ("saleDate", "S"),
        ("saleNumber", "N"),
        ("year", "N"),
        ("status", "S"),
        ("docType", "S"),
    )
}


class Dated(NamedTuple):
    """A sale in the index of numbers: its date, number (-1: none) and PK (JSON text)."""

    date: str
    number: int
    pk: bytes


@dataclass
class Latest:
    """The latest-dated sales of each year, of those that were added."""

    years: dict[str, list[Dated]] = field(default_factory=dict)

    def add(self, sales: Iterable[Dated]) -> None:
        for sale in sales:
            known = self.years.setdefault(sale.date[:4], [])
            known.append(sale)
            if len(known) > 2 * _MOST:
                self.years[sale.date[:4]] = sorted(known, reverse=True)[:_MOST]

    def pks(self) -> frozenset[bytes]:
        return frozenset(sale.pk for sales in self.years.values() for sale in sales)


@dataclass
class FileNumbers:
    """What a transformed file says: the highest number of each year, the latest-dated sales that
    the load leaves in the index, and which of the sales that were asked for are the file's own."""

    highest: dict[str, int] = field(default_factory=dict)
    latest: Latest = field(default_factory=Latest)
    own: set[bytes] = field(default_factory=set)

    def look(
        self, pk: bytes, sale: Attributes, asked: Collection[bytes], *, in_table: bool
    ) -> None:
        """Look at a sale; `in_table`: the table has it as the file says, after the load."""
        date, number = _text(sale, "saleDate"), _text(sale, "saleNumber")
        year = date[:4]
        own_year = _text(sale, "year") or year
        counts = _text(sale, "status") != "cancelled" and _text(sale, "docType") != "proforma"
        if counts and number.isdecimal() and own_year == year:
            self.highest[year] = max(int(number), self.highest.get(year, 0))
        if in_table:
            if pk in asked:
                self.own.add(pk)
            if (indexed := _text(sale, _INDEX_DATE)) and number.isdecimal():
                self.latest.add([Dated(indexed, int(number), pk)])

    def extend(self, later: FileNumbers) -> None:
        """Take what was found in another piece."""
        for year, number in later.highest.items():
            self.highest[year] = max(number, self.highest.get(year, 0))
        for sales in later.latest.years.values():
            self.latest.add(sales)
        self.own |= later.own


def dated_in(lines: Iterable[bytes]) -> Iterator[Dated]:
    """The sales of a table that are in the index of numbers; lines are `{"Item":…}`."""
    for line in lines:
        if b'"GSI4PK"' not in line:
            continue
        item = orjson.loads(line)["Item"]
        date, pk = item.get(_INDEX_DATE, {}).get("S", ""), item.get("PK", {}).get("S", "")
        number = item.get("saleNumber", {}).get("N", "")
        if item.get(_INDEX_KEY) == {"S": "SALE"} and date:
            whole = int(number) if number.isdecimal() else -1
            yield Dated(date, whole, orjson.dumps(pk))


def wrong_numbers(file: FileNumbers, table: Mapping[str, Iterable[Dated]]) -> list[str]:
    """A sentence for each year in which the API would give a number that is taken."""
    problems = []
    for year, highest in sorted(file.highest.items()):
        others = [sale for sale in table.get(year, ()) if sale.pk not in file.own]
        there = [*file.latest.years.get(year, ()), *others]
        latest = max((sale.date for sale in there), default="")
        number = min((sale.number for sale in there if sale.date == latest), default=-1)
        if number < highest:
            given = f"{number + 1:,}" if number >= 0 else "no number"
            problems.append(
                f"next sale number: {year}: the API would give {given} next, and number "
                f"{highest:,} is taken ({counted(len(others), 'sale')} of {year} in the index "
                "that S9 has not, or not so)"
            )
    return problems


def _text(sale: Attributes, name: str) -> str:
    text = text_of(sale, _STARTS[name])
    value = orjson.loads(text) if text else ""
    return str(value)
