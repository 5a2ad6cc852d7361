"""Conditions under which a write is done: only if an item is still what it was.

"What it was" is its whole content: every attribute has the value that it had, and none of those
that the Sale Module knows and the item did not have has come since. An expression has 4 KB and
300 operators at most ("Service, account, and table quotas", DynamoDB developer guide), so the
names in it are short.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from load.writing.known_attributes import known_attributes
from utils.dynamodb.item_content import Item
from utils.dynamodb.table_spec import PARTITION_KEY, SORT_KEY

_BYTES, _OPERATORS = 4096, 300
_AND = " AND "
_VALUES = tuple(f":{n}" for n in range(_OPERATORS))
_KEYS = frozenset({PARTITION_KEY, SORT_KEY})


@dataclass(frozen=True)
class Condition:
    """A ConditionExpression with what its short names stand for."""

    expression: str
    names: dict[str, str]
    values: dict[str, Any] = field(default_factory=dict)

    def as_request(self) -> dict[str, Any]:
        """Its part of a PutItem or DeleteItem request."""
        request: dict[str, Any] = {
            "ConditionExpression": self.expression,
            "ExpressionAttributeNames": self.names,
        }
        if self.values:
            request["ExpressionAttributeValues"] = self.values
        return request


ABSENT = Condition("attribute_not_exists(#k)", {"#k": PARTITION_KEY})


def unchanged(item: Item) -> Condition | None:
    """The condition that under the key of `item` (DynamoDB JSON) there is exactly this item.

    Of attributes that no schema of the Sale Module knows it cannot see that they have been added.
    None when an item has more attributes than an expression can compare.
    """
    known = known_attributes(_text(item, PARTITION_KEY), _text(item, SORT_KEY))
    worded = _worded(frozenset(item), known)
    if worded is None:
        return None
    expression, names, own = worded
    return Condition(
        expression, names, dict(zip(_VALUES, map(item.__getitem__, own), strict=False))
    )


@lru_cache(maxsize=1024)
def _worded(
    names_of_item: frozenset[str], known: frozenset[str]
) -> tuple[str, dict[str, str], tuple[str, ...]] | None:
    """The expression for an item with these attributes, of which some are `known`, what its short
    names stand for, and the attributes whose values it compares; None when there are too many of
    them. Few kinds of item have most."""
    own = tuple(sorted(names_of_item - _KEYS))
    names = {"#k": PARTITION_KEY} | {f"#{n}": name for n, name in enumerate(own)}
    parts = ["attribute_exists(#k)", *(f"#{n}=:{n}" for n in range(len(own)))]
    if not _fits(parts):
        return None
    for n, name in enumerate(sorted(known.difference(own)), len(own)):
        part = f"attribute_not_exists(#{n})"
        if not _fits([*parts, part]):
            break
        parts.append(part)
        names[f"#{n}"] = name
    return _AND.join(parts), names, own


def _fits(parts: list[str]) -> bool:
    return len(_AND.join(parts)) <= _BYTES and 2 * len(parts) <= _OPERATORS


def _text(item: Item, name: str) -> str:
    return str(item.get(name, {}).get("S", ""))
