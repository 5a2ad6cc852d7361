"""What a layout is to the transforms; transform/row_to_texts.py applies it.

The transforms know the columns of layout s9 under their canonical names. Another layout says, for
each entity, what makes its rows such rows: conversions of single columns, one pure function for
what depends on several, attributes that only its columns feed. Columns that have no place in the
target are carried in `legacy`. Each layout is a module of transform/layouts that has a LAYOUT; the
name of the module is its name (docs/layouts.md).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module

from transform.items.adapter_notes import Notes
from transform.items.attributes import Attribute, Item, Row
from transform.rules import TransformRules
from utils.entities import ENTITY_NAMES, part_of

Adapt = Callable[[Row, Notes, TransformRules], None]
Complete = Callable[[Item, Row], None]
Values = Mapping[str, Callable[[object], object]]


def as_it_is(_row: Row, _notes: Notes, _rules: TransformRules) -> None:
    """Nothing in the row depends on more than one column."""


def complete_already(_item: Item, _row: Row) -> None:
    """Nothing in the item depends on columns that the transform does not know."""


@dataclass(frozen=True)
class Adapter:
    """How the rows of one entity (or of lines) become rows that the transforms know.

    `values` converts single columns, also those of a party that a sale has copied; a converter
    returns the canonical value, or raises Unconvertible. Then `adapt` may change the row (a copy)
    further. `further` are attributes of the target that layout s9 has no columns for. `complete`
    may change the item, given the adapted row, where a value follows from what the transform has
    computed. What these two raise as Unconvertible refuses the record.
    """

    values: Values = field(default_factory=dict)
    adapt: Adapt = as_it_is
    further: tuple[Attribute, ...] = ()
    complete: Complete = complete_already


@dataclass(frozen=True)
class Layout:
    """One layout's word on what its rows mean.

    `id_scope` stands before every name that an id is made of, so that key 12 of this layout is
    another record than key 12 of the next; it must never change. With `carries`, columns without
    a place in the target are carried in `legacy`.
    """

    id_scope: str
    carries: bool = True
    buyers: Adapter = Adapter()
    producers: Adapter = Adapter()
    sales: Adapter = Adapter()
    lines: Adapter = Adapter()

    @property
    def is_plain(self) -> bool:
        """Whether the rows are what the transforms know already."""
        nothing = Adapter()
        adapters = (each for each in vars(self).values() if isinstance(each, Adapter))
        return not self.carries and all(adapter == nothing for adapter in adapters)

    def adapter(self, entity: str) -> Adapter:
        """The adapter of an entity, or of the lines of its records; of an entity without a field
        here, one that changes nothing. Raises Undeclared."""
        adapters = {**dict.fromkeys(ENTITY_NAMES, Adapter()), **vars(self)}
        adapter: Adapter = part_of(adapters, entity, "Layout (transform/layout.py)")
        return adapter


@cache
def layout_of(name: str) -> Layout:
    """The layout of this name, one of utils.config.LAYOUTS."""
    layout: Layout = import_module(f"transform.layouts.{name}").LAYOUT
    return layout
