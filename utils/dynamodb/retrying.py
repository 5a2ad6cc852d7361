"""A request that is repeated while that helps, and its answer, in the shape that it must have."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Protocol, TypeVar, overload

import orjson

from utils.config import TargetConfig
from utils.dynamodb.answer_shapes import SAYS_LITTLE, Answer, reader
from utils.dynamodb.backoff import Attempts, RetryPolicy
from utils.dynamodb.client import DynamoDB, Request, wire_to
from utils.error_handler import BackOff, TargetError, Throttled
from utils.telemetry.troubles import has_waited, tries_again

# Calls about tables are few, and each ends what it is for: as botocore's standard mode has it.
_RETRIES, _DELAY = 3, 0.5


class Caller(Protocol):
    """The error of a request that has failed for too long; see DynamoDB."""

    def gave_up(self, last: BackOff, attempts: int, /) -> TargetError: ...


class Retries:
    """The tries at one request, or at some that are sent together.

    `others` counts what the table has done for others meanwhile: a table that takes theirs is
    alive, so that being throttled beside them means longer and longer waits, but does not count.
    """

    def __init__(
        self,
        wire: Caller,
        policy: RetryPolicy,
        others: Callable[[], float] | None = None,
        *,
        table: str = "",
    ) -> None:
        """`table` is what is asked, where that is known."""
        self._wire = wire
        self._table = table
        self._problem: BackOff | None = None
        self._attempts = Attempts(policy)
        self._others = others or (lambda: 0.0)
        self._seen = self._others()

    def failed(self, problem: BackOff, wish: float = 0.0) -> None:
        """One more try has failed. Raises TargetError when there is to be no other. `wish` are
        the seconds for which the service would like to be left alone, if not as `problem` says."""
        others = self._others()
        if isinstance(problem, Throttled) and others != self._seen:
            self._attempts.begin_anew()
        self._seen = others
        if not self._attempts.fail(max(wish, problem.at_least)):
            raise self._wire.gave_up(problem, self._attempts.failed) from problem
        self._problem = problem
        tries_again(problem, self._table)

    def begin_anew(self) -> None:
        """Something has got through: what has failed so far does not count any more."""
        self._attempts.begin_anew()

    def wait(self) -> None:
        """Sleep before the next try."""
        began = time.monotonic()
        self._attempts.wait()
        has_waited(time.monotonic() - began, self._problem, self._table)


Parsed = TypeVar("Parsed")
Tell = Callable[[BackOff], object]


def _nobody(_: BackOff) -> None:
    return


@overload
def ask(
    wire: DynamoDB,
    retry: RetryPolicy,
    operation: str,
    request: Mapping[str, Any],
    *,
    tell: Tell = ...,
) -> Answer: ...


@overload
def ask(
    wire: DynamoDB,
    retry: RetryPolicy,
    operation: str,
    request: Mapping[str, Any],
    parse: Callable[[bytes], Parsed],
    *,
    tell: Tell = ...,
) -> Parsed: ...


def ask(
    wire: DynamoDB,
    retry: RetryPolicy,
    operation: str,
    request: Mapping[str, Any],
    parse: Callable[[bytes], Any] | None = None,
    *,
    tell: Tell = _nobody,
) -> Any:
    """The answer to one request, as utils/dynamodb/answer_shapes.py declares it; or what `parse`
    makes of its body, which must judge the body's shape itself (NoAnswer). `tell` hears of every
    try that failed.

    Raises RequestRefused for a request that DynamoDB does not accept, TargetError when the
    target cannot be used, also after the configured number of retries.
    """
    if operation in SAYS_LITTLE:
        request = {"ReturnConsumedCapacity": "TOTAL", **request}
    parse = parse or reader(operation, request)
    body = orjson.dumps(request)
    retries = Retries(wire, retry, table=str(request.get("TableName", "")))
    while True:
        try:
            return parse(wire.call(operation, body))
        except BackOff as problem:
            tell(problem)
            retries.failed(problem)
        retries.wait()


def ask_all(
    wire: DynamoDB,
    retry: RetryPolicy,
    operation: str,
    requests: Sequence[Mapping[str, Any]],
    parses: Sequence[Callable[[bytes], Any] | None],
    *,
    tell: Tell = _nobody,
) -> list[Any]:
    """The same for requests that are sent together: what the parse of each makes of its answer."""
    if operation in SAYS_LITTLE:
        requests = [{"ReturnConsumedCapacity": "TOTAL", **request} for request in requests]
    readers = [
        parse or reader(operation, request) for parse, request in zip(parses, requests, strict=True)
    ]
    found: list[Any] = [None] * len(requests)

    def take(number: int, answer: bytes | Exception) -> None:
        if isinstance(answer, Exception):
            raise answer
        found[number] = readers[number](answer)

    bodies = [(operation, orjson.dumps(request)) for request in requests]
    send_all(wire, retry, bodies, take, tell=tell)
    return found


def send_all(
    wire: DynamoDB,
    retry: RetryPolicy,
    requests: Sequence[Request],
    take: Callable[[int, bytes | Exception], object],
    *,
    tell: Tell = _nobody,
    portions: Callable[[Sequence[int]], Iterable[Sequence[int]]] | None = None,
) -> None:
    """Send requests (operation and body) together, and those of them again that fail in a way that
    passes, as long as others go through or `retry` has patience.

    `take` gets the number of a request and its answer, or the error that came instead; what it
    raises ends it all, unless it is a BackOff. `portions` says which of some numbers go out
    together, and when. Raises TargetError.
    """
    portions = portions or partial(_portions, wire.at_once)
    left: Sequence[int] = range(len(requests))
    retries = Retries(wire, retry)
    while left:
        done: set[int] = set()
        problems: list[BackOff] = []
        for numbers in portions(left):
            answers = wire.call_all([requests[n] for n in numbers])
            for number, answer in zip(numbers, answers, strict=True):
                try:
                    take(number, answer)
                    done.add(number)
                except BackOff as problem:
                    tell(problem)
                    problems.append(problem)
            if done.isdisjoint(numbers):
                break  # the others would fare no better now
        left = [number for number in left if number not in done]
        if done:
            retries.begin_anew()
        if problems:
            retries.failed(problems[-1], max(each.at_least for each in problems))
            for other in problems[:-1]:
                tries_again(other)
            retries.wait()


def _portions(size: int, numbers: Sequence[int]) -> Iterator[Sequence[int]]:
    return (numbers[first : first + size] for first in range(0, len(numbers), size))


def control(
    target: TargetConfig,
    operation: str,
    request: Mapping[str, Any],
    *,
    sleep: Callable[[float], None] = time.sleep,
) -> Answer:
    """The answer to a request about a table or a backup. Raises TargetError, of which
    ResourceMissing and ResourceBusy are kinds."""
    return ask(wire_to(target), RetryPolicy(_RETRIES, _DELAY, sleep=sleep), operation, request)
