"""The entities that are extracted, in the order of the migration: a sale needs its parties.

What they are read from is the layout's word: each layout is a module of extract/layouts that says
it of every entity in ENTITIES, and the name of the module is its name (docs/layouts.md).
"""

from __future__ import annotations

from functools import cache
from importlib import import_module

from extract.declaration import Entity
from utils.entities import ENTITY_NAMES, part_of


@cache
def entities_of(layout: str) -> dict[str, Entity]:
    """The entities of a layout by name; `layout` is one of utils.config.LAYOUTS. Raises Undeclared
    when it leaves one out."""
    entities: tuple[Entity, ...] = import_module(f"extract.layouts.{layout}").ENTITIES
    declared = {entity.name: entity for entity in entities}
    return {name: part_of(declared, name, f"extract/layouts/{layout}.py") for name in ENTITY_NAMES}
