"""Migrated tables that are damaged, looked at, and made as they were."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from mypy_boto3_dynamodb import DynamoDBClient

from tests.support.damage.reported import Item
from utils.dynamodb.item_content import is_same
from utils.dynamodb.table_spec import is_mark
from utils.entities import ENTITY_NAMES

Key = tuple[str, str]
Contents = dict[str, dict[Key, Item]]
HEADER = "METADATA"


def key_of(item: Mapping[str, Any]) -> Key:
    """The key of an item."""
    return item["PK"]["S"], item["SK"]["S"]


@dataclass
class Record:
    """What is under a partition key: the item that opens it, and its lines in their order."""

    entity: str
    header: Item
    lines: list[Item]

    @property
    def pk(self) -> str:
        return str(self.header["PK"]["S"])

    @property
    def items(self) -> list[Item]:
        return [self.header, *self.lines]


@dataclass
class MigratedTables:
    """The three tables of a migration. `loaded` is what S9 says of them, `names` are theirs by
    entity; `taken` are the records with which something has been done."""

    client: DynamoDBClient
    names: Mapping[str, str]
    loaded: Contents = field(default_factory=dict)
    chance: random.Random = field(default_factory=lambda: random.Random(1))
    taken: set[str] = field(default_factory=set)

    # -- what there is ----------------------------------------------------------------------

    def scan(self) -> Contents:
        """What is in the tables now."""
        return {entity: dict(self._scanned(entity)) for entity in ENTITY_NAMES}

    def _scanned(self, entity: str) -> Iterator[tuple[Key, Item]]:
        pages = self.client.get_paginator("scan").paginate(
            TableName=self.names[entity], ConsistentRead=True
        )
        for item in (item for page in pages for item in page["Items"]):
            if not is_mark(item):
                yield key_of(item), dict(item)

    def records(self, entity: str) -> list[Record]:
        """The records as S9 has them, in the order of their ids in S9."""
        under: dict[str, list[Item]] = {}
        for (pk, _), item in self.loaded[entity].items():
            under.setdefault(pk, []).append(item)
        found = [_record(entity, items) for items in under.values()]
        return sorted(found, key=lambda each: int(each.header["legacyId"]["S"]))

    def sales_of(self, party: Record) -> list[Item]:
        """The headers of the sales that name a party."""
        key = "GSI2PK" if party.entity == "buyers" else "GSI3PK"
        headers = (each.header for each in self.records("sales"))
        return [each for each in headers if each[key]["S"] == party.pk]

    def now(self, entity: str, item: Mapping[str, Any]) -> Item:
        """An item as the table has it."""
        key = {"PK": item["PK"], "SK": item["SK"]}
        answer = self.client.get_item(TableName=self.names[entity], Key=key, ConsistentRead=True)
        return dict(answer["Item"])

    # -- taking records ----------------------------------------------------------------------

    def take(self, entity: str, fits: Callable[[Record], bool]) -> Record | None:
        """A record with which nothing has been done yet, at random; None if there is none."""
        free = [each for each in self.records(entity) if each.pk not in self.taken and fits(each)]
        if not free:
            return None
        chosen = self.chance.choice(free)
        self.taken.add(chosen.pk)
        return copy.deepcopy(chosen)

    # -- damaging ----------------------------------------------------------------------------

    def put(self, entity: str, item: Mapping[str, Any]) -> Item:
        """Put an item as it is."""
        self.client.put_item(TableName=self.names[entity], Item=dict(item))
        return dict(item)

    def lose(self, entity: str, *items: Mapping[str, Any]) -> None:
        """Delete items."""
        requests = [
            {"DeleteRequest": {"Key": dict(zip(("PK", "SK"), _keys(i), strict=True))}}
            for i in items
        ]
        self._write(entity, requests)

    def alter(self, entity: str, item: Mapping[str, Any], **attributes: Any) -> Item:
        """Put an item as the table has it, with attributes changed; None takes one away."""
        both = {**self.now(entity, item), **attributes}
        return self.put(entity, {name: value for name, value in both.items() if value is not None})

    def put_all(self, entity: str, items: Iterable[Mapping[str, Any]]) -> None:
        """Put many items."""
        self._write(entity, [{"PutRequest": {"Item": dict(item)}} for item in items])

    def _write(self, entity: str, requests: list[Any]) -> None:
        for start in range(0, len(requests), 25):
            batch: Any = {self.names[entity]: requests[start : start + 25]}
            answer = self.client.batch_write_item(RequestItems=batch)
            assert not answer["UnprocessedItems"]

    # -- as they were ------------------------------------------------------------------------

    def heal(self) -> None:
        """Make the tables again what they were when they had been loaded."""
        self.become(self.loaded)
        self.taken.clear()

    def become(self, contents: Contents) -> None:
        """Have the tables hold just this."""
        now = self.scan()
        for entity, wanted in contents.items():
            self.lose(entity, *(i for key, i in now[entity].items() if key not in wanted))
            self.put_all(entity, [i for key, i in wanted.items() if now[entity].get(key) != i])


def _keys(item: Mapping[str, Any]) -> tuple[Any, Any]:
    return item["PK"], item["SK"]


def _record(entity: str, items: list[Item]) -> Record:
    lines = [item for item in items if item["SK"]["S"].startswith("LINE#")]
    lines.sort(key=lambda line: int(line["lineNumber"]["N"]))
    (header,) = (item for item in items if item["SK"]["S"] == HEADER)
    return Record(entity, header, lines)


def differing(one: Contents, other: Contents) -> dict[str, list[Key]]:
    """The keys at which two contents are not the same, whatever the notation of numbers."""
    return {
        entity: sorted(
            key
            for key in one[entity].keys() | other[entity].keys()
            if not is_same(one[entity].get(key), other[entity].get(key))
        )
        for entity in ENTITY_NAMES
    }
