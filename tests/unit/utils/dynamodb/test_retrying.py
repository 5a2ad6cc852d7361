"""Requests that go out together: each is answered in the end, or all of them are given up."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from load.writing.adaptive_rate import AdaptiveLimiter
from utils.dynamodb.backoff import RetryPolicy
from utils.dynamodb.client import Request
from utils.dynamodb.retrying import send_all
from utils.error_handler import BackOff, TargetError

RETRIES = 3


class Wire:
    """Answers each request after so many failures of its own."""

    at_once = 4

    def __init__(self, failures: Sequence[int]) -> None:
        self.left = list(failures)
        self.sent: list[list[int]] = []

    def call_all(self, requests: Sequence[Request]) -> list[bytes | Exception]:
        numbers = [int(body) for _, body in requests]
        self.sent.append(numbers)
        return [self._answer(number) for number in numbers]

    def _answer(self, number: int) -> bytes | Exception:
        self.left[number] -= 1
        return b"%d" % number if self.left[number] < 0 else BackOff("Busy", f"{number}")

    def gave_up(self, last: BackOff, attempts: int) -> TargetError:
        return TargetError(f"{last} after {attempts}", remedy="")


def sent(wire: Wire, **options: Any) -> tuple[dict[int, bytes], list[float], list[str]]:
    """The answers, how long was waited, and the errors that were told."""
    taken: dict[int, bytes] = {}
    slept: list[float] = []
    told: list[str] = []

    def take(number: int, answer: bytes | Exception) -> None:
        if isinstance(answer, Exception):
            raise answer
        assert number not in taken
        taken[number] = answer

    retry = RetryPolicy(RETRIES, 1.0, sleep=slept.append, uniform=lambda _low, high: high / 2)
    requests = [("Query", b"%d" % number) for number in range(len(wire.left))]
    send_all(
        wire,  # type: ignore[arg-type] # as much of it as is needed
        retry,
        requests,
        take,
        tell=lambda problem: told.append(problem.detail),
        **options,
    )
    return taken, slept, told


@given(failures=st.lists(st.integers(0, RETRIES), max_size=12))
def test_every_request_is_answered_once_and_every_failure_told(failures: list[int]) -> None:
    taken, slept, told = sent(Wire(failures))
    assert taken == {number: b"%d" % number for number in range(len(failures))}
    for number, count in enumerate(failures):
        assert told.count(f"{number}") == count
    assert len(slept) <= sum(failures)


def test_an_outage_is_waited_for_together_not_one_request_after_the_other() -> None:
    wire = Wire([2] * 12)
    _, slept, _ = sent(wire)
    assert wire.sent[0] == [0, 1, 2, 3]
    assert len(slept) <= 2 * 3  # four requests wait as one
    assert max(map(len, wire.sent)) == 4


def test_where_nothing_goes_through_it_is_given_up_after_the_retries() -> None:
    wire = Wire([100] * 6)
    with pytest.raises(TargetError, match=f"after {RETRIES + 1}"):
        sent(wire)
    assert wire.sent == [[0, 1, 2, 3]] * (RETRIES + 1)


def test_one_that_never_goes_through_is_tried_as_often_as_if_it_were_alone() -> None:
    wire = Wire([0, 100, 0])
    with pytest.raises(TargetError, match=f"Busy: 1 after {RETRIES + 1}"):
        sent(wire)
    assert sum(1 in numbers for numbers in wire.sent) == RETRIES + 1


def test_what_take_raises_ends_it() -> None:
    wire = Wire([0, 0])

    def take(number: int, answer: bytes | Exception) -> None:
        raise TargetError("refused", remedy="")

    with pytest.raises(TargetError, match="refused"):
        send_all(wire, RetryPolicy(3, 1.0), [("Query", b"0"), ("Query", b"1")], take)  # type: ignore[arg-type]


@given(
    costs=st.lists(st.floats(0.5, 40), min_size=1, max_size=40),
    rate=st.sampled_from([None, 20, 300]),
)
def test_portions_are_all_numbers_in_order_within_what_may_be_taken_at_once(
    costs: list[float], rate: int | None
) -> None:
    now = 0.0
    waits: list[tuple[float, float]] = [(0.0, 0.0)]

    def sleep(seconds: float) -> None:
        nonlocal now
        now += seconds

    governor = AdaptiveLimiter(rate, clock=lambda: now, sleep=sleep)
    found: list[int] = []
    for numbers in governor.portions(costs, 8)(range(len(costs))):
        assert 1 <= len(numbers) <= 8
        units = sum(costs[number] for number in numbers)
        assert len(numbers) == 1 or rate is None or units <= rate / 10
        found += numbers
        waits.append((now, waits[-1][1] + units))
    assert found == list(range(len(costs)))
    if rate is not None:
        assert all(later[0] >= earlier[0] for earlier, later in pairwise(waits))
        assert waits[-1][1] <= rate * (now + 0.2) + max(costs)
