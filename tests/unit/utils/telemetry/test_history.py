"""The history of a run: everything that was done is in it once, whatever was killed and resumed."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta, timezone

import orjson
from hypothesis import given
from hypothesis import strategies as st

from utils.telemetry.events import (
    Count,
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
from utils.telemetry.history import History
from utils.telemetry.shortened_events import shortened

BEGAN = datetime(2026, 11, 27, 22, 0, tzinfo=timezone.utc)
LOAD = Step("load", "sales")


class Teller:
    """Tells events, each at its second."""

    def __init__(self) -> None:
        self.told: list[Told] = []
        self.at = 0.0

    def __call__(self, event: Event, *, after: float = 1.0, run: str = "r1") -> None:
        self.at += after
        moment = BEGAN + timedelta(seconds=self.at)
        self.told.append(Told(run, len(self.told) + 1, moment, event))

    def begins(self, done: int, command: str = "full") -> None:
        self(RunBegun(command=command, version="1.0.0"))
        self(StepBegun(step=LOAD, count=count(done)))


def count(done: int) -> Count:
    return Count(done=done, total=1_000, unit="items")


def test_a_night_between_two_commands_is_left_out() -> None:
    tell = Teller()
    tell.begins(0)
    tell(Progressed(step=LOAD, count=count(100)), after=10)
    tell(RunBegun(command="resume"), after=9 * 3600)  # the first was killed
    tell(StepBegun(step=LOAD, count=count(80)))
    tell(Progressed(step=LOAD, count=count(200)), after=10)
    tell(StepFinished(step=LOAD, count=count(200), outcome="done", seconds=10))
    tell(RunFinished(exit_code=0, sentence="Done", seconds=13))
    history = History.of(tell.told, "r1")
    assert history.seconds == 24
    first, second = history.spans
    assert (first.state, first.began, first.ended) == ("stopped", 1, 11)
    assert (second.state, second.began, second.ended) == ("done", 12, 23)
    assert [(each.name, each.exit_code) for each in history.commands] == [
        ("full", None),
        ("resume", 0),
    ]
    assert sum(each.done for each in history.advances) == 100 + 120


def test_what_is_told_of_another_run_is_not_in_it() -> None:
    tell = Teller()
    tell.begins(0)
    tell(Progressed(step=LOAD, count=count(7)), run="r2")
    tell(Throttled(step=LOAD, by="T", reason="R", times=3, seconds=2.0), run="r2")
    history = History.of(tell.told, "r1")
    assert history.waits == []
    assert history.advances == []


def test_what_was_tried_again_is_counted_once() -> None:
    """A step tells of it while it works, and of the sum when it ends; in a file that was shortened
    only some of that may be left."""
    tell = Teller()
    tell.begins(0)
    tell(Retried(step=LOAD, reason="timeout", times=2))
    tell(Retried(step=LOAD, reason="timeout", times=1))
    retries = {"timeout": 3, "internal": 1}
    tell(StepFinished(step=LOAD, count=count(5), outcome="done", seconds=3, retries=retries))
    expected = Counter({("load", "timeout"): 3, ("load", "internal"): 1})
    assert History.of(tell.told, "r1").retries == expected
    without = [each for each in tell.told if not isinstance(each.event, Retried)]
    assert History.of(without, "r1").retries == expected


@given(
    st.lists(
        st.lists(st.tuples(st.integers(0, 50), st.floats(0.1, 5)), min_size=1, max_size=12),
        min_size=1,
        max_size=4,
    ),
    st.integers(2_000, 200_000),
)
def test_all_that_was_done_and_waited_for_is_in_it(
    commands: list[list[tuple[int, float]]], most: int
) -> None:
    """Commands that are killed, each of which goes on where the one before was; also by what is
    left of a file that has grown too long: then less, never more."""
    tell, done, waited = Teller(), 0, 0.0
    for place, steps in enumerate(commands):
        tell.begins(done, "resume" if place else "full")
        for more, seconds in steps:
            done += more
            waited += seconds / 2
            tell(Progressed(step=LOAD, count=count(done)), after=seconds)
            tell(Throttled(step=LOAD, by="T", reason="R", seconds=seconds / 2), after=0.1)
    history = History.of(tell.told, "r1")
    assert sum(each.done for each in history.advances) == done
    assert abs(sum(each.seconds for each in history.waits) - waited) < 1e-6
    assert all(each.began <= each.ended <= history.seconds for each in history.advances)
    lines = shortened([orjson.dumps(each.as_json()) for each in tell.told], most)
    left = History.of(filter(None, (Told.of_json(orjson.loads(each)) for each in lines)), "r1")
    assert sum(each.done for each in left.advances) <= done
    assert left.seconds <= history.seconds + 1e-6
