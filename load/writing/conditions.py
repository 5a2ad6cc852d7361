"""Conditions under which a write is done: only if an item is still what it was.

"What it was" is its whole content: every attribute has the value that it had, and none of those
that the Sale Module knows and the item did not have has come since. An expression has 4 KB and
300 operators at most ("Service, account, and table quotas", DynamoDB developer guide), so the
names in it are short.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import orjson

from load.writing.known_attributes import known_attributes
from utils.dynamodb.item_content import Item
from utils.dynamodb.item_text import Attributes
from utils.dynamodb.table_spec import PARTITION_KEY, SORT_KEY

_BYTES, _OPERATORS = 4096, 300
_AND = " AND "
_VALUES = tuple(f":{n}" for n in range(_OPERATORS))
_VALUED = b',"ExpressionAttributeValues":'
_KEYS = frozenset({PARTITION_KEY, SORT_KEY})
# What stands between the name of an attribute of a flat item and what follows it.
_VALUE = re.compile(rb'":\{"(?:[SN]":"[^"\\]*"|BOOL":(?:true|false)|NULL":true)\}')
_NAMES = re.compile(rb'[A-Za-z0-9]+(?:,":[A-Za-z0-9]+)*').fullmatch


@dataclass(frozen=True)
class Condition:
    """A ConditionExpression with what its short names stand for: `text` is its part of a PutItem,
    DeleteItem or member of a transaction, in JSON without the braces around it."""

    text: bytes

    @classmethod
    def of(
        cls, expression: str, names: Mapping[str, str], values: Mapping[str, Any] | None = None
    ) -> Condition:
        """The condition that an expression says."""
        opening, valued = _opening(expression, names), orjson.dumps(values or {})
        return cls(b"%b%b%b" % (opening, _VALUED, valued) if values else opening)

    def as_request(self) -> dict[str, Any]:
        """Its part of a request."""
        request: dict[str, Any] = orjson.loads(b"{%b}" % self.text)
        return request


def _opening(expression: str, names: Mapping[str, str]) -> bytes:
    return orjson.dumps({"ConditionExpression": expression, "ExpressionAttributeNames": names})[
        1:-1
    ]


ABSENT = Condition.of("attribute_not_exists(#k)", {"#k": PARTITION_KEY})


def unchanged(item: Item) -> Condition | None:
    """The condition that under the key of `item` (DynamoDB JSON) there is exactly this item.

    Of attributes that no schema of the Sale Module knows it cannot see that they have been added.
    None when an item has more attributes than an expression can compare.
    """
    known = known_attributes(_text(item, PARTITION_KEY), _text(item, SORT_KEY))
    worded = _worded(frozenset(item), known)
    if worded is None:
        return None
    opening, own = worded
    if not own:
        return Condition(opening)
    values = dict(zip(_VALUES, map(item.__getitem__, own), strict=False))
    return Condition(b"%b%b%b" % (opening, _VALUED, orjson.dumps(values)))


def unchanged_text(pk: str, sk: str, attributes: Attributes) -> Condition | None:
    """`unchanged` of the flat item with this key that has these attributes
    (utils/dynamodb/item_text.py), put together from their texts: a value is called as its attribute
    is. None also where an attribute's name is no name for a value."""
    values = b'},":'.join(attributes) + b"}"
    opening = _opening_for(_VALUE.sub(b"", values), known_attributes(pk, sk))
    return None if opening is None else Condition(b'%b%b{":%b}' % (opening, _VALUED, values))


@lru_cache(maxsize=1024)
def _opening_for(names: bytes, known: frozenset[str]) -> bytes | None:
    """The condition for an item whose attributes have these names (joined by `,":`), of which some
    are `known`, up to the values. None when they are not names for values, or too many."""
    if not _NAMES(names):
        return None
    own = names.decode().split(',":')
    same = [f"#{n}=:{name}" for n, name in enumerate(own)]
    return _all_of(same, own, known, {}) if len(set(own)) == len(own) else None


@lru_cache(maxsize=1024)
def _worded(
    names_of_item: frozenset[str], known: frozenset[str]
) -> tuple[bytes, tuple[str, ...]] | None:
    """The condition for an item with these attributes, of which some are `known`, up to the values,
    and the attributes whose values it compares; None when there are too many of them. Few kinds of
    item have most."""
    own = tuple(sorted(names_of_item - _KEYS))
    same = ["attribute_exists(#k)", *(f"#{n}=:{n}" for n in range(len(own)))]
    opening = _all_of(same, own, known, {"#k": PARTITION_KEY})
    return None if opening is None else (opening, own)


def _all_of(
    same: list[str], own: Sequence[str], known: frozenset[str], names: dict[str, str]
) -> bytes | None:
    """An expression that what is in `same` holds, where `own` attributes are called by their
    numbers, and that no other known attribute is there, as far as there is room; None when there is
    none for the former."""
    if not _fits(same):
        return None
    names |= {f"#{n}": name for n, name in enumerate(own)}
    parts = list(same)
    for n, name in enumerate(sorted(known.difference(own)), len(own)):
        part = f"attribute_not_exists(#{n})"
        if not _fits([*parts, part]):
            break
        parts.append(part)
        names[f"#{n}"] = name
    return _opening(_AND.join(parts), names)


def _fits(parts: list[str]) -> bool:
    return len(_AND.join(parts)) <= _BYTES and 2 * len(parts) <= _OPERATORS


def _text(item: Item, name: str) -> str:
    return str(item.get(name, {}).get("S", ""))
