"""Writes that are done only if the table still holds what somebody has seen there.

One request an item: a batch cannot have conditions. An item costs the same write units as in a
batch; a condition that does not hold costs those of the table, and none of its indexes (DynamoDB
developer guide, "Capacity consumption for conditional writes").
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from threading import Lock
from typing import Any, Protocol

import orjson

from load.conditions import Condition
from load.lines import units_of
from load.throttle import Governor
from utils.answers import NoAnswer, check, consumed, parsed, require_keys
from utils.config import MigrationConfig, TargetConfig
from utils.dynamodb import ConditionFailed, DynamoDB
from utils.error_handler import BackOff, Throttled
from utils.interrupt import StopFlag
from utils.item_content import Item, normal_item
from utils.requests import ask
from utils.retry import Attempts, RetryPolicy
from utils.table_reader import Way
from utils.tables import PARTITION_KEY, SORT_KEY, TableSpec

READ_AT_ONCE = 100  # keys of one BatchGetItem
_LONG = 64 << 10  # bytes of an answer; one that ends for its length has about a megabyte


@dataclass(frozen=True)
class Written:
    """What became of a conditional write.

    `done`: the condition held. Otherwise `found` is what was there instead, None for nothing; and
    with `repeated` the request had been sent before and its answer was lost, so that what is found
    may be its own work.
    """

    done: bool
    found: dict[str, Any] | None = None
    repeated: bool = False


@dataclass(frozen=True)
class _Page:
    """A page of a record: its items, after which key the next one begins (None: there is none),
    and whether there may be one even if nothing is missing."""

    items: list[dict[str, Any]]
    after: dict[str, Any] | None
    goes_on: bool


class Reach(Protocol):
    """What says where to write, and how patiently."""

    @property
    def target(self) -> TargetConfig: ...
    @property
    def migration(self) -> MigrationConfig: ...


class ConditionalWriter:
    """Reads and conditional writes of one table; safe to share between threads.

    `requests` counts the conditional writes that were sent, `units` the write units they took.
    """

    def __init__(
        self,
        config: Reach,
        spec: TableSpec,
        stop: StopFlag,
        wire: DynamoDB | None = None,
        *,
        table: str | None = None,
    ) -> None:
        """The table is that of the entity of `spec`, or `table`."""
        self.table = table or config.target.table(spec.entity)
        self._wire = wire or DynamoDB(config.target)
        self._retry = RetryPolicy.of(config.migration, stop.sleep)
        self._throttle = Governor(config.migration.max_write_units, sleep=stop.sleep)
        self._indexes = len(spec.indexes)
        self._lock = Lock()
        self.requests = 0
        self.units = 0.0
        self.retries: Counter[str] = Counter()

    def put(self, item: bytes, condition: Condition) -> Written:
        """Put an item (DynamoDB JSON) if the condition holds for what is under its key.

        Raises RequestRefused when DynamoDB does not take the item, and TargetError.
        """
        return self._write("PutItem", b'"Item":' + item, condition, item)

    def delete(self, item: Item, condition: Condition) -> Written:
        """Delete what is under the key of `item` if the condition holds. Raises TargetError."""
        key = b'"Key":' + orjson.dumps(key_of(item))
        return self._write("DeleteItem", key, condition, orjson.dumps(item))

    def record(
        self, item: Item, *, expected: Iterable[str] = ()
    ) -> dict[tuple[str, str], dict[str, Any]]:
        """Everything that is in the table under the partition key of `item`, by key; `expected` are
        the sort keys that it should have. Raises TargetError.

        A page may have lost its LastEvaluatedKey on the way. So a record ends with an answer that
        is no page's worth (DynamoDB ends a page after 1 MB) and that leaves nothing expected out,
        or with an empty one.
        """
        request: dict[str, Any] = {
            "TableName": self.table,
            "ConsistentRead": True,
            "KeyConditionExpression": "#k = :k",
            "ExpressionAttributeNames": {"#k": PARTITION_KEY},
            "ExpressionAttributeValues": {":k": item[PARTITION_KEY]},
        }

        def parse(body: bytes) -> _Page:
            answer = check("Query", request, body)
            items = answer["Items"]
            require_keys("Query", items, (PARTITION_KEY, SORT_KEY))
            if any(each[PARTITION_KEY] != item[PARTITION_KEY] for each in items):
                raise NoAnswer("Query", "an item is of another record")
            # The last item, not what the answer names: that may be lost, or another's.
            after = key_of(items[-1]) if items else answer.get("LastEvaluatedKey")
            return _Page(items, after, "LastEvaluatedKey" in answer or len(body) >= _LONG)

        found: dict[tuple[str, str], dict[str, Any]] = {}
        missing = set(expected)
        way = Way(self._wire, "Query")
        while True:
            page = ask(self._wire, self._retry, "Query", request, parse, tell=self._tell)
            read = {text_key(each): each for each in page.items}
            found |= read
            missing -= {sk for _, sk in read}
            if page.after is None or not (page.goes_on or missing):
                return found
            way.goes_on(page.after)
            request["ExclusiveStartKey"] = page.after

    def find(self, items: Iterable[Item]) -> dict[tuple[str, str], dict[str, Any]]:
        """What is in the table under the keys of `items` (at most 100), by key."""
        keys = [key_of(item) for item in items]
        found: dict[tuple[str, str], dict[str, Any]] = {}
        attempts = Attempts(self._retry)
        while keys:
            request = {"RequestItems": {self.table: {"Keys": keys, "ConsistentRead": True}}}
            answer = ask(self._wire, self._retry, "BatchGetItem", request, tell=self._tell)
            for item in answer["Responses"].get(self.table, ()):
                found[text_key(item)] = item
            left = answer["UnprocessedKeys"].get(self.table, {}).get("Keys", [])
            if len(left) < len(keys):
                attempts = Attempts(self._retry)
            keys = left
            if keys:
                if not attempts.fail():
                    raise self._wire.gave_up(BackOff("UnprocessedKeys"), attempts.failed)
                attempts.wait()
        return found

    def _write(self, operation: str, what: bytes, condition: Condition, item: bytes) -> Written:
        body = b'{"TableName":"%b",%b,%b' % (
            self.table.encode(),
            what,
            orjson.dumps(
                {
                    **condition.as_request(),
                    "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
                    "ReturnConsumedCapacity": "TOTAL",
                }
            )[1:],
        )
        attempts = Attempts(self._retry)
        while True:
            try:
                self._send(operation, body, item)
                return Written(True)
            except ConditionFailed as failed:
                return Written(False, self._there(body, failed), repeated=attempts.failed > 0)
            except BackOff as problem:
                self._tell(problem)
                if not attempts.fail(problem.at_least):
                    raise self._wire.gave_up(problem, attempts.failed) from problem
            attempts.wait()

    def _send(self, operation: str, body: bytes, item: bytes) -> None:
        expected = float(units_of(item, self._indexes))
        self._throttle.acquire(expected)
        used = accepted = expected
        try:
            answer = parsed(operation, self._wire.call(operation, body))
            used = accepted = consumed(operation, answer)
        except Throttled:
            accepted = 0.0
            raise
        except ConditionFailed:
            used = accepted = float(units_of(item, indexes=0))  # the answer does not say
            raise
        finally:
            self._throttle.settle(expected, used, accepted)
            with self._lock:
                self.requests += 1
                self.units += accepted

    def _there(self, body: bytes, failed: ConditionFailed) -> dict[str, Any] | None:
        """What is under the key of a write that was not done, looked up where the answer does not
        say it, or says it of something else."""
        request = orjson.loads(body)
        key = key_of(request.get("Item") or request["Key"])
        if failed.item is not None and key.items() <= failed.item.items():
            return failed.item
        return next(iter(self.find([key]).values()), None)

    def _tell(self, problem: BackOff) -> None:
        with self._lock:
            self.retries[problem.reason] += 1
        if isinstance(problem, Throttled):
            self._throttle.slow_down(str(problem))


def key_of(item: Item) -> dict[str, Any]:
    """The key of an item, as a request has it."""
    return {PARTITION_KEY: item[PARTITION_KEY], SORT_KEY: item[SORT_KEY]}


def text_key(item: Item) -> tuple[str, str]:
    """The key of an item as two texts."""
    return item[PARTITION_KEY]["S"], item[SORT_KEY]["S"]


def is_same(one: Mapping[str, Any] | None, other: Mapping[str, Any]) -> bool:
    """Whether two items have the same content, whoever wrote them down."""
    return one is not None and normal_item(one) == normal_item(other)
