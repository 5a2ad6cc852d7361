"""Restoring records of a table that is in use: only what is still as it was looked at is changed.

The unit is the record, all items under one partition key. It is looked at once more before it is
written, and what is to be changed of it goes out in one transaction, on condition that everything
is still there as it was then. If the application has changed, added or deleted an item of it since
the look that somebody has agreed to, the record stays whole, as the application has it. What is
already as the backup has it is no change: an earlier restore that was cut short has written it.

A record with more changes than a transaction can hold goes in several, its header in the first:
the application changes that with everything that it does to a sale. What it does between two of
these transactions keeps the rest of the record as it is.

A record of which the backup has nothing is taken away. Who has read it before and writes to it
afterwards makes an item of what he writes alone: a rollback waits for that and puts the record
back, a restore does not. If it comes before the last comparison it is listed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

import orjson

from load.conditional_writer import ConditionalWriter
from load.conditions import ABSENT, Condition, unchanged
from load.restore_looks import Look
from load.restore_plan import Plan
from load.transactions import Transactions, Write, portions
from utils.dynamodb import DynamoDB
from utils.item_content import Item, content, digest, normal_item
from utils.session import AtWork
from utils.tables import PARTITION_KEY, SORT_KEY, Index, TableSpec

ADDED, REPLACED, DELETED = "added", "replaced", "deleted"
_TRIES = 5
_HEADER = "METADATA"
# What the application changes in an item with whatever it changes, and what it never takes away.
_MARKS = ("updatedAt", "updatedBy", "createdAt", "deletedAt")


@dataclass(frozen=True)
class Part:
    """What is to be written of a record: these items of the backup, and all deletions."""

    look: Look
    items: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True)
class Done:
    """What became of a part: the numbers of items by what was done, or that it was `kept`; `due`
    is how many items were to be changed."""

    look: Look
    due: int
    kept: bool = False
    counts: Counter[str] = field(default_factory=Counter)


def parts_of(plan: Plan, lines: Iterable[bytes]) -> Iterator[Part]:
    """All that a plan has to change, by records. `lines` are those of the backup that are to be
    written; the items of a record follow each other in them, as a Scan gives them."""
    for look in plan.looks:
        if look.only_deletes:
            yield Part(look)
    items = (orjson.loads(line)["Item"] for line in lines)
    for record, group in groupby(items, lambda item: orjson.dumps([item[PARTITION_KEY]])):
        if look_at := plan.looks.of(record):
            yield Part(look_at, tuple(group))


class Restoring:
    """Restores records of a table; safe to share between threads."""

    def __init__(self, work: AtWork, table: str, description: Mapping[str, Any]) -> None:
        names = [each["IndexName"] for each in description.get("GlobalSecondaryIndexes") or ()]
        spec = TableSpec(table, tuple(Index(name, "", "") for name in names))
        wire = DynamoDB(work.config.target)
        self._reader = ConditionalWriter(work.config, spec, work.stop, wire, table=table)
        self._transactions = Transactions(work.config, spec, work.stop, wire, table=table)

    def restore(self, part: Part) -> Done:
        """Write a part of a record unless the application has changed the record since.

        Raises RequestRefused when DynamoDB does not take an item, and TargetError.
        """
        due = len(part.items) + sum(1 for _ in _to_delete(part.look))
        first = there = self._there(part.look)
        for _ in range(_TRIES):
            if _is_changed(part.look, there):
                break
            if all(map(self._transactions.write, portions(_writes(part, there)))):
                return Done(part.look, due, counts=Counter(_counted(part, first)))
            # Somebody was quicker, or it was done and the answer lost: what is there now tells.
            there = self._there(part.look)
        return Done(part.look, due, kept=True, counts=Counter(_counted(part, first, there)))

    def _there(self, look: Look) -> dict[bytes, dict[str, Any]]:
        """What the table has of a record, by key."""
        (value,) = orjson.loads(look.record)
        return {_key(item): item for item in self._reader.record({PARTITION_KEY: value}).values()}


def _is_changed(look: Look, there: Mapping[bytes, Item]) -> bool:
    """Whether something of a record is neither as it was looked at nor as it is to be."""
    now = {key: digest(content(normal_item(item))).decode() for key, item in there.items()}
    if not now.keys() <= look.items.keys():
        return True
    return any(
        now.get(key, "") not in (seen.found, seen.wanted) for key, seen in look.items.items()
    )


def _writes(part: Part, there: Mapping[bytes, dict[str, Any]]) -> list[Write]:
    """What is still to be written, what opens the record first; an item of it that stays as it is
    has to be as it is."""
    writes = [
        Write("Put", item, _still(there.get(_key(item))))
        for item in part.items
        if not _is_as(part.look, _key(item), there)
    ]
    gone = (there.get(key) for key in _to_delete(part.look))
    writes += [Write("Delete", item, _still(item)) for item in gone if item is not None]
    head = next((each for each in there.values() if each[SORT_KEY] == {"S": _HEADER}), None)
    if head is not None and writes and not any(_is_head(write.item) for write in writes):
        writes.append(Write("Put", head, _still(head)))
    return sorted(writes, key=lambda write: not _is_head(write.item))


def _is_head(item: Item) -> bool:
    return bool(item[SORT_KEY] == {"S": _HEADER})


def _is_as(look: Look, key: bytes, there: Mapping[bytes, Item]) -> bool:
    """Whether an item is as the backup has it already."""
    item = there.get(key)
    return item is not None and (
        digest(content(normal_item(item))).decode() == look.items[key].wanted
    )


def _to_delete(look: Look) -> Iterator[bytes]:
    return (key for key, seen in look.items.items() if not seen.wanted)


def _counted(
    part: Part, first: Mapping[bytes, Item], there: Mapping[bytes, Item] | None = None
) -> Iterator[str]:
    """What was done with each item since it was found as in `first`; all that was to be done unless
    `there` says what the table has now."""
    for key in map(_key, part.items):
        done = there is None or _is_as(part.look, key, there)
        if done and not _is_as(part.look, key, first):
            yield REPLACED if key in first else ADDED
    for key in _to_delete(part.look):
        if key in first and (there is None or key not in there):
            yield DELETED


def _key(item: Item) -> bytes:
    return orjson.dumps([item[PARTITION_KEY], item[SORT_KEY]])


def _still(item: dict[str, Any] | None) -> Condition:
    """The condition that an item is as it is; of one with more attributes than an expression can
    compare, that its marks are."""
    if item is None:
        return ABSENT
    return unchanged(item) or _with_its_marks(item)


def _with_its_marks(item: Item) -> Condition:
    names = {"#k": PARTITION_KEY} | {f"#{n}": name for n, name in enumerate(_MARKS)}
    values = {f":{n}": item[name] for n, name in enumerate(_MARKS) if name in item}
    parts = [
        f"#{n}=:{n}" if name in item else f"attribute_not_exists(#{n})"
        for n, name in enumerate(_MARKS)
    ]
    return Condition(" AND ".join(["attribute_exists(#k)", *parts]), names, values)
