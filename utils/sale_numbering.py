"""The numbering of a year: which sales stand in the index from which the API takes the next number.

The API asks GSI4 for the latest-dated sale of the year, takes that one item, and adds 1 to its
number; sales of one date come in no defined order. So for each calendar year:

- candidates are the numbered sales (neither proforma nor cancelled) that are dated in the year and
  numbered in it (`year`, else the date's);
- the last one is the candidate with the highest number, of several the latest-dated, of several of
  these the one whose key comes last;
- GSI4 keys are on the last one and on the candidates dated before its day. No other sale has them.

That depends on all sales of the year, so it is decided over a whole file: while it is made, it is
seen which are the last ones, and in which pieces keys may have to go; these are looked at again.
Everything else of a line stays byte for byte.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from pathlib import Path
from typing import NamedTuple, TypeVar

import orjson

from utils.files.artifacts import ArtifactWriter, starts_record
from utils.files.elsewhere import opened, size_of
from utils.files.pieces import ByteRange, data_at, headers_in, places
from utils.run.run import Run

_Part = TypeVar("_Part")

# What opens the METADATA line of a sale, up to where the numbering has its keys.
_KEY = rb'\{"S":"[^"\\]*"\}'
_OPENING = re.compile(
    rb'\{"Item":\{"PK":' + _KEY + rb',"SK":\{"S":"METADATA"\},(?:"GSI[1-3][PS]K":' + _KEY + rb",)*"
)
_NUMBER = b',"saleNumber":{"N":"'
_DATE, _YEAR = b',"saleDate":{"S":"', b',"year":{"N":"'
_STATUS, _DOCUMENT = b',"status":{"S":"', b',"docType":{"S":"'
_PK = b'{"Item":{"PK":{"S":"'
_MAP = b':{"M":{'  # in an item that has one, a name may stand for two things
_KEYS = b'"GSI4PK":{"S":"SALE"},"GSI4SK":{"S":"%b"},'
_KEYS_START, _DAY = _KEYS.partition(b"%b")[0], len("2026-01-31")
_UNKNOWN = 10**130  # above every Number of DynamoDB


class Candidate(NamedTuple):
    """A sale that counts in the numbering of the year of its date, ordered as that needs it."""

    number: int
    date: bytes
    key: bytes

    @property
    def year(self) -> bytes:
        """The calendar year, four digits."""
        return self.date[:4]


@dataclass
class Numbering:
    """The last sale of each year, among those that have been added."""

    last: dict[bytes, Candidate] = field(default_factory=dict)

    def add(self, candidates: Iterable[Candidate]) -> None:
        """Take further sales into account, in whatever order."""
        last = self.last
        for each in candidates:
            known = last.get(each.date[:4])
            if known is None or each > known:
                last[each.date[:4]] = each

    def carries(self, candidate: Candidate) -> bool:
        """Whether a candidate has GSI4 keys, now that all are known; one that is alone in a year of
        which none is known is on its way out."""
        last = self.last.get(candidate.year)
        return last is not None and (candidate.date < last.date or candidate == last)

    def differs_with(self, candidates: Iterable[Candidate]) -> bool:
        """Whether a year had another last sale if these were added."""
        known = ((each, self.last.get(each.year)) for each in candidates)
        return any(last is None or each > last for each, last in known)

    def applied(self, line: bytes) -> bytes:
        """A line of the transformed file with the keys put in or taken out."""
        if not starts_record(line):
            return line
        found, date = _read(line)
        keys = _KEYS % date
        has = keys in line
        if has == (found is not None and self.carries(found)):
            return line
        return _without(line, keys) if has else _with(line, keys)


def held_numbers(refused: Iterable[Candidate], rest: Numbering) -> dict[str, int]:
    """By year, the highest number of refused sales, where it is above all of the `rest`: the API
    does not know that it is taken."""
    held: dict[str, int] = {}
    for each in refused:
        known = rest.last.get(each.year)
        if each.year.isdigit() and (known is None or each.number > known.number):
            year = each.year.decode()
            held[year] = max(each.number, held.get(year, each.number))
    return held


def candidate_of(line: bytes) -> Candidate | None:
    """The candidate that a line of a transformed file is; None for sales that are none, and for
    lines of sales."""
    return _read(line)[0] if starts_record(line) else None


def toggled(line: bytes) -> bytes | None:
    """The METADATA line of a sale with its GSI4 keys taken out, or put in where it has none: what
    it was, or will be, with another last sale of its year. None where nothing of the kind can be:
    for other lines, and sales that are no candidates."""
    found = candidate_of(line)
    if found is None:
        return None
    keys = _KEYS % found.date
    return _without(line, keys) if keys in line else _with(line, keys)


def _without(line: bytes, keys: bytes) -> bytes:
    return line.replace(keys, b"", 1)


def _with(line: bytes, keys: bytes) -> bytes:
    opening = _OPENING.match(line)
    place = opening.end() if opening else 0
    return line[:place] + keys + line[place:] if place else line


class PieceNumbers(NamedTuple):
    """What the numbering needs of a piece of a transformed file: the last sales of the years, and
    of each year the latest date that stands in GSI4 keys."""

    last: dict[bytes, Candidate]
    latest: dict[bytes, bytes]


def numbers_of(headers: Sequence[bytes]) -> PieceNumbers:
    """The same, from the METADATA lines of a piece in which every candidate has keys; done in any
    process.

    Only the sales that seem to be the last ones are looked at closely; all are where one of these
    is no candidate, or a number is none.
    """
    latest: dict[bytes, bytes] = {}
    best: dict[bytes, tuple[tuple[int, bytes], list[bytes]]] = {}
    for line in headers:
        date = _date_in_keys(line, line.find(_KEYS_START))
        if not date:
            continue
        year = date[:4]
        if date > latest.get(year, b""):
            latest[year] = date
        # The last one: before it there may be one in what is carried without a place.
        number = line.rfind(_NUMBER) + len(_NUMBER)
        digits = line[number : line.find(b'"', number)]
        rank = int(digits) if digits.isdigit() else _UNKNOWN, date
        known = best.get(year)
        if known is None or rank > known[0]:
            best[year] = rank, [line]
        elif rank == known[0]:
            known[1].append(line)
    numbering = Numbering()
    found = [_read(line)[0] for _, ties in best.values() for line in ties]
    if None in found or any(number == _UNKNOWN for (number, _), _ in best.values()):
        found = [_read(line)[0] for line in headers]
    numbering.add(each for each in found if each is not None)
    return PieceNumbers(numbering.last, latest)


def headers_of(data: bytes) -> list[bytes]:
    """The METADATA lines in the data of a piece, without their line breaks."""
    return [data[start:end] for start, end in headers_in(data)]


def numbers_at(place: ByteRange, path: Path) -> PieceNumbers:
    """The same, of a piece of a file."""
    return numbers_of(headers_of(data_at(path, place)[1]))


@dataclass
class NumbersSoFar:
    """What the numbering needs of a file that is being made, piece by piece: a hundred bytes of
    each."""

    numbering: Numbering = field(default_factory=Numbering)
    _pieces: list[tuple[ByteRange, bytes]] = field(default_factory=list)

    def add(self, place: ByteRange, numbers: PieceNumbers) -> None:
        """Take the next piece into account."""
        self.numbering.add(numbers.last.values())
        self._pieces.append((place, b"".join(numbers.latest.values())))

    def read(self, run: Run, path: Path, size: int) -> None:
        """Take the first `size` bytes of a file into account, which are there already. Raises
        Interrupted when a stop is asked for."""
        pieces = places(size)
        found = run.runner.in_order(partial(numbers_at, path=path), pieces)
        for place, numbers in zip(pieces, _unstopped(run, found), strict=True):
            self.add(place, numbers)

    def to_look_at(self) -> list[ByteRange]:
        """The pieces in which keys stand that may not belong there."""
        return [place for place, dates in self._pieces if self._is_late(dates)]

    def _is_late(self, dates: bytes) -> bool:
        last = self.numbering.last
        each = (dates[at : at + _DAY] for at in range(0, len(dates), _DAY))
        return any(date[:4] not in last or date >= last[date[:4]].date for date in each)


def write_numbered(run: Run, path: Path, output: ArtifactWriter, numbers: NumbersSoFar) -> None:
    """Write the sales of the file at `path`, in which every candidate has keys, without those that
    do not belong there; counts of records and items are the caller's to add. Raises Interrupted
    when a stop is asked for."""
    work = partial(surplus_at, path=path, last=numbers.numbering.last)
    found = run.runner.in_order(work, numbers.to_look_at())
    surplus = chain.from_iterable(_unstopped(run, found))
    write_without(path, surplus, output, run.stop.leave_if_asked)


def write_without(
    path: Path,
    surplus: Iterable[ByteRange],
    output: ArtifactWriter,
    look: Callable[[], object] = lambda: None,
) -> None:
    """Write a file without some of its bytes, given in their order. `look` is called now and then;
    what it raises is raised."""
    with opened(path) as source:
        for start, end in surplus:
            output.copy(source, start - source.tell(), pause=look)
            source.seek(end)
        output.copy(source, size_of(path) - source.tell(), pause=look)


def surplus_at(place: ByteRange, path: Path, last: Mapping[bytes, Candidate]) -> list[ByteRange]:
    """Where in the file keys stand that do not belong there, in a piece in which all candidates
    have some."""
    numbering = Numbering(dict(last))
    begin, data = data_at(path, place)
    surplus = []
    for start, end in headers_in(data):
        there = data.find(_KEYS_START, start, end)
        date = _date_in_keys(data, there)
        known = last.get(date[:4])
        if not date or (known and date < known.date):
            continue
        found, _ = _read(data[start:end])
        if found is None or not numbering.carries(found):
            surplus.append(ByteRange(begin + there, begin + there + len(_KEYS % date)))
    return surplus


def _date_in_keys(data: bytes, there: int) -> bytes:
    """The date in the GSI4 keys that stand at a place (-1: nowhere, then there is none)."""
    start = there + len(_KEYS_START)
    return data[start : start + _DAY] if there >= 0 else b""


def _unstopped(run: Run, parts: Iterable[_Part]) -> Iterator[_Part]:
    for part in parts:
        run.stop.leave_if_asked()
        yield part


def _read(line: bytes) -> tuple[Candidate | None, bytes]:
    """The candidate that a sale's METADATA line is, if it is one, and its date."""
    # Where no text has an escape, a quotation mark belongs to the structure.
    if b"\\" in line or _MAP in line or not line.startswith(_PK):
        return _read_slowly(line)
    key, number, date, status = (_text(line, start) for start in (_PK, _NUMBER, _DATE, _STATUS))
    if not (key and number and date and status):
        return _read_slowly(line)
    year, document = _text(line, _YEAR), _text(line, _DOCUMENT)
    if status == b"cancelled" or document == b"proforma" or (year or _year(date)) != _year(date):
        return None, date
    return Candidate(int(number), date, key), date


def _text(line: bytes, start: bytes) -> bytes:
    """What follows in a line, up to the next quotation mark; nothing where it does not start so."""
    place = line.find(start)
    if place < 0:
        return b""
    place += len(start)
    return line[place : line.index(b'"', place)]


def _read_slowly(line: bytes) -> tuple[Candidate | None, bytes]:
    """The same of an item that must be parsed for it, or has not all attributes."""
    try:
        item = orjson.loads(line)["Item"]
        date = item["saleDate"]["S"].encode()
        found = Candidate(int(item["saleNumber"]["N"]), date, item["PK"]["S"].encode())
        year = item["year"]["N"].encode() if "year" in item else _year(date)
        status, document = item["status"]["S"], item.get("docType", {}).get("S")
    except (ValueError, KeyError, TypeError, AttributeError):
        return None, b""  # no sale: the gate says what is wrong with it
    counts = status != "cancelled" and document != "proforma" and year == _year(date)
    return found if counts else None, date


def _year(date: bytes) -> bytes:
    """The year of a date, as the attribute `year` has it."""
    return date[:4].lstrip(b"0")
