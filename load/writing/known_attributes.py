"""The attributes that the Sale Module knows of each kind of item, and what a load writes in them.

An item that has been changed may have got one of them besides those that were written; so a
condition that an item is as it was names all of them (load/writing/conditions.py). `PK` and `SK`
are left out there: they are the key. The attributes are those of the schemas (utils/schemas), and
two that the API alone writes: `deletedAt` is its soft delete, `ttl` its expiry in the sales table.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from utils.dynamodb.table_spec import PARTITION_KEY, SORT_KEY
from utils.item_schemas import Declared, declared

_KEYS = frozenset({PARTITION_KEY, SORT_KEY})
_MAX_SORT_KEY_BYTES = 1_024
_MOST_BYTES_OF_A_CHARACTER = 4
_NEVER_WRITTEN = {
    "buyer": frozenset({"deletedAt"}),
    "producer": frozenset({"deletedAt"}),
    "sale": frozenset({"deletedAt", "ttl"}),
    "sale_line": frozenset({"deletedAt", "ttl"}),
}
# The kinds of items in an entity's table, in words.
_IN_TABLE = {
    "buyers": {"buyer": "buyers"},
    "producers": {"producer": "producers"},
    "sales": {"sale": "sales", "sale_line": "lines of sales"},
}
_BY_PREFIX = {"BUYER": "buyer", "PRODUCER": "producer", "SALE": "sale"}


def known_attributes(pk: str, sk: str) -> frozenset[str]:
    """The attributes of the kind of item that has this key; none for an unknown kind."""
    kind = "sale_line" if sk.startswith("LINE#") else _BY_PREFIX.get(pk.partition("#")[0])
    return _known(kind) if kind else frozenset()


@cache
def _known(kind: str) -> frozenset[str]:
    return _NEVER_WRITTEN[kind].union(declared(kind)) - _KEYS


def writers_of(entity: str, attribute: str) -> list[str]:
    """The kinds of items, in words, that a load of an entity writes with an attribute."""
    return [words for kind, words in _IN_TABLE[entity].items() if attribute in declared(kind)]


def types_of(entity: str, attribute: str) -> set[str]:
    """The types of DynamoDB's in which a load of an entity writes an attribute."""
    return {each.type for each in _declarations(entity, attribute)}


def may_be_empty(entity: str, attribute: str) -> bool:
    """Whether a load of an entity may write "" in an attribute, where S9 does not know it."""
    return any(each.may_be_empty for each in _declarations(entity, attribute))


def may_be_long(entity: str, attribute: str) -> bool:
    """Whether a load of an entity may write more in an attribute than a sort key takes."""
    return any(
        each.is_free
        and (
            each.longest is None or each.longest * _MOST_BYTES_OF_A_CHARACTER > _MAX_SORT_KEY_BYTES
        )
        for each in _declarations(entity, attribute)
    )


def _declarations(entity: str, attribute: str) -> Iterator[Declared]:
    for kind in _IN_TABLE[entity]:
        if attribute in declared(kind):
            yield declared(kind)[attribute]
