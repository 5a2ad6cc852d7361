"""The numbering of a year: which sales stand in the index from which the API takes the next number.

The API asks GSI4 for the latest-dated sale of the year, takes that one item, and adds 1 to its
number; sales of one date come in no defined order. So for each calendar year:

- candidates are the numbered sales (neither proforma nor cancelled) that are dated in the year and
  numbered in it (`year`, else the date's);
- the last one is the candidate with the highest number, of several the latest-dated, of several of
  these the one whose key comes last;
- GSI4 keys are on the last one and on the candidates dated before its day. No other sale has them.

That depends on all sales of the year, so it is decided over a whole file: one look at all sales
says which are the last ones, another puts the keys in or takes them out. Everything else of a line
stays byte for byte.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import NamedTuple, TypeVar

import orjson

from utils.artifacts import ArtifactWriter, starts_record
from utils.interrupt import Interrupted
from utils.pieces import Place, data_at, headers_in, places
from utils.run import Run

_Part = TypeVar("_Part")

_TEXT = rb'\{"S":"([^"\\]*)"\}'
_SKIPPED = rb'\{"S":"[^"\\]*"\}'
# What opens the METADATA line of a sale, up to its parties: nothing of it is free text.
_HEAD = re.compile(
    rb'\{"Item":\{"PK":' + _TEXT + rb',"SK":\{"S":"METADATA"\},'
    rb'(?:"GSI[1-4][PS]K":' + _SKIPPED + rb',)*"saleId":' + _SKIPPED + rb',"legacyId":' + _SKIPPED
    + rb',"saleDate":' + _TEXT + rb'(?:,"year":\{"N":"([^"\\]*)"\}|),"status":' + _TEXT
    + rb'(?:,"docType":' + _TEXT + rb'|),"buyerId"'
)  # fmt: skip
_NUMBER = b',"saleNumber":{"N":"'
_KEYS = b'"GSI4PK":{"S":"SALE"},"GSI4SK":{"S":"%b"},'
_KEYS_START, _DAY = _KEYS.partition(b"%b")[0], len("2026-01-31")
_AFTER_KEYS = b'"saleId":'


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
        """Whether a candidate has GSI4 keys, now that all are known."""
        last = self.last[candidate.year]
        return candidate.date < last.date or candidate == last

    def applied(self, line: bytes) -> bytes:
        """A line of the transformed file with the keys put in or taken out."""
        if not starts_record(line):
            return line
        found, date = _read(line)
        keys = _KEYS % date
        has = keys in line
        if has == (found is not None and self.carries(found)):
            return line
        if has:
            return line.replace(keys, b"", 1)
        return line.replace(_AFTER_KEYS, keys + _AFTER_KEYS, 1)


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
    if keys in line:
        return line.replace(keys, b"", 1)
    return line.replace(_AFTER_KEYS, keys + _AFTER_KEYS, 1)


def numbering_at(place: Place, path: Path) -> Numbering:
    """The last sales of each year in a piece of a transformed file; done in any process."""
    numbering = Numbering()
    _, data = data_at(path, place)
    lines = (data[start:end] for start, end in headers_in(data))
    numbering.add(found for line in lines if (found := _read(line)[0]))
    return numbering


def numbering_of(run: Run, path: Path) -> Numbering:
    """The last sale of each year in a transformed file. Raises Interrupted when a stop is asked
    for."""
    numbering = Numbering()
    work = partial(numbering_at, path=path)
    for part in _unstopped(run, run.workers.in_order(work, places(path.stat().st_size))):
        numbering.add(part.last.values())
    return numbering


class Edit(NamedTuple):
    """A change of a piece's data: what is from `start` to `end` in it becomes `text`."""

    start: int
    end: int
    text: bytes


def write_numbered(run: Run, path: Path, output: ArtifactWriter) -> Numbering:
    """Write the sales of the file at `path`, in which every candidate has keys, without those that
    do not belong there; counts of records and items are the caller's to add. Returns the last sales
    of the years. Raises Interrupted when a stop is asked for."""
    pieces = places(path.stat().st_size)
    numbering = numbering_of(run, path)
    work = partial(_edits_at, path=path, last=numbering.last)
    edits = _unstopped(run, run.workers.in_order(work, pieces))
    for place, found in zip(pieces, edits, strict=True):
        output.write(_edited(data_at(path, place)[1], found), records=0, items=0)
    return numbering


def _edits_at(place: Place, path: Path, last: Mapping[bytes, Candidate]) -> list[Edit]:
    """What is to be taken out of a piece in which all candidates have keys, and no other sale."""
    numbering = Numbering(dict(last))
    _, data = data_at(path, place)
    edits = []
    for start, end in headers_in(data):
        there = data.find(_KEYS_START, start, end)
        date = (
            data[there + len(_KEYS_START) : there + len(_KEYS_START) + _DAY] if there >= 0 else b""
        )
        known = last.get(date[:4])
        if not date or (known and date < known.date):
            continue
        found, _ = _read(data[start:end])
        if found is None or not numbering.carries(found):
            edits.append(Edit(there, there + len(_KEYS % date), b""))
    return edits


def _edited(data: bytes, edits: Iterable[Edit]) -> bytes:
    parts, place = [], 0
    for start, end, text in edits:
        parts += [data[place:start], text]
        place = end
    return b"".join([*parts, data[place:]]) if parts else data


def _unstopped(run: Run, parts: Iterable[_Part]) -> Iterator[_Part]:
    for part in parts:
        if run.stop.requested:
            raise Interrupted
        yield part


def _read(line: bytes) -> tuple[Candidate | None, bytes]:
    """The candidate that a sale's METADATA line is, if it is one, and its date."""
    match = _HEAD.match(line)
    start = line.find(_NUMBER) if match else -1
    if match is None or start < 0:
        return _read_slowly(line)
    key, date, year, status, document = match.groups()
    if status == b"cancelled" or document == b"proforma" or (year or _year(date)) != _year(date):
        return None, date
    start += len(_NUMBER)
    return Candidate(int(line[start : line.index(b'"', start)]), date, key), date


def _read_slowly(line: bytes) -> tuple[Candidate | None, bytes]:
    """The same of an item whose attributes are in another order, or not all there."""
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
