"""What is tried again is told where the stream is, whoever tried it."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from utils.dynamodb.backoff import RetryPolicy
from utils.dynamodb.retrying import Retries
from utils.error_handler import BackOff, TargetError, Throttled
from utils.telemetry.events import Event, Retried, Step, StepFinished
from utils.telemetry.events import Throttled as ThrottledEvent
from utils.telemetry.tasks import Tasks
from utils.telemetry.troubles import Troubles, take_troubles

INDEX = ("Sales/index/GSI4", "IndexWriteKeyRangeThroughputExceeded")


class Wire:
    def gave_up(self, last: BackOff, attempts: int, /) -> TargetError:
        return TargetError(f"{last} after {attempts}", remedy="")


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    take_troubles()
    yield
    take_troubles()


def tries(*problems: BackOff) -> None:
    retries = Retries(Wire(), RetryPolicy(9, 0.0, sleep=lambda _: None), table="Sales")
    for problem in problems:
        retries.failed(problem)
        retries.wait()


def test_each_try_counts_once_and_names_what_is_short() -> None:
    tries(
        Throttled("ThrottlingException", "", (INDEX,)),
        Throttled("ThrottlingException"),
        BackOff("Timeout"),
    )
    taken = take_troubles()
    assert taken is not None
    assert taken.retried == {"ThrottlingException": 2, "Timeout": 1}
    assert taken.throttled == {INDEX: 1, ("Sales", "ThrottlingException"): 1}
    assert taken.waited.keys() == taken.throttled.keys()
    assert take_troubles() is None


def test_the_last_try_is_none() -> None:
    retries = Retries(Wire(), RetryPolicy(0, 0.0))
    with pytest.raises(TargetError):
        retries.failed(BackOff("Timeout"))
    assert take_troubles() is None


def test_threads_lose_nothing() -> None:
    threads = [threading.Thread(target=lambda: tries(*[BackOff("Timeout")] * 9)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    taken = take_troubles()
    assert taken is not None
    assert taken.retried == {"Timeout": 72}


def test_they_are_told_of_the_step_at_work_together() -> None:
    now = 100.0
    tasks, told = Tasks(clock=lambda: now), list[Event]()
    tasks.events.listen(lambda each: told.append(each.event))
    with tasks.task("load", "sales", 10), tasks.task("load", "sales", 3, step="withdrawal"):
        for _ in range(5):
            other = Troubles()
            other.throttled[INDEX] += 2
            other.waited[INDEX] += 1  # a second
            tasks.heard(other)
            now += 0.3
        tries(BackOff("Timeout"))
    step = Step("load", "sales", "withdrawal")
    short = [each for each in told if isinstance(each, ThrottledEvent)]
    assert {(each.step, each.by, each.reason) for each in short} == {(step, *INDEX)}
    assert 2 <= len(short) <= 3
    assert (sum(each.times for each in short), sum(each.seconds for each in short)) == (10, 5.0)
    assert [each for each in told if isinstance(each, Retried)] == [
        Retried(step=step, reason="Timeout")
    ]
    (ended,) = [e for e in told if isinstance(e, StepFinished) and e.step == step]
    assert ended.retries == {"Timeout": 1}
