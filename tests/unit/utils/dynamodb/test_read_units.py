"""Many readers together keep to a rate of read units, lose none of them, and say what they took."""

from __future__ import annotations

import heapq
import pickle
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import orjson
import pytest

from utils.dynamodb.backoff import RetryPolicy
from utils.dynamodb.client import DynamoDB
from utils.dynamodb.read_units import (
    INDEXES,
    MOST_OF_A_PAGE,
    PATTERNS,
    TABLES,
    Expected,
    PageSizes,
    ReadMeter,
)
from utils.dynamodb.table_reader import PAGE_ITEMS, TableReader, TableScan, items_page

LATENCY = 0.02
WINDOW = 10.0


@dataclass
class World:
    """Processes that scan one table, by a clock that only goes on when all of them wait. `size`
    draws the read units of an item."""

    path: Path
    rate: float
    size: Callable[[], float]
    now: float = 0.0
    sent: list[tuple[float, float]] = field(default_factory=list)

    def scan(self, items: int, *, processes: int = 2, most: int = 8) -> None:
        """Read so many items, as TableReader.scan asks for pages."""
        meters = [ReadMeter(self.path, self.rate, clock=lambda: self.now) for _ in range(processes)]
        sizes = [PageSizes() for _ in meters]
        waiting: list[tuple[float, int, int, int, float]] = []
        in_flight, number, left = [0] * processes, 0, items

        def ask() -> None:
            nonlocal number, left
            for process, (meter, size) in enumerate(zip(meters, sizes, strict=True)):
                allowed = size.in_flight(self.rate, most)[0]
                while left > 0 and in_flight[process] < allowed:
                    wanted, expected = size.next_page(self.rate, PAGE_ITEMS)
                    number, left = number + 1, left - wanted
                    in_flight[process] += 1
                    at = self.now + meter.borrow(expected)
                    heapq.heappush(waiting, (at, number, process, wanted, expected))

        ask()
        while waiting:
            at, _, process, wanted, expected = heapq.heappop(waiting)
            self.now = max(self.now, at)
            read, units = 0, 0.0
            while read < min(wanted, wanted + left) and units < MOST_OF_A_PAGE:
                read, units = read + 1, units + self.size()
            left += wanted - read
            units = max(1.0, units)
            self.sent.append((self.now, units))
            meters[process].settle(expected, units)
            sizes[process].learn(wanted, units, is_last=read < wanted)
            in_flight[process] -= 1
            ask()

    @property
    def units(self) -> float:
        return sum(units for _, units in self.sent)

    def busiest(self) -> float:
        """The most units within any ten seconds."""
        return max(
            sum(units for at, units in self.sent[first:] if at < start + WINDOW)
            for first, (start, _) in enumerate(self.sent)
        )


@pytest.mark.parametrize("rate", [5.0, 40.0, 1_000.0, 30_000.0])
@pytest.mark.parametrize("kind", ["small", "mixed", "large"])
def test_the_rate_holds_over_any_ten_seconds_and_is_made_use_of(
    tmp_path: Path, rate: float, kind: str
) -> None:
    chance = random.Random(f"{rate}{kind}")
    draw: Callable[[], float] = {
        "small": lambda: 0.1,
        "mixed": lambda: chance.choice([0.05, 0.2, 0.5, 2.0]),
        "large": lambda: 25.0,
    }[kind]
    world = World(tmp_path / "units", rate, draw)
    world.scan(max(40, min(20_000, int(60 * rate / draw()))))
    largest = max(units for _, units in world.sent)
    # 0.2 seconds of the rate may be saved up, and what was expected of the eight pages in flight
    # (0.1 seconds or a unit each) but did not come; a process may misjudge its first page.
    assert world.busiest() <= 10.2 * rate + 8 * max(1.0, 0.1 * rate) + 2 * largest
    if world.now > 2 * WINDOW:
        assert world.units / world.now > 0.95 * rate


def test_units_that_were_not_taken_are_given_back(tmp_path: Path) -> None:
    now = 0.0
    meter = ReadMeter(tmp_path / "units", 100.0, clock=lambda: now)
    assert meter.borrow(50.0) == pytest.approx(0.5)
    meter.settle(50.0, 10.0)
    assert meter.borrow(0.0) == pytest.approx(0.1)
    now = 60.0
    assert meter.borrow(20.0) == 0.0  # an idle minute saves up a fifth of a second
    assert meter.borrow(1.0) == pytest.approx(0.01)


def test_what_is_taken_is_counted_by_what_it_is_for_in_whatever_process(tmp_path: Path) -> None:
    meter = ReadMeter(tmp_path / "units")
    assert meter.borrow(1e9) == 0.0
    pickle.loads(pickle.dumps(meter)).settle(0.0, 3.0)
    meter.counting(PATTERNS).settle(0.0, 0.5)
    meter.settle(0.0, 1.0)
    assert meter.taken() == {TABLES: 4.0, INDEXES: 0.0, PATTERNS: 0.5}


def test_who_asks_for_something_new_waits_for_what_the_first_has_taken() -> None:
    expected = Expected()
    with expected.of("Query") as units:
        assert units == 1.0
        expected.learn("Query", 20.0)
    with expected.of("Query") as units:
        assert units == 20.0
    expected.learn("Query", 1.0)
    with expected.of("Query") as units:
        assert 15.0 < units < 20.0


class Table:
    """A table of items of 1 KB in one segment, which answers scans and reads; it says when it is
    asked, by a clock that its caller's sleep drives."""

    def __init__(self, items: int) -> None:
        self.items, self.now = items, 0.0
        self.asked: list[tuple[float, float]] = []

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def call(self, operation: str, body: bytes) -> bytes:
        request = orjson.loads(body)
        assert request["ReturnConsumedCapacity"] == "TOTAL"
        if operation == "GetItem":
            return self._told({"Item": request["Key"]}, 0.5)
        first = int(request.get("ExclusiveStartKey", {"PK": {"S": "-1"}})["PK"]["S"]) + 1
        end = min(first + request["Limit"], self.items)
        items: list[Mapping[str, Any]] = [
            {"PK": {"S": str(n)}, "SK": {"S": "METADATA"}} for n in range(first, end)
        ]
        last = {"LastEvaluatedKey": items[-1]} if end < self.items else {}
        counts = {"Count": len(items), "ScannedCount": len(items)}
        return self._told({"Items": items, **counts, **last}, max(1.0, len(items) / 4))

    def _told(self, answer: Mapping[str, Any], units: float) -> bytes:
        self.asked.append((self.now, units))
        taken = {"ConsumedCapacity": {"TableName": "T", "CapacityUnits": units}}
        return orjson.dumps({**answer, **taken})


def test_a_reader_scans_within_the_rate_and_counts_every_read(tmp_path: Path) -> None:
    table = Table(4_000)
    meter = ReadMeter(tmp_path / "units", 50.0, clock=lambda: table.now)
    retry = RetryPolicy(0, 1.0, sleep=table.sleep)
    reader = TableReader(cast(DynamoDB, table), retry, meter=meter)
    pages = reader.scan("T", items_page, segments=(0,), of=1)
    found = [item["PK"]["S"] for page in pages for item in page.items]
    assert sorted(map(int, found)) == list(range(4_000))
    scanned = sum(units for _, units in table.asked)
    assert table.now == pytest.approx(scanned / 50.0, rel=0.05)
    key = {"PK": {"S": "1"}, "SK": {"S": "METADATA"}}
    reader.counting(PATTERNS).ask("GetItem", {"TableName": "T", "Key": key})
    assert meter.taken() == {TABLES: scanned, INDEXES: 0.0, PATTERNS: 0.5}


def test_indexes_that_are_read_at_once_keep_to_the_rate_together(tmp_path: Path) -> None:
    """By the clock of the machine: threads sleep at the same time."""
    rate, names = 400.0, ("GSI1", "GSI2", "GSI3", "GSI4")
    table = Table(200)
    meter = ReadMeter(tmp_path / "units", rate)
    reader = TableReader(cast(DynamoDB, table), RetryPolicy(0, 1.0), meter=meter)
    found: list[list[int]] = [[] for _ in names]
    began = time.monotonic()
    scans = [TableScan("T", items_page, (0,), 1, name) for name in names]
    for number, page in reader.scan_all(scans):
        found[number] += [int(item["PK"]["S"]) for item in page.items]
    seconds = time.monotonic() - began
    assert list(map(sorted, found)) == [list(range(200))] * len(names)
    units = sum(units for _, units in table.asked)
    assert meter.taken() == {TABLES: 0.0, INDEXES: units, PATTERNS: 0.0}
    assert seconds >= units / rate - 0.25  # a fifth of a second's units may be saved up


def test_an_index_is_counted_as_one_and_a_reader_keeps_its_meter_when_it_is_sent(
    tmp_path: Path,
) -> None:
    table = Table(10)
    meter = ReadMeter(tmp_path / "units", clock=lambda: table.now)
    reader = TableReader(cast(DynamoDB, table), RetryPolicy(0, 1.0), meter=meter)
    (answer,) = reader.pages("Query", {"TableName": "T", "IndexName": "GSI1", "Limit": 10})
    assert len(answer["Items"]) == 10
    assert meter.taken()[INDEXES] == 2.5
    sent = ReadMeter(tmp_path / "units", 7.0)
    copy = pickle.loads(
        pickle.dumps(TableReader(cast(DynamoDB, table), RetryPolicy(0, 1), meter=sent))
    )
    assert copy._meter == sent
