"""The engine that loads a transformed file into its table, many batches in flight at once.

Batches are acknowledged in the order in which they were sent, so that at any moment everything
before one place in the file is known to be in the table.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from utils.artifacts import read_rows
from utils.dynamodb import DynamoDB
from utils.error_handler import ArtifactError, TargetError
from utils.manifest import PhaseEntry
from utils.progress import Task
from utils.retry import RetryPolicy
from utils.run import Run, settings_digest
from utils.tables import TableSpec

from load.batch_writer import BatchWriter, Outcome, batches
from load.load_report import EntityLoad
from load.throttle import Throttle

PHASE = "load"
_AHEAD = 2  # batches waiting for each one in flight


def settings(run: Run, entity: str) -> str:
    """The digest of what decides where an entity's items go."""
    target = run.config.target
    return settings_digest(target.region, target.endpoint_url, target.table(entity))


def load(run: Run, spec: TableSpec) -> PhaseEntry:
    """Load one entity's transformed file; returns the phase's entry in the manifest.

    Raises ArtifactError when the file is not what validation has passed, TargetError when
    DynamoDB cannot be used or refuses an item.
    """
    entity = spec.entity
    source = run.workspace.transformed(entity)
    transformed = run.artifact(source, written_by="transform")
    _require_validated(run, entity)
    run.begin(PHASE, entity)
    started = time.monotonic()
    with run.progress.task(PHASE, entity, transformed.items) as task:
        total = _send_all(
            source,
            _writer(run, spec),
            run.config.migration.workers,
            run.config.migration.batch_size,
            task,
        )
    seconds = time.monotonic() - started
    done = EntityLoad.of(total, seconds)
    return run.finish(
        PHASE,
        entity,
        inputs=run.sha_of(source),
        settings=settings(run, entity),
        result={
            "records": transformed.records,
            "items": total.items,
            "refused": 0,
            "refusedRecords": 0,
            **done.as_json(),
        },
    )


def _require_validated(run: Run, entity: str) -> None:
    entry = run.manifest.phase("validate", entity)
    name = run.workspace.name_of(run.workspace.transformed(entity))
    if entry is None or entry.inputs.get(name) != run.manifest.sha_of(name):
        raise ArtifactError(
            f"{name} has not passed validation as it is now",
            remedy="python migrate.py --phase validate",
        )


def _writer(run: Run, spec: TableSpec) -> BatchWriter:
    settings_ = run.config.migration
    return BatchWriter(
        DynamoDB(run.config.target, connections=settings_.workers),
        run.config.target.table(spec.entity),
        RetryPolicy.of(settings_),
        Throttle(settings_.max_write_units),
        indexes=len(spec.indexes),
        rest=settings_.batch_delay / 1000,
    )


def _send_all(
    source: Path, writer: BatchWriter, workers: int, batch_size: int, task: Task
) -> Outcome:
    total = Outcome()
    waiting: deque[Future[Outcome]] = deque()
    with ThreadPoolExecutor(workers, thread_name_prefix="load") as pool:
        try:
            for batch in batches(_lines(source), batch_size):
                waiting.append(pool.submit(writer.write, batch))
                if len(waiting) >= workers * _AHEAD:
                    _acknowledge(waiting.popleft().result(), total, task)
            while waiting:
                _acknowledge(waiting.popleft().result(), total, task)
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise
    return total


def _lines(source: Path) -> Iterator[bytes]:
    for chunk in read_rows(source):
        yield from chunk.lines


def _acknowledge(outcome: Outcome, total: Outcome, task: Task) -> None:
    total.add(outcome)
    task.advance(outcome.items, errors=len(outcome.refused))
    if outcome.refused:
        first = outcome.refused[0]
        raise TargetError(
            f"DynamoDB refuses the item {first.line[:120].decode(errors='replace')}…: "
            f"{first.reason}",
            remedy="mend its record in S9 and extract again",
        )
