"""The sending rate: what the operator allows, less while DynamoDB throttles, and back again."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import pytest

from load.throttle import Throttle
from utils.error_handler import Throttled
from utils.retry import RetryPolicy

BATCH = 125.0  # units: 25 small items, each in a table with four indexes


@dataclass
class Clock:
    """Time that passes when somebody sleeps."""

    now: float = 1000.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds >= 0
        self.now += seconds


@dataclass
class Table:
    """Takes `capacity` units a second and refuses what is more, whole requests at a time."""

    clock: Clock
    capacity: float
    taken: float = 0.0
    refused: int = 0
    _room: float = 0.0
    _since: float = 0.0

    def put(self, units: float) -> None:
        now = self.clock()
        self._room = min(self._room + (now - self._since) * self.capacity, self.capacity)
        self._since = now
        self.clock.sleep(0.002)
        if units > self._room:
            self.refused += 1
            raise Throttled("ThrottlingException", "on Sales")
        self._room -= units
        self.taken += units


@dataclass
class Sender:
    """Sends batches one after the other, as BatchWriter does with each."""

    throttle: Throttle
    table: Table
    clock: Clock
    stuck: int = 0
    _chance: random.Random = field(default_factory=lambda: random.Random(1))

    def send_for(self, seconds: float) -> None:
        until = self.clock() + seconds
        retry = RetryPolicy(10, 0.1, sleep=self.clock.sleep, uniform=self._chance.uniform)
        attempt = 0
        while self.clock() < until:
            self.throttle.acquire(BATCH)
            try:
                self.table.put(BATCH)
            except Throttled as problem:
                self.throttle.settle(BATCH, 0.0)
                self.throttle.slow_down(str(problem))
                attempt += 1
                self.stuck = max(self.stuck, attempt)
                retry.wait(attempt)
            else:
                self.throttle.settle(BATCH, BATCH)
                attempt = 0


def a_sender(capacity: float, limit: int | None = None) -> tuple[Sender, list[str]]:
    clock, told = Clock(), list[str]()
    throttle = Throttle(limit, clock=clock, sleep=clock.sleep, say=told.append)
    return Sender(throttle, Table(clock, capacity), clock), told


def test_without_a_limit_nobody_waits() -> None:
    sender, told = a_sender(capacity=1e9)
    sender.send_for(10)
    assert sender.table.taken == pytest.approx(10 / 0.002 * BATCH, rel=0.01)
    assert sender.throttle.rate is None
    assert told == []


def test_the_operators_limit_is_kept() -> None:
    sender, told = a_sender(capacity=1e9, limit=1000)
    sender.send_for(100)
    assert sender.table.taken == pytest.approx(100 * 1000, rel=0.02)
    assert told == []


@pytest.mark.parametrize("capacity", [200.0, 1000.0, 4000.0])
def test_throttled_for_an_hour_it_sends_nearly_what_is_taken_and_is_seldom_refused(
    capacity: float,
) -> None:
    sender, told = a_sender(capacity)
    sender.send_for(3600)
    assert sender.table.taken > 0.6 * capacity * 3600
    assert sender.table.refused < 3600
    assert sender.stuck < 10  # a request is never refused so often that the run would stop
    assert 0 < len(told) <= 3600 / 5 + 1


def test_when_it_is_quiet_the_rate_comes_back_and_the_limit_goes() -> None:
    sender, told = a_sender(capacity=1000.0)
    sender.send_for(60)
    limited = sender.throttle.rate
    assert limited is not None and limited < 1500
    sender.table.capacity = 1e9
    sender.send_for(5)
    rising = sender.throttle.rate
    assert rising is not None and rising > limited
    sender.send_for(60)
    assert sender.throttle.rate is None
    assert told[0].startswith("DynamoDB throttles (ThrottlingException: on Sales): sending ")
    assert told[-1] == "DynamoDB throttles no longer: sending as before"


def test_after_throttling_the_operators_limit_is_what_it_comes_back_to() -> None:
    sender, _ = a_sender(capacity=500.0, limit=2000)
    sender.send_for(60)
    assert sender.throttle.rate is not None and sender.throttle.rate < 2000
    sender.table.capacity = 1e9
    sender.send_for(120)
    assert sender.throttle.rate == 2000
    before = sender.table.taken
    sender.send_for(10)
    assert sender.table.taken - before == pytest.approx(20_000, rel=0.05)


def test_many_refusals_at_once_are_one_sign() -> None:
    clock = Clock()
    throttle = Throttle(10_000, clock=clock, sleep=clock.sleep, say=lambda _text: None)
    for _ in range(100):
        throttle.acquire(BATCH)
        throttle.settle(BATCH, BATCH)
    throttle.slow_down("first of a wave")
    once = throttle.rate
    for _ in range(8):
        throttle.slow_down("the others of the wave")
    assert throttle.rate == once
    clock.sleep(1.0)
    throttle.slow_down("the next wave")
    assert throttle.rate is not None and once is not None and throttle.rate < once
