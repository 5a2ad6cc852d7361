"""The program of the embedded AWS: ministack, which charges units as DynamoDB documents them.

By itself it charges every item one unit in its table and in every index, whatever its size and
whether it is there, and every read request one, or a half. Here a write takes a unit for every
started KB of the item, before or after it, whichever is larger, and again for every index entry
that is made, changed or removed (two where it moves); a transaction takes twice that ("DynamoDB
item sizes and formats", and "Write capacity" of "Using global secondary indexes", DynamoDB
developer guide). A read takes a unit for every started 4 KB of all that a request reads, filtered
and projected or not, and half of that where it need not be consistent ("Capacity unit consumption
for read operations"; BatchGetItem is as ministack has it).

It runs as a program by itself, in a process that is to find none of the project's packages: so the
measure of an item is taken from its file.
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from collections.abc import Callable, Mapping
from functools import lru_cache
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

_MEASURE = Path(__file__).parents[1] / "dynamodb" / "item_size.py"
_READ_UNIT_BYTES = 4096
_MOST_SIZES = 200_000
_MOST_EXPRESSIONS, _MOST_NUMBERS = 1_000, 100_000
_INDEXES = ("GlobalSecondaryIndexes", "LocalSecondaryIndexes")

Item = Mapping[str, Any]
Answer = tuple[int, dict[str, str], bytes]
Handler = Callable[[dict[str, Any]], Answer]
Key = tuple[str, Item]  # of which table, and the attributes of the key among others
Keys = Callable[[dict[str, Any]], list[Key]]
Tell = Callable[[Any, Any, str, bool], None]

# What makes an answer smaller than what is read for it.
_NARROWED = frozenset(
    {
        "FilterExpression",
        "ProjectionExpression",
        "Select",
        "ReturnConsumedCapacity",
        "ExpressionAttributeNames",
        "ExpressionAttributeValues",
    }
)


def _measured() -> Any:
    """utils/dynamodb/item_size.py, by itself."""
    spec = spec_from_file_location("item_size_of_the_tool", _MEASURE)
    assert spec and spec.loader
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Meter:
    """What writes to the tables of a server take; `server` is ministack's module of DynamoDB."""

    def __init__(self, server: Any) -> None:
        self._server = server
        self._measure = _measured()
        self._sizes: dict[int, tuple[Item, int, int]] = {}

    def charging(self, handler: Handler, keys_in: Keys, factor: int) -> Handler:
        """A handler of requests that charges for the write of each of the keys in one, if they are
        done, `factor` times."""

        def handle(request: dict[str, Any]) -> Answer:
            try:
                keys = keys_in(request)
                # What is there is replaced by a write, not changed.
                before = [self._there(*key) for key in keys]
            except (AttributeError, KeyError, TypeError, ValueError):
                return handler(request)  # it knows what is wrong with the request
            status, headers, body = handler(request)
            answer = json.loads(body)
            if status != 200 or "ConsumedCapacity" not in answer:
                return status, headers, body
            units: dict[str, float] = defaultdict(float)
            for (name, key), old in zip(keys, before, strict=True):
                units[name] += factor * self.units(name, old, self._there(name, key))
            told = [{"TableName": name, "CapacityUnits": taken} for name, taken in units.items()]
            answer["ConsumedCapacity"] = told if "TableName" not in request else told[0]
            return status, headers, json.dumps(answer, ensure_ascii=False).encode()

        return handle

    def _there(self, name: str, key: Item) -> Item | None:
        table = self._server._tables.get(name)
        if not table:
            return None
        first, second, _ = self._server._resolve_table_key_values(table, key, allow_extra=True)
        found: Item | None = table["items"].get(first, {}).get(second)
        return found

    def units(self, name: str, old: Item | None, new: Item | None) -> float:
        """What it takes in a table and its indexes to make `new` of `old` (None: nothing)."""
        table = self._server._tables[name]
        whole = self._units(old), self._units(new)
        taken = max(*whole, 1)
        for kind in _INDEXES:
            for index in table.get(kind) or ():
                was, now = _entry(table, index, old), _entry(table, index, new)
                if was == now:
                    continue
                first = whole[0] if was is old else self._units(was)
                second = whole[1] if now is new else self._units(now)
                stays = was and now and all(was[key] == now[key] for key in _keys(index))
                taken += max(first, second) if stays else first + second
        return float(taken)

    def _units(self, item: Item | None) -> int:
        size = self._size(item) if item else 0
        return int(-(-size // self._measure.WRITE_UNIT_BYTES))

    def _size(self, item: Item) -> int:
        """The size of an item in bytes; that of one which was written or read lately is known."""
        known, length, size = self._sizes.get(id(item), (None, 0, 0))
        if known is not item or length != len(item):
            if len(self._sizes) >= _MOST_SIZES:
                self._sizes.clear()
            size = int(self._measure.item_size(item))
            self._sizes[id(item)] = item, len(item), size
        return size

    def telling(self, tell: Tell) -> Tell:
        """What adds ConsumedCapacity to an answer, as `tell` does, for reads by what was read."""

        def add(answer: Any, request: Any, name: str, write: bool = False) -> None:
            tell(answer, request, name, write)
            if not write and "ConsumedCapacity" in answer:
                size = self._read(answer, request, name)
                units = max(1, -(-size // _READ_UNIT_BYTES))
                taken = float(units if request.get("ConsistentRead") else units / 2)
                answer["ConsumedCapacity"]["CapacityUnits"] = taken

        return add

    def _read(self, answer: dict[str, Any], request: dict[str, Any], name: str) -> int:
        """How many bytes were read for an answer."""
        if "Key" in request:
            item = self._there(name, request["Key"])
            return self._size(item) if item else 0
        items = answer.get("Items", ())
        if len(items) < answer["ScannedCount"]:
            whole = {key: value for key, value in request.items() if key not in _NARROWED}
            names = "ExpressionAttributeNames", "ExpressionAttributeValues"
            kept = str(request.get("KeyConditionExpression", ""))
            for each in names:  # what nothing refers to is a mistake
                used = {k: v for k, v in request.get(each, {}).items() if k in kept}
                whole = {**whole, each: used} if used else whole
            read = (
                self._server._query if "KeyConditionExpression" in request else self._server._scan
            )
            _, _, body = read(whole)
            items = json.loads(body).get("Items", ())
        return sum(self._size_of(each, request, name) for each in items)

    def _size_of(self, shown: Item, request: Item, name: str) -> int:
        """The size of what is stored of an item that an answer shows, in a table or an index."""
        table = self._server._tables[name]
        if any(key not in shown for key in _keys(table)):
            return int(self._measure.item_size(shown))
        item = self._there(name, shown) or shown
        indexes = [each for kind in _INDEXES for each in table.get(kind) or ()]
        index = next((e for e in indexes if e["IndexName"] == request.get("IndexName")), None)
        entry = item if index is None else _entry(table, index, item)
        return self._size(item) if entry is item else int(self._measure.item_size(entry or shown))


def _keys(index: Mapping[str, Any]) -> list[str]:
    return [part["AttributeName"] for part in index["KeySchema"]]


def _entry(table: Mapping[str, Any], index: Mapping[str, Any], item: Item | None) -> Item | None:
    """What an index has of an item; None if it is not there."""
    if item is None or any(name not in item for name in _keys(index)):
        return None
    projection = index.get("Projection") or {}
    if projection.get("ProjectionType", "ALL") == "ALL":
        return item
    names = {*_keys(table), *_keys(index), *projection.get("NonKeyAttributes", ())}
    return {name: item[name] for name in item if name in names}


def _one(request: dict[str, Any]) -> list[Key]:
    return [(request["TableName"], request.get("Item") or request["Key"])]


def _batch(request: dict[str, Any]) -> list[Key]:
    writes = [(name, each) for name, some in request["RequestItems"].items() for each in some]
    return [
        (name, each["PutRequest"]["Item"] if "PutRequest" in each else each["DeleteRequest"]["Key"])
        for name, each in writes
    ]


def _transaction(request: dict[str, Any]) -> list[Key]:
    return [
        key for each in request["TransactItems"] for what in each.values() for key in _one(what)
    ]


_WRITES: dict[str, tuple[Keys, int]] = {
    "_put_item": (_one, 1),
    "_delete_item": (_one, 1),
    "_batch_write_item": (_batch, 1),
    "_transact_write_items": (_transaction, 2),
}


def _remember(server: Any) -> None:
    """Cut up an expression once, and not once more for every item that it is asked of, which is a
    third of what a query takes; the same for the canonical form of a number."""
    tokens: Callable[[str], list[tuple[str, str]]] = server._tokenize
    server._tokenize = lru_cache(_MOST_EXPRESSIONS)(lambda text: tuple(tokens(text)))
    canonical: Callable[[Any], str | None] = server._ddb_canonicalize_number
    known = lru_cache(_MOST_NUMBERS)(canonical)
    server._ddb_canonicalize_number = lambda number: (
        known(number) if isinstance(number, str) else canonical(number)
    )


def main() -> None:
    """Start the server; its settings are in the environment (utils/embedded/aws.py)."""
    sys.path[:] = [path for path in sys.path if path != str(Path(__file__).parent)]
    server: Any = import_module("ministack.services.dynamodb")
    _remember(server)
    meter = Meter(server)
    for name, (keys_in, factor) in _WRITES.items():
        setattr(server, name, meter.charging(getattr(server, name), keys_in, factor))
    server._add_consumed_capacity = meter.telling(server._add_consumed_capacity)
    import_module("ministack.app").main()


if __name__ == "__main__":
    main()
