"""A request that is repeated while that helps."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import orjson

from utils.dynamodb import DynamoDB
from utils.error_handler import BackOff
from utils.retry import RetryPolicy

Answer = TypeVar("Answer")


def ask(
    wire: DynamoDB,
    retry: RetryPolicy,
    operation: str,
    body: bytes,
    parse: Callable[[bytes], Answer] = orjson.loads,
    *,
    tell: Callable[[BackOff], object] = lambda _: None,
) -> Answer:
    """The parsed answer to one request; `tell` hears of every try that failed.

    Raises RequestRefused for a request that DynamoDB does not accept, TargetError when the
    target cannot be used, also after the configured number of retries.
    """
    attempt = 0
    while True:
        try:
            return _parsed(wire.call(operation, body), parse)
        except BackOff as problem:
            tell(problem)
            attempt += 1
            if retry.exhausted(attempt):
                raise wire.gave_up(problem, attempt) from problem
        retry.wait(attempt)


def _parsed(body: bytes, parse: Callable[[bytes], Answer]) -> Answer:
    try:
        return parse(body)
    except orjson.JSONDecodeError as error:
        raise BackOff("CorruptAnswer", "the answer is not JSON") from error
