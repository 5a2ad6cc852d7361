"""The attributes that the Sale Module knows of each kind of item, and what a load writes in them.

An item that has been changed may have got one of them besides those that were written; so a
condition that an item is as it was names all of them (load/writing/conditions.py). `PK` and `SK`
are left out there: they are the key. The attributes are those of the schemas (utils/schemas), and
two that the API alone writes: `deletedAt` is its soft delete, `ttl` its expiry in the sales table.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

from utils.dynamodb.table_spec import PARTITION_KEY, SORT_KEY
from utils.entities import shape_at, shape_of
from utils.item_schemas import Declared, declared

_KEYS = frozenset({PARTITION_KEY, SORT_KEY})
_MAX_SORT_KEY_BYTES = 1_024
_MOST_BYTES_OF_A_CHARACTER = 4
_SOFT_DELETE, _EXPIRY = frozenset({"deletedAt"}), frozenset({"ttl"})
_WITH_EXPIRY = frozenset({"sales"})


def known_attributes(pk: str, sk: str) -> frozenset[str]:
    """The attributes of the kind of item that has this key; none for an unknown kind."""
    return _known(pk.partition("#")[0], sk.partition("#")[0])


@lru_cache(maxsize=256)
def _known(prefix: str, kind: str) -> frozenset[str]:
    shape = shape_at(f"{prefix}#")
    if shape is None:
        return frozenset()
    is_child = shape.children is not None and shape.children.prefix == f"{kind}#"
    schema = shape.children.schema if shape.children and is_child else shape.schema
    alone = _SOFT_DELETE | (_EXPIRY if shape.name in _WITH_EXPIRY else frozenset())
    return alone.union(declared(schema)) - _KEYS


def writers_of(entity: str, attribute: str) -> list[str]:
    """The kinds of items, in words, that a load of an entity writes with an attribute. Raises
    Undeclared."""
    return [words for words, kind in _kinds_of(entity).items() if attribute in declared(kind)]


def _kinds_of(entity: str) -> dict[str, str]:
    """The kinds of items in an entity's table by their words."""
    shape = shape_of(entity)
    kinds = {shape.name: shape.schema}
    if shape.children:
        kinds[f"{shape.children.name} of {shape.name}"] = shape.children.schema
    return kinds


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
    for kind in _kinds_of(entity).values():
        if attribute in declared(kind):
            yield declared(kind)[attribute]
