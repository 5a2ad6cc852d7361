"""The verify phase: is what is in the target exactly what the migration was to put there?

It trusts nobody's word for what is in the tables: it scans them. Per entity the transformed file
and the table are compared item by item, the ledger is closed from S9 to the table, indexes are
looked at and the API's access patterns replayed; then lines and references. Processes share the
reading and the comparing; what they find does not depend on how many they are.

A first look takes numbers as they are written: what is equal so is equal. Where it finds another
content, the entity is looked at a second time, with every number put into the same notation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Generic, TypeVar

from utils.config import MOST_IN_FLIGHT
from utils.dynamodb import scan_flow
from utils.dynamodb.backoff import RetryPolicy
from utils.dynamodb.client import DynamoDB
from utils.dynamodb.item_content import Moments
from utils.dynamodb.table_reader import TableReader
from utils.dynamodb.table_spec import TableSpec
from utils.entities import ENTITY_NAMES, shape_of
from utils.files.artifacts import ArtifactEntry, utc_now
from utils.files.spill import Scratch, SpillFile, ranges
from utils.logger import get_logger
from utils.run.manifest import PhaseEntry
from utils.run.run import COMPLETE, FAILED, Run, settings_digest
from utils.telemetry.troubles import Troubles, take_troubles
from validate.compare.comparison import Comparison, name_differences
from validate.compare.differences import LineDifferences, ReferenceFindings
from validate.compare_counts import Count, QuarantineCounts, close_ledger, count_refusals, same_file
from validate.indexes.table_state import TableState
from validate.indexes.target_indexes import describe_table
from validate.patterns.access_patterns import AT_ONCE, Patience, read_slice, replay
from validate.patterns.pattern_samples import Samples
from validate.verify.passes import (
    SEGMENT_ITEMS,
    BucketPass,
    FilePart,
    FilePass,
    ReferencePass,
    TablePart,
    TablePass,
    file_pieces,
)
from validate.verify.verification_report import EntityResult, VerificationResult

PHASE = "verify"
_FEWEST_SEGMENTS = 4
# How long the indexes may take to follow the last write: about 6 seconds on average.
_INDEX_RETRIES, _INDEX_DELAY = 6, 0.2

Piece = TypeVar("Piece")
Found = TypeVar("Found")


@dataclass(frozen=True)
class _WithTroubles(Generic[Piece, Found]):
    """Work on a piece, with what had to be tried again for it, in whatever process."""

    work: Callable[[Piece], Found]

    def __call__(self, piece: Piece) -> tuple[Found, Troubles | None]:
        return self.work(piece), take_troubles()


@dataclass
class _Bench:
    """What every step of one verification works with."""

    run: Run
    retry: RetryPolicy
    patience: Patience
    scratch: Path
    references: list[SpillFile] = field(default_factory=list)
    reader: TableReader = field(init=False)

    def __post_init__(self) -> None:
        target = self.run.config.target
        self.reader = TableReader(
            DynamoDB(target), self.retry, target=target, pause=self.run.stop.leave_if_asked
        )

    def table(self, entity: str) -> str:
        return self.run.config.target.table(entity)

    def get_ready(self, entities: Iterable[str]) -> None:
        """Have other processes started, if they will be needed, while this one begins alone."""
        known = self.run.manifest.artifacts
        names = [f"transformed/{entity}.json" for entity in entities]
        pieces = [len(file_pieces(known[name].bytes)) for name in names if name in known]
        if self.run.runner.shares(max(pieces, default=0)):
            work = TablePass(self.reader, "", 0, self.scratch, entity=ENTITY_NAMES[0])
            self.run.runner.get_ready(work)

    def shared(
        self,
        work: Callable[[Piece], Found],
        pieces: Iterable[Piece],
        *,
        at_most: int | None = None,
    ) -> Iterator[Found]:
        """What `work` finds in each piece, in their order, by all processes, or `at_most` some."""
        in_order = self.run.runner.in_order(
            _WithTroubles(work), pieces, pause=self.run.stop.leave_if_asked, at_most=at_most
        )
        with closing(in_order) as found:
            for each, troubles in found:
                self.run.progress.heard(troubles)
                self.run.stop.leave_if_asked()
                yield each

    def counted(
        self, step: str, entity: str, work: Callable[[Piece], Found], pieces: Sequence[Piece]
    ) -> Iterator[Found]:
        """The same as a step of its own, of so many parts."""
        total = len(pieces)
        with self.run.progress.task(PHASE, entity, total, unit="parts", step=step) as task:
            for found in self.shared(work, pieces):
                yield found
                task.advance()

    def scan(
        self,
        entity: str,
        items: int,
        *,
        compared: bool = True,
        as_written: bool = True,
        keyed: bool = True,
    ) -> Iterator[TablePart]:
        """A table of about `items` items, in parts."""
        processes, at_once = self._in_flight()
        segments = max(_FEWEST_SEGMENTS, -(-items // SEGMENT_ITEMS))
        work = TablePass(
            self.reader,
            self.table(entity),
            segments,
            self.scratch,
            entity=entity,
            compared=compared,
            as_written=as_written,
            keyed=keyed,
            stamps=self.moments(entity).texts(),
            at_once=at_once,
        )
        return self.shared(work, work.pieces(processes), at_most=processes)

    def _in_flight(self) -> tuple[int, int]:
        """How many processes scan, and how many pages each of them asks for at once, at most."""
        most, processes = self.run.config.migration.workers, self.run.workers.count
        if most is None:
            most = max(MOST_IN_FLIGHT, processes)
        processes = min(processes, most)
        return processes, min(most // processes, scan_flow.MOST)

    def moments(self, entity: str) -> Moments:
        """The times of other migrations that the load has found in the table."""
        loaded = self.run.manifest.phase("load", entity)
        times = loaded.result.get("otherTimestamps", []) if loaded else []
        return Moments(self.run.manifest.migration_timestamp, tuple(times))


def verify(
    run: Run,
    tables: Mapping[str, TableSpec],
    entities: Sequence[str],
    *,
    sleep: Callable[[float], None] | None = None,
) -> VerificationResult:
    """Verify entities against the target and write data/reports/verification_report.json.

    `tables` has the table of every entity, also of those that are not verified. Raises
    ArtifactError when a file is not what the manifest says, and TargetError when a table is
    missing or cannot be read; every other difference is in the result. `sleep` (seconds) is how
    to wait between tries: by default until the time is over or a stop is asked for.
    """
    chosen = [entity for entity in ENTITY_NAMES if entity in entities]
    target = run.config.target
    for entity in chosen:
        run.manifest.forget(PHASE, entity)
    run.save()
    states = {entity: describe_table(target, tables[entity]) for entity in chosen}
    sleep = sleep or run.stop.sleep
    retry = replace(RetryPolicy.of(run.config.migration), sleep=sleep)
    patience = Patience(RetryPolicy(_INDEX_RETRIES, _INDEX_DELAY, sleep=sleep))
    results: dict[str, EntityResult] = {}
    lines: dict[str, LineDifferences] = {}
    naming = [entity for entity in chosen if shape_of(entity).references]
    with Scratch(run.workspace.scratch) as scratch:
        bench = _Bench(run, retry, patience, scratch)
        bench.get_ready(chosen)
        for entity in chosen:
            result, comparison = _verify_entity(bench, tables[entity], states[entity])
            results[entity] = result
            if shape_of(entity).children:
                lines[entity] = comparison.lines
        named = dict.fromkeys(name for entity in naming for name in shape_of(entity).needs)
        for entity in named:
            if entity not in chosen:
                keyed = describe_table(target, tables[entity]).key_schema
                _scan_named(bench, entity, keyed=keyed)
        resolved = _resolve(bench) if naming else None
    done = VerificationResult(
        run.report_head(),
        results,
        lines,
        resolved,
        run.workspace.report("verification"),
    )
    done.write()
    _record(run, done)
    return done


def _verify_entity(
    bench: _Bench, spec: TableSpec, state: TableState
) -> tuple[EntityResult, Comparison]:
    """Compare one entity's file with its table, and replay its access patterns."""
    run, entity, table = bench.run, spec.entity, bench.table(spec.entity)
    path = run.workspace.transformed(entity)
    entry = run.expected(path, written_by="transform")
    look = _look(bench, entity, entry, state, as_written=True)
    if look.comparison.says_otherwise:
        get_logger().info(
            "Verify: the file and the table of %s are not byte for byte the same; comparing "
            "again with all numbers in one notation, and checking who has changed what",
            entity,
        )
        _unlink(look.seen.references)
        look = _look(bench, entity, entry, state, as_written=False)
    file, seen, comparison = look.file, look.seen, look.comparison
    bench.references += seen.references
    keys = comparison.keys
    if state.key_schema:
        with run.progress.task(PHASE, entity, None, step="naming differences"):
            name_differences(keys, bench.reader, table, path, shape_of(entity))
    ledger = close_ledger(
        run,
        entity,
        transformed=file.count,
        refusals=look.refusals,
        target=seen.found + keys.unmarked - keys.kept_found - keys.beyond,
        kept=file.kept,
        beyond=keys.beyond,
    )
    file.samples.leave(keys.touched | keys.over)
    patterns = replay(
        bench.reader,
        table,
        spec,
        file.samples,
        bench.patience,
        bench.moments(entity),
        at_once=min(run.config.migration.workers or AT_ONCE, AT_ONCE),
        progress=run.progress,
    )
    return EntityResult(entity, ledger, keys, state, patterns), comparison


@dataclass(frozen=True)
class _EntityView:
    """What one look at an entity finds: in quarantine, in the file and in the table, and how the
    last two differ."""

    refusals: QuarantineCounts
    file: FilePart
    seen: TablePart
    comparison: Comparison


def _look(
    bench: _Bench, entity: str, entry: ArtifactEntry, state: TableState, *, as_written: bool
) -> _EntityView:
    """Read the file and the table, and compare them; `as_written` is as in
    utils/dynamodb/item_text.py."""
    run = bench.run
    with run.proving(run.workspace.transformed(entity), written_by="transform"):
        refusals = count_refusals(run, entity)
        file = _read_file(bench, entity, entry.bytes, refusals.at_load_ids, as_written=as_written)
    seen = TablePart()
    with run.progress.task(PHASE, entity, entry.items, unit="items") as task:
        items = max(entry.items, state.items)
        for part in bench.scan(entity, items, as_written=as_written, keyed=state.key_schema):
            seen += part
            task.advance(part.scanned, read_units=part.units)
    work = BucketPass(file.runs, seen.entries, entity)
    return _EntityView(refusals, file, seen, _compare(bench, work))


def _read_file(
    bench: _Bench, entity: str, size: int, refused: frozenset[str], *, as_written: bool
) -> FilePart:
    """What the transformed file holds."""
    slice_keys = frozenset(read_slice(bench.reader, bench.table(entity)))
    work = FilePass(
        bench.run.workspace.transformed(entity),
        bench.scratch,
        entity=entity,
        refused=refused,
        slice_keys=slice_keys,
        plan=_plan(bench.run, entity),
        as_written=as_written,
    )
    runs: list[SpillFile] = []
    count, kept, samples = Count(0, 0), Count(0, 0), Samples(entity, slice_keys)
    for part in bench.counted("reading the file", entity, work, file_pieces(size)):
        runs += part.runs
        count += part.count
        kept += part.kept
        samples.extend(part.samples)
    return FilePart(tuple(runs), count, samples, kept)


def _plan(run: Run, entity: str) -> Path | None:
    """The plan of the load, if there is one, and it is for the file that there is."""
    path = run.workspace.plan(entity)
    return path if path.exists() and not same_file(run, entity) else None


def _compare(bench: _Bench, work: BucketPass) -> Comparison:
    comparison = Comparison()
    parts = ranges(work.in_file, work.in_table)
    for found in bench.counted("comparing", work.entity, work, parts):
        comparison.add(found)
    _unlink((*work.in_file, *work.in_table))
    return comparison


def _unlink(runs: Iterable[SpillFile]) -> None:
    for path in {run.path for run in runs}:
        Path(path).unlink()


def _scan_named(bench: _Bench, entity: str, *, keyed: bool) -> None:
    """Learn which records there are, for the references of others to them; the rest of them is not
    verified."""
    known = bench.run.manifest.artifacts.get(f"transformed/{entity}.json")
    items = known.items if known else 0
    with bench.run.progress.task(PHASE, entity, items, unit="items") as task:
        for part in bench.scan(entity, items, compared=False, keyed=keyed):
            bench.references += part.references
            task.advance(part.scanned, read_units=part.units)


def _resolve(bench: _Bench) -> ReferenceFindings:
    resolved = ReferenceFindings()
    work = ReferencePass(tuple(bench.references))
    for found in bench.counted("references", "", work, ranges(work.runs)):
        resolved.extend(found)
    return resolved


def _record(run: Run, done: VerificationResult) -> None:
    """Put the outcome into the manifest: what has been proven, and when."""
    target = run.config.target
    for entity, result in done.entities.items():
        passed = done.has_passed(entity)
        entry = PhaseEntry(
            COMPLETE if passed else FAILED,
            utc_now(),
            run.sha_of(run.workspace.transformed(entity)),
            settings_digest(target.region, target.endpoint_url, target.table(entity)),
            {"passed": passed, **result.ledger.target.as_json(), **done.figures(entity)},
        )
        run.manifest.record(PHASE, entity, entry)
    run.save()
