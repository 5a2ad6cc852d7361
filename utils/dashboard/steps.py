"""What a run does, step by step, as `status` has it: for people who look on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from utils.pages.parts import BAD, BUSY, CALM, GOOD
from utils.status.status import RUNNING, Status, StepStatus
from utils.telemetry.events import DONE, FAILED, SKIPPED, STOPPED
from utils.wording.figures import counted, counted_in, lasting

_SHORT = 1.0  # seconds: what took less is not shown, unless it is what a phase is about
_KINDS = {RUNNING: BUSY, DONE: GOOD, FAILED: BAD, STOPPED: BAD}
_WORDS = {RUNNING: "at work", DONE: "done", FAILED: "failed", STOPPED: "stopped"}


@dataclass(frozen=True)
class ShownPhase:
    """A phase of the command, and how it stands, in a word."""

    name: str
    kind: str
    words: str


@dataclass(frozen=True)
class ShownStep:
    """A step: `percent` is how far it is, None where nobody knows; `far` says the same in figures.
    `figures` are what else there is to say, `troubles` what is in its way."""

    name: str
    kind: str
    words: str
    percent: int | None
    far: str
    figures: Sequence[str]
    troubles: Sequence[str]


def shown_phases(status: Status, phases: Sequence[str]) -> list[ShownPhase]:
    """The phases that the command goes through, in their order."""
    return [ShownPhase(each.capitalize(), *_of_phase(status, each)) for each in phases]


def _of_phase(status: Status, phase: str) -> tuple[str, str]:
    if phase in status.to_come:
        return CALM, "to come"
    states = [each.state for each in status.steps if each.phase == phase and not each.step]
    for state in (RUNNING, FAILED, STOPPED):
        if state in states:
            return _KINDS[state], _WORDS[state]
    if DONE in states or (states and status.state == RUNNING):
        return GOOD, _WORDS[DONE]
    return CALM, "was done before" if states else "not begun"


def shown_steps(status: Status) -> list[ShownStep]:
    """The steps that are worth a line: those at work first, then in the order in which they
    began."""
    worth = [each for each in status.steps if is_worth_a_line(each)]
    return [_shown(each) for each in sorted(worth, key=lambda each: each.state != RUNNING)]


def is_worth_a_line(step: StepStatus) -> bool:
    """Whether it is shown: what a phase is about, and everything else that takes a while."""
    return step.state != SKIPPED and (not step.step or step.seconds >= _SHORT)


def step_name(step: StepStatus) -> str:
    """The phase, the entity or table, and the step's own name where it has one."""
    return ", ".join(filter(None, [step.phase.capitalize(), step.entity, step.step]))


def _shown(step: StepStatus) -> ShownStep:
    total = step.total if step.total is not None and step.done <= step.total else None
    percent = None if total is None else (100 * step.done // total if total else 100)
    far = counted_in(step.done, step.unit) if step.done else ""
    if total is not None:
        far = f"{step.done:,} of {counted_in(total, step.unit)}"
    return ShownStep(
        step_name(step),
        _KINDS.get(step.state, CALM),
        _WORDS.get(step.state, step.state),
        percent,
        far,
        list(_figures(step, is_counted=bool(far))),
        list(_troubles(step)),
    )


def _figures(step: StepStatus, *, is_counted: bool) -> Iterator[str]:
    yield lasting(step.seconds)
    if step.seconds_left:
        yield f"{lasting(step.seconds_left)} left"
    if is_counted and step.per_second:
        yield f"{counted_in(step.per_second, step.unit)}/s"
    if step.in_flight:
        yield f"{step.in_flight:,} in flight"


def _troubles(step: StepStatus) -> Iterator[str]:
    if step.errors:
        yield f"{counted(step.errors, 'record')} refused"
    if step.retries:
        yield f"{counted(step.retries, 'retry', 'retries')}"
    for each in step.throttled:
        yield f"throttled by {each.by} for {lasting(each.seconds)}"
