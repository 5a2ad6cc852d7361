"""What becomes of a record that a restore has changed, if the application writes to it afterwards.

The application reads a record, and writes to it a moment later: single attributes of an item
(UpdateItem), or a new item beside those that it has read. If a restore comes in between, an update
makes an item of its own attributes alone out of one that was taken away, and a new line is without
its sale. So whoever has restored looks again a little later, and puts what the application has
written together with what was there when it read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

import orjson

from load.restore.seen_records import SeenRecord
from load.rollback.undo_record import ALWAYS_THERE, HEADER
from utils.dynamodb.item_content import Item, content_of, digest
from utils.dynamodb.table_spec import PARTITION_KEY, SORT_KEY
from utils.entities import Children, shape_at

_DELETED = "deletedAt"

Items = Mapping[bytes, dict[str, Any]]  # the items of a record, by key as a Look has it


def digest_of(item: Item) -> str:
    """The digest of an item, as a Look has it."""
    return digest(content_of(item)).decode()


def is_header(item: Item) -> bool:
    """Whether an item opens a record."""
    return bool(item[SORT_KEY] == {"S": HEADER})


def takes_header_away(look: SeenRecord) -> bool:
    """Whether a restore takes the item away that opens a record."""
    return any(
        seen.found and not seen.wanted and orjson.loads(key)[1] == {"S": HEADER}
        for key, seen in look.items.items()
    )


def put_together(look: SeenRecord, before: Items, now: Items, *, in_parts: bool = False) -> Items:
    """What a record should be that was restored, and of which there is `now`; `before` is what
    there was when it was restored, `in_parts` says that only a part of it could be.

    That is `now`, unless somebody has written to it who had read it before: then all that he has
    not touched is as he has read it, and what he has written is on top of that. He has if
    something is there of a record that was taken away, or a part of an item; or if the sale adds
    up with the lines that there were, and does not with those that there are.
    """
    wanted = {key: seen.wanted for key, seen in look.items.items()}
    touched = {key for key, item in now.items() if digest_of(item) != wanted.get(key, "")}
    if not touched:
        return now
    stays = {key: _merged(before.get(key), item) for key, item in now.items()}
    as_read = {key: item for key, item in before.items() if key not in touched}
    as_read |= {key: stays[key] for key in touched}
    if in_parts or not any(wanted.values()) or stays != now:
        return as_read
    head = next((key for key in touched if is_header(now[key])), None)
    if head and not _adds_up(stays.values()) and _adds_up(as_read.values()):
        return as_read
    return stays


def _merged(before: dict[str, Any] | None, now: dict[str, Any]) -> dict[str, Any]:
    """An item as it is now, or on top of what was there if it is what an update has made of
    nothing."""
    return now if before is None or ALWAYS_THERE in now else {**before, **now}


def _adds_up(items: Iterable[Item]) -> bool:
    """Whether a sale's count and sums are those of its lines."""
    listed = list(items)
    head = next(filter(is_header, listed), None)
    children = _children_of(head)
    if head is None or children is None:
        return False
    lines = [
        item
        for item in listed
        if item[SORT_KEY]["S"].startswith(children.prefix) and _DELETED not in item
    ]
    try:
        return _number(head, children.count) == len(lines) and all(
            _number(head, name) == sum((_number(line, of) for line in lines), Decimal(0))
            for name, of in children.sums
        )
    except (KeyError, InvalidOperation):
        return False


def _children_of(head: Item | None) -> Children | None:
    """What belongs to the records of the entity that an item opens one of."""
    shape = shape_at(head[PARTITION_KEY].get("S", "")) if head else None
    return shape.children if shape else None


def _number(item: Item, name: str) -> Decimal:
    return Decimal(item[name]["N"])
