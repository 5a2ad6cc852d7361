"""Waiting between the attempts at a request: a retry in each delay, the last one at its end."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from utils.config import MigrationConfig
from utils.dynamodb.backoff import Attempts, RetryPolicy


def waits(policy: RetryPolicy) -> list[float]:
    """The moments of the retries of a request that never comes through."""
    slept: list[float] = []
    attempts = Attempts(replace(policy, sleep=slept.append))
    while attempts.fail():
        attempts.wait()
    return [sum(slept[: n + 1]) for n in range(len(slept))]


def endured(policy: RetryPolicy) -> float:
    """The seconds of an outage that is survived at least."""
    return sum(policy.bound(retry) for retry in range(1, policy.max_retries + 1))


@pytest.mark.parametrize("exponential", [True, False])
@pytest.mark.parametrize("retries", [0, 1, 4, 10])
def test_whatever_chance_says_an_outage_of_all_delays_is_survived(
    retries: int, exponential: bool
) -> None:
    for seed in range(200):
        policy = RetryPolicy(retries, 0.1, exponential, uniform=random.Random(seed).uniform)
        moments = waits(policy)
        assert len(moments) == retries
        if moments:
            assert moments[-1] == pytest.approx(endured(policy))
        ends = [sum(policy.bound(n) for n in range(1, last + 1)) for last in range(retries + 1)]
        for moment, begins, end in zip(moments, ends[:-1], ends[1:], strict=True):
            assert begins - 1e-9 <= moment <= end + 1e-9


def test_many_that_begin_together_do_not_try_again_together() -> None:
    policy = RetryPolicy(10, 0.1, uniform=random.Random(1).uniform)
    first = sorted(waits(policy)[0] for _ in range(100))
    assert first[10] < 0.03
    assert first[90] > 0.07


def test_the_defaults_endure_a_minute() -> None:
    assert 60 <= endured(RetryPolicy.of(MigrationConfig())) < 70


def test_what_does_not_count_makes_the_delays_grow_all_the_same() -> None:
    slept: list[float] = []
    policy = RetryPolicy(3, 1.0, sleep=slept.append, uniform=lambda _, high: high)
    attempts = Attempts(policy)
    for _ in range(4):
        assert attempts.fail()
        attempts.wait()
        attempts.begin_anew()
    assert slept == [1.0, 2.0, 4.0, 8.0]
