"""A step in a line: on a terminal with a bar, in the columns that there are, or as plain text.

[Load] Sales: ███▌      45% (9,600/21,334) 00:07, 00:09 left, 1,304 items/s, 0 errors
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from tqdm import tqdm

from utils.telemetry.events import DONE, FAILED, STOPPED
from utils.telemetry.picture import FleetPicture, Picture, StepPicture
from utils.wording.figures import counted, counted_in, lasting, on_a_clock
from utils.wording.terminal import printable

_STILL = 10.0  # seconds without anything new after which that is said
_LEAST_BAR, _MOST_BAR = 6, 40  # columns
_SEEN = 0.05  # seconds
_INDEX = "/index/"  # in the name of one
_NEEDED = 80  # what matters so much is there rather than the counts
_RED, _YELLOW = "31", "33"


@dataclass(frozen=True)
class Looks:
    """How a terminal can be drawn on."""

    columns: int = 100
    color: bool = True
    unicode: bool = True


@dataclass(frozen=True)
class _Part:
    """Words of a line; where there is not enough room, those that matter least are left out."""

    text: str
    matters: int
    tone: str = ""

    def shown(self, looks: Looks) -> str:
        return f"\x1b[{self.tone}m{self.text}\x1b[0m" if self.tone and looks.color else self.text


def title(picture: StepPicture) -> str:
    """The phase and the entity or table that a step is of, with its name if it has one."""
    entity, name = picture.step.entity, picture.step.name
    about = f"{entity}, {name}" if entity and name else entity or name
    phase = printable(picture.step.phase)
    return f"[{phase[:1].upper()}{phase[1:]}] {printable(about[:1].upper() + about[1:])}".rstrip()


def plain_line(
    picture: StepPicture, now: float, waiting: str = "", fleet: FleetPicture | None = None
) -> str:
    """A step as plain text. `waiting` says what it waits for, if it does; `fleet` is what shares
    the work, if anything does."""
    parts = [part.text for part in _parts(picture, now, waiting, lasting, fleet)]
    return _line(f"{title(picture)}:", _how_far(picture).lstrip(), parts)


def bar_line(
    picture: StepPicture,
    now: float,
    looks: Looks,
    waiting: str = "",
    fleet: FleetPicture | None = None,
) -> tuple[str, int]:
    """The same with a bar, less wide than the terminal, and how many columns that takes."""
    room = looks.columns - 1
    head, far = f"{title(picture)}:", _how_far(picture)
    has_bar = _total(picture) is not None
    parts = list(_parts(picture, now, waiting, on_a_clock, fleet))
    beside = len(f"{head}  ") + (_LEAST_BAR + 1 if has_bar else 0)
    needed = [part.text for part in parts if part.matters >= _NEEDED]
    if has_bar and beside + len(_line("", far, needed)) > room:
        far = far.partition(" (")[0]
    parts = _fitting(parts, room - beside - len(far))
    width = len(_line(head, far, [part.text for part in parts]))
    cells = min(room - width - 1, _MOST_BAR)
    shown = [part.shown(looks) for part in parts]
    if has_bar and cells >= _LEAST_BAR:
        bar = _bar(picture, now, cells, looks)
        return _line(f"{head} {bar}", far, shown), width + cells + 1
    if width > room:  # there is no room for any of the parts
        return _line(head, far, [])[:room], room
    return _line(head, far, shown), width


def _line(head: str, far: str, parts: Sequence[str]) -> str:
    return " ".join(filter(None, [head, far, ", ".join(parts)]))


def waits_for(picture: Picture) -> str:
    """Which tables are not ready, in words; "" when all of them are."""
    waiting = [f"{printable(name)} is {printable(state)}" for name, state in picture.not_ready]
    more = f" and {len(waiting) - 2} more" if len(waiting) > 2 else ""
    return ", ".join(waiting[:2]) + more


def _total(picture: StepPicture) -> int | None:
    """How much there is to do; None where nobody knows, or what was thought has turned out to be
    too little."""
    count = picture.count
    return None if count.total is None or count.done > count.total else count.total


def _is_counted(picture: StepPicture) -> bool:
    """Whether there are figures to show; some steps only take their time."""
    return picture.count.total is not None or picture.count.done > 0


def _how_far(picture: StepPicture) -> str:
    done, total = picture.count.done, _total(picture)
    if not _is_counted(picture):
        return ""
    if total is None:
        return counted_in(done, picture.count.unit)
    return f"{100 * done // total if total else 100:3}% ({done:,}/{total:,})"


def _parts(
    picture: StepPicture,
    now: float,
    waiting: str,
    duration: Callable[[float], str],
    fleet: FleetPicture | None,
) -> Iterator[_Part]:
    """What there is to say, in its order."""
    count = picture.count
    yield _Part(duration(picture.elapsed(now)), 40)
    left = picture.left(now)
    if left:
        yield _Part(f"{duration(left)} left", 90)
    if _is_counted(picture):
        yield _Part(f"{counted_in(picture.rate(now), count.unit)}/s", 60)
        yield _Part(counted(count.errors, "error"), *((85, _RED) if count.errors else (20,)))
    if picture.retries:
        yield _Part(counted(picture.retries, "retry", "retries"), 50, _YELLOW)
    if fleet is not None and fleet.is_there and picture.is_running:
        yield from _of_fleet(fleet, picture.step.phase)
    state = _state(picture, now, waiting)
    if state:
        yield state


def _of_fleet(fleet: FleetPicture, phase: str) -> Iterator[_Part]:
    machines = counted(fleet.machines, "machine")
    yield _Part(f"{counted(fleet.tasks, 'task')} on {machines}", 30)
    if phase in fleet.phases and (lost := fleet.phases[phase].lost):
        yield _Part(f"{counted(lost, 'task')} lost", 55, _YELLOW)


def fleet_line(fleet: FleetPicture) -> str:
    """Machines that share the work in a line: what they are, and what they have done."""
    there = f"{counted(fleet.cores, 'core')} on {counted(fleet.machines, 'machine')}"
    if fleet.executors != fleet.machines:
        there += f" ({counted(fleet.executors, 'executor')})"
    now = f"{counted(fleet.tasks, 'task')} at work" if fleet.is_there else "let go"
    done = [
        f"{phase or 'start'} {counted(tried.ended, 'task')}"
        + (f" and {tried.lost:,} lost" if tried.lost else "")
        for phase, tried in fleet.phases.items()
    ]
    words = f"Fleet: {fleet.software} at {fleet.master}, {there}, {now}"
    return printable("; ".join([words, *done]))


def _state(picture: StepPicture, now: float, waiting: str) -> _Part | None:
    """What is to be known of a step beside its figures."""
    throttled = picture.throttled_by(now) if picture.is_running else picture.throttled_most()
    if throttled:
        by, waited = throttled
        lasted = f", {lasting(waited.seconds)}" if waited.seconds >= _SEEN else ""
        index = by.rpartition(_INDEX)[2]  # the table is what the step is of
        return _Part(f"throttled by {printable(index)}{lasted}", 80, _YELLOW)
    if not picture.is_running:
        return _Part(picture.state, 95, _RED) if picture.state in (FAILED, STOPPED) else None
    if waiting:
        return _Part(waiting, 80, _YELLOW)
    if now - picture.moved >= _STILL and _is_counted(picture):
        return _Part(f"nothing new for {lasting(now - picture.moved)}", 70)
    return None


def _fitting(parts: list[_Part], room: int) -> list[_Part]:
    """The parts that there is room for."""
    while parts and len(", ".join(part.text for part in parts)) > room:
        parts.remove(min(parts, key=lambda part: part.matters))
    return parts


def _bar(picture: StepPicture, now: float, cells: int, looks: Looks) -> str:
    total = picture.count.total
    return tqdm.format_meter(
        picture.count.done if total else 1,
        total or 1,
        0.0,
        ncols=cells,
        ascii=not looks.unicode,
        bar_format="{bar}",
        colour=_tone(picture, now) if looks.color else None,
    )


def _tone(picture: StepPicture, now: float) -> str:
    """The colour of a bar: whether all is well."""
    if picture.state in (FAILED, STOPPED):
        return "RED"
    hurt = bool(picture.count.errors)
    if picture.state == DONE:
        return "YELLOW" if hurt else "GREEN"
    troubled = picture.throttled_by(now) is not None or picture.is_retried(now)
    return "YELLOW" if hurt or troubled else "CYAN"
