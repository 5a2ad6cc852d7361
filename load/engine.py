"""The engine that loads a transformed file into its table, many batches in flight at once.

Batches are acknowledged in the order in which they were sent, so that at any moment everything
before one place in the file is known to be in the table.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import orjson

from load.batch_writer import BatchWriter, Outcome, RefusedItem, batches
from load.guard import Guard, publish_replaced
from load.load_report import EntityLoad
from load.load_settings import settings
from load.refusals import (
    Reason,
    Refusals,
    Withdrawn,
    dependents,
    keys_of,
    record_key,
    withdraw,
)
from load.throttle import Throttle
from utils.artifacts import read_rows
from utils.checkpoint import Checkpoint, Tracker
from utils.dynamodb import DynamoDB
from utils.error_handler import ArtifactError, TargetError
from utils.manifest import PhaseEntry
from utils.progress import Task
from utils.retry import RetryPolicy
from utils.run import COMPLETE, Run
from utils.tables import TableSpec

PHASE = "load"
_AHEAD = 2  # batches waiting for each one in flight


def load(run: Run, spec: TableSpec, only: Collection[str] | None = None) -> PhaseEntry:
    """Load one entity's transformed file; returns the phase's entry in the manifest.

    `only` narrows what is sent to the records with these legacy ids: the others are known to be
    in the table. Raises ArtifactError when the file is not what validation has passed, and
    TargetError when DynamoDB cannot be used, or refuses an item and `continueOnError` is not set.
    """
    entity = spec.entity
    source = run.workspace.transformed(entity)
    transformed = run.artifact(source, written_by="transform")
    require_validated(run, entity)
    inputs = run.sha_of(source)
    saved = run.begin(PHASE, entity, inputs)
    progress = LoadProgress.of(saved, Refusals(dependents(run, entity)))
    started = time.monotonic()

    def refuse(item: RefusedItem) -> None:
        if not run.config.migration.continue_on_error:
            raise _refused(run, item)
        progress.refusals.add(item)

    with run.progress.task(PHASE, entity, transformed.items) as task:
        task.advance(progress.total.items)
        tracker = run.track(
            PHASE,
            entity,
            inputs,
            total=transformed.items,
            unit="items",
            done=progress.total.items,
        )
        writer = _writer(run, spec)
        chosen = None if only is None else keys_of(run, entity, only)
        with Guard(run, spec) as guard:
            guard.write_on_condition(progress.unacknowledged(source), refuse)
            _send_all(run, source, writer, progress, tracker, task, chosen, guard)
            kept_out = Withdrawn()
            if progress.refusals.reasons:
                kept_out = withdraw(run, entity, progress.refusals, guard)
            kept = guard.conclude()
    publish_replaced(run, entity)
    done = EntityLoad.of(progress.total, progress.seconds + time.monotonic() - started)
    return run.finish(
        PHASE,
        entity,
        inputs=inputs,
        settings=settings(run, entity),
        result={
            **done.as_json(),
            "records": transformed.records - kept_out.records - kept.records,
            "items": transformed.items - kept_out.items - kept.items,
            "refused": kept_out.items,
            "refusedRecords": kept_out.records,
            "kept": kept.items,
            "keptRecords": kept.records,
            **guard.figures(),
        },
    )


@dataclass
class LoadProgress:
    """Everything before byte `offset` of the file is in the table; `total` is what that took,
    over `seconds` of earlier runs."""

    offset: int
    total: Outcome
    seconds: float
    refusals: Refusals

    @classmethod
    def of(cls, saved: Checkpoint | None, refusals: Refusals) -> LoadProgress:
        if saved is None:
            return cls(0, Outcome(), 0.0, refusals)
        for key, reason in saved.state["refused"].items():
            refusals.reasons[key] = Reason(**reason)
        return cls(
            saved.state["offset"],
            Outcome.of_json(saved.state["outcome"]),
            saved.state["milliseconds"] / 1000,
            refusals,
        )

    def unacknowledged(self, source: Path) -> list[tuple[int, int]]:
        """The ranges of bytes of which it is not known whether they have arrived."""
        return [(self.offset, source.stat().st_size)]

    def acknowledge(self, size: int, outcome: Outcome) -> None:
        """The batch of `size` bytes at `offset` is in the table, but for what DynamoDB refuses."""
        for item in outcome.refused:
            self.refusals.add(item)
        self.offset += size
        self.total.add(outcome)

    def state(self, started: float) -> dict[str, Any]:
        """The place for a checkpoint; every acknowledgement is in, so there is nothing to sync."""
        seconds = self.seconds + time.monotonic() - started
        return {
            "offset": self.offset,
            "outcome": self.total.as_json(),
            "milliseconds": round(seconds * 1000),
            "refused": {key: asdict(reason) for key, reason in self.refusals.reasons.items()},
        }


def unacknowledged(run: Run, entity: str) -> list[tuple[int, int]]:
    """The ranges of bytes of an entity's transformed file of which it is not known whether they
    have arrived; none after a complete load."""
    source = run.workspace.transformed(entity)
    entry = run.manifest.phase(PHASE, entity)
    if entry is not None and entry.status == COMPLETE:
        return []
    saved = run.checkpoint.load()
    here = saved is not None and (saved.phase, saved.entity) == (PHASE, entity)
    fits = here and saved is not None and saved.inputs == run.sha_of(source)
    return LoadProgress.of(saved if fits else None, Refusals({})).unacknowledged(source)


@dataclass(frozen=True)
class Sent:
    """A batch in flight: how many bytes of the file it is, and what will become of it."""

    size: int
    outcome: Future[Outcome]


def _refused(run: Run, refused: RefusedItem) -> TargetError:
    item = orjson.loads(refused.line)["Item"]
    return TargetError(
        f"DynamoDB refuses the item {item['PK']['S']} {item['SK']['S']} (in S9 "
        f"{item['legacyId']['S']}): {refused.reason}",
        remedy="set migration.continueOnError, which puts the record into quarantine, and go on: "
        f"{run.command('--resume')}; or mend it in S9 and start anew: "
        f"{run.command('--full --restart')}",
    )


def require_validated(run: Run, entity: str) -> None:
    """Raise ArtifactError unless an entity's transformed file has passed validation as it is."""
    entry = run.manifest.phase("validate", entity)
    name = run.workspace.name_of(run.workspace.transformed(entity))
    if entry is None or entry.inputs.get(name) != run.manifest.sha_of(name):
        raise ArtifactError(
            f"{name} has not passed validation as it is now",
            remedy="python migrate.py --phase validate",
        )


def _writer(run: Run, spec: TableSpec) -> BatchWriter:
    migration = run.config.migration
    return BatchWriter(
        DynamoDB(run.config.target),
        run.config.target.table(spec.entity),
        RetryPolicy.of(migration, run.stop.sleep),
        Throttle(migration.max_write_units, sleep=run.stop.sleep),
        indexes=len(spec.indexes),
        rest=partial(run.stop.rest, migration.batch_delay / 1000),
    )


def _send_all(
    run: Run,
    source: Path,
    writer: BatchWriter,
    progress: LoadProgress,
    tracker: Tracker,
    task: Task,
    chosen: Collection[str] | None,
    guard: Guard,
) -> None:
    """Send everything from `progress.offset` on, and acknowledge it in order; of the records
    only those with a `chosen` partition key, if there is a choice.

    Whatever ends it early, a stop or an error: what is in flight is waited for, and what has been
    acknowledged in order is saved first.
    """
    workers = run.config.migration.workers
    started = time.monotonic()
    place = progress.offset
    waiting: deque[Sent] = deque()

    def acknowledge() -> None:
        sent = waiting[0]  # if it has failed, it stays: what follows it must not be acknowledged
        outcome = sent.outcome.result()
        if outcome.refused and not run.config.migration.continue_on_error:
            raise _refused(run, outcome.refused[0])
        progress.acknowledge(sent.size, outcome)
        waiting.popleft()
        task.advance(outcome.items)

    with ThreadPoolExecutor(workers, thread_name_prefix="load") as pool:
        try:
            for batch in batches(_lines(source, progress.offset), run.config.migration.batch_size):
                size = sum(map(len, batch))
                guard.about_to_send(place, place + size)
                lines = progress.refusals.without(guard.to_send(place, batch))
                place += size
                if chosen is not None:
                    lines = [line for line in lines if record_key(line) in chosen]
                waiting.append(Sent(size, pool.submit(writer.write, lines)))
                if len(waiting) >= workers * _AHEAD:
                    acknowledge()
                    tracker.reached(progress.total.items, lambda: progress.state(started))
            while waiting:
                acknowledge()
                tracker.reached(progress.total.items, lambda: progress.state(started))
        except BaseException:
            _settle(pool, waiting, acknowledge)
            tracker.save(progress.total.items, lambda: progress.state(started))
            raise


def _settle(
    pool: ThreadPoolExecutor, waiting: Sequence[Sent], acknowledge: Callable[[], None]
) -> None:
    """Let what is in flight end, and acknowledge what arrived without a gap."""
    pool.shutdown(wait=True, cancel_futures=True)
    while waiting and not waiting[0].outcome.cancelled():
        try:
            acknowledge()
        except Exception:  # the gap: it is sent again by the run that resumes
            return


def _lines(source: Path, offset: int) -> Iterator[bytes]:
    for chunk in read_rows(source, start=offset):
        yield from chunk.lines
