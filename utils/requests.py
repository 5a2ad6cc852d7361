"""A request that is repeated while that helps, and its answer, in the shape that it must have."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, overload

import orjson

from utils.answers import SAYS_LITTLE, Answer, reader
from utils.config import TargetConfig
from utils.dynamodb import DynamoDB, wire_to
from utils.error_handler import BackOff
from utils.retry import Attempts, RetryPolicy

# Calls about tables are few, and each ends what it is for: as botocore's standard mode has it.
_RETRIES, _DELAY = 3, 0.5

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
    """The answer to one request, as utils/answers.py declares it; or what `parse` makes of its
    body, which must judge the body's shape itself (NoAnswer). `tell` hears of every try that
    failed.

    Raises RequestRefused for a request that DynamoDB does not accept, TargetError when the
    target cannot be used, also after the configured number of retries.
    """
    (question,) = _questions(operation, [request], [parse])
    return question.answered(wire, retry, tell)


def ask_all(
    wire: DynamoDB,
    retry: RetryPolicy,
    operation: str,
    requests: Sequence[Mapping[str, Any]],
    parses: Sequence[Callable[[bytes], Parsed]],
    *,
    tell: Tell = _nobody,
) -> list[Parsed]:
    """The same for requests that are sent together: what the parse of each makes of its answer."""
    questions = _questions(operation, requests, parses)
    answers = wire.call_all([(operation, each.body) for each in questions])
    return [
        each.answered(wire, retry, tell, answer)
        for each, answer in zip(questions, answers, strict=True)
    ]


@dataclass(frozen=True)
class _Question:
    operation: str
    body: bytes
    parse: Callable[[bytes], Any]

    def answered(
        self,
        wire: DynamoDB,
        retry: RetryPolicy,
        tell: Tell,
        answer: bytes | Exception | None = None,
    ) -> Any:
        """What `parse` makes of the answer: of `answer`, which came of a first try, or of those
        that are asked for."""
        attempts = Attempts(retry)
        while True:
            try:
                if answer is None:
                    answer = wire.call(self.operation, self.body)
                if isinstance(answer, Exception):
                    raise answer
                return self.parse(answer)
            except BackOff as problem:
                tell(problem)
                if not attempts.fail(problem.at_least):
                    raise wire.gave_up(problem, attempts.failed) from problem
            answer = None
            attempts.wait()


def _questions(
    operation: str,
    requests: Sequence[Mapping[str, Any]],
    parses: Sequence[Callable[[bytes], Any] | None],
) -> list[_Question]:
    if operation in SAYS_LITTLE:
        requests = [{"ReturnConsumedCapacity": "TOTAL", **request} for request in requests]
    return [
        _Question(operation, orjson.dumps(request), parse or reader(operation, request))
        for request, parse in zip(requests, parses, strict=True)
    ]


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
