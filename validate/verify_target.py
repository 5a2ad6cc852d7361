"""The verify phase: is what is in the target exactly what the migration was to put there?

It trusts nobody's word for what is in the tables: it scans them. Per entity the transformed file
and the table are compared item by item, the ledger is closed from S9 to the table, indexes are
looked at and the API's access patterns replayed; then lines and references.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from utils.artifacts import read_records, utc_now
from utils.aws import open_dynamodb
from utils.config import ENTITY_NAMES, PARTY_ENTITIES
from utils.dynamodb import DynamoDB
from utils.interrupt import Interrupted
from utils.manifest import PhaseEntry
from utils.progress import Task
from utils.retry import RetryPolicy
from utils.run import COMPLETE, FAILED, Run, settings_digest
from utils.spill import Buckets
from utils.table_reader import TableReader
from utils.tables import TableSpec
from validate.access_patterns import Patience, read_slice, replay
from validate.compare_counts import close_ledger, count_refusals
from validate.pattern_samples import Samples
from validate.target_indexes import describe_table
from validate.target_keys import (
    Comparison,
    name_differences,
    read_file_lines,
    read_table_page,
)
from validate.target_references import resolve
from validate.verification_report import Count, EntityResult, TableState, VerificationResult

PHASE = "verify"
SALES = "sales"
# How long the indexes may take to follow the last write: about 6 seconds on average.
_INDEX_RETRIES, _INDEX_DELAY = 6, 0.2
_REFERENCE_BUCKETS = 32  # references are fewer and smaller than items


@dataclass(frozen=True)
class _Bench:
    """What every step of one verification works with."""

    run: Run
    reader: TableReader
    patience: Patience
    references: Buckets

    def table(self, entity: str) -> str:
        return self.run.config.target.table(entity)

    @property
    def workers(self) -> int:
        return self.run.config.migration.workers

    def pause_point(self) -> None:
        """Leave here when a stop has been asked for: a verification begins anew anyway."""
        if self.run.stop.requested:
            raise Interrupted


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
    client = open_dynamodb(target)
    for entity in chosen:
        run.manifest.forget(PHASE, entity)
    run.save()
    states = {entity: describe_table(client, target, tables[entity]) for entity in chosen}
    sleep = sleep or run.stop.sleep
    retry = replace(RetryPolicy.of(run.config.migration), sleep=sleep)
    reader = TableReader(DynamoDB(target), retry)
    patience = Patience(RetryPolicy(_INDEX_RETRIES, _INDEX_DELAY, sleep=sleep))
    results: dict[str, EntityResult] = {}
    lines = None
    with Buckets(run.workspace.scratch, count=_REFERENCE_BUCKETS) as references:
        bench = _Bench(run, reader, patience, references)
        for entity in chosen:
            result, comparison = _verify_entity(bench, tables[entity], states[entity])
            results[entity] = result
            lines = comparison.lines if entity == SALES else lines
        if SALES in chosen:
            for party in PARTY_ENTITIES:
                if party not in chosen:
                    _scan_parties(bench, party)
        resolved = resolve(references) if SALES in chosen else None
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
    entry = run.artifact(path, written_by="transform")
    refusals = count_refusals(run, entity)
    samples = Samples(frozenset(read_slice(bench.reader, table)))
    comparison = Comparison()
    with (
        Buckets(run.workspace.scratch) as buckets,
        run.progress.task(PHASE, entity, entry.items) as task,
    ):
        transformed = _read_file(bench, entity, refusals.at_load_ids, buckets, samples)
        found = _scan_table(bench, entity, buckets, task)
        for bucket in buckets:
            comparison.add_bucket(bucket, sales=entity == SALES)
    if state.key_schema:
        name_differences(comparison.keys, bench.reader, table, path)
    ledger = close_ledger(run, entity, transformed=transformed, refusals=refusals, target=found)
    patterns = replay(bench.reader, table, spec, samples, bench.patience)
    return EntityResult(entity, ledger, comparison.keys, state, patterns), comparison


def _read_file(
    bench: _Bench,
    entity: str,
    refused: frozenset[str],
    buckets: Buckets,
    samples: Samples,
) -> Count:
    """Put the transformed file into the buckets and take the samples; returns what it holds."""
    total = Count(0, 0)
    is_sales = entity == SALES
    for chunk in read_records(bench.run.workspace.transformed(entity)):
        part = read_file_lines(chunk.lines, sales=is_sales, refused=refused)
        bench.pause_point()
        buckets.add(part.entries)
        samples.add(part, sales=is_sales)
        total += part.count
    return total


def _scan_table(bench: _Bench, entity: str, buckets: Buckets, task: Task) -> Count:
    """Put the table into the buckets, its references into theirs; returns what is ours in it."""
    total = Count(0, 0)
    work = partial(read_table_page, sales=entity == SALES)
    for page in bench.reader.scan(bench.table(entity), work, workers=bench.workers):
        bench.pause_point()
        buckets.add(page.entries)
        bench.references.add(page.references)
        total += page.found
        task.advance(page.scanned)
    return total


def _scan_parties(bench: _Bench, entity: str) -> None:
    """Learn which parties there are, for the references of sales; the rest of them is not
    verified."""
    known = bench.run.manifest.artifacts.get(f"transformed/{entity}.json")
    work = partial(read_table_page, sales=False)
    pages = bench.reader.scan(
        bench.table(entity), work, workers=bench.workers, attributes=("PK", "SK")
    )
    with bench.run.progress.task(PHASE, entity, known.items if known else 0) as task:
        for page in pages:
            bench.pause_point()
            bench.references.add(page.references)
            task.advance(page.scanned)


def _record(run: Run, done: VerificationResult) -> None:
    """Put the outcome into the manifest: what has been proven, and when."""
    target = run.config.target
    for entity, result in done.entities.items():
        passed = result.passed and (entity != SALES or done.sales_passed)
        entry = PhaseEntry(
            COMPLETE if passed else FAILED,
            utc_now(),
            run.sha_of(run.workspace.transformed(entity)),
            settings_digest(target.region, target.endpoint_url, target.table(entity)),
            {"passed": passed, **result.ledger.target.as_json()},
        )
        run.manifest.record(PHASE, entity, entry)
    run.save()
