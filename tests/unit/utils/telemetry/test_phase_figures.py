"""What each phase has come to, also of a run that was resumed."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from utils.telemetry.events import (
    Count,
    Event,
    Progressed,
    RunBegun,
    RunFinished,
    Step,
    StepBegun,
    StepFinished,
    Told,
)
from utils.telemetry.phase_figures import PhaseFigures, phase_figures
from utils.telemetry.picture import Picture

BEGAN = datetime(2026, 11, 27, 3, 0, tzinfo=timezone.utc)


def picture_of(*told: tuple[float, Event]) -> Picture:
    """What events tell that came so many seconds after the begin."""
    picture = Picture()
    for number, (second, event) in enumerate(told, 1):
        picture.take(Told("7f3a", number, BEGAN + timedelta(seconds=second), event))
    return picture


def begun(second: float, step: Step, done: int = 0, **units: float) -> tuple[float, Event]:
    count = Count(done=done, total=1_000, unit="items", **units)  # type: ignore[arg-type]
    return second, StepBegun(step=step, count=count)


def finished(
    second: float, step: Step, seconds: float, done: int = 1_000, errors: int = 0, **units: float
) -> tuple[float, Event]:
    count = Count(done=done, total=1_000, unit="items", errors=errors, **units)  # type: ignore[arg-type]
    retries = {"busy": 2}
    return second, StepFinished(
        step=step, count=count, outcome="done", seconds=seconds, retries=retries
    )


FULL, RESUME = RunBegun(command="full"), RunBegun(command="resume")
BUYERS, SALES = Step("load", "buyers"), Step("load", "sales")
AHEAD, EXTRACT = Step("load", "", "looking at the tables"), Step("extract", "sales")
COMPARING = Step("load", "sales", "comparing")


def test_steps_side_by_side_count_once_and_those_of_a_phase_together() -> None:
    found = phase_figures(
        picture_of(
            (0, FULL),
            begun(0, AHEAD),
            finished(1, AHEAD, 1, done=0),
            begun(1, EXTRACT),
            finished(3, EXTRACT, 2, errors=7),
            begun(10, BUYERS),
            finished(14, BUYERS, 4, write_units=100.0),
            begun(14, SALES),
            begun(16, COMPARING),
            finished(18, COMPARING, 2, done=5, read_units=3.0),
            finished(20, SALES, 6, write_units=400.0, errors=1),
        )
    )
    assert [each.phase for each in found] == ["extract", "load"]
    assert found[0] == PhaseFigures("extract", 2.0, 1_000, "items", 500.0, 7, 2, 0.0, 0.0)
    assert found[1] == PhaseFigures("load", 11.0, 2_000, "items", 200.0, 1, 8, 500.0, 3.0)


def test_what_was_stopped_counts_with_what_resumes_it() -> None:
    killed = picture_of(
        (0, FULL),
        begun(0, EXTRACT),
        finished(2, EXTRACT, 2),
        begun(2, SALES),
        (7, Progressed(step=SALES, count=Count(done=400, total=1_000, write_units=450.0))),
        (100, RESUME),
        # Of the 400 it is known of 300, for 330 units, that they have arrived.
        begun(101, SALES, done=300, write_units=330.0),
        finished(111, SALES, 10, write_units=1_130.0),
    )
    extract, load = phase_figures(killed)
    assert extract.seconds == 2.0
    assert load.seconds == 15.0
    assert load.write_units == pytest.approx(1_250.0)
    assert killed.earlier_seconds == 7.0


def test_another_command_on_the_same_run_counts_for_itself() -> None:
    again = picture_of(
        (0, FULL),
        begun(0, SALES),
        finished(5, SALES, 5, write_units=100.0),
        (6, RunFinished(exit_code=0, sentence="Done.", seconds=6)),
        (50, RunBegun(command="phase")),
        begun(50, SALES),
        finished(52, SALES, 2, write_units=40.0),
    )
    (load,) = phase_figures(again)
    assert (load.seconds, load.write_units) == (2.0, 40.0)
    assert again.earlier_seconds == 0.0
