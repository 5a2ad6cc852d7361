"""The sending rate: what the operator allows, less while DynamoDB throttles, and back again.

The table, the senders and the clock are simulated: senders are generators that yield how long they
wait, and the clock jumps from one wait to the next.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import accumulate, count

import pytest

from load.writing.adaptive_rate import AdaptiveRate
from load.writing.rate_limiter import RateLimiter
from utils.dynamodb.backoff import RetryPolicy

SALE, LINE = 10.0, 1.0  # units of a sale in four indexes, and of a line in none
LATENCY = 0.01
LOOK_EVERY = 0.05


@dataclass
class Table:
    """Takes `capacity` units a second, keeps what is not used for `burst` seconds, and processes
    as many items of a batch as there is room for, or none unless there is room for all."""

    capacity: float
    burst: float = 1.0
    whole: bool = False
    taken: list[tuple[float, float]] = field(default_factory=list)
    refused: int = 0
    requests: int = 0
    _since: float = 0.0

    def __post_init__(self) -> None:
        self._room = self.capacity * self.burst

    def use_up(self, now: float) -> None:
        """Nothing is saved up."""
        self._room, self._since = 0.0, now

    def put(self, now: float, items: list[float]) -> list[float]:
        """The items that are left."""
        most = self.capacity * self.burst
        self._room = min(self._room + (now - self._since) * self.capacity, most)
        self._since = now
        self.requests += 1
        if self.whole:
            left = [] if self._room >= sum(items) else items
        else:
            spent = 0.0
            left = []
            for units in items:
                if spent + units <= self._room:
                    spent += units
                else:
                    left.append(units)
        self._room -= sum(items) - sum(left)
        self.refused += bool(left)
        self.taken.append((now, sum(items) - sum(left)))
        return left

    def between(self, start: float, end: float) -> float:
        return sum(units for at, units in self.taken if start <= at < end)


class World:
    """Senders in several processes before one table, `latency` seconds away. A process says at once
    that it is throttled; what it has had accepted it says at intervals of `said_every` seconds, or
    up to three times that."""

    def __init__(
        self,
        table: Table,
        limit: int | None = None,
        *,
        processes: int = 2,
        senders: int = 8,
        latency: float = LATENCY,
        said_every: float = 0.0,
        seed: int = 1,
    ) -> None:
        self.now = 0.0
        self._latency = latency
        self._said_every = said_every
        self.table = table
        self.told: list[str] = []
        self.adaptive_rate = AdaptiveRate(limit, clock=lambda: self.now, say=self.told.append)
        self.stuck = 0
        self._chance = random.Random(seed)
        self._paces = [RateLimiter(None, clock=lambda: self.now) for _ in range(processes)]
        self._says_at = dict.fromkeys(self._paces, 0.0)
        self._order = count()
        self._share_out()
        self._waiting: list[tuple[float, int, Iterator[float]]] = []
        for number in range(senders):
            self._wait(0.0, self._sender(self._paces[number % processes]))
        self._wait(0.0, self._looking())

    def run(self, seconds: float) -> None:
        until = self.now + seconds
        while self._waiting[0][0] < until:
            self.now, _, who = heapq.heappop(self._waiting)
            self._wait(next(who), who)
        self.now = until

    def pause(self, seconds: float) -> None:
        """For so long nobody does anything."""
        self.now += seconds
        self._waiting = [(at + seconds, number, who) for at, number, who in self._waiting]

    def _wait(self, seconds: float, who: Iterator[float]) -> None:
        heapq.heappush(self._waiting, (self.now + max(0.0, seconds), next(self._order), who))

    def _looking(self) -> Iterator[float]:
        while True:
            self._share_out()
            yield LOOK_EVERY

    def _share_out(self) -> None:
        rate = self.adaptive_rate.rate()
        for pace in self._paces:
            pace.change(None if rate is None else rate / len(self._paces))

    def _sender(self, pace: RateLimiter) -> Iterator[float]:
        retry = RetryPolicy(10, 0.1)
        while True:
            items, attempt, in_vain, seen = self._batch(), 0, 0, -1.0
            while items:
                items, rest = self._at_once(pace, items)
                # What is expected is never quite what is consumed.
                expected = sum(items) * self._chance.uniform(0.9, 1.3)
                yield pace.borrow(expected)
                yield self._latency
                left = self.table.put(self.now, items)
                accepted = sum(items) - sum(left)
                pace.settle(expected, sum(items), accepted)
                if left or self.now >= self._says_at[pace]:
                    self._say_accepted(pace)
                if left:
                    self.adaptive_rate.throttled("ThrottlingException: on Sales")
                    attempt = attempt + 1 if left == items else 1
                    in_vain = in_vain + 1 if pace.accepted == seen else 1
                    seen = pace.accepted
                    self.stuck = max(self.stuck, in_vain)
                    yield self._chance.uniform(0.0, retry.bound(attempt))
                items = left + rest

    def _say_accepted(self, pace: RateLimiter) -> None:
        self.adaptive_rate.accepted(pace.take_accepted().units)
        self._says_at[pace] = self.now + self._said_every * self._chance.uniform(1.0, 3.0)

    def _at_once(self, pace: RateLimiter, items: list[float]) -> tuple[list[float], list[float]]:
        """What goes into one request, and the rest, as a writer cuts a batch."""
        most = pace.most_at_once
        if most is None:
            return items, []
        count = max(1, sum(units <= most for units in accumulate(items)))
        return items[:count], items[count:]

    def _batch(self) -> list[float]:
        return self._chance.choices([SALE, LINE], [1, 3], k=25)


def test_without_a_limit_nobody_waits() -> None:
    world = World(Table(1e9))
    world.run(10)
    assert world.table.requests >= 8 * 10 / LATENCY - 8
    assert world.adaptive_rate.rate() is None
    assert world.told == []


@pytest.mark.parametrize("limit", [100, 1000, 10_000])
@pytest.mark.parametrize("processes", [1, 2, 4])
def test_the_operators_limit_is_kept_over_any_ten_seconds(limit: int, processes: int) -> None:
    world = World(Table(1e9), limit, processes=processes)
    world.run(120)
    for start in range(1, 110):
        units = world.table.between(start, start + 10)
        assert units == pytest.approx(10 * limit, rel=0.03), start
    assert world.told == []


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("limit", [None, 1.5])
@pytest.mark.parametrize("idle", [0.0, 0.2, 3.0, 60.0])
@pytest.mark.parametrize("capacity", [300, 4000, 40_000])
def test_a_table_that_has_nothing_saved_up_is_not_taken_for_a_weak_one(
    capacity: int, idle: float, limit: float | None, whole: bool
) -> None:
    table = Table(capacity, whole=whole)
    world = World(table, None if limit is None else round(limit * capacity))
    world.pause(idle)  # before the first request, for conditional writes or processes
    table.use_up(world.now)
    start = world.now
    world.run(60)
    assert table.between(start, start + 60) >= 0.9 * capacity * 60
    assert world.stuck < 10


@pytest.mark.parametrize("pause", [1.5, 4.0, 20.0])
@pytest.mark.parametrize("limit", [None, 6000])
def test_a_pause_in_the_middle_is_not_taken_for_weakness(limit: int | None, pause: float) -> None:
    world = World(Table(4000.0), limit)
    world.run(60)
    world.pause(pause)
    start = world.now
    world.run(30)
    assert world.table.between(start, start + 30) >= 0.85 * 4000 * 30


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("burst", [1.0, 60.0])
@pytest.mark.parametrize("capacity", [100.0, 500.0, 1000.0, 4000.0])
def test_without_a_limit_it_finds_the_tables_and_keeps_nine_tenths_of_it(
    capacity: float, burst: float, whole: bool
) -> None:
    world = World(Table(capacity, burst, whole))
    world.run(300)
    for start in (100, 200):
        assert world.table.between(start, start + 100) >= 0.9 * capacity * 100
    assert world.table.refused < 0.2 * world.table.requests
    assert world.stuck < 10  # a request is never refused so often that the run would stop
    assert 0 < len(world.told) <= 300 / 5 + 1


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize(("capacity", "senders"), [(40_000, 32), (40_000, 128), (8_000, 16)])
def test_after_five_seconds_a_table_far_away_is_used_up_over_any_ten(
    capacity: int, senders: int, seed: int
) -> None:
    table = Table(capacity)
    world = World(table, senders=senders, latency=0.015, said_every=0.05, seed=seed)
    world.run(40)
    seconds = [0.0] * 40
    for at, units in table.taken:
        seconds[int(at)] += units
    for start in range(5, 31):
        assert sum(seconds[start : start + 10]) >= 0.95 * capacity * 10, start
    assert table.refused < 0.13 * table.requests


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("capacity", [5.0, 25.0])
def test_it_gets_along_with_a_table_of_hardly_any_capacity(capacity: float, whole: bool) -> None:
    world = World(Table(capacity, 300.0, whole))  # DynamoDB keeps five minutes' capacity
    world.run(700)
    assert world.table.between(100, 700) >= 0.9 * capacity * 600
    assert world.stuck <= 10


def test_a_limit_above_the_tables_is_no_hindrance() -> None:
    world = World(Table(1000.0), limit=3000)
    world.run(200)
    assert world.table.between(100, 200) >= 0.9 * 1000 * 100


def test_when_it_is_quiet_the_rate_comes_back_and_the_limit_goes() -> None:
    world = World(Table(1000.0))
    world.run(60)
    limited = world.adaptive_rate.rate()
    assert limited is not None and limited < 1500
    world.table.capacity = 1e9
    world.run(6)
    rising = world.adaptive_rate.rate()
    assert rising is not None and rising > limited
    world.run(60)
    assert world.adaptive_rate.rate() is None
    assert world.told[0] == "DynamoDB throttles (ThrottlingException: on Sales): trying again"
    assert world.told[1].startswith("DynamoDB throttles (ThrottlingException: on Sales): sending ")
    assert world.told[-1] == "DynamoDB no longer throttles: sending as before"


@pytest.mark.parametrize("limit", [2000, 40_000])
def test_after_throttling_the_operators_limit_is_what_it_comes_back_to(limit: int) -> None:
    world = World(Table(500.0), limit)
    world.run(60)
    rate = world.adaptive_rate.rate()
    assert rate is not None and rate < 1000
    world.table.capacity = 1e9
    world.run(30)
    assert world.adaptive_rate.rate() == limit
    start = world.now
    world.run(10)
    assert world.table.between(start, world.now) == pytest.approx(10 * limit, rel=0.03)


def test_many_refusals_at_once_are_one_sign() -> None:
    now = 1000.0
    adaptive_rate = AdaptiveRate(10_000, clock=lambda: now, say=lambda _text: None)
    adaptive_rate.accepted(10_000)
    now += 1
    adaptive_rate.accepted(9_000)
    adaptive_rate.throttled("first of a wave")
    once = adaptive_rate.rate()
    assert once is not None and once < 9_000
    for _ in range(8):
        adaptive_rate.throttled("the others of the wave")
    assert adaptive_rate.rate() == once
    now += 1.0
    adaptive_rate.accepted(5_000)
    adaptive_rate.throttled("the next wave")
    after = adaptive_rate.rate()
    assert after is not None and once is not None and after < once


def test_far_too_high_a_rate_is_cut_again_before_long() -> None:
    now = 1000.0
    adaptive_rate = AdaptiveRate(None, clock=lambda: now, say=lambda _text: None)
    for _ in range(40):
        now += 0.05
        adaptive_rate.accepted(2_000)  # what the table had saved up
    adaptive_rate.throttled("it is used up")
    for _ in range(10):
        now += 0.05
        adaptive_rate.accepted(50)
    adaptive_rate.throttled("and the table takes a thousand a second")
    rate = adaptive_rate.rate()
    assert rate is not None and rate <= 1000
