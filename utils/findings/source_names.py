"""Where in this S9 something is: its table and column, by the names that they have here.

An installation names its columns in English or Italian, and its tables as its layout does. What the
extract has recognised and what the transform makes of it are both in the manifest; from these the
phases that find something know where an operator has to look.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from utils.entities import shape_of
from utils.run.manifest import Manifest

_OF_PART = re.compile(r"(?P<children>\w+)\[(?P<number>[0-9]+)\](?:\.(?P<rest>.*))?", re.S)
_CARRIED = "legacy."
_KEYS = frozenset({"PK", "SK"})

Targets = Mapping[str, Mapping[str, str]]
"""For each part of an entity's rows (the entity, its children, the parties that it copies by their
kind) the attributes that canonical columns become, several with commas between them."""


class Origin(NamedTuple):
    """A column of this S9. `part` is whose row it is: "" the record's own, the name of its children
    (`number` says which, from 1), or the kind of party that it copies; `canonical` is the name
    under which the column is in an extracted row, and `attribute` what it becomes."""

    part: str
    number: int
    table: str
    column: str
    canonical: str
    attribute: str


@dataclass(frozen=True)
class TableNames:
    """One table: the names that its columns have in S9, by canonical name, and the canonical names
    by what they become."""

    table: str = ""
    columns: Mapping[str, str] = field(default_factory=dict)
    attributes: Mapping[str, str] = field(default_factory=dict)
    targets: Mapping[str, str] = field(default_factory=dict)

    def column(self, name: str) -> str:
        """The name in S9 of a canonical column, or of one that goes by S9's name already."""
        return self.columns.get(name) or (name if name in self.columns.values() else "")


_NO_TABLE = TableNames()


@dataclass(frozen=True)
class SourceNames:
    """The tables that an entity's records come from: `parts` has the record's own under "", that of
    its children under their name, and those that it copies from under the kind of party.

    It can be pickled. One that knows nothing gives places without table and column.
    """

    entity: str
    parts: Mapping[str, TableNames] = field(default_factory=dict)

    def of_column(self, path: str) -> Origin:
        """Where a column of an extracted row is: `status`, `lines[2].unit_price`,
        `buyer.country`."""
        part, number, name = self._split(path)
        if not part and "." in name and name.partition(".")[0] in self.parts:
            part, _, name = name.partition(".")
        names = self.parts.get(part, _NO_TABLE)
        target = names.targets.get(name, "").partition(",")[0]
        return Origin(part, number, names.table, names.column(name), name, target)

    def of_attribute(self, path: str) -> Origin:
        """Where what an attribute of an item holds comes from: `vatNumber`, `lines[2].netAmount`,
        `legacy.stamp`. What the item repeats of a party is the party's."""
        part, number, name = self._split(path)
        if name.startswith(_CARRIED):
            return self.of_column(path.replace(_CARRIED, "", 1))._replace(attribute="")
        names = self.parts.get(part, _NO_TABLE)
        canonical = names.attributes.get("legacyId" if name in _KEYS else name, "")
        if not part and not names.columns.get(canonical):
            for kind, other in self.parts.items():
                if kind and name in other.attributes and kind != self._children:
                    return self._at(kind, 0, other, other.attributes[name], name)
        return self._at(part, number, names, canonical, name)

    @staticmethod
    def _at(part: str, number: int, names: TableNames, canonical: str, attribute: str) -> Origin:
        column = names.columns.get(canonical, "")
        return Origin(part, number, names.table, column, canonical, attribute)

    @property
    def _children(self) -> str:
        children = shape_of(self.entity).children
        return children.name if children else ""

    def _split(self, path: str) -> tuple[str, int, str]:
        match = _OF_PART.fullmatch(path)
        if match and match["children"] == self._children:
            return match["children"], int(match["number"]), match["rest"] or ""
        return "", 0, path


def names_of(manifest: Manifest, entity: str, targets: Targets | None = None) -> SourceNames:
    """The names for an entity, as the extracts have recognised them. `targets` are the transform's
    word, which later phases find in the manifest."""
    shape = shape_of(entity)
    if targets is None:
        done = manifest.phase("transform", entity)
        targets = done.result.get("targets", {}) if done else {}
    of_rows = {"": (entity, entity)}
    if shape.children:
        of_rows[shape.children.name] = (entity, shape.children.name)
    of_rows |= {shape_of(name).singular: (name, name) for name in shape.needs}
    return SourceNames(
        entity,
        {
            part: _names(manifest, *place, targets.get(part or entity, {}))
            for part, place in of_rows.items()
        },
    )


def _names(manifest: Manifest, entity: str, rows: str, targets: Mapping[str, str]) -> TableNames:
    """The names of the table that `rows` are read from with an entity."""
    done = manifest.phase("extract", entity)
    tables = done.result.get("columns", {}) if done else {}
    attributes: dict[str, str] = {}
    for canonical, names in targets.items():
        for name in names.split(","):
            attributes.setdefault(name, canonical)
    for table, found in tables.items():
        if found["rows"] == rows:
            columns = {canonical: name for name, canonical in found["read"].items()}
            return TableNames(table, columns, attributes, targets)
    return TableNames("", {}, attributes, targets)
