"""Writes that are done together or not at all, each on a condition of its own.

TransactWriteItems takes at most 100 items and 4 MB; it costs twice the write units of the same
writes one by one, and a hundredth of the requests ("Amazon DynamoDB Transactions", DynamoDB
developer guide). With a token of its own a transaction that is sent again, because its answer was
lost, is done once.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from load.conditional_writer import key_of
from load.conditions import Condition
from load.lines import units_of
from load.throttle import Governor
from utils.answers import check
from utils.config import Config
from utils.dynamodb import ConditionFailed, DynamoDB
from utils.error_handler import BackOff, Throttled
from utils.interrupt import StopFlag
from utils.item_content import Item
from utils.retry import Attempts, RetryPolicy
from utils.tables import TableSpec

MOST_WRITES = 100
_MOST_BYTES = 2 << 20  # of the items; their conditions repeat them
_FACTOR = 2.0  # write units of a transaction for one of a single write


@dataclass(frozen=True)
class Write:
    """One write of a transaction: `kind` is Put, Delete or ConditionCheck; `item` is what is put,
    or what is expected to be there."""

    kind: str
    item: Item
    condition: Condition

    @property
    def size(self) -> int:
        """About how many bytes of a request it takes."""
        return len(orjson.dumps(self.item)) + len(orjson.dumps(self.condition.as_request()))


class Transactions:
    """Transactions on one table, an entity's if no `table` is named; safe to share between
    threads."""

    def __init__(
        self,
        config: Config,
        spec: TableSpec,
        stop: StopFlag,
        wire: DynamoDB | None = None,
        *,
        table: str = "",
    ) -> None:
        self._table = table or config.target.table(spec.entity)
        self._wire = wire or DynamoDB(config.target)
        self._retry = RetryPolicy.of(config.migration, stop.sleep)
        self._throttle = Governor(config.migration.max_write_units, sleep=stop.sleep)
        self._indexes = len(spec.indexes)

    def write(self, writes: Sequence[Write]) -> bool:
        """Do all of `writes` (at most MOST_WRITES); False, and none of them is done, when a
        condition does not hold.

        Raises RequestRefused when DynamoDB does not take an item, and TargetError when it cannot
        be used.
        """
        body = orjson.dumps(
            {
                "TransactItems": [self._member(each) for each in writes],
                "ClientRequestToken": str(uuid.uuid4()),
                "ReturnConsumedCapacity": "TOTAL",
            }
        )
        expected = sum(_FACTOR * units_of(orjson.dumps(w.item), self._indexes) for w in writes)
        attempts = Attempts(self._retry)
        while True:
            try:
                self._send(body, expected)
                return True
            except ConditionFailed:
                return False
            except BackOff as problem:
                if isinstance(problem, Throttled):
                    self._throttle.slow_down(str(problem))
                if not attempts.fail(problem.at_least):
                    raise self._wire.gave_up(problem, attempts.failed) from problem
            attempts.wait()

    def _send(self, body: bytes, expected: float) -> None:
        self._throttle.acquire(expected)
        used, accepted = expected, 0.0
        try:
            answer = check("TransactWriteItems", {}, self._wire.call("TransactWriteItems", body))
            told = [each["CapacityUnits"] for each in answer["ConsumedCapacity"]]
            used = accepted = sum(told) or expected
        finally:
            self._throttle.settle(expected, used, accepted)

    def _member(self, write: Write) -> dict[str, Any]:
        what = {"Item": write.item} if write.kind == "Put" else {"Key": key_of(write.item)}
        return {write.kind: {"TableName": self._table, **what, **write.condition.as_request()}}


def portions(writes: Iterable[Write]) -> Iterator[list[Write]]:
    """Writes, as many together as one transaction takes."""
    portion: list[Write] = []
    size = 0
    for write in writes:
        if portion and (len(portion) == MOST_WRITES or size + write.size > _MOST_BYTES):
            yield portion
            portion, size = [], 0
        portion.append(write)
        size += write.size
    if portion:
        yield portion
