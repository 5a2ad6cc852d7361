"""How a command stands, as far as its events tell: what the screen draws and `status` says.

A picture is made of events alone, as they come or from their file, and by the clock of the events:
whoever looks sees the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from utils.telemetry.events import (
    SKIPPED,
    STOPPED,
    Count,
    Event,
    FleetAtWork,
    FleetGone,
    Followed,
    Progressed,
    Retried,
    RunBegun,
    RunFinished,
    Step,
    StepBegun,
    StepFinished,
    TableState,
    Throttled,
    Told,
)
from utils.telemetry.time_left import Pace

_FRESH = 5.0
"""Seconds for which it is said that DynamoDB throttles, or that something was tried again."""
_SHORT = 1.0  # seconds
RUNNING = "running"  # the state of a step that has no outcome yet
READY = "ACTIVE"
RESUME = "resume"


@dataclass
class Waited:
    """What writing has waited for: a table or an index that is short, how often, how long."""

    reason: str = ""
    times: int = 0
    seconds: float = 0.0
    last: float = 0.0


@dataclass(frozen=True)
class Spent:
    """What a step has taken in commands that were stopped, before the one that resumes them."""

    seconds: float = 0.0
    retries: int = 0
    write_units: float = 0.0
    read_units: float = 0.0

    def beside(self, count: Count) -> Spent:
        """What of this is not in a count with which the step goes on."""
        return replace(
            self,
            write_units=max(self.write_units - count.write_units, 0.0),
            read_units=max(self.read_units - count.read_units, 0.0),
        )


@dataclass
class StepPicture:
    """One step: `state` is `running` or the outcome of its end. Moments are seconds since 1970."""

    step: Step
    began: float
    count: Count
    before: int
    """How much of `count.done` was done before this step went on."""
    pace: Pace
    state: str = RUNNING
    moved: float = 0.0
    seconds: float = 0.0
    in_flight: int | None = None
    retries: int = 0
    retried: float = 0.0
    waited: dict[str, Waited] = field(default_factory=dict)
    earlier: Spent = Spent()

    @property
    def is_running(self) -> bool:
        return self.state == RUNNING

    def elapsed(self, now: float) -> float:
        """The seconds that it has taken so far, or took."""
        return max(now - self.began, 0.0) if self.is_running else self.seconds

    def rate(self, now: float) -> float:
        """How much it does a second: of late, or on the whole when it is over."""
        if self.is_running:
            return self.pace.rate(now)
        return (self.count.done - self.before) / self.seconds if self.seconds > 0 else 0.0

    def left(self, now: float) -> float | None:
        """The seconds that it still takes; None when nobody can say."""
        return self.pace.left(now, self.count.total) if self.is_running else None

    def is_worth_a_line(self, now: float) -> bool:
        """Whether it is shown: what a phase is about, and everything else that takes a while."""
        return self.state != SKIPPED and (not self.step.name or self.elapsed(now) >= _SHORT)

    def throttled_by(self, now: float) -> tuple[str, Waited] | None:
        """What it is throttled by at this moment: whatever has said so last, a moment ago."""
        last = max(self.waited.items(), key=lambda each: each[1].last, default=None)
        return last if last and now - last[1].last <= _FRESH else None

    @property
    def spent(self) -> Spent:
        """What it has taken in all."""
        return Spent(
            self.earlier.seconds + self.seconds,
            self.earlier.retries + self.retries,
            self.earlier.write_units + self.count.write_units,
            self.earlier.read_units + self.count.read_units,
        )

    def throttled_most(self) -> tuple[str, Waited] | None:
        """What it has waited for most."""
        return max(self.waited.items(), key=lambda each: each[1].seconds, default=None)

    def is_retried(self, now: float) -> bool:
        """Whether something has been tried again a moment ago."""
        return now - self.retried <= _FRESH


@dataclass
class Tried:
    """How many tasks of a fleet's have ended, and how many were lost and done again."""

    ended: int = 0
    lost: int = 0


@dataclass
class FleetPicture:
    """Machines that share the work, as they were last; `phases` have what became of their tasks, by
    the phase that they were of. `is_there` until they are let go."""

    software: str
    master: str
    machines: int = 0
    executors: int = 0
    cores: int = 0
    tasks: int = 0
    is_there: bool = True
    phases: dict[str, Tried] = field(default_factory=dict)

    def take(self, event: FleetAtWork) -> None:
        """Take note of an event."""
        self.software, self.master, self.is_there = event.software, event.master, True
        self.machines, self.executors = event.machines, event.executors
        self.cores, self.tasks = event.cores, event.tasks
        if event.ended or event.lost:
            tried = self.phases.setdefault(event.step.phase, Tried())
            tried.ended += event.ended
            tried.lost += event.lost

    def goes(self) -> None:
        """They are not there any more."""
        self.is_there, self.tasks = False, 0


@dataclass
class Picture:
    """The last command and what others have done of the same run: steps in the order in which they
    began, each of them as it was last."""

    run: str = ""
    command: str = ""
    phases: tuple[str, ...] = ()
    entities: tuple[str, ...] = ()
    pid: int = 0
    version: str = ""
    began: float = 0.0
    last: float = 0.0
    steps: list[StepPicture] = field(default_factory=list)
    tables: dict[str, str] = field(default_factory=dict)
    fleet: FleetPicture | None = None
    finished: RunFinished | None = None
    rests: bool = False
    """Whether who follows S9's log has nothing to do."""
    earlier_seconds: float = 0.0
    """What commands have taken that this one resumes."""

    def take(self, told: Told) -> StepPicture | None:
        """Take note of an event; returns the step that it is of."""
        at, event = told.at.timestamp(), told.event
        before, self.last = self.last, max(self.last, at)
        self.rests = isinstance(event, Followed) and not event.oldest
        if isinstance(event, RunBegun):
            self._begins(told.run, at, event, before)
        elif isinstance(event, RunFinished):
            self.finished = event
        elif isinstance(event, TableState):
            self._table(event)
        elif isinstance(event, FleetAtWork):
            self.fleet = self.fleet or FleetPicture(event.software, event.master)
            self.fleet.take(event)
        elif isinstance(event, FleetGone):
            self._fleet_goes()
        elif isinstance(event, StepBegun):
            return self._step_begins(event.step, event.count, at)
        elif isinstance(event, (Progressed, StepFinished, Throttled, Retried)):
            picture = self.at_work(event.step)
            if picture is not None:
                _TAKES[type(event)](picture, event, at)
            return picture
        return None

    def stops(self) -> None:
        """Nobody is at work any more, whether or not he has said so."""
        for step in self.running():
            step.state, step.seconds = STOPPED, max(step.moved - step.began, 0.0)
        self._fleet_goes()

    def at_work(self, step: Step) -> StepPicture | None:
        """The step of this name that is running."""
        return next((each for each in self.running() if each.step == step), None)

    def running(self) -> Iterator[StepPicture]:
        """The steps that are not over, the one that began last first."""
        return (each for each in reversed(self.steps) if each.is_running)

    def is_of_this_command(self, step: StepPicture) -> bool:
        """Whether a step is of this command, or of one that it resumes."""
        return self.command == RESUME or step.began >= self.began

    @property
    def not_ready(self) -> list[tuple[str, str]]:
        """Tables, and indexes as "TABLE/INDEX", that are not ready, with their states."""
        return [(name, state) for name, state in self.tables.items() if state != READY]

    def _begins(self, run: str, at: float, event: RunBegun, ended: float) -> None:
        """A command begins; what an earlier one, which has `ended`, has done of the same run
        stays."""
        if run != self.run:
            self.steps = []
        self.stops()
        if event.command == RESUME and run == self.run:
            self.earlier_seconds += ended - self.began
        else:
            self.earlier_seconds, self.fleet = 0.0, None
        self.run, self.began, self.finished, self.tables = run, at, None, {}
        self.command, self.pid, self.version = event.command, event.pid, event.version
        self.phases, self.entities = event.phases, event.entities

    def _fleet_goes(self) -> None:
        if self.fleet is not None:
            self.fleet.goes()

    def _table(self, event: TableState) -> None:
        self.tables[f"{event.table}/{event.index}".rstrip("/")] = event.state

    def _step_begins(self, step: Step, count: Count, at: float) -> StepPicture:
        picture = StepPicture(step, at, count, count.done, Pace(at, count.done), moved=at)
        for each in self.steps:  # it may have been at work before, in a command that was stopped
            if each.step == step and self.is_of_this_command(each):
                picture.earlier = each.spent.beside(count)
        self.steps = [each for each in self.steps if each.step != step]
        self.steps.append(picture)
        return picture


def _progresses(picture: StepPicture, event: Progressed, at: float) -> None:
    if event.count.done != picture.count.done:
        picture.moved = at
    picture.count, picture.in_flight = event.count, event.in_flight
    picture.pace.reached(at, event.count.done)


def _finishes(picture: StepPicture, event: StepFinished, at: float) -> None:
    picture.count, picture.moved = event.count, at
    picture.state, picture.seconds = event.outcome, event.seconds
    picture.retries = max(picture.retries, sum(event.retries.values()))


def _is_throttled(picture: StepPicture, event: Throttled, at: float) -> None:
    waited = picture.waited.setdefault(event.by, Waited())
    waited.reason, waited.last = event.reason, at
    waited.times += event.times
    waited.seconds += event.seconds


def _retries(picture: StepPicture, event: Retried, at: float) -> None:
    picture.retries += event.times
    picture.retried = at


_TAKES: dict[type[Event], Callable[[StepPicture, Any, float], None]] = {
    Progressed: _progresses,
    StepFinished: _finishes,
    Throttled: _is_throttled,
    Retried: _retries,
}
