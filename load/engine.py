"""The engine that loads a transformed file into its table, many batches in flight at once.

Batches are acknowledged in the order of each lane of the file, so that at any moment everything
before one place in each lane is known to be in the table.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import orjson

from load.conflicts.conditional_load import ConditionalLoad, publish_replaced
from load.load_progress import LoadProgress
from load.load_report import EntityLoad
from load.load_settings import settings
from load.record_keys import keys_of
from load.refusals import PHASE, Refusals, RefusesNearlyAll, dependents
from load.rollback.withdrawal import Withdrawn, withdraw
from load.sending.file_lanes import Piece
from load.sending.sender import Acknowledged, SenderOrders, SenderReport
from load.sending.sender_pool import SenderPool, sender_pool
from load.writing.adaptive_rate import AdaptiveRate
from load.writing.batch_writer import RefusedItem
from utils.checkpoint import Tracker
from utils.dynamodb.backoff import Attempts, RetryPolicy
from utils.dynamodb.client import Unanswered
from utils.dynamodb.reached import bound_to
from utils.dynamodb.table_spec import TableSpec
from utils.error_handler import ArtifactError, TargetError
from utils.logger import get_logger
from utils.processes.actors import unpacked
from utils.processes.pool import ProcessLost
from utils.run.manifest import PhaseEntry
from utils.run.run import Run
from utils.telemetry.tasks import Task


def load(run: Run, spec: TableSpec, only: Collection[str] | None = None) -> PhaseEntry:
    """Load one entity's transformed file; returns the phase's entry in the manifest.

    `only` narrows what is sent to the records with these legacy ids: the others are known to be
    in the table. A task of a fleet that is lost is done without: what it had in hand is doubtful,
    as after any kill, and written on condition. Raises ArtifactError when the file is not what
    validation has passed, and TargetError when DynamoDB cannot be used, or refuses an item and
    `continueOnError` is not set.
    """
    before, done = run.resuming, 0
    policy = RetryPolicy.of(run.config.migration, run.stop.sleep)
    attempts = Attempts(policy)
    try:
        while True:
            try:
                return _load(run, spec, only)
            except ProcessLost as lost:
                saved = run.checkpoint.load()
                if saved is not None and saved.done > done:  # machines come and go
                    attempts, done = Attempts(policy), saved.done
                if run.fleet is None or not attempts.fail():
                    raise
                run.progress.retried("TaskLost")
                get_logger().warning("A task of the fleet was lost, going on: %s", lost.message)
            attempts.wait()
            run.resuming = True
    finally:
        run.resuming = before


def _load(run: Run, spec: TableSpec, only: Collection[str] | None) -> PhaseEntry:
    """The same, by processes of which none is lost. Raises ProcessLost otherwise."""
    entity = spec.entity
    source = run.workspace.transformed(entity)
    transformed = run.artifact(source, written_by="transform")
    require_validated(run, entity)
    inputs = run.sha_of(source)
    saved = run.begin(PHASE, entity, inputs)
    progress = LoadProgress.of(source, saved, Refusals(dependents(run, entity)))
    started = time.monotonic()

    def refuse(item: RefusedItem) -> None:
        if not run.config.migration.continue_on_error:
            raise _refused(run, item)
        progress.refusals.add(item, written=progress.total.records)

    with run.progress.task(
        PHASE,
        entity,
        transformed.items,
        unit="items",
        done=progress.total.lines,
        write_units=progress.total.units,
    ) as task:
        tracker = run.track(
            PHASE,
            entity,
            inputs,
            total=transformed.items,
            unit="items",
            done=progress.total.lines,
        )
        chosen = None if only is None else keys_of(run, entity, only)
        rate = AdaptiveRate(run.config.migration.max_write_units)
        with ConditionalLoad(run, spec) as conditional:
            conditional.write_on_condition(progress.lanes.ranges, refuse)
            if conditional.leaves_nothing_to_send:
                task.advance(transformed.items)
            else:
                orders = _orders(run, spec, progress, rate, chosen)
                left = progress.lanes.left
                with sender_pool(run.workers, orders, left, in_flight=run.in_flight) as pool:
                    _Sending(run, pool, rate, progress, tracker, task, conditional).send_all()
                    run.in_flight = pool.in_flight
            kept_out = Withdrawn()
            try:
                progress.refusals.check_all(transformed.records)
            except RefusesNearlyAll:
                run.checkpoint.clear()
                raise
            if progress.refusals.reasons:
                refused = len(progress.refusals.reasons)
                with run.progress.task(PHASE, entity, refused, step="withdrawal") as withdrawing:
                    kept_out = withdraw(run, spec, progress.refusals, conditional)
                    withdrawing.advance(refused)
            kept = conditional.conclude()
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
            "keptAbsent": kept.absent,
            **({"heldNumbers": kept_out.held} if kept_out.held else {}),
            **conditional.figures(),
        },
    )


def _refused(run: Run, refused: RefusedItem) -> TargetError:
    item = orjson.loads(refused.line)["Item"]
    return TargetError(
        f"DynamoDB refuses the item {item['PK']['S']} {item['SK']['S']} (in S9 "
        f"{item['legacyId']['S']}): {refused.reason}",
        remedy="set migration.continueOnError, which puts the record into quarantine, then run: "
        f"{run.command('--resume')}; or fix it in S9 and start over: "
        f"{run.command('--full --restart')}",
    )


def require_validated(run: Run, entity: str) -> None:
    """Raise ArtifactError unless an entity's transformed file has passed validation as it is."""
    entry = run.manifest.phase("validate", entity)
    name = run.workspace.name_of(run.workspace.transformed(entity))
    if entry is None or entry.inputs.get(name) != run.manifest.sha_of(name):
        raise ArtifactError(
            f"{name} has not passed validation as it is now",
            remedy=f"validate it: {run.command('--phase validate')}",
        )


def _orders(
    run: Run,
    spec: TableSpec,
    progress: LoadProgress,
    rate: AdaptiveRate,
    chosen: Collection[str] | None,
) -> SenderOrders:
    return SenderOrders(
        source=run.workspace.transformed(spec.entity),
        plan=run.workspace.plan(spec.entity),
        requests=run.workspace.requests(spec.entity),
        target=run.config.target,
        migration=run.config.migration,
        spec=spec,
        skipped=frozenset(progress.refusals.reasons),
        chosen=None if chosen is None else frozenset(chosen),
        rate=rate.rate(),
        bound=bound_to(run.config.target),
    )


@dataclass
class _Sending:
    """A file on its way: what the senders say is acknowledged, saved and shown.

    Whatever ends it early, a stop or an error: what is in flight is waited for, and what has been
    acknowledged is saved first.
    """

    run: Run
    pool: SenderPool
    rate: AdaptiveRate
    progress: LoadProgress
    tracker: Tracker
    task: Task
    conditional: ConditionalLoad

    def __post_init__(self) -> None:
        self._started = time.monotonic()
        self._untried: list[tuple[int, int]] = []

    def send_all(self) -> None:
        """Send everything that is not acknowledged yet."""
        try:
            self.pool.supply(self._announced(self.progress.lanes.pieces()))
            while self.pool.working:
                for report in self.pool.hear():
                    self._note(report)
                self.pool.keep_to(self.rate.rate())
                if self.run.stop.requested:
                    self._reached()
        except BaseException as error:
            self._settle()
            if isinstance(error, RefusesNearlyAll):
                self.run.checkpoint.clear()  # what was refused is to be tried again
                raise
            self.tracker.save(self.progress.total.lines, self._state)
            self.conditional.was_not_sent([*self._untried, *self.progress.lanes.not_given])
            if not isinstance(error, Unanswered):
                self.conditional.is_quiet()
            raise

    def _announced(self, pieces: Iterator[Piece]) -> Iterator[Piece]:
        """Pieces of which it is known on disk that they may have been sent, before they are."""
        for piece in pieces:
            self.conditional.about_to_send(piece.start, piece.end)
            yield piece

    def _note(self, report: SenderReport) -> None:
        self.rate.accepted(report.accepted.units)
        self.task.heard(report.troubles)
        self.task.in_flight = self.pool.in_flight
        if report.throttled:
            self.rate.throttled(report.throttled)
        self._note_untried(report)
        for part in report.acknowledged.values():
            self._acknowledge(part)
            self._reached()
        if report.failed:
            raise unpacked(report.failed)

    def _acknowledge(self, part: Acknowledged) -> None:
        if part.outcome.refused and not self.run.config.migration.continue_on_error:
            raise _refused(self.run, part.outcome.refused[0])
        if part.outcome.items:
            self.conditional.has_written()
        units = self.progress.total.units
        lines, refused = self.progress.acknowledge(part)
        units = self.progress.total.units - units
        self.task.advance(lines, errors=refused, write_units=units, bytes=part.size)

    def _settle(self) -> None:
        """Let what is in flight end, and acknowledge what arrived without a gap."""
        self.pool.stop()
        while self.pool.working:
            with suppress(Exception):  # one error has stopped the run already
                for report in self.pool.hear():
                    self._note_untried(report)
                    for part in report.acknowledged.values():
                        self._acknowledge(part)

    def _note_untried(self, report: SenderReport) -> None:
        rest_of = self.progress.lanes.rest_of
        self._untried += [rest_of(number, place) for number, place in report.untried.items()]

    def _reached(self) -> None:
        self.tracker.reached(self.progress.total.lines, self._state)

    def _state(self) -> dict[str, Any]:
        return self.progress.state(self._started)
