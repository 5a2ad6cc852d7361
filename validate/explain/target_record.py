"""One record as the table has it at this moment, strongly consistent, and how it stands with what
it should be: by the judgement of verify (validate/compare)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from utils.config import Config
from utils.dynamodb.backoff import RetryPolicy
from utils.dynamodb.client import DynamoDB
from utils.dynamodb.item_content import Item, Moments, differing_attributes
from utils.dynamodb.table_reader import TableReader
from utils.dynamodb.table_spec import PARTITION_KEY, SORT_KEY
from utils.entities import Shape
from validate.compare.comparison import Comparison, Loaded
from validate.compare.differences import DifferentItem
from validate.compare.file_records import read_file_lines
from validate.compare.record_entries import Entry
from validate.compare.summed_up import take_out_summed_up
from validate.compare.table_pages import read_record

_RETRIES, _DELAY = 2, 0.3  # somebody waits for the answer
HEAD = "METADATA"


@dataclass
class TargetRecord:
    """What the table has under a partition key: `head` is the item that opens the record,
    `children` counts what belongs to it, the first of which are in `first`; `last` has updatedAt
    and updatedBy of whatever was changed last. `entries` are for the comparison."""

    partition_key: str
    head: dict[str, Any] | None = None
    items: int = 0
    children: int = 0
    first: list[dict[str, Any]] = field(default_factory=list)
    last: tuple[str, str] = ("", "")
    entries: list[Entry] = field(default_factory=list)

    @property
    def is_there(self) -> bool:
        """Whether anything is."""
        return self.items > 0

    @property
    def is_migrated(self) -> bool:
        """Whether the item that opens it bears the mark of a migrated one."""
        return self.head is not None and "legacyId" in self.head

    @property
    def deleted(self) -> str:
        """When it was deleted, as the Sale Module deletes; "" when it was not."""
        return text_of(self.head or {}, "deletedAt")


def text_of(item: Item, name: str) -> str:
    """What a text attribute of an item says; "" when there is none."""
    value = item.get(name)
    return str(value.get("S", "")) if isinstance(value, dict) else ""


class TargetLook:
    """Looks at an entity's table. `moments` are as verify has them."""

    def __init__(self, config: Config, shape: Shape, moments: Moments) -> None:
        """Raises TargetError."""
        self._table = config.target.table(shape.name)
        self._shape = shape
        self._moments = moments
        retry = RetryPolicy(_RETRIES, _DELAY)
        self._reader = TableReader(DynamoDB(config.target), retry, target=config.target)

    def record(self, partition_key: str, shown: int) -> TargetRecord:
        """What is there, with the first `shown` of the items that belong to it. Raises
        TargetError."""
        found = TargetRecord(partition_key)
        request = {
            "TableName": self._table,
            "ConsistentRead": True,
            "KeyConditionExpression": "PK = :pk",
            "ExpressionAttributeValues": {":pk": {"S": partition_key}},
        }
        pages = self._reader.pages(
            "Query", request, keys=(PARTITION_KEY, SORT_KEY), to_the_end=True
        )
        for page in pages:
            items: list[dict[str, Any]] = page["Items"]
            found.entries += read_record(items, self._shape.name, self._moments.texts()).entries
            for item in items:
                self._take(found, item, shown)
        return found

    def item(self, partition_key: str, sort_key: str) -> dict[str, Any] | None:
        """One item, as this migration would have written its times."""
        key = {PARTITION_KEY: {"S": partition_key}, SORT_KEY: {"S": sort_key}}
        request = {"TableName": self._table, "Key": key, "ConsistentRead": True}
        item: dict[str, Any] | None = self._reader.ask("GetItem", request).get("Item")
        return None if item is None else dict(self._moments.as_ours(item))

    def _take(self, found: TargetRecord, item: dict[str, Any], shown: int) -> None:
        found.items += 1
        children = self._shape.children
        if text_of(item, SORT_KEY) == HEAD:
            found.head = dict(self._moments.as_ours(item))
        elif children and text_of(item, SORT_KEY).startswith(children.prefix):
            found.children += 1
            if len(found.first) < shown:
                found.first.append(item)
        change = text_of(item, "updatedAt"), text_of(item, "updatedBy")
        found.last = max(found.last, change)

    def judged(
        self, expected: Sequence[bytes], marks: Sequence[int], target: TargetRecord, *, of_now: bool
    ) -> Comparison:
        """How what the table has stands with the lines of a transformed record; `marks` are those
        of the load (utils/files/line_marks.py). `of_now`: the lines are of S9 as it is now, and
        what was loaded is not known: then S9's own times tell whether it has changed since."""
        entity, comparison = self._shape.name, Comparison()
        records = read_file_lines(expected, entity, marks=marks)
        entries = [record.entry[1] for record in records]
        found = [entry for _, entry in target.entries]
        loaded = Loaded() if of_now else None
        comparison.add_bucket(entries, found, entity, loaded=loaded)
        if self._shape.children and target.head is not None:
            self._take_out_summed_up(comparison, expected, target.head)
        return comparison

    def _take_out_summed_up(
        self, comparison: Comparison, expected: Sequence[bytes], head: Item
    ) -> None:
        """What the application has only summed up again is its own, as verify has it."""
        listed = comparison.keys.different.entries
        for number, entry in enumerate(listed):
            if entry.key.sk == HEAD:
                items = (orjson.loads(line)["Item"] for line in expected)
                own: Item = next((each for each in items if text_of(each, SORT_KEY) == HEAD), {})
                names = tuple(differing_attributes(own, head))
                listed[number] = DifferentItem(entry.key, names)
        children = self._shape.children
        if children is not None:
            take_out_summed_up(comparison.keys, self._reader, self._table, children)
