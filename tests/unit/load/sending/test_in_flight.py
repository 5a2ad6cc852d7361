"""The number of batches in flight, against servers of every latency, machines of every speed and
tables of every capacity: models of a few lines, in time that passes when it is told to."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import pytest

from load.sending.in_flight import FIRST, MOST, InFlight
from load.writing.rate_limiter import Answered

UNITS = 50.0  # of a batch
_TICK = 0.05
_ENOUGH = 30.0  # seconds


@dataclass
class Road:
    """A way to a table: `latency` seconds to an answer, at most `fastest` batches a second, of
    which each one in flight costs `friction` as a part; `noise` is how far a tick may be off."""

    latency: float
    fastest: float
    friction: float = 0.0
    noise: float = 0.0
    chance: random.Random = field(default_factory=lambda: random.Random(5))
    now: float = 0.0
    sent: float = 0.0

    def name(self) -> str:
        """What a test is called by."""
        return f"{self.latency}s-{self.fastest}-{self.friction}-{self.noise}"

    def speed(self, number: int) -> float:
        """Batches a second with so many in flight."""
        return min(number / self.latency, self.fastest * max(0.1, 1 - self.friction * number))

    def best(self) -> float:
        return max(self.speed(number) for number in range(1, MOST + 1))

    def drive(
        self, flight: InFlight, seconds: float, rate: float | None = None
    ) -> list[tuple[float, int]]:
        """Send for so long; returns the batches of each tick, and how many were in flight."""
        ticks: list[tuple[float, int]] = []
        for _ in range(round(seconds / _TICK)):
            number = flight.decide(rate)
            speed = free = self.speed(number) * (1 + self.chance.uniform(-self.noise, self.noise))
            if rate is not None:
                speed = min(speed, rate / UNITS)
            batches = round(speed * _TICK)
            self.now += _TICK
            flight.heard(Answered(batches * UNITS, batches, batches * number / free))
            ticks.append((batches, number))
        return ticks


def flight_on(road: Road, ceiling: int | None = None) -> InFlight:
    return InFlight(ceiling, clock=lambda: road.now)


def mean(ticks: list[tuple[float, int]]) -> float:
    return sum(batches for batches, _ in ticks) / (len(ticks) * _TICK)


ROADS = [
    Road(latency, fastest, friction, noise)
    for latency in (0.0005, 0.005, 0.015, 0.040, 0.150)
    for fastest in (500.0, 2400.0, 4000.0)
    for friction in (0.0, 0.004)
    for noise in (0.0, 0.1)
]


@pytest.mark.parametrize("road", ROADS, ids=Road.name)
def test_on_every_road_it_is_nearly_as_fast_as_the_best_number(road: Road) -> None:
    flight = flight_on(road)
    road.drive(flight, 5.0)
    assert mean(road.drive(flight, _ENOUGH)) >= 0.85 * road.best()


@pytest.mark.parametrize("latency", [0.005, 0.015, 0.040])
def test_it_gets_there_soon(latency: float) -> None:
    road = Road(latency, 2400.0)
    flight = flight_on(road)
    road.drive(flight, 3.0)
    assert mean(road.drive(flight, 1.0)) >= 0.85 * road.best()


@pytest.mark.parametrize(
    ("latency", "steps"), [(0.0005, [8]), (0.010, [10]), (0.040, [16, 40]), (0.150, [16, 64])]
)
def test_what_any_machine_can_send_at_a_latency_is_there_after_few_looks(
    latency: float, steps: list[int]
) -> None:
    road = Road(latency, 2400.0)
    numbers = dict.fromkeys(number for _, number in road.drive(flight_on(road), 3.0))
    assert [*numbers][: len(steps) + 1] == [FIRST, *steps]


def test_there_are_no_more_than_do_something() -> None:
    road = Road(0.0005, 4000.0)
    numbers = [number for _, number in road.drive(flight_on(road), _ENOUGH)]
    assert max(numbers) <= 4 * FIRST
    assert numbers[-1] <= 2 * FIRST


@pytest.mark.parametrize("ceiling", [1, 2, 3, 7, 64])
def test_a_given_number_is_a_ceiling(ceiling: int) -> None:
    road = Road(0.040, 4000.0)
    numbers = [number for _, number in road.drive(flight_on(road, ceiling), _ENOUGH)]
    assert max(numbers) == ceiling
    assert numbers[-1] == ceiling


@pytest.mark.parametrize("rate", [300.0, 8_000.0, 40_000.0])
@pytest.mark.parametrize("latency", [0.005, 0.015, 0.040])
def test_where_a_rate_is_kept_to_there_are_enough_and_not_many_more(
    latency: float, rate: float
) -> None:
    road = Road(latency, 2400.0)
    flight = flight_on(road)
    road.drive(flight, 5.0)
    ticks = road.drive(flight, _ENOUGH, rate)
    needed = rate / UNITS * latency
    assert mean(ticks[100:]) * UNITS >= 0.95 * rate or rate < UNITS / _TICK
    assert all(number <= max(FIRST, 2 * needed + 2) for _, number in ticks[-20:])
    # And it grows again when the rate no longer holds it back.
    road.drive(flight, _ENOUGH)
    assert mean(road.drive(flight, 5.0)) >= 0.85 * road.best()


def test_an_outage_is_no_reason_to_become_slow() -> None:
    road = Road(0.015, 2400.0)
    flight = flight_on(road)
    road.drive(flight, 5.0)
    for _ in range(600):
        flight.decide()
        road.now += _TICK
    road.drive(flight, 5.0)
    assert mean(road.drive(flight, _ENOUGH)) >= 0.85 * road.best()


def test_a_road_that_becomes_longer_is_found_out() -> None:
    road = Road(0.005, 2400.0)
    flight = flight_on(road)
    road.drive(flight, _ENOUGH)
    road.latency = 0.040
    road.drive(flight, 4 * _ENOUGH)
    assert mean(road.drive(flight, _ENOUGH)) >= 0.85 * road.best()


def test_there_is_one_for_each_sender_at_least_however_little_there_is_to_do() -> None:
    road = Road(0.010, 2000)
    flight = InFlight(None, senders=12, clock=lambda: road.now)
    assert flight.number == 12
    assert {number for _, number in road.drive(flight, 20.0, rate=100.0)} == {12}


@pytest.mark.parametrize(("ceiling", "first"), [(None, 48), (48, 64), (3, 4)])
def test_the_next_load_begins_where_the_one_before_has_ended(
    ceiling: int | None, first: int
) -> None:
    flight = InFlight(ceiling, first=first)
    assert flight.number == min(first, ceiling or first)
    assert InFlight(ceiling).number == min(4, ceiling or 4)
