"""The reading of whole indexes in pieces that processes can share.

What a table says should be in an index comes from the scan of the table (`TableKeys`); the index is
scanned by itself. Both are lines in buckets on disk, and a bucket is compared in memory.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import chain, zip_longest
from pathlib import Path
from typing import NamedTuple

from utils.dynamodb import scan_flow
from utils.dynamodb.table_reader import TableReader, TableScan
from utils.dynamodb.table_spec import Index
from utils.files.spill import Spill, SpillFile, parcels, ranges, read_buckets
from validate.indexes.index_entries import (
    IndexPage,
    TableKeys,
    attributes_of_index,
    read_index_page,
)
from validate.indexes.index_findings import MISSING, STALE, TWICE, KeyAgreement

Doubtful = tuple[bytes, str]


@dataclass(frozen=True)
class KeysPart:
    """What a piece of a table says about its indexes: of each the lines of the entries that it
    should have, in runs; how keys and attributes agree, and in which years sales are numbered."""

    due: tuple[tuple[SpillFile, ...], ...] = ()
    agreement: KeyAgreement = field(default_factory=KeyAgreement)
    years: frozenset[str] = frozenset()

    def __add__(self, other: KeysPart) -> KeysPart:
        agreement = KeyAgreement()
        agreement.extend(self.agreement)
        agreement.extend(other.agreement)
        pairs = zip_longest(self.due, other.due, fillvalue=())
        due = tuple(mine + theirs for mine, theirs in pairs)
        return KeysPart(due, agreement, self.years | other.years)


class KeysSpill:
    """Gathers what the pages of a piece say about indexes; runs go below `scratch`."""

    def __init__(self, scratch: Path) -> None:
        self._scratch = scratch
        self._spills: list[Spill] = []
        self._agreement = KeyAgreement()
        self._years: set[str] = set()

    def add(self, page: TableKeys) -> None:
        """Take what a page says."""
        while len(self._spills) < len(page.entries):
            self._spills.append(Spill(self._scratch))
        for spill, entries in zip(self._spills, page.entries, strict=True):
            spill.add(entries)
        self._agreement.extend(page.agreement)
        self._years |= page.years

    def finish(self) -> KeysPart:
        """All that was taken."""
        due = tuple(spill.finish() for spill in self._spills)
        return KeysPart(due, self._agreement, frozenset(self._years))


@dataclass(frozen=True)
class IndexPart:
    """What some segments of an index hold: the lines of its entries in runs, how many there are,
    and the read units that this took."""

    runs: tuple[SpillFile, ...] = ()
    entries: int = 0
    units: float = 0.0

    def __add__(self, other: IndexPart) -> IndexPart:
        return IndexPart(
            self.runs + other.runs, self.entries + other.entries, self.units + other.units
        )


@dataclass(frozen=True)
class IndexPass:
    """Scans the same segments of some indexes, all at once; runs go below `scratch`. `at_once` as
    of TableReader.scan_all."""

    reader: TableReader
    table: str
    indexes: Sequence[Index]
    segments: int
    scratch: Path
    at_once: int = scan_flow.MOST

    def __call__(self, segments: Sequence[int]) -> tuple[IndexPart, ...]:
        """What they hold of each index."""
        spills = [Spill(self.scratch) for _ in self.indexes]
        entries, units = [0] * len(spills), [0.0] * len(spills)
        scans = [self._scan(index, segments) for index in self.indexes]
        for number, page in self.reader.scan_all(scans, at_once=self.at_once):
            spills[number].add(page.entries)
            entries[number] += len(page.entries)
            units[number] += page.units
        runs = [spill.finish() for spill in spills]
        return tuple(map(IndexPart, runs, entries, units))

    def _scan(self, index: Index, segments: Sequence[int]) -> TableScan[IndexPage]:
        return TableScan(
            self.table,
            partial(read_index_page, index=index),
            segments,
            self.segments,
            index.name,
            attributes_of_index(index),
        )


@dataclass(frozen=True)
class ComparedEntries:
    """How many items of some buckets should be in the index, and the lines that are in the table
    alone, in the index alone, or in the index twice, with which of these it is (MISSING, STALE,
    TWICE); those of one PK follow each other."""

    items: int
    doubtful: tuple[Doubtful, ...]


class Sides(NamedTuple):
    """What should be in an index, and what is in it, in runs."""

    due: tuple[SpillFile, ...]
    found: tuple[SpillFile, ...]

    @property
    def files(self) -> set[Path]:
        """All files of the runs."""
        return {Path(run.path) for run in chain(*self)}


class Buckets(NamedTuple):
    """Some buckets of one of several indexes, by its number."""

    of: int
    numbers: range


@dataclass(frozen=True)
class EntryPass:
    """Compares what should be in buckets of some indexes with what is."""

    indexes: Sequence[Sides]

    @property
    def pieces(self) -> list[list[Buckets]]:
        """All buckets, index by index; those of which each has little together."""
        every = (
            (Buckets(number, numbers), (*sides.due, *sides.found), numbers)
            for number, sides in enumerate(self.indexes)
            for numbers in ranges(*sides)
        )
        return list(parcels(every))

    def __call__(self, piece: Sequence[Buckets]) -> list[ComparedEntries]:
        return [*map(self._compared, piece)]

    def _compared(self, buckets: Buckets) -> ComparedEntries:
        items, doubtful = 0, list[Doubtful]()
        sides = (read_buckets(runs, buckets.numbers) for runs in self.indexes[buckets.of])
        for due, found in zip(*sides, strict=True):
            expected, there = set(due), set(found)
            items += len(due)
            wrong = [(line, MISSING) for line in expected - there]
            wrong += [(line, STALE) for line in there - expected]
            if len(there) != len(found):
                often = Counter(found)
                wrong += [(line, TWICE) for line in there & expected if often[line] > 1]
            doubtful += sorted(wrong)
        return ComparedEntries(items, tuple(doubtful))
