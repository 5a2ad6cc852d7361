"""A task tells how its step begins, goes on and ends; how often it is told anything is its own
matter."""

from __future__ import annotations

import pytest

from utils.interrupt import Interrupted
from utils.telemetry.events import (
    Count,
    EventStream,
    Progressed,
    Retried,
    Step,
    StepBegun,
    StepFinished,
    Told,
)
from utils.telemetry.tasks import Tasks
from utils.telemetry.troubles import take_troubles

LOAD = Step("load", "sales")


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


class Heard(list[Told]):
    """What a stream has told."""

    def kinds(self) -> list[str]:
        return [told.event.kind() for told in self]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def tasks(clock: Clock, heard: Heard) -> Tasks:
    take_troubles()  # those of other tests
    stream = EventStream("a1b2c3d4")
    stream.listen(heard.append)
    return Tasks(stream, clock=clock)


def test_a_step_begins_goes_on_and_ends(tasks: Tasks, clock: Clock, heard: Heard) -> None:
    with tasks.task("load", "sales", 100, unit="items", done=20, errors=1) as task:
        task.in_flight = 4
        clock.now += 2
        task.advance(30, errors=2, write_units=31.5, bytes=512)
        task.retried("ThrottlingException", 3)
        clock.now += 1
    so_far = Count(done=50, total=100, unit="items", errors=3, write_units=31.5, bytes=512)
    assert [told.event for told in heard] == [
        StepBegun(step=LOAD, count=Count(done=20, total=100, unit="items", errors=1)),
        Progressed(step=LOAD, count=so_far, in_flight=4),
        Retried(step=LOAD, reason="ThrottlingException", times=3),
        StepFinished(
            step=LOAD,
            count=so_far,
            outcome="done",
            seconds=3.0,
            retries={"ThrottlingException": 3},
        ),
    ]


def test_progress_is_told_by_the_clock_and_nothing_of_it_is_lost(
    tasks: Tasks, clock: Clock, heard: Heard
) -> None:
    with tasks.task("extract", "sales", 10_000) as task:
        for _ in range(10_000):
            clock.now += 0.0001  # a second in all
            task.advance()
    assert 2 <= heard.kinds().count("progressed") <= 5
    last = heard[-1].event
    assert isinstance(last, StepFinished)
    assert last.count.done == 10_000


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (ValueError(), "failed"),
        (Interrupted(), "stopped"),
        (KeyboardInterrupt(), "stopped"),
    ],
)
def test_what_ends_a_step_is_told(
    tasks: Tasks, heard: Heard, error: BaseException, outcome: str
) -> None:
    with pytest.raises(type(error)), tasks.task("load", "sales", 3):
        raise error
    last = heard[-1].event
    assert isinstance(last, StepFinished)
    assert last.outcome == outcome
