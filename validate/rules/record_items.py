"""The items of a record as dictionaries: all at once, or of a huge record one after the other.

A parsed line takes ten times the room of its text, and a sale may have fifty thousand of them.
Where there are so many, each is parsed when it is looked at, and again when it is looked at again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, overload

import orjson

Item = dict[str, Any]

HUGE = 2_000  # lines


class LazyItems(Sequence[Item]):
    """The items of lines, none of which is kept."""

    def __init__(self, lines: Sequence[bytes]) -> None:
        self._lines = lines

    def __len__(self) -> int:
        return len(self._lines)

    def __iter__(self) -> Iterator[Item]:
        return map(_item_of, self._lines)

    @overload
    def __getitem__(self, place: int) -> Item: ...
    @overload
    def __getitem__(self, place: slice) -> LazyItems: ...
    def __getitem__(self, place: int | slice) -> Item | LazyItems:
        if isinstance(place, slice):
            return LazyItems(self._lines[place])
        return _item_of(self._lines[place])


def items_of(record: Sequence[bytes]) -> Sequence[Item]:
    """The items of a record; for a line that holds none, one that no schema accepts."""
    return list(map(_item_of, record)) if len(record) < HUGE else LazyItems(record)


def _item_of(line: bytes) -> Item:
    try:
        item: Item = orjson.loads(line)["Item"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return {}
    return item


def text_at(item: Any, attribute: str) -> str:
    """The text in an attribute of what may be no item; "" where there is none."""
    value = item.get(attribute) if isinstance(item, dict) else None
    text = value.get("S") if isinstance(value, dict) else None
    return text if isinstance(text, str) else ""


def identity_of(record: Sequence[bytes]) -> str:
    """The partition key of a record, "" where it has none."""
    return text_at(_item_of(record[0]), "PK")
