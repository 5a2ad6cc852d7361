"""Writes that are done only if the table still holds what somebody has seen there.

One request an item: a batch cannot have conditions. An item costs the same write units as in a
batch; a condition that does not hold costs those of the table, and none of its indexes (DynamoDB
developer guide, "Capacity consumption for conditional writes").
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain, repeat
from threading import Lock
from typing import Any, Protocol

import orjson

from load.writing.adaptive_rate import AdaptiveLimiter
from load.writing.batches import units_of
from load.writing.conditions import Condition
from utils.config import MigrationConfig, TargetConfig
from utils.dynamodb.answer_shapes import NoAnswer, check, consumed, parsed, require_keys
from utils.dynamodb.backoff import RetryPolicy
from utils.dynamodb.client import ConditionFailed, DynamoDB, RequestRefused, request_id_of
from utils.dynamodb.item_content import Item
from utils.dynamodb.item_text import Attributes, holds_just
from utils.dynamodb.retrying import Retries, ask, ask_all, send_all
from utils.dynamodb.table_reader import Way
from utils.dynamodb.table_spec import PARTITION_KEY, SORT_KEY, TableSpec
from utils.error_handler import BackOff, Throttled
from utils.interrupt import StopFlag

Found = dict[tuple[str, str], dict[str, Any]]  # items by their keys
READ_AT_ONCE = 100  # keys of one BatchGetItem
_ASKED_FOR = b'"ReturnValuesOnConditionCheckFailure":"ALL_OLD","ReturnConsumedCapacity":"TOTAL"'
_LONG = 64 << 10  # bytes of an answer; one that ends for its length has about a megabyte


@dataclass(frozen=True)
class WriteResult:
    """What became of a conditional write.

    `done`: the condition held, in the request that DynamoDB calls `request_id`. Otherwise `found`
    is what was there instead, None for nothing; and with `repeated` the request had been sent
    before and its answer was lost, so that what is found may be its own work.
    """

    done: bool
    found: dict[str, Any] | None = None
    repeated: bool = False
    request_id: str = ""


@dataclass(frozen=True)
class _Page:
    """A page of a record: its items, after which key the next one begins (None: there is none),
    and whether there may be one even if nothing is missing."""

    items: list[dict[str, Any]]
    after: dict[str, Any] | None
    goes_on: bool


AS_KNOWN: Found = {}  # what was found of a record that is just what is known of it
_NOTHING_MORE = _Page([], None, goes_on=False)


class _Partition:
    """A record that is being read: the Query for its first page, what was found of it, and the sort
    keys that are still missing. `known` are the items that it may just have, as they are (the
    attributes of each)."""

    def __init__(
        self, table: str, item: Item, expected: set[str], known: Sequence[Attributes] | None = None
    ) -> None:
        self.found: Found = {}
        self._missing = expected
        self._known = known
        self._key = item[PARTITION_KEY]
        self.request: dict[str, Any] = {
            "TableName": table,
            "ConsistentRead": True,
            "KeyConditionExpression": "#k = :k",
            "ExpressionAttributeNames": {"#k": PARTITION_KEY},
            "ExpressionAttributeValues": {":k": self._key},
        }

    def parse(self, body: bytes) -> _Page:
        if self._known and len(body) < _LONG and holds_just(body, self._known):
            self.found, self._missing = AS_KNOWN, set()
            return _NOTHING_MORE
        answer = check("Query", self.request, body)
        items = answer["Items"]
        require_keys("Query", items, (PARTITION_KEY, SORT_KEY))
        if any(each[PARTITION_KEY] != self._key for each in items):
            raise NoAnswer("Query", "an item is of another record")
        # The last item, not what the answer names: that may be lost, or another's.
        after = key_of(items[-1]) if items else answer.get("LastEvaluatedKey")
        goes_on = "LastEvaluatedKey" in answer or len(body) >= _LONG
        return _Page(items, after, goes_on)

    def take(self, page: _Page) -> dict[str, Any] | None:
        """Take a page; returns after which key the next one begins, None at the end."""
        if page.items:
            read = {text_key(each): each for each in page.items}
            self.found |= read
            self._missing -= {sk for _, sk in read}
        return page.after if page.goes_on or self._missing else None


@dataclass(frozen=True)
class _Write:
    """A conditional write: the request, the write units that it will take if it is done, and those
    of the table alone."""

    operation: str
    body: bytes
    expected: float
    table: float
    item: bytes = b""


class Listener(Protocol):
    """Hears, in the thread that has asked for it, of each request that has written: which items (in
    JSON), under which id, and whether `together`, in a transaction."""

    def __call__(self, items: Iterable[bytes], request_id: str, *, together: bool) -> None: ...


def _nobody(items: Iterable[bytes], request_id: str, *, together: bool) -> None:
    """Nobody listens."""


class Reach(Protocol):
    """What says where to write, and how patiently."""

    @property
    def target(self) -> TargetConfig: ...
    @property
    def migration(self) -> MigrationConfig: ...


class ConditionalWriter:
    """Reads and conditional writes of one table; safe to share between threads.

    `requests` counts the conditional writes (and transactions) that were sent, `units` the write
    units they took.
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
        self.wire = wire or DynamoDB(config.target)
        self.retry = RetryPolicy.of(config.migration, stop.sleep)
        self.limiter = AdaptiveLimiter(config.migration.max_write_units, sleep=stop.sleep)
        self.indexes = len(spec.indexes)
        self._lock = Lock()
        self.requests = 0
        self.units = 0.0
        self.retries: Counter[str] = Counter()
        self.listener: Listener = _nobody

    def count(self, units: float) -> None:
        """A conditional request has been answered, which has taken so many write units."""
        with self._lock:
            self.requests += 1
            self.units += units

    def put(self, item: bytes, condition: Condition) -> WriteResult:
        """Put an item (DynamoDB JSON) if the condition holds for what is under its key.

        Raises RequestRefused when DynamoDB does not take the item, and TargetError.
        """
        return self._written(self._put(item, condition))

    def put_all(
        self, puts: Sequence[tuple[bytes, Condition]]
    ) -> list[WriteResult | RequestRefused]:
        """Put items, each on its condition, many at once; what became of each. Raises
        TargetError."""
        return self._all_written([self._put(*each) for each in puts])

    def delete(self, item: Item, condition: Condition) -> WriteResult:
        """Delete what is under the key of `item` if the condition holds. Raises TargetError."""
        return self._written(self._delete(item, condition))

    def record(self, item: Item, *, expected: Iterable[str] = ()) -> Found:
        """Everything that is in the table under the partition key of `item`, by key; `expected` are
        the sort keys that it should have. Raises TargetError.

        A page may have lost its LastEvaluatedKey on the way. So a record ends with an answer that
        is no page's worth (DynamoDB ends a page after 1 MB) and that leaves nothing expected out,
        or with an empty one.
        """
        return self.records([(item, expected)])[0]

    def records(
        self,
        asked: Sequence[tuple[Item, Iterable[str]]],
        known: Iterable[Sequence[Attributes] | None] = (),
    ) -> list[Found]:
        """`record` of many, which are asked for together. `known` may say of each which items it
        may just have (flat ones, by their attributes; see utils/dynamodb/item_text.py): where that
        is so, AS_KNOWN itself stands for them, and nothing is parsed."""
        wanted = [
            _Partition(self.table, item, set(expected), items)
            for (item, expected), items in zip(asked, chain(known, repeat(None)), strict=False)
        ]
        pages = ask_all(
            self.wire,
            self.retry,
            "Query",
            [each.request for each in wanted],
            [each.parse for each in wanted],
            tell=self._tell,
        )
        for each, page in zip(wanted, pages, strict=True):
            self._read_on(each, page)
        return [each.found for each in wanted]

    def _read_on(self, record: _Partition, page: _Page) -> None:
        """Take the first page of a record, and those that come after it."""
        way = Way(self.wire, "Query")
        while after := record.take(page):
            way.goes_on(after)
            request = {**record.request, "ExclusiveStartKey": after}
            page = ask(self.wire, self.retry, "Query", request, record.parse, tell=self._tell)

    def find(self, items: Iterable[Item]) -> dict[tuple[str, str], dict[str, Any]]:
        """What is in the table under the keys of `items` (at most 100), by key."""
        keys = [key_of(item) for item in items]
        found: dict[tuple[str, str], dict[str, Any]] = {}
        retries = Retries(self.wire, self.retry, table=self.table)
        while keys:
            request = {"RequestItems": {self.table: {"Keys": keys, "ConsistentRead": True}}}
            answer = ask(self.wire, self.retry, "BatchGetItem", request, tell=self._tell)
            for item in answer["Responses"].get(self.table, ()):
                found[text_key(item)] = item
            left = answer["UnprocessedKeys"].get(self.table, {}).get("Keys", [])
            if len(left) < len(keys):
                retries = Retries(self.wire, self.retry, table=self.table)
            keys = left
            if keys:
                retries.failed(BackOff("UnprocessedKeys"))
                retries.wait()
        return found

    def _put(self, item: bytes, condition: Condition) -> _Write:
        return self._write("PutItem", b'"Item":' + item, condition, item)

    def _delete(self, item: Item, condition: Condition) -> _Write:
        key = b'"Key":' + orjson.dumps(key_of(item))
        return self._write("DeleteItem", key, condition, orjson.dumps(item))

    def _write(self, operation: str, what: bytes, condition: Condition, item: bytes) -> _Write:
        body = b'{"TableName":"%b",%b,%b,%b}' % (
            self.table.encode(),
            what,
            condition.text,
            _ASKED_FOR,
        )
        table = units_of(item, indexes=0)
        return _Write(operation, body, float(units_of(item, self.indexes)), float(table), item)

    def _written(self, write: _Write) -> WriteResult:
        (done,) = self._all_written([write])
        if isinstance(done, RequestRefused):
            raise done
        return done

    def _all_written(self, writes: Sequence[_Write]) -> list[WriteResult | RequestRefused]:
        """What became of writes, which are sent some at a time."""
        done: list[WriteResult | RequestRefused | None] = [None] * len(writes)
        repeated: set[int] = set()

        def take(number: int, answer: bytes | Exception) -> None:
            write = writes[number]
            try:
                self._take(write, answer)
                request_id = request_id_of(answer)
                done[number] = WriteResult(True, request_id=request_id)
                self.listener((write.item,), request_id, together=False)
            except ConditionFailed as failed:
                there = self._there(write.body, failed)
                done[number] = WriteResult(False, there, repeated=number in repeated)
            except RequestRefused as refusal:
                done[number] = refusal
            except BackOff:
                repeated.add(number)
                raise

        send_all(
            self.wire,
            self.retry,
            [(each.operation, each.body) for each in writes],
            take,
            tell=self._tell,
            portions=self.limiter.portions([each.expected for each in writes], self.wire.at_once),
        )
        return [each for each in done if each is not None]

    def _take(self, write: _Write, answer: bytes | Exception) -> None:
        """Account for the answer to a write. Raises what it is, if it is an error."""
        used = accepted = write.expected
        try:
            if isinstance(answer, Exception):
                raise answer
            used = accepted = consumed(write.operation, parsed(write.operation, answer))
        except Throttled:
            accepted = 0.0
            raise
        except ConditionFailed:
            used = accepted = write.table  # the answer does not say
            raise
        finally:
            self.limiter.settle(write.expected, used, accepted)
            self.count(accepted)

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
            self.limiter.slow_down(str(problem))


def key_of(item: Item) -> dict[str, Any]:
    """The key of an item, as a request has it."""
    return {PARTITION_KEY: item[PARTITION_KEY], SORT_KEY: item[SORT_KEY]}


def text_key(item: Item) -> tuple[str, str]:
    """The key of an item as two texts."""
    return item[PARTITION_KEY]["S"], item[SORT_KEY]["S"]
