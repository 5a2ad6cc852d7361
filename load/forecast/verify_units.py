"""The read units of a verification: a scan of the table, one of each index, the access patterns.

A scan of a table is strongly consistent and takes a unit for every 4 KB, whatever of the items is
asked for; an index cannot be read so, and takes half ("Capacity unit consumption for read
operations", DynamoDB developer guide). A page is rounded up, and each segment ends with one that is
not full and one that is empty. What is looked at again, because it was in doubt, comes on top.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import Any

from utils.dynamodb.item_size import READ_UNIT_BYTES
from utils.entities import shape_of

_SEGMENT_ITEMS, _FEWEST_SEGMENTS = 4_096, 4
_ENDS = 2  # pages of a segment that are not full
# What the access patterns read at most, by request: the first items of a table that a filter is
# tried on, the items of a group, the years that have numbers of their own, filters, words.
_SLICE, _GROUP, _YEARS, _FILTERS, _WORDS = 100, 101, 20, 6, 20
_EVENTUALLY = 0.5


@dataclass(frozen=True)
class Held:
    """What a table or an index holds when it is verified: items and bytes."""

    items: int
    bytes: int


@dataclass(frozen=True)
class VerifyUnits:
    """Read units of a verification: of the scan of the table, of those of each index by name, and
    what the access patterns take at most."""

    table: int = 0
    indexes: tuple[tuple[str, int], ...] = ()
    patterns: int = 0

    @property
    def total(self) -> int:
        return self.table + self.of_indexes + self.patterns

    @property
    def of_indexes(self) -> int:
        return sum(units for _, units in self.indexes)

    def as_json(self) -> dict[str, Any]:
        return {"table": self.table, "indexes": dict(self.indexes), "patterns": self.patterns}


def scan_units(held: Held, *, eventually: bool = False) -> int:
    """What a scan in segments takes."""
    segments = max(_FEWEST_SEGMENTS, ceil(held.items / _SEGMENT_ITEMS))
    units = held.bytes / READ_UNIT_BYTES + _ENDS * segments
    return ceil(units * (_EVENTUALLY if eventually else 1))


def pattern_units(
    entity: str, held: Held, *, records: int, largest: int, sample: int | None
) -> int:
    """What the access patterns of an entity take at most, all of them right: `sample` records of
    `records` are asked for (None: every one), the largest item has `largest` bytes. Records of one
    group, and the items of different records, are read once at most, so that no pattern takes more
    than all that there is and a started unit for each request."""
    shape = shape_of(entity)
    asked = min(records, sample or records)

    def reads(requests: int, items: int) -> float:
        """Of so many requests that read so many items at most."""
        size = min(held.bytes, items * largest)
        return requests + size / READ_UNIT_BYTES

    units = reads(asked, asked)  # each by its key
    units += sum(reads(asked, asked * _GROUP) for _ in shape.references)
    units += 2 * _FILTERS * reads(1, _SLICE)
    if shape.children:
        units += asked + held.bytes / READ_UNIT_BYTES
    if shape.numbered:
        units += reads(_WORDS, _WORDS * _GROUP) + reads(2 * _YEARS, _YEARS * _GROUP)
    return ceil(units * _EVENTUALLY)
