"""The work of a verification in pieces that processes can share.

A piece of a file is a range of its bytes, a piece of a table some segments of a scan, a piece of
the comparison some buckets. Each process reads its pieces itself and leaves what is to be compared
in runs on disk, so that neither lines nor pages pass between processes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from io import BytesIO
from itertools import compress
from pathlib import Path
from typing import NamedTuple

from utils.differences import lines_of_records
from utils.dynamodb import scan_flow
from utils.dynamodb.answer_shapes import consumed
from utils.dynamodb.item_content import Item
from utils.dynamodb.item_text import partition_key_of
from utils.dynamodb.table_reader import TableReader
from utils.dynamodb.table_spec import PARTITION_KEY, SORT_KEY, TableSpec
from utils.entities import shape_of
from utils.files.elsewhere import write_temporary
from utils.files.line_marks import LineMarks
from utils.files.pieces import ByteRange, located_records, places, records_data
from utils.files.spill import Spill, SpillFile, read_buckets
from validate.compare.comparison import Comparison, Loaded, Settled
from validate.compare.differences import ReferenceFindings
from validate.compare.file_records import FileRecord, read_file_lines, records_in
from validate.compare.record_entries import pk_of
from validate.compare.table_pages import (
    NoLooks,
    TablePage,
    read_record,
    read_table_page,
    value_of,
)
from validate.compare.target_references import resolve
from validate.compare_counts import Count
from validate.indexes.index_entries import TableKeys
from validate.indexes.index_passes import KeysPart, KeysSpill
from validate.patterns.pattern_samples import Key, Samples, SampleSize
from validate.sums.sums import Sums, SumsBuilder

_FILE_BYTES = 4 << 20


@dataclass(frozen=True)
class FilePart:
    """What a piece of a transformed file holds: its entries in runs, its count, its samples, and
    the count of what the load has left as the table has it."""

    runs: tuple[SpillFile, ...]
    count: Count
    samples: Samples
    kept: Count


@dataclass(frozen=True)
class TablePart:
    """What a piece of a table holds: entries and references in runs, the count of what is the
    migration's, how many items were scanned, the read units that this took, how many records were
    asked for, where they were, and what the items say about indexes."""

    entries: tuple[SpillFile, ...] = ()
    references: tuple[SpillFile, ...] = ()
    found: Count = field(default_factory=lambda: Count(0, 0))
    scanned: int = 0
    units: float = 0.0
    records: int = 0
    keys: KeysPart = field(default_factory=KeysPart)

    def __add__(self, other: TablePart) -> TablePart:
        return TablePart(
            self.entries + other.entries,
            self.references + other.references,
            self.found + other.found,
            self.scanned + other.scanned,
            self.units + other.units,
            self.records + other.records,
            self.keys + other.keys,
        )


@dataclass(frozen=True)
class FilePass:
    """Reads pieces of a transformed file; runs go below `scratch`.

    `refused` are the legacy ids of records that the load refused, `slice_keys` those of which
    the samples keep the items. `plan` is the plan of the load that was (utils/files/line_marks.py),
    `as_written` how to look at numbers (utils/dynamodb/item_text.py). `wanted` are the only records
    that are of interest, by their PKs (JSON texts); None: all. `sample` is how many samples there
    are to be; None: nobody needs any.
    """

    path: Path
    scratch: Path
    entity: str
    refused: Set[str]
    slice_keys: Set[Key]
    plan: Path | None = None
    as_written: bool = False
    wanted: Set[bytes] | None = None
    sample: SampleSize | None = None

    def __call__(self, place: ByteRange) -> FilePart:
        spill = Spill(self.scratch)
        samples = Samples(self.entity, self.slice_keys, self.sample or SampleSize())
        records, items, kept = 0, 0, Count(0, 0)
        # One run for the whole piece, from parts that stay in a processor's cache.
        for part in places(place.end, start=place.start):
            entries = []
            for record in self.records(part):
                entries.append(record.entry)
                if self.sample:
                    samples.add(record)
                records += bool(record.head)
                items += record.count
                if record.kept:
                    kept += Count(int(record.is_kept), len(record.kept))
            spill.add(entries)
        return FilePart(spill.finish(), Count(records, items), samples.finish(self.scratch), kept)

    def records(self, part: ByteRange) -> Iterator[FileRecord]:
        """The records of a part of the file."""
        if self.as_written and self.wanted is None:
            return self._at_first_look(part)
        start, lines = located_records(self.path, part)
        marks: Sequence[int] = ()
        if self.plan is not None:
            with LineMarks(self.plan) as plan:
                marks = plan.marks(start, lines)
        if self.wanted is not None:
            chosen = [partition_key_of(line) in self.wanted for line in lines]
            lines = list(compress(lines, chosen))
            marks = list(compress(marks, chosen))
        return read_file_lines(
            lines,
            self.entity,
            refused=self.refused,
            marks=marks,
            as_written=self.as_written,
        )

    def _at_first_look(self, part: ByteRange) -> Iterator[FileRecord]:
        start, data = records_data(self.path, part)
        marks: Sequence[int] = ()
        if self.plan is not None:
            with LineMarks(self.plan) as plan:
                marks = plan.marks(start, BytesIO(data).readlines())
        return records_in(data, self.entity, refused=self.refused, marks=marks)


def file_pieces(size: int) -> list[ByteRange]:
    """The pieces of a file of `size` bytes."""
    return places(size, target=_FILE_BYTES)


@dataclass(frozen=True)
class TablePass:
    """Scans segments of a table; runs go below `scratch`. With `compared` false only the
    references are of interest, and only keys are transferred. `as_written` is as of a FilePass,
    `keyed` and `stamps` as of `read_table_page`, `at_once` as of TableReader.scan. What `indexes`
    should hold is gathered, too."""

    reader: TableReader
    table: str
    segments: int
    scratch: Path
    entity: str
    compared: bool = True
    as_written: bool = False
    keyed: bool = True
    stamps: Mapping[bytes, bytes] = field(default_factory=dict)
    at_once: int = scan_flow.MOST
    indexes: TableSpec | None = None

    def __call__(self, segments: Sequence[int]) -> TablePart:
        entries, references = Spill(self.scratch), Spill(self.scratch)
        found, scanned, units = Count(0, 0), 0, 0.0
        work = partial(
            read_table_page,
            entity=self.entity,
            as_written=self.as_written,
            keyed=self.keyed,
            stamps=self.stamps,
            keys=partial(TableKeys, self.indexes) if self.indexes else NoLooks,
        )
        keys = KeysSpill(self.scratch)
        attributes = () if self.compared else ("PK", "SK")
        for page in self.reader.scan(
            self.table,
            work,
            segments=segments,
            of=self.segments,
            attributes=attributes,
            at_once=self.at_once,
        ):
            if self.compared:
                entries.add(page.entries)
            references.add(page.references)
            if isinstance(page.keys, TableKeys):
                keys.add(page.keys)
            found += page.found
            scanned += page.scanned
            units += page.units
        return TablePart(
            entries.finish(), references.finish(), found, scanned, units, keys=keys.finish()
        )


def sums_of(scratch: Path, entity: str) -> SumsBuilder | None:
    """Who adds up the records of an entity, if they have amounts."""
    return SumsBuilder(scratch, entity) if shape_of(entity).measures else None


@dataclass(frozen=True)
class SettledPart:
    """What has been settled in some buckets: how many records are the same, how many items are the
    application's own, how many of its records have the lines that they say (`own`), the PKs of the
    doubtful records in runs, how many they are, and how many items of a migration the table had of
    them."""

    alike: int
    foreign: int
    doubtful: tuple[SpillFile, ...]
    records: int
    found: Count
    own: int = 0

    @classmethod
    def none(cls) -> SettledPart:
        """Nothing."""
        return cls(0, 0, (), 0, Count(0, 0))

    def __add__(self, other: SettledPart) -> SettledPart:
        return SettledPart(
            self.alike + other.alike,
            self.foreign + other.foreign,
            self.doubtful + other.doubtful,
            self.records + other.records,
            self.found + other.found,
            self.own + other.own,
        )


@dataclass(frozen=True)
class SettlePass:
    """The first comparison of what is in buckets of a file and of a table, and what the table's
    records add up to; runs go below `scratch`."""

    in_file: tuple[SpillFile, ...]
    in_table: tuple[SpillFile, ...]
    scratch: Path
    entity: str

    def __call__(self, portion: Sequence[range]) -> tuple[SettledPart, Sums | None]:
        settled = Settled(self.entity)
        sums = sums_of(self.scratch, self.entity)
        for numbers in portion:
            sides = (read_buckets(runs, numbers) for runs in (self.in_file, self.in_table))
            for in_file, in_table in zip(*sides, strict=True):
                settled.add_bucket(in_file, in_table, sums)
        spill = Spill(self.scratch)
        spill.add((pk, pk) for pk in settled.doubtful)
        part = SettledPart(
            settled.alike,
            settled.foreign,
            spill.finish(),
            len(settled.doubtful),
            settled.found,
            settled.own,
        )
        return part, None if sums is None else sums.finish()


@dataclass(frozen=True)
class JudgedPart:
    """What has been judged in some buckets; `lines` is a file with the records that differ, as
    lines of utils/differences.py."""

    comparison: Comparison
    lines: Path
    sums: Sums | None


class LoadedRuns(NamedTuple):
    """The records of the file that was loaded; `known`: there is one."""

    runs: tuple[SpillFile, ...] = ()
    known: bool = False


@dataclass(frozen=True)
class JudgePass:
    """The second comparison: of the `doubtful` records alone, item by item. `loaded` is what was
    loaded; None, where it is the file itself that is compared."""

    doubtful: tuple[SpillFile, ...]
    in_file: tuple[SpillFile, ...]
    in_table: tuple[SpillFile, ...]
    scratch: Path
    entity: str
    loaded: LoadedRuns | None = None

    @property
    def sides(self) -> tuple[tuple[SpillFile, ...], ...]:
        """All that it reads: the doubtful records, and their entries in file, table and what was
        loaded."""
        known = self.loaded.runs if self.loaded else ()
        return self.doubtful, self.in_file, self.in_table, known

    def __call__(self, numbers: range) -> JudgedPart:
        comparison, sums = Comparison(), sums_of(self.scratch, self.entity)
        lines = []
        sides = (read_buckets(each, numbers) for each in self.sides)
        for pks, *entries in zip(*sides, strict=True):
            wanted = frozenset(pks)
            own, theirs, loaded = (_of(wanted, each) for each in entries)
            was = self.loaded and Loaded(loaded, known=self.loaded.known)
            comparison.add_bucket(own, theirs, self.entity, loaded=was, sums=sums)
            lines.append(lines_of_records(comparison.records))
            comparison.records.clear()
        path = write_temporary(self.scratch, b"".join(lines))
        return JudgedPart(comparison, path, None if sums is None else sums.finish())


def _of(wanted: Set[bytes], entries: Sequence[bytes]) -> list[bytes]:
    return [entry for entry in entries if pk_of(entry) in wanted] if wanted else []


@dataclass(frozen=True)
class RecordsPass:
    """Reads records of a table anew, by their partition keys (JSON texts), strongly consistent,
    many at once; runs go below `scratch`. `stamps` are as of a TablePass."""

    reader: TableReader
    table: str
    scratch: Path
    entity: str
    stamps: Mapping[bytes, bytes] = field(default_factory=dict)
    at_once: int = scan_flow.MOST

    def __call__(self, pks: Sequence[bytes]) -> TablePart:
        entries, found, scanned, units = Spill(self.scratch), Count(0, 0), 0, 0.0
        with ThreadPoolExecutor(self.at_once, thread_name_prefix="record") as pool:
            for page in pool.map(self._record, pks):
                entries.add(page.entries)
                found += page.found
                scanned += page.scanned
                units += page.units
        return TablePart(entries.finish(), (), found, scanned, units, len(pks))

    def _record(self, pk: bytes) -> TablePage:
        request = {
            "TableName": self.table,
            "ConsistentRead": True,
            "KeyConditionExpression": f"{PARTITION_KEY} = :pk",
            "ExpressionAttributeValues": {":pk": value_of(pk)},
            "ReturnConsumedCapacity": "TOTAL",
        }
        units = 0.0

        def items() -> Iterator[Item]:
            nonlocal units
            pages = self.reader.pages(
                "Query", request, keys=(PARTITION_KEY, SORT_KEY), to_the_end=True
            )
            for answer in pages:
                units += consumed("Query", answer)
                yield from answer["Items"]

        page = read_record(items(), self.entity, self.stamps)
        page.units = units
        return page


@dataclass(frozen=True)
class ReferencePass:
    """Looks up the references in buckets."""

    runs: tuple[SpillFile, ...]

    def __call__(self, numbers: range) -> ReferenceFindings:
        return resolve(read_buckets(self.runs, numbers))
