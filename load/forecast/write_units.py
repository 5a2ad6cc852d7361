"""What the write of a transformed file takes: items, bytes, and the write units of its table and of
every index, by partition key. One pass over the file, in pieces; nothing is sent.

A write takes a unit for every started KB of the item, in the table and in every index that the item
is in ("DynamoDB item sizes and formats", and "Write capacity" of "Using global secondary indexes",
DynamoDB developer guide). A transaction takes twice that. A write that moves an entry of an index
takes two writes there, one that leaves its key as it is takes one, one that changes nothing of it
none.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import astuple, dataclass, field
from pathlib import Path

import orjson

from load.forecast.hot_keys import KeyUnits, RecordUnits
from load.forecast.places import Opening, Place
from load.writing.batches import item_text
from load.writing.transactions import MOST_WRITES
from utils.dynamodb.item_size import WRITE_UNIT_BYTES, flat_size, item_size, shapes_of
from utils.dynamodb.table_spec import TableSpec
from utils.files.artifacts import starts_record
from utils.files.elsewhere import size_of
from utils.files.line_marks import CONDITIONAL, KEPT_MARKS, NEW, LineMarks
from utils.files.pieces import ByteRange, located_records, places
from utils.run.run import Run

PHASE = "plan"
_TRANSACTED, _ALONE = 2, 1  # write units for one
_MOVED = 2  # writes of an index entry

# In which place, under which partition key, write units, bytes.
Stays = Sequence[tuple[int, bytes, int, int]]


def units_for(size: int) -> int:
    """The write units of an item of `size` bytes."""
    return -(-size // WRITE_UNIT_BYTES)


@dataclass
class Figures:
    """What a file holds and what is to be written of it, in records, items, bytes and write units.

    `new` items go out in batches, `new_bytes` as DynamoDB counts them and `sent_bytes` in the file.
    `there` are in the table already, `kept` stay there as they are. What is `replaced`, on
    condition, takes `least` write units, and `most` when every entry of an index moves.
    """

    records: int = 0
    new: int = 0
    new_bytes: int = 0
    sent_bytes: int = 0
    there: int = 0
    kept: int = 0
    replaced: int = 0
    least: int = 0
    most: int = 0

    def __add__(self, other: Figures) -> Figures:
        return Figures(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))


@dataclass
class PlaceCount:
    """What of a piece goes to a table or an index."""

    items: int = 0
    units: int = 0
    size: int = 0
    keys: dict[bytes, int] = field(default_factory=dict)

    def add(self, key: bytes, units: int, size: int) -> None:
        self.items += 1
        self.units += units
        self.size += size
        self.keys[key] = self.keys.get(key, 0) + units


@dataclass
class PieceCensus:
    """What is in a piece of a file: its figures, how many items there are of each size, and what of
    the new ones goes where."""

    places: list[PlaceCount]
    figures: Figures = field(default_factory=Figures)
    sizes: Counter[int] = field(default_factory=Counter)


@dataclass
class PlaceUnits:
    """What goes to a table or an index: new items, their write units and size in bytes, and the
    units by partition key."""

    place: Place
    items: int = 0
    units: int = 0
    size: int = 0
    keys: KeyUnits | RecordUnits = field(default_factory=KeyUnits)


@dataclass
class Census:
    """What a whole file holds, and what is to be written of it: its figures, how many items there
    are of each size (bytes as DynamoDB counts them), and what of the new ones goes where, the table
    first."""

    places: list[PlaceUnits]
    figures: Figures = field(default_factory=Figures)
    sizes: Counter[int] = field(default_factory=Counter)

    @classmethod
    def of_nothing(cls, places: Sequence[Place]) -> Census:
        table, *indexes = places
        return cls([PlaceUnits(table, keys=RecordUnits()), *map(PlaceUnits, indexes)])

    def add(self, piece: PieceCensus) -> None:
        """Take what is in the next piece of the file."""
        self.figures += piece.figures
        self.sizes.update(piece.sizes)
        for place, found in zip(self.places, piece.places, strict=True):
            place.items += found.items
            place.units += found.units
            place.size += found.size
            place.keys.add({key.decode(): units for key, units in found.keys.items()})

    @property
    def units(self) -> int:
        """Write units of all new items, indexes included."""
        return sum(place.units for place in self.places)


def take_census(
    run: Run, spec: TableSpec, where: Sequence[Place], marks: Path | None = None
) -> Census:
    """Count an entity's transformed file, the items of which go to the places `where`.

    `marks` is the plan of the load (utils/files/line_marks.py), None when all items are new. Raises
    Interrupted when a stop is asked for.
    """
    path = run.workspace.transformed(spec.entity)
    census = Census.of_nothing(where)
    count = CountPiece(path, tuple(where), marks)

    known = run.manifest.artifacts.get(run.workspace.name_of(path))
    leave = run.stop.leave_if_asked
    in_order = run.runner.in_order(count, places(size_of(path)), pause=leave)
    with (
        closing(in_order) as pieces,
        run.progress.task(PHASE, spec.entity, known.items if known else None, unit="items") as task,
    ):
        for piece in pieces:
            leave()
            census.add(piece)
            task.advance(piece.sizes.total())
    return census


@dataclass(frozen=True)
class CountPiece:
    """Takes the census of a piece of the transformed file at `path`; see take_census."""

    path: Path
    places: tuple[Place, ...]
    marks: Path | None = None

    def __call__(self, piece: ByteRange) -> PieceCensus:
        start, lines = located_records(self.path, piece)
        marks: Sequence[int] = [NEW] * len(lines)
        if self.marks is not None:
            with LineMarks(self.marks) as plan:
                marks = plan.marks(start, lines)
        return _Counting(self.places).of(lines, marks)


class _Counting:
    """Counts lines that are whole records."""

    def __init__(self, places: Sequence[Place]) -> None:
        self._places = places
        self._opening = Opening(places)
        self._found = PieceCensus([PlaceCount() for _ in places])

    def of(self, lines: Sequence[bytes], marks: Sequence[int]) -> PieceCensus:
        """What these lines, with these marks, hold."""
        found, figures = self._found, self._found.figures
        others: list[tuple[Stays, int]] = []  # of one record: what is not new
        for line, mark in zip(lines, marks, strict=True):
            if starts_record(line):
                self._count_others(others)
                others = []
                figures.records += 1
            size, stays = self._counted(line)
            found.sizes[size] += 1
            if mark != NEW:
                others.append((stays, mark))
                continue
            figures.new += 1
            figures.new_bytes += size
            figures.sent_bytes += len(line)
            for place, key, units, here in stays:
                found.places[place].add(key, units, here)
        self._count_others(others)
        found.places[0].keys = RecordUnits.largest(found.places[0].keys)
        return found

    def _count_others(self, record: Sequence[tuple[Stays, int]]) -> None:
        """Count what of a record is not new. A record is replaced whole or not at all, together
        with the item that opens it (load/conflicts/replacing.py)."""
        figures = self._found.figures
        changed = [stays for stays, mark in record if mark in CONDITIONAL]
        kept = sum(mark in KEPT_MARKS for _, mark in record)
        figures.replaced += len(changed)
        figures.kept += kept
        figures.there += len(record) - len(changed) - kept
        if changed:
            stays, mark = record[0]
            opened = [] if mark in CONDITIONAL else [stays]  # put again as it is
            writes = [*opened, *changed]
            factor = _TRANSACTED if 1 < len(writes) <= MOST_WRITES else _ALONE
            table = factor * sum(units for each in writes for n, _, units, _ in each if not n)
            entries = factor * sum(units for each in changed for n, _, units, _ in each if n)
            figures.least += table + entries
            figures.most += table + _MOVED * entries

    def _counted(self, line: bytes) -> tuple[int, Stays]:
        """The bytes of a line's item, and what goes where."""
        size = flat_size(shapes_of(item_text(line)))
        keys = None if size is None else self._opening.keys_of(line)
        if size is None or keys is None:
            return self._parsed(line)
        units = units_for(size)
        return size, [(n, key, units, size) for n, key in enumerate(keys) if key is not None]

    def _parsed(self, line: bytes) -> tuple[int, Stays]:
        item = orjson.loads(line)["Item"]
        size = item_size(item)
        stays = []
        for number, place in enumerate(self._places):
            here = place.size_in(item, size)
            if here is not None:
                stays.append((number, _text_of(item[place.partition_key]), units_for(here), here))
        return size, stays


def _text_of(value: Mapping[str, object]) -> bytes:
    """A key as text."""
    ((_, content),) = value.items()
    return str(content).encode()
