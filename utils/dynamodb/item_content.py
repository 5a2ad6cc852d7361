"""The content of an item, in one form whoever wrote it down.

DynamoDB gives back the same item with its attributes in another order, a number in another
notation (25.5 for 25.50, 1E-7 for 0.0000001) and the members of a set shuffled. The canonical
form is JSON with sorted names, plain numbers and sorted sets; equal items have equal bytes.

An item is written nearly so: its key, then everything else by name (`written_order`). So whoever
has the attributes of an item sorted need only move the key to the front to have what was written.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from hashlib import sha256
from typing import Any

import orjson

from utils.dynamodb.table_spec import PARTITION_KEY, SORT_KEY

Item = Mapping[str, Any]
_KEY = (PARTITION_KEY, SORT_KEY)

DIGEST_HEX = 32
STAMPS = ("createdAt", "updatedAt")
# What needs more than sorting: a number that is not in plain notation, or any set. A quotation
# mark inside a text is escaped, so this cannot match one that only looks like it.
_UNUSUAL = re.compile(
    rb'"N":\s*"(?!(?:0|-?[1-9][0-9]*|-?(?:0|[1-9][0-9]*)\.[0-9]*[1-9])")|"[NSB]S":'
)
_PLAIN = re.compile(r"0|-?[1-9][0-9]*|-?(?:0|[1-9][0-9]*)\.[0-9]*[1-9]")


def is_usual(text: bytes) -> bool:
    """Whether every number in DynamoDB JSON is in plain notation already, and no set is there."""
    return _UNUSUAL.search(text) is None


def written_order(names: Iterable[str]) -> list[str]:
    """The names of an item's attributes as they stand in a transformed line: PK, SK, and the others
    in the order of their names."""
    return sorted(names, key=lambda name: (name not in _KEY, name))


def line_of(item: Item) -> bytes:
    """An item as a transformed line, without its line break."""
    key = {name: item[name] for name in _KEY if name in item}
    rest = {name: item[name] for name in item if name not in key}
    return b'{"Item":{%b}}' % b",".join(content(part)[1:-1] for part in (key, rest) if part)


def normal_item(item: Item) -> dict[str, Any]:
    """An item with plain numbers and sorted sets; a String, as most are, stays as it is."""
    return {name: value if "S" in value else _normal(value) for name, value in item.items()}


def is_same(one: Item | None, other: Item | None) -> bool:
    """Whether two items have the same content, whoever wrote them down; None is none's."""
    if one is None or other is None:
        return False
    return one == other or (
        one.keys() == other.keys()
        and all(_is_same_value(value, other[name]) for name, value in one.items())
    )


def content(item: Item) -> bytes:
    """The canonical form of an item whose numbers and sets are as `normal_item` makes them."""
    return orjson.dumps(item, option=orjson.OPT_SORT_KEYS)


def content_of(item: Item, text: bytes = b"") -> bytes:
    """The canonical form of any item; `text` is `content(item)`, where that is known."""
    text = text or content(item)
    return text if is_usual(text) else content(normal_item(item))


def digest(text: bytes) -> bytes:
    """The digest of a canonical form: 32 hexadecimal digits of its SHA-256."""
    return sha256(text).hexdigest()[:DIGEST_HEX].encode()


def differing_attributes(left: Item, right: Item) -> list[str]:
    """The names of the attributes in which two items differ, sorted."""
    return sorted(_differing(left, right))


def differ_only_in(left: Item, right: Item, prefix: str) -> bool:
    """Whether two items differ, and in attributes alone whose names begin with `prefix`."""
    return not is_same(left, right) and all(
        name.startswith(prefix) for name in _differing(left, right)
    )


def _differing(left: Item, right: Item) -> Iterator[str]:
    yield from left.keys() ^ right.keys()
    for name in left.keys() & right.keys():
        if not _is_same_value(left[name], right[name]):
            yield name


def with_time(item: Item, ours: str, theirs: str) -> Item | None:
    """An item with the time `theirs` where it carries `ours`, the migration's own for rows without
    times; None when it does not carry it.

    That time is no content of S9: another migration of the same S9 has another. Two items that
    are the same but for it are the same (the survey and the verification have this rule from here).
    """
    changed = {name: {"S": theirs} for name in STAMPS if item.get(name) == {"S": ours}}
    return {**item, **changed} if changed and ours and theirs else None


@dataclass(frozen=True)
class Moments:
    """The same rule for reading a table in which other migrations have left their times `theirs`
    where this one writes `ours`; `further` are other pairs of (theirs, ours)."""

    ours: str = ""
    theirs: tuple[str, ...] = ()
    further: tuple[tuple[str, str], ...] = ()

    @property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """What stands in the table, and what this migration writes in its place."""
        return (*((time, self.ours) for time in self.theirs), *self.further)

    def as_ours(self, item: Item) -> Item:
        """An item of the table as this migration would have written it."""
        for theirs, ours in self.pairs:
            item = with_time(item, theirs, ours) or item
        return item

    def are_same(self, theirs: Item | None, ours: Item | None) -> bool:
        """Whether an item of the table is the one that this migration writes, also with another
        migration's time."""
        if theirs is None or ours is None:
            return False
        return is_same(theirs, ours) or is_same(self.as_ours(theirs), ours)

    def texts(self) -> dict[bytes, bytes]:
        """What stands for what among attributes as utils/dynamodb/item_text.py has them."""
        return {
            f'{name}":{{"S":"{theirs}"'.encode(): f'{name}":{{"S":"{ours}"'.encode()
            for theirs, ours in self.pairs
            for name in STAMPS
        }


def _is_same_value(one: dict[str, Any], other: dict[str, Any]) -> bool:
    # A String is the same only as it is, which spares most values a closer look.
    return one == other or ("S" not in one and _normal(one) == _normal(other))


def _normal(value: dict[str, Any]) -> dict[str, Any]:
    return {kind: _normal_content(kind, inner) for kind, inner in value.items()}


def _normal_content(kind: str, inner: Any) -> Any:
    if kind == "N":
        return plain_number(inner)
    if kind == "NS":
        return sorted(map(plain_number, inner))
    if kind in ("SS", "BS"):
        return sorted(inner)
    if kind == "L":
        return [_normal(member) for member in inner]
    if kind == "M":
        return normal_item(inner)
    return inner


def plain_number(text: str) -> str:
    """A number in plain notation: no exponent, no superfluous zero, no minus before zero."""
    if _PLAIN.fullmatch(text):
        return text
    try:
        plain = format(Decimal(text), "f")
    except InvalidOperation:
        return text
    if "." in plain:
        plain = plain.rstrip("0").rstrip(".")
    return "0" if plain == "-0" else plain


def updated_at(item: Item) -> str:
    """When an item says that it was changed; "" when it does not."""
    return str(item.get("updatedAt", {}).get("S", ""))
