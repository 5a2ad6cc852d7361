"""A scan reads every page of every segment once, and repeats what fails for the moment."""

from __future__ import annotations

import itertools
import pickle
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

import orjson
import pytest

from utils.config import TargetConfig
from utils.dynamodb import table_reader
from utils.dynamodb.answer_shapes import check
from utils.dynamodb.backoff import RetryPolicy
from utils.dynamodb.client import DynamoDB
from utils.dynamodb.scan_flow import FIRST
from utils.dynamodb.table_reader import TableReader, TableScan
from utils.error_handler import BackOff, TargetError, Throttled
from utils.interrupt import Interrupted


@dataclass(frozen=True)
class Page:
    """The numbers on a page, and where the next one starts."""

    numbers: list[int]
    last_key: Mapping[str, Any] | None
    ends_at: Mapping[str, Any] | None
    units: float = 0.0


def read(body: bytes) -> Page:
    items = check("Scan", {}, body)["Items"]
    last_key = orjson.loads(body).get("LastEvaluatedKey")
    numbers = [int(item["PK"]["N"]) for item in items]
    return Page(numbers, last_key, {"PK": items[-1]["PK"]} if items else None)


def page_of(*numbers: int, more: bool) -> bytes:
    """A page with these numbers."""
    keys = [{"PK": {"N": str(number)}} for number in numbers]
    last = {"LastEvaluatedKey": keys[-1]} if more else {}
    return orjson.dumps({"Items": keys, "Count": len(keys), "ScannedCount": len(keys), **last})


class FaultyWire:
    """Segments of five pages with one number each, and one that is empty; `fault` may raise or
    answer instead."""

    def __init__(self, fault: Callable[[int], bytes | None] = lambda _: None) -> None:
        self.requests: list[dict[str, Any]] = []
        self._fault = fault
        self._lock = threading.Lock()

    def call(self, _operation: str, body: bytes) -> bytes:
        request = orjson.loads(body)
        with self._lock:
            self.requests.append(request)
            count = len(self.requests)
        instead = self._fault(count)
        if instead is not None:
            return instead
        first = request["Segment"] * 100
        after = int(request.get("ExclusiveStartKey", {"PK": {"N": f"{first - 1}"}})["PK"]["N"])
        number = after + 1
        return page_of(*[number] * (number < first + 5), more=number < first + 4)

    def gave_up(self, last: BackOff, attempts: int) -> TargetError:
        return TargetError(f"{attempts} tries, {last}", remedy="wait")


def reader(wire: FaultyWire, slept: list[float] | None = None) -> TableReader:
    naps = [] if slept is None else slept
    retry = RetryPolicy(3, 1.0, sleep=naps.append, uniform=lambda _, bound: bound)
    return TableReader(cast(DynamoDB, wire), retry)


def scanned(wire: FaultyWire, slept: list[float] | None = None) -> list[int]:
    pages = reader(wire, slept).scan("Sales", read, segments=range(3), of=3)
    return sorted(number for page in pages for number in page.numbers)


EVERYTHING = [segment * 100 + number for segment in range(3) for number in range(5)]


def test_every_page_of_every_segment_is_read_once_and_consistently() -> None:
    wire = FaultyWire()
    assert scanned(wire) == EVERYTHING
    assert len(wire.requests) == len(EVERYTHING) + 3  # each segment's end is looked for
    assert all(request["ConsistentRead"] for request in wire.requests)
    assert {request["TotalSegments"] for request in wire.requests} == {3}


def test_throttling_and_lost_connections_are_waited_out() -> None:
    def fault(count: int) -> bytes | None:
        if count % 3 == 0:
            raise Throttled("ThrottlingException") if count % 2 else BackOff("Timeout")
        return None

    slept: list[float] = []
    assert scanned(FaultyWire(fault), slept) == EVERYTHING
    assert slept
    assert set(slept) <= {1.0, 2.0, 4.0}


def test_a_page_that_does_not_say_that_there_is_more_ends_no_scan() -> None:
    """Its LastEvaluatedKey was lost on the way."""
    assert scanned(FaultyWire(lambda n: page_of(0, more=False) if n == 1 else None)) == EVERYTHING


@pytest.mark.parametrize("numbers", [[0], [0, 1, 2], [4, 3, 2, 1, 0]])
def test_a_scan_that_goes_in_circles_ends(numbers: list[int]) -> None:
    """C18: it would be read for ever."""
    circle = itertools.cycle(numbers)
    wire = FaultyWire(lambda _: page_of(next(circle), more=True))
    with pytest.raises(TargetError, match=r"ends where it began|repeat without an end"):
        for _ in reader(wire).scan("Sales", read, segments=range(1), of=1):
            assert len(wire.requests) < 40


def test_a_query_that_goes_in_circles_ends() -> None:
    circle = itertools.cycle([1, 2, 3])
    wire = FaultyWire(lambda _: page_of(next(circle), more=True))
    with pytest.raises(TargetError, match="repeat without an end"):
        for _ in reader(wire).pages("Query", {}):
            assert len(wire.requests) < 40


def test_an_answer_that_is_no_json_is_asked_for_again() -> None:
    assert scanned(FaultyWire(lambda n: b"<html>" if n == 4 else None)) == EVERYTHING


def test_a_target_that_does_not_recover_ends_the_scan() -> None:
    def fault(count: int) -> bytes | None:
        if count > 5:
            raise Throttled("ThrottlingException")
        return None

    slept: list[float] = []
    with pytest.raises(TargetError, match="4 tries, ThrottlingException"):
        scanned(FaultyWire(fault), slept)
    assert max(slept) == 4.0


def test_what_cannot_be_mended_is_not_tried_again() -> None:
    def fault(count: int) -> bytes | None:
        if count == 4:
            raise TargetError("denied", remedy="grant it")
        return None

    slept: list[float] = []
    with pytest.raises(TargetError, match="denied"):
        scanned(FaultyWire(fault), slept)
    assert slept == []


def test_nothing_is_read_far_ahead_of_a_slow_reader() -> None:
    wire = FaultyWire()
    pages = reader(wire).scan("Sales", read, segments=range(3), of=3)
    for _ in range(4):
        next(pages)
    pages.close()  # type: ignore[attr-defined] # it is a generator
    assert len(wire.requests) <= 4 + 3


class NarrowWire(FaultyWire):
    """A table with room for `room` requests at once, each for at most `most` items; `widest` is
    how many there were at once, `refused` how many it has throttled."""

    def __init__(self, room: int = 100, most: int = 10_000) -> None:
        super().__init__()
        self._room, self._most = room, most
        self._inside = self.widest = self.refused = 0

    def call(self, operation: str, body: bytes) -> bytes:
        with self._lock:
            self._inside += 1
            self.widest = max(self.widest, self._inside)
            full = self._inside > self._room or orjson.loads(body)["Limit"] > self._most
            self.refused += full
        try:
            time.sleep(0.001)
            if full:
                raise Throttled("ProvisionedThroughputExceededException")
            return super().call(operation, body)
        finally:
            with self._lock:
                self._inside -= 1


def scanned_widely(wire: NarrowWire, at_once: int = 16) -> list[int]:
    retry = RetryPolicy(5, 0.01)  # together longer than a busy machine holds a thread up
    pages = TableReader(cast(DynamoDB, wire), retry).scan(
        "Sales", read, segments=range(40), of=40, at_once=at_once
    )
    return sorted(number for page in pages for number in page.numbers)


WIDELY = [segment * 100 + number for segment in range(40) for number in range(5)]


def test_as_many_pages_are_asked_for_as_keep_the_caller_busy() -> None:
    wire = NarrowWire()
    assert scanned_widely(wire) == WIDELY
    assert FIRST < wire.widest <= 16


@pytest.mark.parametrize("ceiling", [1, 2, 7])
def test_a_given_number_is_a_ceiling(ceiling: int) -> None:
    wire = NarrowWire()
    assert scanned_widely(wire, ceiling) == WIDELY
    assert wire.widest == ceiling


@pytest.mark.parametrize("room", [1, 3])
def test_where_there_is_room_for_few_at_once_nobody_is_refused_until_he_gives_up(room: int) -> None:
    wire = NarrowWire(room)
    assert scanned_widely(wire) == WIDELY
    assert 0 < wire.refused < len(wire.requests) / 2


def test_where_a_page_takes_more_than_there_is_it_becomes_smaller() -> None:
    wire = NarrowWire(most=100)
    assert scanned_widely(wire) == WIDELY
    limits = [request["Limit"] for request in wire.requests]
    assert max(limits) <= 100
    assert wire.refused < len(wire.requests) / 2


def test_some_segments_of_all_are_read_by_whoever_asks_for_them() -> None:
    wire = FaultyWire()
    pages = reader(wire).scan("Sales", read, segments=(5, 2), of=9)
    assert sorted(number for page in pages for number in page.numbers) == [
        *range(200, 205),
        *range(500, 505),
    ]
    assert {request["TotalSegments"] for request in wire.requests} == {9}


SCANS = [
    TableScan("Sales", read, range(3), 3),
    *(TableScan("Sales", read, range(3), 3, index, ("PK", "GSI1PK")) for index in ("GSI1", "GSI2")),
]


def all_scanned(wire: FaultyWire, at_once: int, retry: RetryPolicy) -> dict[int, list[int]]:
    """The numbers that were read of each scan."""
    found: dict[int, list[int]] = {number: [] for number in range(len(SCANS))}
    for number, page in TableReader(cast(DynamoDB, wire), retry).scan_all(SCANS, at_once=at_once):
        found[number] += page.numbers
    return {number: sorted(numbers) for number, numbers in found.items()}


@pytest.mark.parametrize("at_once", [1, 3, 16])
def test_several_scans_are_read_in_turn_and_share_what_is_asked_for_at_once(at_once: int) -> None:
    wire = NarrowWire()
    found = all_scanned(wire, at_once, RetryPolicy(3, 0.01))
    assert found == dict.fromkeys(range(len(SCANS)), EVERYTHING)
    assert wire.widest <= at_once
    asked = [request.get("IndexName", "") for request in wire.requests]
    if at_once == len(SCANS):
        # A thread may be late, and the others have asked once more by then.
        assert set(asked[: 2 * at_once]) == {"", "GSI1", "GSI2"}
    for name, request in zip(asked, wire.requests, strict=True):
        assert request.get("ConsistentRead", False) is not bool(name)
        assert request.get("ProjectionExpression") == ("PK, GSI1PK" if name else None)


def test_of_several_scans_what_fails_is_asked_for_again_where_it_failed() -> None:
    def fault(count: int) -> bytes | None:
        if count % 4 == 0:
            raise Throttled("ThrottlingException")
        return b"<html>" if count % 7 == 0 else None

    found = all_scanned(FaultyWire(fault), 4, RetryPolicy(5, 0.01))
    assert found == dict.fromkeys(range(len(SCANS)), EVERYTHING)


def test_no_scan_at_all_asks_for_nothing() -> None:
    assert list(reader(FaultyWire()).scan_all([])) == []


def test_a_stop_between_two_pages_ends_the_scan() -> None:
    def pause() -> None:
        raise Interrupted

    wire = FaultyWire()
    stopped = TableReader(cast(DynamoDB, wire), RetryPolicy(3, 1.0), pause=pause)
    with pytest.raises(Interrupted):
        list(stopped.scan("Sales", read, segments=(0,), of=1))
    assert len(wire.requests) == 1


def test_a_reader_opens_its_own_wire_in_another_process() -> None:
    target = TargetConfig(endpoint="http://127.0.0.1:9", use_local_stack=True)
    retry = RetryPolicy(2, 0.5, exponential=False, sleep=lambda _: None)
    sent = pickle.dumps(TableReader(DynamoDB(target), retry, target=target))
    there = pickle.loads(sent)
    assert there is pickle.loads(sent)
    assert there._retry == RetryPolicy(2, 0.5, exponential=False)


def test_a_wire_that_cannot_be_opened_in_another_process_is_an_error_of_the_request(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def no_credentials(_target: TargetConfig) -> DynamoDB:
        raise TargetError("no credentials", remedy="give some")

    target = TargetConfig(endpoint="http://127.0.0.1:9", region="eu-test-1", use_local_stack=True)
    sent = pickle.dumps(TableReader(DynamoDB(target), RetryPolicy(0, 0.1), target=target))
    monkeypatch.setattr(table_reader, "DynamoDB", no_credentials)
    there = pickle.loads(sent)
    with pytest.raises(TargetError, match="no credentials"):
        there.ask("Scan", {})
