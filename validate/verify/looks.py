"""The two looks at an entity: what is in its table, against what should be.

The first look reads the file and the table and settles the records that are the same. What is left
is in doubt: the table was read while it lived, numbers were taken as they are written, a record was
being written. So these records are read again, strongly consistent, with every number in the same
notation, and only then judged, item by item. Few of them are asked for by key; many are read with
the whole table.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path

from utils.differences import rewritten
from utils.dynamodb.read_units import PATTERNS
from utils.dynamodb.table_spec import TableSpec
from utils.entities import shape_of
from utils.files.artifacts import ArtifactEntry
from utils.files.elsewhere import size_of
from utils.files.pieces import places
from utils.files.spill import SpillFile, portions, ranges, read_buckets
from utils.files.storage import make_directory, open_private, partial_of, publish, storage_errors
from utils.logger import get_logger
from utils.run.run import Run
from utils.wording.figures import counted
from validate.compare.comparison import Comparison, name_differences
from validate.compare.file_records import FileRecord
from validate.compare_counts import Count, QuarantineCounts, count_refusals, same_file
from validate.indexes.index_passes import KeysPart
from validate.indexes.table_state import TableState
from validate.patterns.access_patterns import read_slice
from validate.patterns.pattern_samples import Samples
from validate.sums.sums import Sums, SumsBuilder
from validate.verify.bench import Bench
from validate.verify.other_times import learn_times
from validate.verify.passes import (
    FilePart,
    FilePass,
    JudgePass,
    LoadedRuns,
    RecordsPass,
    SettledPart,
    SettlePass,
    TablePart,
    file_pieces,
    sums_of,
)

_FEWEST, _MOST = 1_000, 100_000  # doubtful records that are asked for by key: at least, at most
_SHARE = 50  # and of so many items one, else reading the whole table takes less
_LEARN_FROM = 200  # doubtful records
_PORTIONS, _PORTIONS_A_CORE = 8, 2
_PIECE = 500  # records that a process asks for at a time


@dataclass(frozen=True)
class EntityView:
    """What has been found of an entity: in quarantine, in the file, in the table, how they differ,
    what the table's records add up to (`sums`), and what its items say about its indexes (`keys`).
    `found` counts what is a migration's in the table."""

    refusals: QuarantineCounts
    file: FilePart
    found: Count
    comparison: Comparison
    sums: Sums | None
    keys: KeysPart


def look_at(bench: Bench, spec: TableSpec, state: TableState) -> EntityView:
    """Look at an entity twice; leaves its differences in data/differences.

    Raises ArtifactError when the file is not what the manifest says, TargetError when the table
    cannot be read, Interrupted.
    """
    origin, entity = bench.origin, spec.entity
    path = origin.workspace.transformed(entity)
    entry = origin.expected(path, written_by="transform")
    with origin.proving(path, written_by="transform"):
        refusals = count_refusals(origin, entity)
        file = _read_file(bench, entity, entry.bytes, refusals.at_load_ids)
    seen = TablePart()
    with bench.run.progress.task("verify", entity, entry.items, unit="items") as task:
        items = max(entry.items, state.items)
        indexes = spec if state.key_schema else None
        for part in bench.scan(entity, items, keyed=state.key_schema, indexes=indexes):
            seen += part
            task.advance(part.scanned, read_units=part.units)
    bench.references += seen.references
    sums = sums_of(bench.scratch, entity)
    first = _settle(bench, entity, file, seen, sums)
    comparison = _SecondLook(bench, entity, entry, state, first, refusals.at_load_ids).judge(sums)
    found = seen.found - first.found + comparison.found
    whole = None if sums is None else sums.finish()
    return EntityView(refusals, file, found, comparison, whole, seen.keys)


def _read_file(bench: Bench, entity: str, size: int, refused: frozenset[str]) -> FilePart:
    """What the transformed file holds."""
    slice_keys = frozenset(read_slice(bench.reader.counting(PATTERNS), bench.table(entity)))
    sample = bench.sample()
    work = FilePass(
        bench.origin.workspace.transformed(entity),
        bench.scratch,
        entity=entity,
        refused=refused,
        slice_keys=slice_keys,
        plan=_plan(bench, entity),
        as_written=True,
        sample=sample,
    )
    runs: list[SpillFile] = []
    count, kept, samples = Count(0, 0), Count(0, 0), Samples(entity, slice_keys, sample)
    for part in bench.counted("reading the file", entity, work, file_pieces(size)):
        runs += part.runs
        count += part.count
        kept += part.kept
        samples.extend(part.samples)
    return FilePart(tuple(runs), count, samples, kept)


def file_records(bench: Bench, entity: str, refused: frozenset[str]) -> Iterator[FileRecord]:
    """The records of the transformed file, one after the other; `refused` are as of a FilePass."""
    path = bench.origin.workspace.transformed(entity)
    plan = _plan(bench, entity)
    work = FilePass(path, bench.scratch, entity, refused, frozenset(), plan, as_written=True)
    for part in places(size_of(path)):
        yield from work.records(part)


def _plan(bench: Bench, entity: str) -> Path | None:
    """The plan of the load, if there is one, and it is for the file that there is. Of a file that
    has been made of S9 anew nothing was loaded."""
    path = bench.run.workspace.plan(entity)
    is_of_load = not bench.is_anew and path.exists() and not same_file(bench.run, entity)
    return path if is_of_load else None


def _settle(
    bench: Bench, entity: str, file: FilePart, seen: TablePart, sums: SumsBuilder | None
) -> SettledPart:
    work = SettlePass(file.runs, seen.entries, bench.scratch, entity)
    settled = SettledPart.none()
    # In few portions, because each adds up its records by themselves.
    most = max(_PORTIONS, _PORTIONS_A_CORE * bench.run.runner.at_once)
    parts = portions(ranges(work.in_file, work.in_table), most)
    for part, added_up in bench.counted("comparing", entity, work, parts):
        settled += part
        _take(sums, added_up)
    _unlink((*work.in_file, *work.in_table))
    return settled


def _take(sums: SumsBuilder | None, part: Sums | None) -> None:
    if sums is not None and part is not None:
        sums.take(part)


class _SecondLook:
    """The second look at one entity, at what the first has not settled."""

    def __init__(
        self,
        bench: Bench,
        entity: str,
        entry: ArtifactEntry,
        state: TableState,
        first: SettledPart,
        refused: frozenset[str],
    ) -> None:
        self._bench, self._entity, self._state = bench, entity, state
        self._entry, self._first, self._refused = entry, first, refused
        items = max(entry.items, state.items)
        few = first.records <= min(max(_FEWEST, items // _SHARE), _MOST)
        self._pks = frozenset(self._doubtful()) if few and state.key_schema else None

    def _doubtful(self) -> Iterator[bytes]:
        for numbers in ranges(self._first.doubtful):
            yield from chain.from_iterable(read_buckets(self._first.doubtful, numbers))

    def judge(self, sums: SumsBuilder | None) -> Comparison:
        """What differs; what the table has of the doubtful records goes into `sums`."""
        bench, entity, first = self._bench, self._entity, self._first
        comparison = Comparison()
        comparison.keys.foreign = first.foreign
        if shape_of(entity).children:
            comparison.lines.checked = first.alike + first.own
        lines: list[Path] = []
        if first.records:
            get_logger().info(
                "Verify: %s not the same in the file and in the table at the first look; reading "
                "again what is in doubt",
                counted(first.records, f"record of {entity} is", f"records of {entity} are"),
            )
            work = self._work()
            sides = work.sides
            for part in bench.counted("judging", entity, work, ranges(*sides)):
                comparison.add(part.comparison)
                _take(sums, part.sums)
                lines.append(part.lines)
            _unlink(chain.from_iterable(sides))
        self._write(lines, comparison)
        return comparison

    def _work(self) -> JudgePass:
        bench, entity = self._bench, self._entity
        if bench.is_anew:
            bench.learnt += learn_times(bench, entity, islice(self._doubtful(), _LEARN_FROM))
        return JudgePass(
            self._first.doubtful,
            self._file(bench.origin, self._entry, plan=_plan(bench, entity), step="the file"),
            self._table(),
            bench.scratch,
            entity,
            self._loaded() if bench.is_anew else None,
        )

    def _loaded(self) -> LoadedRuns:
        """The doubtful records as they were loaded, where that is known."""
        entry = self._bench.loaded(self._entity)
        if entry is None:
            return LoadedRuns()
        return LoadedRuns(self._file(self._bench.run, entry, step="what was loaded"), known=True)

    def _file(
        self, run: Run, entry: ArtifactEntry, *, step: str, plan: Path | None = None
    ) -> tuple[SpillFile, ...]:
        """The doubtful records of a run's transformed file."""
        work = FilePass(
            run.workspace.transformed(self._entity),
            self._bench.scratch,
            entity=self._entity,
            refused=self._refused if run is self._bench.origin else frozenset(),
            slice_keys=frozenset(),
            plan=plan,
            wanted=self._pks,
        )
        pieces = file_pieces(entry.bytes)
        parts = self._bench.counted(f"reading {step} again", self._entity, work, pieces)
        return tuple(chain.from_iterable(part.runs for part in parts))

    def _table(self) -> tuple[SpillFile, ...]:
        """The doubtful records as the table has them now."""
        bench, entity = self._bench, self._entity
        total = self._first.records if self._pks is not None else self._entry.items
        unit = "records" if self._pks is not None else "items"
        runs: list[SpillFile] = []
        with bench.run.progress.task(
            "verify", entity, total, unit=unit, step="reading the table again"
        ) as task:
            for done, part in self._parts():
                runs += part.entries
                _unlink(part.references)
                task.advance(done, read_units=part.units)
        return tuple(runs)

    def _parts(self) -> Iterator[tuple[int, TablePart]]:
        bench, entity = self._bench, self._entity
        if self._pks is None:
            items = max(self._entry.items, self._state.items)
            keyed = self._state.key_schema
            for part in bench.scan(entity, items, as_written=False, keyed=keyed):
                yield part.scanned, part
            return
        processes, at_once = bench.in_flight()
        work = RecordsPass(
            bench.reader,
            bench.table(entity),
            bench.scratch,
            entity,
            bench.moments(entity).texts(),
            at_once,
        )
        left = iter(sorted(self._pks))
        pieces = iter(lambda: list(islice(left, _PIECE)), [])
        for part in bench.shared(work, pieces, at_most=processes):
            yield part.records, part

    def _write(self, lines: Iterable[Path], comparison: Comparison) -> None:
        """Put the records that differ together, once it is known of each what it is."""
        bench, entity = self._bench, self._entity
        moved: dict[tuple[str, str], str] = {}
        if self._state.key_schema:
            with bench.run.progress.task("verify", entity, None, step="naming differences"):
                moved = name_differences(
                    comparison.keys,
                    bench.reader,
                    bench.table(entity),
                    bench.origin.workspace.transformed(entity),
                    shape_of(entity),
                )
        path = bench.run.workspace.differences(entity)
        make_directory(path.parent)
        with storage_errors(path), open_private(partial_of(path), "wb") as out:
            for part in lines:
                out.writelines(rewritten(part, moved))
                part.unlink()
        publish(path)


def _unlink(runs: Iterable[SpillFile]) -> None:
    for path in {run.path for run in runs}:
        Path(path).unlink()
