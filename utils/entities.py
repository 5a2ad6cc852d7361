"""The entities of the migration: the shape of each, once, in the order in which they are migrated.

What stands here every phase goes by: which keys an entity's records have, what belongs to a record,
which other records it names. An entity is declared here, and then has a part in each phase:
docs/architecture.md ("How to add an entity") goes through them, and tests/unit/test_entities.py
says which of them is missing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeVar

from utils.error_handler import MigrationError

T = TypeVar("T")
_CAPITAL = re.compile("([A-Z])")


class Undeclared(MigrationError):
    """Something is asked about an entity that nobody has declared, or not everywhere."""


@dataclass(frozen=True)
class Reference:
    """A record names one of another `entity`, by its id, in `attribute`. The records that name one
    are found by an index of their own table, the partition key of which is `index_key`."""

    attribute: str
    entity: str
    index_key: str

    @property
    def sort_key(self) -> str:
        """The sort key of the index."""
        return self.index_key.removesuffix("PK") + "SK"


@dataclass(frozen=True)
class Children:
    """Items that belong to a record, under its partition key: `name` in words and in an extracted
    row, `schema` that of one (utils/schemas).

    The record says in `count` how many there are. `sums` are its amounts, each with that of the
    children that it is the sum of.
    """

    name: str
    singular: str
    schema: str
    count: str
    sums: tuple[tuple[str, str], ...] = ()

    @property
    def prefix(self) -> str:
        """How their sort keys begin."""
        return f"{self.singular.upper()}#"

    @property
    def id_attribute(self) -> str:
        return f"{self.singular}Id"


@cache
def column_of(attribute: str) -> str:
    """The canonical column of S9 that has the name of an attribute: in every layout, what is added
    up goes by these."""
    return _CAPITAL.sub(r"_\1", attribute).lower()


@dataclass(frozen=True)
class Dimension:
    """What amounts are added up by: the values of an attribute, or their first `length`
    characters (0: all of them)."""

    name: str
    attribute: str
    length: int = 0


@dataclass(frozen=True)
class Measures:
    """What is added up of the records of an entity: the `amounts` (numbers) of the item that opens
    each, in a `currency`, by `dimensions`. Amounts of two currencies are never added."""

    amounts: tuple[str, ...]
    currency: str
    dimensions: tuple[Dimension, ...]

    @property
    def attributes(self) -> tuple[str, ...]:
        """Every attribute that is read, those that group before those that are added up."""
        grouping = (each.attribute for each in self.dimensions)
        return tuple(dict.fromkeys((*grouping, self.currency, *self.amounts)))

    @property
    def grouping(self) -> tuple[str, ...]:
        """The attributes by which amounts are added up."""
        return tuple(name for name in self.attributes if name not in self.amounts)


@dataclass(frozen=True)
class Shape:
    """What an entity is.

    Its records have `prefix` and an id as partition key, and the id in `id_attribute`; one item of
    a record (METADATA) opens it, `children` follow. `references` are the other records that it
    names. Where an index lists the records that name one, they are in the order of `sorted_by`.
    `role` is what those call such a record that name it (one, many), `absent` why one may be
    missing that is named. `numbered` records have numbers in their year (utils/sale_numbering.py).
    `measures` is what is added up of them, None of records without amounts.
    """

    name: str
    singular: str
    role: tuple[str, str]
    absent: str
    references: tuple[Reference, ...] = ()
    children: Children | None = None
    sorted_by: str = ""
    numbered: bool = False
    measures: Measures | None = None

    @property
    def prefix(self) -> str:
        """How the partition keys of its records begin."""
        return f"{self.singular.upper()}#"

    @property
    def id_attribute(self) -> str:
        return f"{self.singular}Id"

    @property
    def schema(self) -> str:
        """The schema of the item that opens a record (utils/schemas)."""
        return self.singular

    @property
    def table_setting(self) -> str:
        """The field of TargetConfig (utils/config.py) that names its table."""
        return f"{self.name}_table"

    @property
    def needs(self) -> tuple[str, ...]:
        """The entities that its records name."""
        return tuple(dict.fromkeys(reference.entity for reference in self.references))

    def items_in(self, row: Mapping[str, Any]) -> int:
        """How many items an extracted row is."""
        return 1 + len((self.children and row.get(self.children.name)) or ())


_PARTY = ("party", "parties")
_NO_PARTY = "the party is disabled in S9, of another kind, or refused here"

ENTITIES = (
    Shape("buyers", "buyer", role=_PARTY, absent=_NO_PARTY),
    Shape("producers", "producer", role=_PARTY, absent=_NO_PARTY),
    Shape(
        "sales",
        "sale",
        role=("sale", "sales"),
        absent="the sale is disabled in S9, or refused here",
        references=(
            Reference("buyerId", "buyers", index_key="GSI2PK"),
            Reference("producerId", "producers", index_key="GSI3PK"),
        ),
        children=Children(
            "lines",
            "line",
            schema="sale_line",
            count="linesCount",
            sums=(("subtotal", "netAmount"), ("taxAmount", "taxAmount"), ("total", "totalAmount")),
        ),
        sorted_by="saleDate",
        numbered=True,
        measures=Measures(
            amounts=("subtotal", "taxAmount", "total"),
            currency="currency",
            dimensions=(
                Dimension("year", "saleDate", length=len("YYYY")),
                Dimension("month", "saleDate", length=len("YYYY-MM")),
                Dimension("status", "status"),
                Dimension("currency", "currency"),
                Dimension("buyer", "buyerId"),
                Dimension("producer", "producerId"),
            ),
        ),
    ),
)
ENTITY_NAMES = tuple(shape.name for shape in ENTITIES)
_BY_NAME = {shape.name: shape for shape in ENTITIES}
# The names under which an extracted row carries rows of others: children, and copies of the named.
PARTS = frozenset(
    {shape.children.name for shape in ENTITIES if shape.children}
    | {each.singular for each in ENTITIES for user in ENTITIES if each.name in user.needs}
)
_BY_PREFIX = {shape.prefix: shape for shape in ENTITIES}


def shape_of(entity: str) -> Shape:
    """The shape of an entity. Raises Undeclared."""
    return part_of(_BY_NAME, entity, "utils/entities.py")


def shape_at(partition_key: str) -> Shape | None:
    """The shape of the entity whose record has this partition key; None for nobody's."""
    return _BY_PREFIX.get(partition_key.partition("#")[0] + "#")


@cache
def referrers_of(entity: str) -> tuple[tuple[Shape, Reference], ...]:
    """Who names records of an entity, and by what. Raises Undeclared."""
    shape_of(entity)
    return tuple(
        (shape, reference)
        for shape in ENTITIES
        for reference in shape.references
        if reference.entity == entity
    )


def is_referenced(entity: str) -> bool:
    """Whether there is an entity whose records name those of this one. Raises Undeclared."""
    return bool(referrers_of(entity))


def dependents_of(entity: str) -> list[str]:
    """The entities that cannot be migrated without this one, in their order: those whose records
    name its records, and those that need them."""
    shape_of(entity)
    found = {entity}
    for shape in ENTITIES:
        if found & set(shape.needs):
            found.add(shape.name)
    return [name for name in ENTITY_NAMES if name in found - {entity}]


def part_of(parts: Mapping[str, T], entity: str, place: str) -> T:
    """An entity's part of what `place`, a file, says of all of them. Raises Undeclared."""
    try:
        return parts[entity]
    except KeyError:
        raise Undeclared(
            f"{place} says nothing of {entity}, only of {', '.join(parts)}",
            remedy="declare it there: docs/architecture.md (How to add an entity) goes through "
            "all that an entity needs, and tests/unit/test_entities.py names what is missing",
        ) from None


def field_of(declared: Any, field: str, place: str) -> Any:
    """The field of what `place` declares that belongs to an entity. Raises Undeclared."""
    return part_of(vars(declared), field, place)
