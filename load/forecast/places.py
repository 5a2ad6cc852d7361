"""Where the write units of a table go: the table itself, and each of its indexes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

from utils.dynamodb.item_size import item_size
from utils.dynamodb.table_spec import PARTITION_KEY, SORT_KEY, TableSpec

_GLOBAL, _LOCAL = "GlobalSecondaryIndexes", "LocalSecondaryIndexes"
_TEXT = rb'\{"S":"([^"]*)"\}'


@dataclass(frozen=True)
class Place:
    """A table (`index` is "") or one of its indexes, with the attributes of its key. An index has
    the attributes `projected` (None: all), and is one that the Sale Module asks for, or a `further`
    one of this table."""

    index: str
    partition_key: str
    sort_key: str
    projected: frozenset[str] | None = None
    further: bool = False

    def size_in(self, item: Mapping[str, Any], size: int) -> int | None:
        """How many bytes of an item (parsed) of `size` bytes are here; None: it is not here."""
        if any(name and name not in item for name in (self.partition_key, self.sort_key)):
            return None
        if self.projected is None:
            return size
        return item_size({name: item[name] for name in self.projected & item.keys()})


def places_of(spec: TableSpec, description: Mapping[str, Any] | None = None) -> tuple[Place, ...]:
    """The places of an entity's table, the table first. `description` is what DescribeTable says
    of it, which may have further indexes; without one it is as the tool creates it."""
    own = [Place(each.name, each.partition_key, each.sort_key) for each in spec.indexes]
    known = {place.index for place in own}
    others = [each for each in _described(description or {}) if each.index not in known]
    return (Place("", PARTITION_KEY, SORT_KEY), *own, *others)


def _described(description: Mapping[str, Any]) -> Iterator[Place]:
    for index in (*(description.get(_GLOBAL) or ()), *(description.get(_LOCAL) or ())):
        keys = {part["KeyType"]: part["AttributeName"] for part in index["KeySchema"]}
        projection = index.get("Projection", {})
        projected = None
        if projection.get("ProjectionType", "ALL") != "ALL":
            others = projection.get("NonKeyAttributes", ())
            projected = frozenset({PARTITION_KEY, SORT_KEY, *keys.values(), *others})
        yield Place(index["IndexName"], keys["HASH"], keys.get("RANGE", ""), projected, True)


class Opening:
    """How a transformed line opens: with the keys of its table, and of each index that its item is
    in. So it need not be parsed to see where its item goes."""

    def __init__(self, places: Sequence[Place]) -> None:
        table, *indexes = places
        names = [name for each in indexes for name in (each.partition_key, each.sort_key)]
        self._prefix = _common([f'"{name}' for name in names]).encode()
        keys = b"".join(b"(?:,%b)?" % _keys(place) for place in indexes)
        self._pattern = re.compile(rb'\{"Item":\{' + _keys(table) + keys)
        # The keys of further indexes, which the tool does not know, may be anywhere in an item.
        self._tells = not any(place.further for place in indexes) and len(self._prefix) != 1

    def keys_of(self, line: bytes) -> Sequence[bytes | None] | None:
        """The partition key of a line's item in each place, None where it is not; None for all of
        it where the line has to be parsed to know, as one with an escape has."""
        found = self._pattern.match(line) if self._tells else None
        if found is None:
            return None
        keys = found.groups()
        indexes = len(keys) - 1 - keys[1:].count(None)
        # Keys that do not stand in the opening, or a text that looks like one of their names.
        if self._prefix and line.count(self._prefix) != 2 * indexes:
            return None
        return keys


def _common(names: Sequence[str]) -> str:
    """How all of some names begin."""
    same = takewhile(lambda letters: len(set(letters)) == 1, zip(*names, strict=False))
    return "".join(letters[0] for letters in same)


def _keys(place: Place) -> bytes:
    partition, sort = place.partition_key.encode(), place.sort_key.encode()
    return b'"%b":%b,"%b":%b' % (partition, _TEXT, sort, _TEXT.replace(b"(", b"(?:"))
