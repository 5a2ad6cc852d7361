"""Batches: what one request may hold, and what becomes of what is not processed or refused."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import orjson
import pytest

from load.writing.batch_writer import BatchWriter
from load.writing.batches import BATCH_BYTES, batches
from load.writing.conditional_writer import WriteResult
from load.writing.conditions import ABSENT, Condition
from load.writing.rate_limiter import RateLimiter
from utils.dynamodb.backoff import LONGEST_DELAY, RetryPolicy
from utils.dynamodb.client import Request, RequestRefused
from utils.error_handler import BackOff, TargetError, Throttled


def item(number: int) -> bytes:
    return orjson.dumps({"Item": {"PK": {"S": f"BUYER#{number}"}, "SK": {"S": "METADATA"}}}) + b"\n"


class Wire:
    """Answers requests as `answer` says; keeps them."""

    def __init__(self, answer: Callable[[list[str]], dict[str, Any]]) -> None:
        self._answer = answer
        self.requests: list[list[str]] = []
        self.together: list[int] = []  # how many were sent at once, each time

    def call(self, operation: str, body: bytes) -> bytes:
        assert operation == "BatchWriteItem"
        puts = orjson.loads(body)["RequestItems"]["T"]
        keys = [put["PutRequest"]["Item"]["PK"]["S"] for put in puts]
        self.requests.append(keys)
        taken = [{"TableName": "T", "CapacityUnits": 2.0}]
        usual = {"UnprocessedItems": {}, "ConsumedCapacity": taken}
        return orjson.dumps({**usual, **self._answer(keys)})

    def call_all(self, requests: Sequence[Request]) -> list[bytes | Exception]:
        self.together.append(len(requests))
        answers: list[bytes | Exception] = []
        for request in requests:
            try:
                answers.append(self.call(*request))
            except Exception as problem:
                answers.append(problem)
        return answers

    def gave_up(self, last: BackOff, attempts: int) -> TargetError:
        return TargetError(f"{last} after {attempts}", remedy="wait")


def writer(
    wire: Wire, waits: list[float] | None = None, retries: int = 3, pace: RateLimiter | None = None
) -> BatchWriter:
    slept = [] if waits is None else waits
    policy = RetryPolicy(retries, 0.1, sleep=slept.append, uniform=lambda _low, high: high)
    return BatchWriter(wire, "T", policy, pace or RateLimiter(), indexes=0)  # type: ignore[arg-type]


def slow() -> RateLimiter:
    """A pace at which four small items go into one request."""
    return RateLimiter(40.0, clock=lambda: 0.0, sleep=lambda _seconds: None)


def unprocessed(keys: list[str]) -> dict[str, Any]:
    puts = [{"PutRequest": {"Item": {"PK": {"S": key}, "SK": {"S": "METADATA"}}}} for key in keys]
    return {"UnprocessedItems": {"T": puts}}


def test_a_batch_has_at_most_its_size_and_what_a_request_may_hold() -> None:
    assert [len(batch) for batch in batches([b"x"] * 60, 25)] == [25, 25, 10]
    large = b"x" * (BATCH_BYTES // 3 + 1)
    assert [len(batch) for batch in batches([large] * 5, 25)] == [2, 2, 1]
    assert list(batches([], 25)) == []


def test_only_unprocessed_items_are_sent_again_after_a_growing_delay() -> None:
    waits: list[float] = []
    wire = Wire(lambda keys: unprocessed(keys[1:]) if len(keys) > 1 else {})
    outcome = writer(wire, waits).write([item(1), item(2), item(3)])
    assert wire.requests == [
        ["BUYER#1", "BUYER#2", "BUYER#3"],
        ["BUYER#2", "BUYER#3"],
        ["BUYER#3"],
    ]
    assert (outcome.items, outcome.batches, outcome.units) == (3, 3, 6.0)
    assert dict(outcome.retries) == {"UnprocessedItems": 2}
    assert waits == [0.1, 0.1]  # something was accepted each time: patience starts over


def test_a_table_that_accepts_nothing_is_given_up_after_the_retries() -> None:
    waits: list[float] = []
    wire = Wire(unprocessed)
    with pytest.raises(TargetError, match="UnprocessedItems"):
        writer(wire, waits).write([item(1)])
    assert waits == [0.1, 0.2, 0.4]
    assert len(wire.requests) == 4


@pytest.mark.parametrize("problem", [Throttled, BackOff])
def test_throttling_alone_wears_no_patience_while_the_table_takes_what_others_send(
    problem: type[BackOff],
) -> None:
    pace = RateLimiter()

    def answer(keys: list[str]) -> dict[str, Any]:
        pace.elsewhere += 1.0
        if len(wire.requests) < 20:
            raise problem("no room")
        return {}

    wire = Wire(answer)
    if problem is Throttled:
        assert writer(wire, pace=pace).write([item(1)]).items == 1
    else:
        with pytest.raises(TargetError, match="after 4"):
            writer(wire, pace=pace).write([item(1)])


def test_throttling_is_retried_and_counted_by_its_name() -> None:
    answers = iter([Throttled("ThrottlingException"), None])

    def answer(keys: list[str]) -> dict[str, Any]:
        if problem := next(answers):
            raise problem
        return {}

    outcome = writer(Wire(answer)).write([item(1)])
    assert (outcome.items, dict(outcome.retries)) == (1, {"ThrottlingException": 1})


def test_what_is_not_listed_is_never_retried() -> None:
    def deny(keys: list[str]) -> dict[str, Any]:
        raise TargetError("denied", remedy="grant")

    wire = Wire(deny)
    with pytest.raises(TargetError, match="denied"):
        writer(wire).write([item(1)])
    assert len(wire.requests) == 1


def test_a_refused_batch_is_split_until_the_item_at_fault_stands_alone() -> None:
    def refuse(keys: list[str]) -> dict[str, Any]:
        if "BUYER#7" in keys:
            raise RequestRefused("no", remedy="mend")
        return {}

    outcome = writer(Wire(refuse)).write([item(number) for number in range(25)])
    assert outcome.items == 24
    assert [refused.line for refused in outcome.refused] == [item(7).rstrip(b"\n")]


def test_at_a_low_rate_a_batch_goes_out_in_small_requests() -> None:
    wire = Wire(lambda _keys: {})
    outcome = writer(wire, pace=slow()).write([item(number) for number in range(10)])
    assert [len(keys) for keys in wire.requests] == [4, 4, 2]
    assert [key for keys in wire.requests for key in keys] == [f"BUYER#{n}" for n in range(10)]
    assert (outcome.items, outcome.batches) == (10, 3)


def test_an_item_that_is_too_much_at_once_goes_out_alone() -> None:
    large = [
        orjson.dumps(
            {"Item": {"PK": {"S": f"BUYER#{n}"}, "SK": {"S": "X"}, "a": {"S": "x" * 9000}}}
        )
        for n in range(2)
    ]
    wire = Wire(lambda _keys: {})
    writer(wire, pace=slow()).write(large)
    assert wire.requests == [["BUYER#0"], ["BUYER#1"]]


def test_what_a_small_request_leaves_is_sent_with_the_rest_of_the_batch() -> None:
    wire = Wire(lambda keys: unprocessed(keys[1:]) if len(wire.requests) == 1 else {})
    writer(wire, pace=slow()).write([item(number) for number in range(6)])
    assert [[key[6:] for key in keys] for keys in wire.requests] == [
        ["0", "1", "2", "3"],
        ["1", "2", "3", "4"],
        ["5"],
    ]


def test_after_a_refused_item_the_rest_of_the_batch_is_sent() -> None:
    def refuse(keys: list[str]) -> dict[str, Any]:
        if "BUYER#2" in keys:
            raise RequestRefused("no", remedy="mend")
        return {}

    outcome = writer(Wire(refuse), pace=slow()).write([item(number) for number in range(10)])
    assert outcome.items == 9
    assert [refused.line for refused in outcome.refused] == [item(2).rstrip(b"\n")]


THREE = [[item(10 * batch + n) for n in range(3)] for batch in range(3)]


def test_batches_are_sent_together_and_what_became_of_each_comes_in_their_order() -> None:
    wire = Wire(lambda _keys: {})
    outcomes = list(writer(wire).write_all(THREE))
    assert (wire.together, len(wire.requests)) == ([3], 3)
    assert [outcome.items for outcome in outcomes] == [3, 3, 3]
    assert [[line + b"\n" for line in each.answers[0][0]] for each in outcomes] == THREE


@pytest.mark.parametrize("problem", [Throttled("no room"), BackOff("no answer")])
def test_one_that_fails_among_others_is_sent_again_alone(problem: BackOff) -> None:
    waits: list[float] = []

    def answer(keys: list[str]) -> dict[str, Any]:
        if wire.requests.count(keys) == 1 and keys[0] == "BUYER#10":
            raise problem
        return {}

    wire = Wire(answer)
    outcomes = list(writer(wire, waits).write_all(THREE))
    assert [outcome.items for outcome in outcomes] == [3, 3, 3]
    assert [dict(outcome.retries) for outcome in outcomes] == [{}, {problem.reason: 1}, {}]
    assert wire.together == [3]
    assert [keys[0] for keys in wire.requests[3:]] == ["BUYER#10"]
    assert waits == [0.1]


class Doubtful:
    """Writes on condition; keeps how many at once. What is in `there` is there already."""

    def __init__(self, *there: bytes) -> None:
        self._there = {orjson.loads(line)["Item"]["PK"]["S"] for line in there}
        self.at_once: list[int] = []

    def put_all(self, puts: Sequence[tuple[bytes, Condition]]) -> list[WriteResult]:
        assert {condition for _, condition in puts} == {ABSENT}
        self.at_once.append(len(puts))
        items = [orjson.loads(item) for item, _ in puts]
        return [
            WriteResult(False, found={**item, "by": {"S": "the application"}})
            if item["PK"]["S"] in self._there
            else WriteResult(True)
            for item in items
        ]


@pytest.mark.parametrize("together", [True, False])
def test_what_may_have_arrived_is_written_on_condition_as_many_at_once_as_were_sent(
    together: bool,
) -> None:
    def lose(keys: list[str]) -> dict[str, Any]:
        if "BUYER#10" in keys:
            raise BackOff("no answer")
        return {}

    doubtful = Doubtful(item(11))
    policy = RetryPolicy(3, 0.1, sleep=lambda _seconds: None)
    writer = BatchWriter(Wire(lose), "T", policy, RateLimiter(), indexes=0, doubtful=doubtful)  # type: ignore[arg-type]
    outcomes = list(writer.write_all(THREE)) if together else [writer.write(THREE[1])]
    assert doubtful.at_once == ([3] if together else [1, 1, 1])
    outcome = outcomes[1] if together else outcomes[0]
    assert (outcome.items, outcome.edited) == (2, [item(11).rstrip(b"\n")])


def test_what_is_left_of_one_or_refused_in_it_concerns_no_other() -> None:
    def answer(keys: list[str]) -> dict[str, Any]:
        if "BUYER#21" in keys:
            raise RequestRefused("no", remedy="mend")
        return unprocessed(keys[1:]) if keys == ["BUYER#0", "BUYER#1", "BUYER#2"] else {}

    wire = Wire(answer)
    outcomes = list(writer(wire).write_all(THREE))
    assert [outcome.items for outcome in outcomes] == [3, 3, 2]
    assert [refused.line for refused in outcomes[2].refused] == [item(21).rstrip(b"\n")]
    assert wire.requests[3] == ["BUYER#1", "BUYER#2"]


def test_after_an_error_what_was_written_before_it_is_known() -> None:
    def deny(keys: list[str]) -> dict[str, Any]:
        if "BUYER#10" in keys:
            raise TargetError("denied", remedy="grant")
        return {}

    outcomes = writer(Wire(deny)).write_all(THREE)
    assert next(outcomes).items == 3
    with pytest.raises(TargetError, match="denied"):
        next(outcomes)


def test_at_a_rate_each_batch_waits_for_its_turn() -> None:
    wire = Wire(lambda _keys: {})
    assert [outcome.items for outcome in writer(wire, pace=slow()).write_all(THREE)] == [3, 3, 3]
    assert wire.together == []


def test_delays_double_up_to_a_bound_and_stay_when_they_are_not_to_grow() -> None:
    growing = RetryPolicy(10, 0.1)
    assert [growing.bound(n) for n in (1, 2, 3, 20)] == [0.1, 0.2, 0.4, LONGEST_DELAY]
    assert RetryPolicy(10, 0.1, exponential=False).bound(9) == 0.1
