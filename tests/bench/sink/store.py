"""What the sink holds, and its answers: as much of DynamoDB as the tool asks of it.

Items are kept as the bytes they came as; a key that is written twice in batches, or on condition
that it is not there, is there twice. Which items are in a partition is found from the keys that
open every item, while nobody asks for anything, at the latest when somebody asks for one of them,
and the order in an index when he does. The time for it is taken from the tool, on the same cores.
"""

from __future__ import annotations

import re
import time
from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from itertools import compress
from typing import Any
from uuid import uuid4

import orjson

from tests.bench.sink.capacity import Capacity, PartitionCapacity, units_of
from tests.bench.sink.expressions import condition, key_range
from utils.dynamodb.table_spec import is_mark

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
_ANOTHER = b',"altered":{"S":"by the bench"}}'
_ABSENT = "attribute_not_exists(#k)"  # of what is put: nothing is there in its place
_NEW = re.compile(rb'\{"TableName":"([^"]+)","Item":')
_IF_ABSENT = b',"ConditionExpression":"%b"' % _ABSENT.encode()
_DELETIONS = re.compile(rb'\{"TransactItems":\[\{"Delete":\{"TableName":"([^"]+)","Key":')
_PUTS = re.compile(rb'\{"TransactItems":\[\{"Put":\{"TableName":"([^"]+)","Item":')
_NO_DELETIONS = (b'{"Put":{"TableName"', b'{"ConditionCheck":{"TableName"')
_NO_PUTS = (b'{"Delete":{"TableName"', b'{"ConditionCheck":{"TableName"')
_CONDITION = b',"ConditionExpression":"'
_KEY = re.compile(rb'\{"PK":\{"S":%b\},"SK":\{"S":%b\}\}' % (_TEXT, _TEXT))
_UNITS = b'{"TableName":"%b","CapacityUnits":%d.0}'
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
        self.clear()

    def clear(self) -> None:
        """Forget the items."""
        self.items: list[bytes] = []
        self.ends: dict[tuple[bytes, bytes], int] = {}  # of pages: key of the last item, place
        self._gone = 0
        self._forget()

    def _forget(self) -> None:
        self._known = 0
        self._own: dict[bytes, dict[bytes, int]] = defaultdict(dict)
        self._indexes: Indexes = {name: defaultdict(list) for name in _INDEXES}
        self._sorted: dict[tuple[str, bytes], Entries] = {}
        self._listed: dict[str, list[tuple[int, bytes]]] = {}

    @property
    def count(self) -> int:
        """How many items there are."""
        return len(self.items) - self._gone

    def put(self, items: Sequence[bytes]) -> None:
        """Keep items that are not there yet."""
        self.items += items
        if self._sorted or self._listed:
            self._sorted, self._listed = {}, {}

    def replace(self, item: bytes) -> None:
        """Keep an item instead of the one that has its key."""
        item = _opened(item)
        keys = _KEYS.match(item)
        assert keys is not None
        place = self.place_of(keys[1], keys[2])
        if place is not None and _KEYS.match(self.items[place])[0] == keys[0]:  # type: ignore[index] # it is known
            self.items[place] = item
            return
        self._listed = {}
        self.delete(keys[1], keys[2])
        self.put([item])

    def delete(self, partition: bytes, sort_key: bytes) -> None:
        """Forget an item, if it is there; its place stays, empty."""
        place = self.place_of(partition, sort_key)
        if place is not None:
            del self._own[partition][sort_key]
            self.items[place] = b""
            self._gone += 1
            self._listed = {}

    def place_of(self, partition: bytes, sort_key: bytes) -> int | None:
        """Where the item with this key (as it is escaped in items) is, None: nowhere."""
        if self._known < len(self.items):
            self.prepare()
        record = self._own.get(partition)
        return None if record is None else record.get(sort_key)

    def page(self, start: int, end: int, limit: int) -> tuple[list[bytes], int]:
        """The items from `start` on that one answer holds, and where the next one starts."""
        found: list[bytes] = []
        size, place = 0, start
        while place < end and size < PAGE_BYTES and len(found) < limit:
            if item := self.items[place]:
                found.append(item)
                size += len(item)
            place += 1
        return found, place

    def listed(self, name: str) -> list[tuple[int, bytes]]:
        """The places of the items that are in an index (GSI1, …), in this order, with the keys that
        they have there, as the answer to a Scan of it has them."""
        if name not in self._listed:
            group = 1 + _OWN_KEYS + 2 * _INDEXES.index(name.encode())
            form = b'{"PK":{"S":"%%b"},"SK":{"S":"%%b"},"%bPK":{"S":"%%b"},"%bSK":{"S":"%%b"}}'
            form %= (name.encode(), name.encode())
            found = ((place, _KEYS.match(item)) for place, item in enumerate(self.items) if item)
            self._listed[name] = [
                (place, form % (keys[1], keys[2], keys[group], keys[group + 1]))
                for place, keys in found
                if keys is not None and keys[group] is not None
            ]
        return self._listed[name]

    def begins_at(self, part: int, parts: int) -> int:
        """The first place of a part of the table: no record is in two of them."""
        place = len(self.items) * part // parts
        while 0 < place < len(self.items) and self._record(place) == self._record(place - 1):
            place += 1
        return place

    def _record(self, place: int) -> bytes:
        keys = _KEYS.match(self.items[place])
        return keys[1] if keys else b""

    def under(self, attribute: str, value: str) -> Entries:
        """The sort keys, in order, and places of the items whose `attribute` (PK, GSI1PK, …) is
        `value`; of an index also the places of some that are gone."""
        if self._known < len(self.items):
            self.prepare()
        if attribute == "PK":
            return sorted(self._own.get(_escaped(value), {}).items())
        asked = attribute, _escaped(value)
        if asked not in self._sorted:
            index = self._indexes[attribute.removesuffix("PK").encode()]
            self._sorted[asked] = sorted(index.get(asked[1], ()))
        return self._sorted[asked]

    def prepare(self, most: int | None = None) -> bool:
        """Find in which partitions the next items are, `most` of them; whether there were any."""
        start = self._known
        items = self.items[start : start + most if most else None]
        for place, opening in enumerate(map(_KEYS.match, items), start):
            keys = opening or self._open(place)
            self._own[keys[1]][keys[2]] = place
            if keys.lastindex != _OWN_KEYS:
                texts = iter(keys.groups()[_OWN_KEYS:])
                for index, partition, key in zip(self._indexes.values(), texts, texts, strict=True):
                    if partition is not None:
                        index[partition].append((key, place))
        self._known += len(items)
        return bool(items)

    def _open(self, place: int) -> re.Match[bytes]:
        self.items[place] = _opened(self.items[place])
        keys = _KEYS.match(self.items[place])
        assert keys is not None
        return keys

    def arrange(self) -> None:
        """Put the items of a record one after the other, in the order of their keys, as a table
        has them (what has been sent at once has come in any order), and list what is in indexes."""
        self.prepare()
        places = [place for record in self._own.values() for _, place in sorted(record.items())]
        items = [self.items[place] for place in places]
        self.clear()
        self.put(items)
        self.prepare()
        for name in _INDEXES:
            self.listed(name.decode())


def _start(
    table: Table, entries: Sequence[tuple[bytes, int]], after: Mapping[str, Any] | None
) -> int:
    """Where among entries to go on: at the number that an answer has given, or after a key."""
    if after is None:
        return 0
    pk, sk = (after[name]["S"] for name in ("PK", "SK"))
    if pk.isdigit():
        return int(pk)
    keys = (_keys_of(table.items[place]) for _, place in entries)
    wanted = pk.encode(), sk.encode()
    return next((n for n, found in enumerate(keys, 1) if found == wanted), len(entries))


def _keys_of(item: bytes) -> tuple[bytes, bytes]:
    """PK and SK of an item, as they are escaped there."""
    keys = _KEYS.match(item)
    assert keys is not None
    return keys[1], keys[2]


def _opened(item: bytes) -> bytes:
    """An item that opens with its keys. Raises Refused when it has none."""
    if _KEYS.match(item):
        return item
    found = orjson.loads(item)
    names = [name + kind for name in ("", *(i.decode() for i in _INDEXES)) for kind in ("PK", "SK")]
    opened = orjson.dumps({name: found[name] for name in names if name in found} | found)
    if not _KEYS.match(opened):
        raise Refused("ValidationException", "an item has no PK and SK")
    return opened


def _key(key: dict[str, Any]) -> tuple[bytes, bytes]:
    return _escaped(key["PK"]["S"]), _escaped(key["SK"]["S"])


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
            "DeleteItem": self._delete,
            "BatchGetItem": self._get_batch,
            "TransactWriteItems": self._transact,
            "Alter": self._alter,
            "Clear": self._clear,
            "Delay": lambda _request: b"{}",
            "Count": self._count,
            "Prepare": self._prepare,
            "Meter": self._meter,
            "Metered": self._metered,
        }
        self._capacity: Capacity | PartitionCapacity | None = None

    def answer(self, operation: str, body: bytes) -> bytes:
        """The answer to a request. Raises Refused."""
        if operation == "BatchWriteItem":
            return self._write(body)
        known = self._operations.get(operation)
        if known is None:
            raise Refused("UnknownOperationException", operation)
        return self._usual(operation, body) or known(orjson.loads(body))

    def _usual(self, operation: str, body: bytes) -> bytes | None:
        """The answer to what is asked most, without parsing; None for anything else."""
        if operation == "PutItem" and (put := _NEW.match(body)):
            end = body.find(_IF_ABSENT, put.end())
            if end >= 0 and (table := self._tables.get(put[1].decode())):
                table.put([body[put.end() : end]])
                return b"{%b}" % (_TAKEN % put[1])
        if operation == "TransactWriteItems":
            return self._deletions(body) or self._puts(body)
        return None

    def _deletions(self, body: bytes) -> bytes | None:
        """The same for a transaction that only deletes."""
        first = _DELETIONS.match(body)
        table = self._tables.get(first[1].decode()) if first else None
        if first is None or table is None or any(other in body for other in _NO_DELETIONS):
            return None
        deletions = body.split(first[0].partition(b"[")[2])[1:]
        keys = [key for key in map(_KEY.match, deletions) if key]
        if len(keys) < len(deletions):
            return None
        for key in keys:
            table.delete(key[1], key[2])
        return _transacted(first[1], len(keys))

    def _puts(self, body: bytes) -> bytes | None:
        """The same for a transaction that only puts."""
        first = _PUTS.match(body)
        table = self._tables.get(first[1].decode()) if first else None
        if first is None or table is None or any(other in body for other in _NO_PUTS):
            return None
        puts = [put.partition(_CONDITION) for put in body.split(first[0].partition(b"[")[2])[1:]]
        if not all(found for _, found, _ in puts):
            return None
        for item, _, _ in puts:
            table.replace(item)
        return _transacted(first[1], len(puts))

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
    def _take(
        capacity: Capacity | PartitionCapacity, name: str, table: Table, items: list[bytes]
    ) -> bytes:
        """Put as many items as the capacity allows; the others are not processed."""
        chosen = capacity.choose(items)
        taken = list(compress(items, chosen))
        if not taken:
            raise Refused("ProvisionedThroughputExceededException", "too many write units")
        table.put(taken)
        consumed = [{"TableName": name, "CapacityUnits": float(sum(map(units_of, taken)))}]
        others = (item for item, is_taken in zip(items, chosen, strict=True) if not is_taken)
        left = [{"PutRequest": {"Item": orjson.loads(item)}} for item in others]
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

    def _scan_index(self, request: dict[str, Any]) -> bytes:
        """A page of an index: the keys of its entries, as many as are in 1 MB of items."""
        table = self._table(request)
        entries = table.listed(request["IndexName"].partition("-")[0])
        segment, total = request.get("Segment", 0), request.get("TotalSegments", 1)
        start, end = (len(entries) * part // total for part in (segment, segment + 1))
        if key := request.get("ExclusiveStartKey"):
            place = table.place_of(_escaped(key["PK"]["S"]), _escaped(key["SK"]["S"]))
            assert place is not None
            start = bisect_right(entries, (place, b"~"))
        found: list[bytes] = []
        size = 0
        for place, entry in entries[start : min(end, start + request.get("Limit", end))]:
            if size >= PAGE_BYTES:
                break
            found.append(entry)
            size += len(table.items[place])
        last = b',"LastEvaluatedKey":%b' % found[-1] if start + len(found) < end else b""
        return _found(found, last + b"," + _TAKEN % request["TableName"].encode())

    def _scan(self, request: dict[str, Any]) -> bytes:
        if "IndexName" in request:
            return self._scan_index(request)
        table = self._table(request)
        segment, total = request.get("Segment", 0), request.get("TotalSegments", 1)
        start, end = (table.begins_at(part, total) for part in (segment, segment + 1))
        if "ExclusiveStartKey" in request:
            key = request["ExclusiveStartKey"]
            start = table.ends[_escaped(key["PK"]["S"]), _escaped(key["SK"]["S"])]
        items, place = table.page(start, end, request.get("Limit", end - start))
        last = b""
        if items:
            found = _keys_of(items[-1])
            table.ends[found] = place  # also of the last page: it may be asked what follows
            if place < end:
                last = b',"LastEvaluatedKey":{"PK":{"S":"%b"},"SK":{"S":"%b"}}' % found
        if "FilterExpression" in request:
            holds = condition(request["FilterExpression"], request)
            items = [item for item in items if holds(orjson.loads(item))]
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
        start = _start(table, entries, request.get("ExclusiveStartKey"))
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
        last = last if done < len(entries) and items else b""
        if "ReturnConsumedCapacity" in request:
            last += b"," + _TAKEN % request["TableName"].encode()
        return _found(items, last)

    def _get(self, request: dict[str, Any]) -> bytes:
        table = self._table(request)
        units = _TAKEN % request["TableName"].encode()
        place = table.place_of(*_key(request["Key"]))
        return b"{%b}" % units if place is None else b'{"Item":%b,%b}' % (table.items[place], units)

    def _get_batch(self, request: dict[str, Any]) -> bytes:
        found = []
        for name, asked in request["RequestItems"].items():
            table = self._table({"TableName": name})
            places = [table.place_of(*_key(key)) for key in asked["Keys"]]
            items = b",".join(table.items[place] for place in places if place is not None)
            found.append(b'"%b":[%b]' % (name.encode(), items))
        return b'{"Responses":{%b},"UnprocessedKeys":{}}' % b",".join(found)

    def _put(self, request: dict[str, Any]) -> bytes:
        """Every condition holds here, as in all that follows."""
        self._keep(request)
        return self._taken(request)

    def _keep(self, put: dict[str, Any]) -> None:
        table, item = self._table(put), put["Item"]
        if put.get("ConditionExpression") == _ABSENT:
            table.put([orjson.dumps(item)])
        elif not is_mark(item):  # that of whoever is at work: nobody else is
            table.replace(orjson.dumps(item))

    def _delete(self, request: dict[str, Any]) -> bytes:
        self._table(request).delete(*_key(request["Key"]))
        return self._taken(request)

    def _transact(self, request: dict[str, Any]) -> bytes:
        taken: Counter[str] = Counter()
        for each in request["TransactItems"]:
            ((kind, what),) = each.items()
            taken[what["TableName"]] += 2
            if kind == "Delete":
                self._table(what).delete(*_key(what["Key"]))
            elif kind == "Put":
                self._keep(what)
            elif kind != "ConditionCheck":
                raise Refused("ValidationException", f"{kind} in a transaction")
        consumed = [{"TableName": name, "CapacityUnits": units} for name, units in taken.items()]
        return orjson.dumps({"ConsumedCapacity": consumed})

    @staticmethod
    def _taken(request: dict[str, Any]) -> bytes:
        return b"{%b}" % (_TAKEN % request["TableName"].encode())

    def _alter(self, _: dict[str, Any]) -> bytes:
        """The sink's own: every item gets different content."""
        for table in self._tables.values():
            table.items[:] = [item and item[:-1] + _ANOTHER for item in table.items]
        return b"{}"

    def _clear(self, _: dict[str, Any]) -> bytes:
        for table in self._tables.values():
            table.clear()
        return b"{}"

    def _meter(self, request: dict[str, Any]) -> bytes:
        """The sink's own: from now on count write units, and take no more than `Units`; with
        `OfPartition`, no more than so many under one partition key of an index."""
        kind = PartitionCapacity if request.get("OfPartition") else Capacity
        self._capacity = kind(request["Units"], request["Burst"])
        return b"{}"

    def _metered(self, _: dict[str, Any]) -> bytes:
        """The sink's own: what has been taken since, and how often it was too much."""
        capacity, self._capacity = self._capacity, None
        assert capacity is not None
        return orjson.dumps({"taken": capacity.taken, "refused": capacity.refused})

    def _count(self, _: dict[str, Any]) -> bytes:
        return orjson.dumps({name: table.count for name, table in self._tables.items()})

    def idle(self) -> bool:
        """Use a moment in which nobody asks for anything; whether there was something to do."""
        with suppress(Refused):
            return any(table.prepare(_AT_A_TIME) for table in self._tables.values())
        return False

    def _prepare(self, _: dict[str, Any]) -> bytes:
        for table in self._tables.values():
            table.arrange()
        return b"{}"


def _transacted(name: bytes, items: int) -> bytes:
    return b'{"ConsumedCapacity":[%b]}' % (_UNITS % (name, 2 * items))


@lru_cache(maxsize=256)
def _written(name: str, items: int) -> bytes:
    consumed = [{"TableName": name, "CapacityUnits": float(items)}]
    return orjson.dumps({"UnprocessedItems": {}, "ConsumedCapacity": consumed})


def _found(items: Sequence[bytes], last: bytes) -> bytes:
    count = len(items)
    return b'{"Count":%d,"ScannedCount":%d,"Items":[%b]%b}' % (count, count, b",".join(items), last)
