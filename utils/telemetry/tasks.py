"""Who works tells how far he is: a task emits the events of one step, from its begin to its end.

with work.progress.task("load", "sales", total, unit="items") as task:
    task.advance(25, write_units=31.5)
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from types import TracebackType

from utils.error_handler import ExitCode
from utils.interrupt import Interrupted
from utils.telemetry.events import (
    CheckpointSaved,
    Count,
    EventStream,
    Found,
    Progressed,
    Retried,
    Step,
    StepBegun,
    StepFinished,
    Throttled,
)

_EVERY = 0.25  # seconds between two events of progress of one step
_OUTCOME_DONE, _OUTCOME_FAILED, _OUTCOME_STOPPED = "done", "failed", "stopped"
OUTCOME_SKIPPED = "skipped"


class Task:
    """One step at work. Not for several threads at once."""

    def __init__(
        self,
        events: EventStream,
        step: Step,
        total: int | None,
        unit: str,
        *,
        done: int = 0,
        errors: int = 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.step = step
        self.in_flight: int | None = None
        self._events = events
        self._total = total
        self._unit = unit
        self._done = done
        self._errors = errors
        self._write_units = 0.0
        self._read_units = 0.0
        self._bytes = 0
        self._retries: Counter[str] = Counter()
        self._clock = clock
        self._start = self._told_at = clock()

    @property
    def count(self) -> Count:
        """How far it is."""
        return Count(
            done=self._done,
            total=self._total,
            unit=self._unit,
            errors=self._errors,
            write_units=self._write_units,
            read_units=self._read_units,
            bytes=self._bytes,
        )

    def __enter__(self) -> Task:
        self._start = self._told_at = self._clock()
        self._events.emit(StepBegun(step=self.step, count=self.count))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.end(_outcome_of(error))

    def end(self, outcome: str) -> None:
        """The step is over, with one of the outcomes of a StepFinished."""
        seconds = self._clock() - self._start
        self._events.emit(
            StepFinished(
                step=self.step,
                count=self.count,
                outcome=outcome,
                seconds=seconds,
                retries=dict(self._retries),
            )
        )

    def expect(self, total: int) -> None:
        """It is known now how much there is to do."""
        self._total = total

    def advance(
        self,
        count: int = 1,
        *,
        errors: int = 0,
        write_units: float = 0.0,
        read_units: float = 0.0,
        bytes: int = 0,
    ) -> None:
        """`count` more are done, `errors` of them refused, for so many units and bytes. Called as
        often as one likes: what is told is told a few times a second."""
        self._done += count
        self._errors += errors
        self._write_units += write_units
        self._read_units += read_units
        self._bytes += bytes
        now = self._clock()
        if now - self._told_at >= _EVERY:
            self._told_at = now
            self._events.emit(
                Progressed(step=self.step, count=self.count, in_flight=self.in_flight)
            )

    def retried(self, reason: str, times: int = 1) -> None:
        """Something has failed in a way that passes, and is tried again."""
        self._retries[reason] += times
        self._events.emit(Retried(step=self.step, reason=reason, times=times))

    def throttled(self, by: str, reason: str, times: int = 1, seconds: float = 0.0) -> None:
        """DynamoDB has asked for patience, as an event of the kind says."""
        self._events.emit(
            Throttled(step=self.step, by=by, reason=reason, times=times, seconds=seconds)
        )

    def found(self, rule: str, severity: str, times: int = 1, key: str = "") -> None:
        """A check has found something, as an event of the kind says."""
        self._events.emit(Found(step=self.step, rule=rule, severity=severity, times=times, key=key))

    def saved(self, done: int) -> None:
        """Up to here a run that is killed now would not have to start over."""
        self._events.emit(CheckpointSaved(step=self.step, done=done))


class Tasks:
    """Opens tasks; one per command, with the stream that they tell."""

    def __init__(
        self,
        events: EventStream | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.events = events or EventStream()
        self.exit_code = ExitCode.DONE
        self.sentence = ""
        self._clock = clock

    def task(
        self,
        phase: str,
        entity: str,
        total: int | None,
        *,
        unit: str = "records",
        step: str = "",
        done: int = 0,
        errors: int = 0,
    ) -> Task:
        """A phase's way through `total` (None: nobody knows) `unit` of an entity, or one `step` of
        it; `done` of them, with `errors`, were done before it begins. It is at work as a context.
        """
        return Task(
            self.events,
            Step(phase, entity, step),
            total,
            unit,
            done=done,
            errors=errors,
            clock=self._clock,
        )

    def conclude(self, code: ExitCode, words: str) -> None:
        """How the command ends: with this exit code, and these words, of which the last line says
        what has happened."""
        self.exit_code = code
        self.sentence = words.rstrip().rpartition("\n")[2]


def _outcome_of(error: BaseException | None) -> str:
    if error is None:
        return _OUTCOME_DONE
    stopped = isinstance(error, (Interrupted, KeyboardInterrupt))
    return _OUTCOME_STOPPED if stopped else _OUTCOME_FAILED
