"""What each phase of a command has come to, for the summary: from the events, as everything that
people see of a run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from utils.error_handler import StorageError
from utils.telemetry.event_file import read_events
from utils.telemetry.picture import Picture, StepPicture


@dataclass(frozen=True)
class PhaseFigures:
    """A phase by the clock: its seconds (those of steps that went on side by side once), what it is
    about in `unit`, and what DynamoDB has charged for it."""

    phase: str
    seconds: float
    done: int
    unit: str
    per_second: float
    errors: int
    retries: int
    write_units: float
    read_units: float


def picture_of_run(events: Path, run: str) -> Picture:
    """What the file of events knows of a run; nothing where it cannot be read."""
    picture = Picture()
    try:
        told = read_events(events)
    except (OSError, StorageError):
        return picture
    for each in told:
        if each.run == run:
            picture.take(each)
    return picture


def phase_figures(picture: Picture) -> list[PhaseFigures]:
    """The phases of the last command, in the order in which they began with what they are about;
    what a command that was resumed by it has done of them is in it."""
    steps = [each for each in picture.steps if picture.is_of_this_command(each)]
    about = [each for each in steps if not each.step.name]
    phases = dict.fromkeys(each.step.phase for each in (*about, *steps))
    return [_figures(name, [each for each in steps if each.step.phase == name]) for name in phases]


def _figures(phase: str, steps: Sequence[StepPicture]) -> PhaseFigures:
    about = [each for each in steps if not each.step.name] or steps
    done = sum(each.count.done for each in about)
    seconds = _covered(about)
    return PhaseFigures(
        phase=phase,
        seconds=_covered(steps),
        done=done,
        unit=about[0].count.unit,
        per_second=done / seconds if seconds > 0 else 0.0,
        errors=sum(each.count.errors for each in about),
        retries=sum(each.retries + each.earlier.retries for each in steps),
        write_units=sum(each.count.write_units + each.earlier.write_units for each in steps),
        read_units=sum(each.count.read_units + each.earlier.read_units for each in steps),
    )


def _covered(steps: Iterable[StepPicture]) -> float:
    """The seconds in which any of the steps was at work."""
    total, until = 0.0, float("-inf")
    for each in sorted(steps, key=lambda each: each.began):
        end = each.began + each.seconds
        total += max(end - max(each.began, until), 0.0) + each.earlier.seconds
        until = max(until, end)
    return total
