"""The verify phase: is what is in the target exactly what the migration was to put there?

It trusts nobody's word for what is in the tables: it scans them. Per entity the transformed file
and the table are compared item by item (validate/verify/looks.py), the ledger is closed from S9 to
the table, indexes are looked at and the API's access patterns replayed; then lines and references.
Processes share the reading and the comparing; what they find does not depend on how many they are.

The file is that of the run, or one that another run has made of S9 as it is now: then none of the
run's own files is believed. What was loaded, by these, only tells what S9 has changed since.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from functools import partial

from utils.dynamodb.backoff import RetryPolicy
from utils.dynamodb.read_units import PATTERNS
from utils.dynamodb.table_spec import TableSpec
from utils.entities import ENTITY_NAMES, shape_of
from utils.files.artifacts import utc_now
from utils.files.spill import Scratch, ranges
from utils.logger import get_logger
from utils.run.manifest import PhaseEntry
from utils.run.run import COMPLETE, FAILED, Run, settings_digest
from validate.compare.comparison import Comparison
from validate.compare.differences import LineDifferences, ReferenceFindings
from validate.compare.target_references import read_again
from validate.compare_counts import close_ledger
from validate.indexes.index_findings import IndexFindings
from validate.indexes.index_passes import KeysPart
from validate.indexes.second_look import agreed
from validate.indexes.table_state import TableState
from validate.indexes.target_indexes import describe_table
from validate.indexes.whole_indexes import WholeIndexes, compare_indexes
from validate.patterns.access_patterns import AT_ONCE, Patience, replay
from validate.patterns.pattern_result import asked_for
from validate.reconciliation.reconciliation import Labels, Reconciliation, reconcile
from validate.reconciliation.table import write_reconciliation
from validate.sums.sums import Sums
from validate.verify.bench import PHASE, Bench
from validate.verify.looks import file_records, look_at
from validate.verify.passes import ReferencePass
from validate.verify.verification_report import EntityResult, VerificationResult

# How long the indexes may take to follow the last write: about 6 seconds on average.
_INDEX_RETRIES, _INDEX_DELAY = 6, 0.2


@contextmanager
def bench_of(
    run: Run, *, origin: Run | None = None, sleep: Callable[[float], None] | None = None
) -> Iterator[Bench]:
    """What a verification works with, for one of them. Parameters are as of `verify`."""
    sleep = sleep or run.stop.sleep
    retry = replace(RetryPolicy.of(run.config.migration), sleep=sleep)
    patience = partial(Patience, RetryPolicy(_INDEX_RETRIES, _INDEX_DELAY, sleep=sleep))
    with Scratch(run.workspace.scratch) as scratch:
        yield Bench(run, origin or run, retry, patience, scratch)


def verify(
    run: Run,
    tables: Mapping[str, TableSpec],
    entities: Sequence[str],
    *,
    origin: Run | None = None,
    labels: Labels | None = None,
    sleep: Callable[[float], None] | None = None,
    prepared: Bench | None = None,
) -> VerificationResult:
    """Verify entities against the target and write data/reports/verification_report.json.

    `tables` has the table of every entity, also of those that are not verified. `origin` is the run
    that has read S9 again, if one has; `labels` says what the target calls S9's values, by which
    amounts are reconciled. Raises
    ArtifactError when a file is not what the manifest says, and TargetError when a table is
    missing or cannot be read; every other difference is in the result. `sleep` (seconds) is how
    to wait between tries: by default until the time is over or a stop is asked for. `prepared`
    is a bench on which something has been done ahead.
    """
    chosen = [entity for entity in ENTITY_NAMES if entity in entities]
    target = run.config.target
    for entity in chosen:
        run.manifest.forget(PHASE, entity)
    run.save()
    states = {entity: describe_table(target, tables[entity]) for entity in chosen}
    results: dict[str, EntityResult] = {}
    lines: dict[str, LineDifferences] = {}
    naming = [entity for entity in chosen if shape_of(entity).references]
    made = nullcontext(prepared) if prepared else bench_of(run, origin=origin, sleep=sleep)
    with made as bench:
        bench.get_ready(chosen)
        for entity in chosen:
            result, comparison = _verify_entity(bench, tables[entity], states[entity], labels)
            results[entity] = result
            if shape_of(entity).children:
                lines[entity] = comparison.lines
        named = dict.fromkeys(name for entity in naming for name in shape_of(entity).needs)
        for entity in named:
            if entity not in chosen:
                keyed = describe_table(target, tables[entity]).key_schema
                _scan_named(bench, entity, keyed=keyed)
        resolved = _resolve(bench) if naming else None
        read_units = bench.meter.taken()
        head = (origin or run).report_head() | {"runId": run.manifest.run_id}
        reconciled = [each.reconciliation for each in results.values() if each.reconciliation]
        write_reconciliation(run, head, reconciled)
    done = VerificationResult(
        head,
        results,
        lines,
        resolved,
        run.workspace.report("verification"),
        read_units,
        by_source=bench.is_anew,
    )
    done.write()
    _record(run, origin or run, done)
    return done


def _verify_entity(
    bench: Bench, spec: TableSpec, state: TableState, labels: Labels | None
) -> tuple[EntityResult, Comparison]:
    """Compare one entity's file with its table, and replay its access patterns."""
    run, entity, table = bench.run, spec.entity, bench.table(spec.entity)
    view = look_at(bench, spec, state)
    file, comparison = view.file, view.comparison
    keys = comparison.keys
    ledger = close_ledger(
        bench.origin,
        entity,
        transformed=file.count,
        refusals=view.refusals,
        target=view.found + keys.unmarked - keys.kept_found - keys.beyond,
        kept=file.kept,
        beyond=keys.beyond,
        ahead=keys.ahead if bench.is_anew else None,
    )
    indexes = _read_indexes(bench, spec, state, view.keys, file.count.records)
    file.samples.leave(keys.touched | keys.over)
    file.samples.ask_for_years(view.keys.years)
    patterns = replay(
        bench.reader.counting(PATTERNS),
        table,
        spec,
        file.samples,
        bench.patience_anew(),
        bench.moments(entity),
        every=partial(file_records, bench, entity, view.refusals.at_load_ids),
        at_once=min(run.config.migration.workers or AT_ONCE, AT_ONCE),
        progress=run.progress,
    )
    if told := asked_for(patterns):
        get_logger().info("Verify: the access patterns of %s were asked for %s", entity, told)
    reconciled = _reconciled(bench, entity, view.sums, labels)
    return EntityResult(entity, ledger, keys, indexes, patterns, reconciled), comparison


def _read_indexes(
    bench: Bench, spec: TableSpec, state: TableState, seen: KeysPart, records: int
) -> WholeIndexes:
    """Compare every index of a table whole; `records` are about the entries of each."""
    run, entity, table = bench.run, spec.entity, bench.table(spec.entity)
    processes, at_once = bench.in_flight()
    found: dict[str, IndexFindings] = {}
    due = {
        index: runs
        for index, runs in zip(spec.indexes, seen.due or ((),) * len(spec.indexes), strict=True)
        if state.key_schema and state.indexes[index.name].is_readable
    }
    if due:
        total, step = records * len(due), "reading the indexes"
        with run.progress.task(PHASE, entity, total, unit="items", step=step) as task:
            found = compare_indexes(
                bench,
                task,
                bench.reader,
                table,
                entity,
                due,
                records=records,
                scratch=bench.scratch,
                processes=processes,
                at_once=at_once,
                patience=lambda: bench.patience_anew().wait,
            )
    agreement = agreed(seen.agreement, bench.reader, table, spec, bench.patience_anew().wait)
    return WholeIndexes(state, found, agreement)


def _reconciled(
    bench: Bench, entity: str, sums: Sums | None, labels: Labels | None
) -> Reconciliation | None:
    """Reconcile an entity's amounts, with what is in data/differences."""
    if sums is None or labels is None:
        return None
    differences = bench.run.workspace.differences(entity)
    found = reconcile(bench, bench.origin, entity, sums, differences, labels, bench.scratch)
    if found is None:
        get_logger().warning(
            "The %s are not reconciled in money: the extract has left no sums of S9's, because "
            "an earlier version has made it. %s adds them up anew",
            entity,
            bench.run.command("--phase verify --from-source"),
        )
    return found


def _scan_named(bench: Bench, entity: str, *, keyed: bool) -> None:
    """Learn which records there are, for the references of others to them; the rest of them is not
    verified."""
    known = bench.run.manifest.artifacts.get(f"transformed/{entity}.json")
    items = known.items if known else 0
    with bench.run.progress.task(PHASE, entity, items, unit="items") as task:
        for part in bench.scan(entity, items, compared=False, keyed=keyed):
            bench.references += part.references
            task.advance(part.scanned, read_units=part.units)


def _resolve(bench: Bench) -> ReferenceFindings:
    resolved = ReferenceFindings()
    work = ReferencePass(tuple(bench.references))
    for found in bench.counted("references", "", work, ranges(work.runs)):
        resolved.extend(found)
    read_again(resolved, bench.reader, bench.run.config.target)
    return resolved


def _record(run: Run, origin: Run, done: VerificationResult) -> None:
    """Put the outcome into the manifest: what has been proven, and when. A run that has read S9
    again has it, too."""
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
        for each in {id(one): one for one in (run, origin)}.values():
            each.manifest.record(PHASE, entity, entry)
    run.save()
