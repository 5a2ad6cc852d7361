"""What the sink holds, and its answers: as much of DynamoDB as the tool asks of it.

Items are kept as the bytes they came as; a key that is written twice is there twice. Which items
are in a partition is found from the keys that open every item, while nobody asks for anything, at
the latest when somebody asks for a partition, and their order when he does. The time for it is
taken from the tool, on the same cores.
"""

from __future__ import annotations

import re
import time
from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import lru_cache
from typing import Any
from uuid import uuid4

import orjson

from tests.bench.capacity import Capacity, units_of
from tests.bench.expressions import condition, key_range
from utils.tables import is_mark

PAGE_BYTES = 1 << 20
_VERSION = "com.amazonaws.dynamodb.v20120810"
_BATCH = re.compile(rb'\{"RequestItems": ?\{"([^"]+)": ?\[')
_LINE = b'{"Item":'
_OPENING, _CLOSING = b'{"PutRequest":{"Item":', b"}}"
_BETWEEN = _CLOSING + b"," + _OPENING
_TEXT = rb'"([^"\\]*(?:\\.[^"\\]*)*)"'  # a JSON string without a step for each character
_INDEXES = (b"GSI1", b"GSI2", b"GSI3", b"GSI4")  # as many as a table of the tool has at the most
_KEYS = re.compile(
    rb'\{"PK":\{"S":%b\},"SK":\{"S":%b\}' % (_TEXT, _TEXT)
    + b"".join(
        rb'(?:,"%bPK":\{"S":%b\},"%bSK":\{"S":%b\})?' % (name, _TEXT, name, _TEXT)
        for name in _INDEXES
    )
)
_OWN_KEYS = 2
_TAKEN = b'"ConsumedCapacity":{"TableName":"%b","CapacityUnits":1.0}'
_AT_A_TIME = 200  # items: half a millisecond

Entries = list[tuple[bytes, int]]  # sort keys and places
Indexes = dict[bytes, dict[bytes, Entries]]  # by name and partition


class Refused(Exception):
    """A request that cannot be answered; `body` is DynamoDB's way to say so."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.body = orjson.dumps({"__type": f"{_VERSION}#{kind}", "message": message})


class Table:
    """The items of one table, in the order in which they came."""

    def __init__(self, definition: dict[str, Any]) -> None:
        self.definition = definition
        self.items: list[bytes] = []
        self.ends: dict[tuple[bytes, bytes], int] = {}  # of pages: key of the last item, place
        self._forget()

    def _forget(self) -> None:
        self._known = 0
        self._own: dict[bytes, list[int]] = defaultdict(list)
        self._indexes: Indexes = {name: defaultdict(list) for name in _INDEXES}
        self._sorted: dict[tuple[str, bytes], Entries] = {}

    def clear(self) -> None:
        """Forget the items."""
        self.items = []
        self.ends = {}
        self._forget()

    def put(self, items: Sequence[bytes]) -> None:
        """Keep items."""
        self.items += items
        if self._sorted:
            self._sorted = {}

    def delete(self, partition: str, sort_key: bytes) -> None:
        """Forget an item; its place stays, empty."""
        for found, place in self.under("PK", partition):
            if found == sort_key:
                self.items[place] = b""

    def page(self, start: int, end: int, limit: int) -> tuple[list[bytes], int]:
        """The items from `start` on that one answer holds, and where the next one starts."""
        size, place = 0, start
        last = min(end, start + limit)
        while place < last and size < PAGE_BYTES:
            size += len(self.items[place])
            place += 1
        return [item for item in self.items[start:place] if item], place

    def under(self, attribute: str, value: str) -> Entries:
        """The sort keys, in order, and places of the items whose `attribute` (PK, GSI1PK, …) is
        `value`."""
        asked = attribute, _escaped(value)
        if asked not in self._sorted:
            self.prepare()
            if attribute == "PK":
                places = self._own.get(asked[1], ())
                entries = [(self._sort_key(place), place) for place in places]
            else:
                entries = self._indexes[attribute.removesuffix("PK").encode()].get(asked[1], [])
            self._sorted[asked] = sorted(entries)
        return self._sorted[asked]

    def prepare(self, most: int | None = None) -> bool:
        """Find in which partitions the next items are, `most` of them; whether there were any."""
        start = self._known
        items = self.items[start : start + most if most else None]
        for place, keys in enumerate(map(_KEYS.match, items), start):
            if keys is None:
                raise Refused("InternalFailure", "an item does not open with PK and SK")
            self._own[keys[1]].append(place)
            if keys.lastindex != _OWN_KEYS:
                texts = iter(keys.groups()[_OWN_KEYS:])
                for index, partition, key in zip(self._indexes.values(), texts, texts, strict=True):
                    if partition is not None:
                        index[partition].append((key, place))
        self._known += len(items)
        return bool(items)

    def _sort_key(self, place: int) -> bytes:
        return self.key_at(place)[1]

    def key_at(self, place: int) -> tuple[bytes, bytes]:
        """PK and SK of an item, as they are escaped there."""
        keys = _KEYS.match(self.items[place])
        assert keys is not None
        return keys[1], keys[2]


def _escaped(text: str) -> bytes:
    return orjson.dumps(text)[1:-1]


class Store:
    """All tables, and the answer to each request."""

    def __init__(self) -> None:
        self._tables: dict[str, Table] = {}
        self._operations: dict[str, Callable[[dict[str, Any]], bytes]] = {
            "CreateTable": self._create,
            "DescribeTable": self._describe,
            "Scan": self._scan,
            "Query": self._query,
            "GetItem": self._get,
            "PutItem": self._put,
            "DeleteItem": self._mark,
            "TransactWriteItems": self._transact,
            "Clear": self._clear,
            "Delay": lambda _request: b"{}",
            "Count": self._count,
            "Prepare": self._prepare,
            "Meter": self._meter,
            "Metered": self._metered,
        }
        self._capacity: Capacity | None = None

    def answer(self, operation: str, body: bytes) -> bytes:
        """The answer to a request. Raises Refused."""
        if operation == "BatchWriteItem":
            return self._write(body)
        known = self._operations.get(operation)
        if known is None:
            raise Refused("UnknownOperationException", operation)
        return known(orjson.loads(body))

    def _write(self, body: bytes) -> bytes:
        opening = _BATCH.match(body)
        if opening is None:
            raise Refused("ValidationException", "not a batch for one table")
        name = opening[1].decode()
        table = self._tables.get(name)
        if table is None:
            return _written(name, body.count(b'"PutRequest"'))
        start = opening.end()
        if body.startswith(_OPENING, start):
            end = body.rindex(b"]}") - len(_CLOSING)
            items = body[start + len(_OPENING) : end].split(_BETWEEN)
        else:
            requests = orjson.loads(body)["RequestItems"][name]
            items = [orjson.dumps(request["PutRequest"]["Item"]) for request in requests]
        if self._capacity is not None:
            return self._take(self._capacity, name, table, items)
        table.put(items)
        return _written(name, len(items))

    @staticmethod
    def _take(capacity: Capacity, name: str, table: Table, items: list[bytes]) -> bytes:
        """Put as many items as the capacity allows; the others are not processed."""
        count = capacity.take(items)
        if not count:
            raise Refused("ProvisionedThroughputExceededException", "too many write units")
        table.put(items[:count])
        consumed = [{"TableName": name, "CapacityUnits": float(sum(map(units_of, items[:count])))}]
        left = [{"PutRequest": {"Item": orjson.loads(item)}} for item in items[count:]]
        unprocessed = {name: left} if left else {}
        return orjson.dumps({"UnprocessedItems": unprocessed, "ConsumedCapacity": consumed})

    def _table(self, request: dict[str, Any]) -> Table:
        name = request["TableName"]
        if name not in self._tables:
            raise Refused("ResourceNotFoundException", f"no table {name}")
        return self._tables[name]

    def _create(self, request: dict[str, Any]) -> bytes:
        indexes = [
            {**index, "IndexStatus": "ACTIVE"}
            for index in request.get("GlobalSecondaryIndexes", ())
        ]
        name = request["TableName"]
        definition = {
            **request,
            "TableStatus": "ACTIVE",
            "TableArn": f"arn:aws:dynamodb:sink:000000000000:table/{name}",
            "TableId": str(uuid4()),
            "CreationDateTime": time.time(),
            "ItemCount": 0,
            "GlobalSecondaryIndexes": indexes,
        }
        self._tables[name] = Table(definition)
        return orjson.dumps({"TableDescription": definition})

    def _describe(self, request: dict[str, Any]) -> bytes:
        return orjson.dumps({"Table": self._table(request).definition})

    def _scan(self, request: dict[str, Any]) -> bytes:
        table = self._table(request)
        segment, total = request.get("Segment", 0), request.get("TotalSegments", 1)
        start, end = (len(table.items) * part // total for part in (segment, segment + 1))
        if "ExclusiveStartKey" in request:
            key = request["ExclusiveStartKey"]
            start = table.ends[_escaped(key["PK"]["S"]), _escaped(key["SK"]["S"])]
        items, place = table.page(start, end, request.get("Limit", end - start))
        if "FilterExpression" in request:
            holds = condition(request["FilterExpression"], request)
            items = [item for item in items if holds(orjson.loads(item))]
        last = b""
        if place > start:
            key = table.key_at(place - 1)
            table.ends[key] = place
            last = b',"LastEvaluatedKey":{"PK":{"S":"%b"},"SK":{"S":"%b"}}' % key
        if place == end:
            last = b""
        if "ReturnConsumedCapacity" in request:
            last += b"," + _TAKEN % request["TableName"].encode()
        return _found(items, last)

    def _query(self, request: dict[str, Any]) -> bytes:
        table = self._table(request)
        wanted = key_range(request["KeyConditionExpression"], request)
        entries = table.under(wanted.attribute, wanted.partition)
        first = bisect_left(entries, (_escaped(wanted.first), -1))
        after = bisect_right(entries, (_escaped(wanted.last), len(table.items)))
        entries = entries[first:after]
        if not request.get("ScanIndexForward", True):
            entries.reverse()
        start = int(request.get("ExclusiveStartKey", {"PK": {"S": "0"}})["PK"]["S"])
        items: list[bytes] = []
        size, done = 0, start
        for _, place in entries[start:][: request.get("Limit")]:
            if size >= PAGE_BYTES:
                break
            done += 1
            if table.items[place]:
                items.append(table.items[place])
                size += len(items[-1])
        # As of a scan: where a page ends means nothing to whoever asks.
        last = b',"LastEvaluatedKey":{"PK":{"S":"%d"},"SK":{"S":"-"}}' % done
        return _found(items, last if done < len(entries) and items else b"")

    def _get(self, request: dict[str, Any]) -> bytes:
        table, key = self._table(request), request["Key"]
        sort_key = _escaped(key["SK"]["S"])
        units = _TAKEN % request["TableName"].encode()
        for found, place in table.under("PK", key["PK"]["S"]):
            if found == sort_key:
                return b'{"Item":%b,%b}' % (table.items[place], units)
        return b"{%b}" % units

    def _put(self, request: dict[str, Any]) -> bytes:
        """Every condition holds here."""
        if not is_mark(request["Item"]):
            self._table(request).put([orjson.dumps(request["Item"])])
        return self._mark(request)

    def _transact(self, request: dict[str, Any]) -> bytes:
        """Deletions and checks, of which every condition holds here."""
        taken: Counter[str] = Counter()
        for each in request["TransactItems"]:
            ((kind, what),) = each.items()
            taken[what["TableName"]] += 2
            if kind == "Delete":
                key = what["Key"]
                self._table(what).delete(key["PK"]["S"], _escaped(key["SK"]["S"]))
            elif kind != "ConditionCheck":
                raise Refused("ValidationException", f"{kind} in a transaction")
        consumed = [{"TableName": name, "CapacityUnits": units} for name, units in taken.items()]
        return orjson.dumps({"ConsumedCapacity": consumed})

    def _mark(self, request: dict[str, Any]) -> bytes:
        """The mark of whoever is at work: nobody else is, so it is not kept."""
        return b"{%b}" % (_TAKEN % request["TableName"].encode())

    def _clear(self, _: dict[str, Any]) -> bytes:
        for table in self._tables.values():
            table.clear()
        return b"{}"

    def _meter(self, request: dict[str, Any]) -> bytes:
        """The sink's own: from now on count write units, and take no more than `Units`."""
        self._capacity = Capacity(request["Units"], request["Burst"])
        return b"{}"

    def _metered(self, _: dict[str, Any]) -> bytes:
        """The sink's own: what has been taken since, and how often it was too much."""
        capacity, self._capacity = self._capacity, None
        assert capacity is not None
        return orjson.dumps({"taken": capacity.taken, "refused": capacity.refused})

    def _count(self, _: dict[str, Any]) -> bytes:
        return orjson.dumps({name: len(table.items) for name, table in self._tables.items()})

    def idle(self) -> bool:
        """Use a moment in which nobody asks for anything; whether there was something to do."""
        with suppress(Refused):
            return any(table.prepare(_AT_A_TIME) for table in self._tables.values())
        return False

    def _prepare(self, _: dict[str, Any]) -> bytes:
        for table in self._tables.values():
            table.prepare()
        return b"{}"


@lru_cache(maxsize=256)
def _written(name: str, items: int) -> bytes:
    consumed = [{"TableName": name, "CapacityUnits": float(items)}]
    return orjson.dumps({"UnprocessedItems": {}, "ConsumedCapacity": consumed})


def _found(items: Sequence[bytes], last: bytes) -> bytes:
    count = len(items)
    return b'{"Count":%d,"ScannedCount":%d,"Items":[%b]%b}' % (count, count, b",".join(items), last)
