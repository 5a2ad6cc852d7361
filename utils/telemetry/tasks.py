"""Who works tells how far he is: a task emits the events of one step, from its begin to its end.

with work.progress.task("load", "sales", total, unit="items") as task:
    task.advance(25, write_units=31.5)
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import TracebackType

from utils.error_handler import ExitCode
from utils.interrupt import Interrupted
from utils.telemetry.events import (
    DONE,
    FAILED,
    SKIPPED,
    STOPPED,
    Count,
    Event,
    EventStream,
    Found,
    Progressed,
    Retried,
    Step,
    StepBegun,
    StepFinished,
    Throttled,
)
from utils.telemetry.troubles import Troubles, take_troubles

_EVERY = 0.25  # seconds between two events of progress of one step
_TOGETHER = 1.0  # seconds in which troubles and findings of one kind are put together


@dataclass
class _Untold:
    """What has happened since it was last told: troubles, and findings by rule and severity, each
    with a key that has it."""

    troubles: Troubles = field(default_factory=Troubles)
    found: Counter[tuple[str, str]] = field(default_factory=Counter)
    keys: dict[tuple[str, str], str] = field(default_factory=dict)


class Task:
    """One step at work. Not for several threads at once. It is at work as a context."""

    def __init__(
        self,
        tasks: Tasks,
        step: Step,
        total: int | None,
        unit: str,
        *,
        done: int = 0,
        errors: int = 0,
        write_units: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.step = step
        self.in_flight: int | None = None
        self._tasks = tasks
        self._events = tasks.events
        self._total = total
        self._unit = unit
        self._done = done
        self._errors = errors
        self._write_units = write_units
        self._read_units = 0.0
        self._bytes = 0
        self._retries: Counter[str] = Counter()
        self._untold = _Untold()
        self._clock = clock
        self._start = self._told_at = clock()
        self._gathered_at = float("-inf")

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
        self._tasks.opened(self)
        self._events.emit(StepBegun(step=self.step, count=self.count))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.heard(take_troubles())
        self._tell_untold()
        self._tasks.closed(self)
        self._events.emit(
            StepFinished(
                step=self.step,
                count=self.count,
                outcome=_outcome_of(error),
                seconds=self._clock() - self._start,
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
        if self._clock() - self._told_at >= _EVERY:
            self.tell()

    def tell(self) -> None:
        """Tell how far it is, and what there was since the last time."""
        self._told_at = self._clock()
        self.heard(take_troubles())
        self._gather()
        self._events.emit(Progressed(step=self.step, count=self.count, in_flight=self.in_flight))

    def heard(self, troubles: Troubles | None) -> None:
        """There were troubles in this process or in another one."""
        if troubles:
            self._untold.troubles.add(troubles)
            self._retries.update(troubles.retried)
            self._gather()

    def retried(self, reason: str, times: int = 1) -> None:
        """Something has failed in a way that passes, and is tried again."""
        self.heard(Troubles(retried=Counter({reason: times})))

    def found(self, rule: str, severity: str, times: int = 1, key: str = "") -> None:
        """A check has found something, as an event of the kind says."""
        untold = self._untold
        untold.found[rule, severity] += times
        untold.keys.setdefault((rule, severity), key)
        self._gather()

    def _gather(self) -> None:
        """Tell what has happened, if it is not too soon after the last time."""
        now = self._clock()
        if now - self._gathered_at >= _TOGETHER:
            self._gathered_at = now
            self._tell_untold()

    def _tell_untold(self) -> None:
        untold, self._untold = self._untold, _Untold()
        for event in events_of(self.step, untold.troubles):
            self._events.emit(event)
        for (rule, severity), times in untold.found.items():
            key = untold.keys[rule, severity]
            self._events.emit(
                Found(step=self.step, rule=rule, severity=severity, times=times, key=key)
            )


def events_of(step: Step, troubles: Troubles) -> Iterator[Event]:
    """The events that say what troubles there were at a step."""
    for short in troubles.throttled.keys() | troubles.waited.keys():
        by, reason = short
        yield Throttled(
            step=step,
            by=by,
            reason=reason,
            times=troubles.throttled[short],
            seconds=float(troubles.waited[short]),
        )
    for reason, times in troubles.retried.items():
        yield Retried(step=step, reason=reason, times=times)


class Tasks:
    """Opens tasks; one per command, with the stream that they tell."""

    def __init__(
        self,
        events: EventStream | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.events = events or EventStream()
        self.phase = ""  # that is at work now, where it is known
        self.exit_code = ExitCode.DONE
        self.sentence = ""
        self._clock = clock
        self._open: list[Task] = []
        self._over = Step("")

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
        write_units: float = 0.0,
    ) -> Task:
        """A phase's way through `total` (None: nobody knows) `unit` of an entity, or one `step` of
        it; `done` of them, with `errors` and for `write_units`, were done by an earlier run. It is
        at work as a context."""
        return Task(
            self,
            Step(phase, entity, step),
            total,
            unit,
            done=done,
            errors=errors,
            write_units=write_units,
            clock=self._clock,
        )

    def opened(self, task: Task) -> None:
        """A task is at work from now on: what goes wrong belongs to it."""
        self._open.append(task)

    def closed(self, task: Task) -> None:
        """It is not any more."""
        self._open.remove(task)
        self._over = task.step

    def heard(self, troubles: Troubles | None) -> None:
        """There were troubles, in the task at work that was opened last."""
        if not troubles:
            return
        if self._open:
            self._open[-1].heard(troubles)
            return
        for event in events_of(Step(""), troubles):
            self.events.emit(event)

    def found(self, rule: str, severity: str, key: str) -> None:
        """A check has found something, in the task at work that was opened last."""
        self._open[-1].found(rule, severity, key=key)

    def retried(self, reason: str) -> None:
        """Something has failed in a way that passes, and is tried again."""
        self.heard(Troubles(retried=Counter({reason: 1})))

    @property
    def step_at_work(self) -> Step:
        """The step at work that was opened last, or else the last that was; for any thread."""
        last = self._open[-1:]
        return last[0].step if last else self._over

    def skipped(self, phase: str, entity: str) -> None:
        """A resumed run has nothing left to do here."""
        self.events.emit(
            StepFinished(step=Step(phase, entity), count=Count(), outcome=SKIPPED, seconds=0.0)
        )

    def conclude(self, code: ExitCode, words: str) -> None:
        """How the command ends: with this exit code, and these words, of which the last line says
        what has happened."""
        self.exit_code = code
        self.sentence = words.rstrip().rpartition("\n")[2]


def _outcome_of(error: BaseException | None) -> str:
    if error is None:
        return DONE
    stopped = isinstance(error, (Interrupted, KeyboardInterrupt))
    return STOPPED if stopped else FAILED
