"""The time that is said to be left is right within a fifth once a tenth is done."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

import pytest

from utils.telemetry.time_left import Pace

Rate = Callable[[float], float]
"""By the share of the time that has passed: how much is done a second."""


def steps(rate: Rate, seconds: float, every: float, noise: float) -> list[tuple[float, int]]:
    """When a step is how far, told `every` so many seconds."""
    chance = random.Random(7)
    at, done, told = 0.0, 0.0, [(0.0, 0)]
    while at < seconds:
        done += rate(at / seconds) * every * max(1 + noise * chance.gauss(0, 1), 0)
        at += every
        told.append((at, int(done)))
    return told


def errors(told: list[tuple[float, int]]) -> Iterator[float]:
    """By which part of what was left the estimates after the first tenth were wrong; where less
    than twenty seconds are left, or a thirtieth, nobody plans by it."""
    (end, total), pace = told[-1], Pace(*told[0])
    for at, done in told[1:]:
        pace.reached(at, done)
        if done >= total / 10 and end - at > max(end / 30, min(20, end / 5)):
            left = pace.left(at, total)
            assert left is not None
            yield abs(left - (end - at)) / (end - at)


CASES: dict[str, tuple[Rate, float, float, float]] = {
    "steady, for half a minute": (lambda _: 1_000, 30, 0.25, 0.3),
    "steady, for an hour": (lambda _: 1_000, 3_600, 5.0, 0.3),
    "in large pieces": (lambda _: 1_000, 120, 6.0, 0.0),
    "it gets going in four seconds": (lambda x: 1_000 * min(1, x * 300 / 4), 300, 0.25, 0.3),
    "it slows down to three quarters": (lambda x: 1_000 * (1 - x / 4), 600, 1.5, 0.2),
    "half as fast from the start on": (lambda x: 1_000 if x < 0.02 else 500, 600, 1.5, 0.2),
    "throttled every four seconds": (lambda x: 1_000 if x * 300 % 4 < 2 else 0, 300, 0.25, 0.1),
    "throttled two seconds of three": (lambda x: 1_000 if x * 300 % 3 < 1 else 0, 300, 0.25, 0.1),
    "twice as fast for a burst": (lambda x: 2_000 if x < 0.03 else 1_000, 900, 2.0, 0.2),
}


@pytest.mark.parametrize("case", CASES)
def test_the_time_left_is_right_within_a_fifth_after_a_tenth(case: str) -> None:
    found = list(errors(steps(*CASES[case])))
    assert len(found) > 10
    assert max(found) <= 0.2


def test_after_a_change_it_is_right_again_before_long() -> None:
    told = steps(lambda x: 1_000 if x < 0.4 else 250, 600, 0.5, 0.1)
    assert max(list(errors(told))[-60:]) <= 0.2


def test_what_was_done_before_a_step_went_on_says_nothing_of_its_pace() -> None:
    pace = Pace(100.0, 9_000)
    for second in range(1, 11):
        pace.reached(100.0 + second, 9_000 + 10 * second)
    assert pace.left(110.0, 10_000) == pytest.approx(90.0)


def test_nobody_knows_how_long_a_standstill_takes() -> None:
    pace = Pace(0.0, 0)
    pace.reached(10.0, 0)
    assert pace.left(10.0, 100) is None
    assert Pace(0.0, 0).left(0.1, 100) is None
    assert pace.left(10.0, None) is None


def test_between_two_reports_the_time_runs_and_a_long_silence_counts() -> None:
    pace = Pace(0.0, 0)
    for second in range(1, 61):
        pace.reached(float(second), 10 * second)
    assert pace.left(60.0, 1_200) == pytest.approx(60.0)
    assert pace.left(61.5, 1_200) == pytest.approx(58.5)
    later = pace.left(72.0, 1_200)
    assert later is not None and later > 65
    assert pace.left(90.0, 1_200) is None


def test_at_its_end_nothing_is_left() -> None:
    pace = Pace(0.0, 0)
    pace.reached(1.0, 100)
    assert pace.left(1.0, 100) == pace.left(1.0, 90) == 0.0


def test_a_long_step_is_remembered_in_little_room() -> None:
    pace = Pace(0.0, 0)
    for number in range(1, 5_000):
        pace.reached(number / 4, number)
    assert len(pace._samples) <= 400
    assert pace.rate(1_250.0) == pytest.approx(4.0, rel=0.01)
