"""Whether the index of sale numbers gives the API the right next number, for every year of a file.

The rule is that of utils/sale_numbering.py, and it is written out once more on purpose: a gate that
called what it judges would only agree with itself. Here it is put the way the API meets it: in each
year exactly one sale with the highest number stands at the end of the index, no other one of its
day or of later days does, and every candidate of earlier days is there.

What is seen of each piece of the file while its records are judged tells which is the highest
number of each year, and in which pieces there is something to be said; these are gone through a
second time.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import accumulate
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from utils.files.artifacts import starts_record
from utils.files.elsewhere import size_of
from utils.files.pieces import ByteRange, data_at, headers_in, places, rows_at
from utils.processes.pieces_runner import PiecesRunner
from validate.rules.catalogue import Note
from validate.rules.consistency import numbering_of
from validate.rules.record_facts import NumberedSale

Item = dict[str, Any]
Noted = tuple[int, str, Note]  # the record's place in the file, its legacy id, and what is noted


class Top(NamedTuple):
    """The highest number of a year and the latest date that it has."""

    number: int
    date: str


@dataclass
class Outline:
    """What is in a piece of the file: how many records, the top of each year, the latest date in
    the index of each year, and whether a numbered sale is not in the index, or is numbered in
    another year."""

    records: int = 0
    tops: dict[str, Top] = field(default_factory=dict)
    latest: dict[str, str] = field(default_factory=dict)
    has_odd: bool = False

    def as_json(self) -> dict[str, Any]:
        """It as values of JSON."""
        # As text: JSON's readers take no number as large as a sale's may be.
        tops = {year: [str(top.number), top.date] for year, top in self.tops.items()}
        return {**vars(self), "tops": tops}

    @classmethod
    def of_json(cls, stored: Mapping[str, Any]) -> Outline:
        """An outline from what `as_json` has given."""
        tops = {year: Top(int(number), date) for year, (number, date) in stored["tops"].items()}
        return cls(**{**stored, "tops": tops})

    def add(self, sale: NumberedSale | None) -> None:
        """Take the next record; None is one that is no sale."""
        self.records += 1
        if sale is None:
            return
        year, is_candidate = sale.day[:4], sale.is_candidate
        if is_candidate:
            top, known = (sale.number, sale.day), self.tops.get(year)
            if known is None or top > known:
                self.tops[year] = Top(*top)
        if sale.is_in_index and sale.day > self.latest.get(year, ""):
            self.latest[year] = sale.day
        if sale.is_numbered and not (sale.is_in_index and is_candidate):
            self.has_odd = True

    def needs_a_look(self, years: Mapping[str, Top]) -> bool:
        """Whether there is something to be said of a sale, or one may be the top of its year."""
        return self.has_odd or any(
            year not in years or day >= years[year].date for year, day in self.latest.items()
        )


Outlined = tuple[ByteRange, Outline]


@dataclass
class _Tops:
    """The sales that have the highest number and its latest date in their year: those that are in
    the index, and the first one that is not."""

    carrying: list[tuple[int, str]] = field(default_factory=list)
    bare: tuple[int, str] | None = None

    def add(self, place: int, sale: NumberedSale, legacy_id: str) -> None:
        if sale.is_in_index:
            self.carrying.append((place, legacy_id))
        elif self.bare is None:
            self.bare = place, legacy_id

    def extend(self, later: _Tops) -> None:
        """Take what a later piece has."""
        self.carrying += later.carrying
        self.bare = self.bare or later.bare


def outlines_of(path: Path, runner: PiecesRunner) -> list[Outlined]:
    """The outlines of all pieces of a transformed file of sales."""
    pieces = places(size_of(path))
    return [*zip(pieces, runner.in_order(partial(_outline_at, path=path), pieces), strict=True)]


def numbering_notes(
    path: Path,
    outlines: Iterable[Outlined],
    runner: PiecesRunner,
    pause: Callable[[], object] | None = None,
) -> Iterator[list[Noted]]:
    """What there is to note of the numbering in a transformed file of sales: lists, each in the
    order of the file. Sales that do not conform to their schema are passed over. `pause` is called
    while the `runner` works; what it raises is raised."""
    outlines = list(outlines)
    years: dict[str, Top] = {}
    for year, top in (found for _, each in outlines for found in each.tops.items()):
        years[year] = max(top, years.get(year, top))
    firsts = accumulate((outline.records for _, outline in outlines), initial=0)
    pieces = (
        (piece, first)
        for (piece, outline), first in zip(outlines, firsts, strict=False)
        if outline.needs_a_look(years)
    )
    tops = {year: _Tops() for year in years}
    for noted, found in runner.in_order(_Look(path, years), pieces, pause=pause):
        for year, each in found.items():
            tops[year].extend(each)
        yield noted
    yield sorted(_top_notes(years, tops))


@dataclass(frozen=True)
class _Look:
    """A second look at pieces of a file, each with the place of its first record: what is to be
    noted of its sales, and those that are at the top of their `years`."""

    path: Path
    years: Mapping[str, Top]

    def __call__(self, piece: tuple[ByteRange, int]) -> tuple[list[Noted], dict[str, _Tops]]:
        place, first = piece
        tops: dict[str, _Tops] = defaultdict(_Tops)
        return list(_judge(rows_at(self.path, place), first, self.years, tops)), {**tops}


def _outline_at(place: ByteRange, path: Path) -> Outline:
    outline = Outline()
    _, data = data_at(path, place)
    for start, end in headers_in(data):
        outline.add(glance(data[start:end]))
    return outline


def _judge(
    lines: Sequence[bytes], first: int, years: Mapping[str, Top], tops: Mapping[str, _Tops]
) -> Iterator[Noted]:
    """What is to be noted of the sales among lines; `first` is the place of the first in the file.
    Those at the top of their year are gathered in `tops`."""
    for place, line in enumerate(filter(starts_record, lines), first):
        found = _look(line)
        if found is None or not found[0].is_numbered:
            continue  # a record by itself is judged in validate/rules/consistency.py
        sale, legacy_id = found
        year = sale.day[:4]
        if sale.is_candidate and (sale.number, sale.day) == years[year]:
            tops[year].add(place, sale, legacy_id)
        if note := _note(sale, years.get(year)):
            yield place, legacy_id, note


def _note(sale: NumberedSale, top: Top | None) -> Note | None:
    if not sale.is_candidate or top is None:
        if sale.is_in_index:
            text = (
                f"GSI4PK is present, but a sale numbered in {sale.year} has no number of "
                f"{sale.day[:4]}"
            )
            return Note("GSI4PK", "numbering-index", text)
        text = (
            f"the sale is numbered in {sale.year} and dated {sale.day}: it is left out of the "
            f"index, because the next number of {sale.day[:4]} does not come from {sale.year}"
        )
        return Note("year", "numbering-order", text)
    if sale.is_in_index:
        if sale.day < top.date or (sale.number, sale.day) == top:
            return None  # whether it is the only one at the top is a question of all
        text = (
            f"GSI4PK is there: number {sale.number} of {sale.day} may stand before number "
            f"{top.number} of {top.date}, the highest of the year"
        )
        return Note("GSI4PK", "numbering-index", text)
    if sale.day < top.date:
        text = f"GSI4PK is missing: the sale is before {top.date}, the day of the year's last one"
        return Note("GSI4PK", "numbering-index", text)
    text = (
        f"number {sale.number} is dated {sale.day}, and the year's highest, {top.number}, "
        f"{top.date}: it is left out of the index, so that the next number is right"
    )
    return Note("saleNumber", "numbering-order", text)


def _top_notes(years: Mapping[str, Top], tops: Mapping[str, _Tops]) -> Iterator[Noted]:
    """Exactly one of the sales at the top of a year must be in the index."""
    for year, found in tops.items():
        number, date = years[year]
        if not found.carrying and found.bare:
            text = f"GSI4PK is missing: the next sale of {year} would not get {number} + 1"
            yield (*found.bare, Note("GSI4PK", "numbering-index", text))
        for place, key in found.carrying[1:]:
            text = f"GSI4PK is there, and on another sale with number {number} of {date}"
            yield (place, key, Note("GSI4PK", "numbering-index", text))


def glance(line: bytes) -> NumberedSale | None:
    """What the numbering needs to know of the METADATA line of a sale, whatever else is wrong with
    it; mostly without a parser. None where there is no number, or no date."""
    if b'"legacy":' in line:  # it may hold attributes of any name
        found = _look(line)
        return found and found[0]
    number, day = _cell(line, b'"saleNumber":{"N":"'), _cell(line, b'"saleDate":{"S":"')
    year, status = _cell(line, b'"year":{"N":"'), _cell(line, b'"status":{"S":"')
    document = _cell(line, b'"docType":{"S":"')
    try:
        of_date = int(day[:4])
        return NumberedSale(
            int(number),
            day.decode(),
            int(year or of_date),
            status != b"cancelled" and document != b"proforma",
            b'"GSI4PK":' in line,
        )
    except ValueError:
        return None


def _cell(line: bytes, mark: bytes) -> bytes:
    start = line.find(mark)
    if start < 0:
        return b""
    start += len(mark)
    return line[start : line.find(b'"', start)]


def _look(line: bytes) -> tuple[NumberedSale, str] | None:
    """The same by a parser, and the legacy id."""
    try:
        item: Item = orjson.loads(line)["Item"]
        int(item["saleDate"]["S"][:4])  # what is no date has no year
        return numbering_of(item), item["legacyId"]["S"]
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
