"""What a run has done and when, by its events: for a time line, and for curves.

A picture (utils/telemetry/picture.py) says how each step is; a history keeps the way there, of all
commands that have worked on the same run. Between two commands nobody was at work: that time is
left out, so that a run that was resumed next morning is not mostly a night.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from utils.telemetry.events import (
    STOPPED,
    Event,
    Progressed,
    Retried,
    RunBegun,
    RunFinished,
    Step,
    StepBegun,
    StepFinished,
    Throttled,
    Told,
)

RUNNING = "running"


@dataclass
class Span:
    """A step at work, in seconds from the begin of the run's work; `state` is `running` or an
    outcome. `done` of its `unit` were done while it lasted."""

    step: Step
    began: float
    ended: float
    unit: str
    state: str = RUNNING
    done: int = 0
    before: int = 0
    """How much was done when it began."""

    @property
    def seconds(self) -> float:
        return max(self.ended - self.began, 0.0)


@dataclass(frozen=True)
class Advance:
    """Between two events of what a phase is about: so much of the unit was done."""

    phase: str
    unit: str
    began: float
    ended: float
    done: int


@dataclass(frozen=True)
class Wait:
    """Writing has waited because a table or an index was short: `seconds` of all who wait."""

    at: float
    by: str
    reason: str
    times: int
    seconds: float


@dataclass(frozen=True)
class Command:
    """A command that was at work on the run; `exit_code` is None while it is, and when it was
    killed."""

    name: str
    version: str
    at: str
    began: float
    ended: float
    exit_code: int | None


@dataclass
class History:
    """All of one run (`run`), from its events in their order."""

    run: str
    spans: list[Span] = field(default_factory=list)
    advances: list[Advance] = field(default_factory=list)
    waits: list[Wait] = field(default_factory=list)
    retries: Counter[tuple[str, str]] = field(default_factory=Counter)
    """How often what was tried again: by phase and reason."""
    commands: list[Command] = field(default_factory=list)
    seconds: float = 0.0
    """What the commands have taken together."""
    _offset: float = 0.0
    _reached: dict[Step, tuple[float, int]] = field(default_factory=dict)
    _heard: Counter[tuple[Step, str]] = field(default_factory=Counter)

    @classmethod
    def of(cls, events: Iterable[Told], run: str) -> History:
        """The history of a run, from all events of its data directory."""
        made = cls(run)
        for told in events:
            made.take(told)
        return made

    def take(self, told: Told) -> None:
        """Take note of an event; of another run's nothing is kept."""
        if told.run != self.run:
            return
        event, at = told.event, told.at.timestamp()
        if isinstance(event, RunBegun):
            self._command_begins(told, event, at)
            return
        if not self.commands:  # the file was shortened
            self._offset = at - self.seconds
        now = max(at - self._offset, self.seconds)
        self.seconds = now
        if self.commands and self.commands[-1].exit_code is None:
            self._command_goes_on(now, event)
        self._take(event, now)

    def running(self) -> Iterator[Span]:
        """The spans that are not over."""
        return (each for each in self.spans if each.state == RUNNING)

    def _take(self, event: Event, now: float) -> None:
        if isinstance(event, StepBegun):
            done = event.count.done
            span = Span(event.step, now, now, event.count.unit, before=done)
            self.spans.append(span)
            self._reached[event.step] = (now, done)
        elif isinstance(event, Progressed):
            self._advances(event.step, event.count.unit, event.count.done, now)
        elif isinstance(event, StepFinished):
            self._finishes(event, now)
        elif isinstance(event, Throttled):
            self.waits.append(Wait(now, event.by, event.reason, event.times, event.seconds))
        elif isinstance(event, Retried):
            self.retries[event.step.phase, event.reason] += event.times
            self._heard[event.step, event.reason] += event.times

    def _command_begins(self, told: Told, event: RunBegun, at: float) -> None:
        for span in self.running():
            span.state = STOPPED
        self._offset = at - self.seconds
        moment = told.as_json()["at"]
        begun = Command(event.command, event.version, moment, self.seconds, self.seconds, None)
        self.commands.append(begun)
        self._heard.clear()

    def _command_goes_on(self, now: float, event: Event) -> None:
        known = self.commands[-1]
        code = event.exit_code if isinstance(event, RunFinished) else None
        self.commands[-1] = Command(known.name, known.version, known.at, known.began, now, code)

    def _span_of(self, step: Step) -> Span | None:
        return next((each for each in reversed(self.spans) if each.step == step), None)

    def _advances(self, step: Step, unit: str, done: int, now: float) -> None:
        began, before = self._reached.get(step, (now, done))
        self._reached[step] = (now, done)
        span = self._span_of(step)
        if span is not None and span.state == RUNNING:
            span.ended, span.done, span.unit = now, max(done - span.before, 0), unit
        if not step.name and done > before and now > began:
            self.advances.append(Advance(step.phase, unit, began, now, done - before))

    def _finishes(self, event: StepFinished, now: float) -> None:
        self._advances(event.step, event.count.unit, event.count.done, now)
        span = self._span_of(event.step)
        if span is not None and span.state == RUNNING:
            span.ended, span.state = now, event.outcome
        for reason, times in event.retries.items():  # the sum; some was told before
            untold = times - self._heard[event.step, reason]
            if untold > 0:
                self.retries[event.step.phase, reason] += untold
            self._heard[event.step, reason] = 0
