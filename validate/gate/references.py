"""Which records are migrated that others name, and which of these name one that is not."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import orjson

from utils.entities import ENTITY_NAMES, is_referenced, shape_of
from utils.files.artifacts import lines_of, starts_record
from validate.gate.record_facts import Facts
from validate.rules.catalogue import Note


class MigratedRecords:
    """The ids of the records that others name and that pass the gate, in some hundred bytes for
    each."""

    def __init__(self) -> None:
        self._places: dict[str, list[str]] = {
            name: [] for name in filter(is_referenced, ENTITY_NAMES)
        }
        self._ids: dict[str, set[str]] = {}

    def add(self, entity: str, facts: Iterable[Facts]) -> None:
        """Take the next records of a file, each with its place; those with errors as nobody. Of an
        entity that nobody names there is nothing to take."""
        if entity in self._places:
            self._places[entity] += [record.key.partition("#")[2] for record in facts]

    def remove(self, entity: str, places: Iterable[int]) -> None:
        """All of an entity are taken: the records at `places` of its file are refused after all.
        Once they have left the file, further ones may be."""
        if entity not in self._places:
            return
        taken = self._places[entity]
        for place in places:
            taken[place] = ""
        self._places[entity] = [identifier for identifier in taken if identifier]
        self._ids[entity] = set(self._places[entity])

    def read(self, entity: str, path: Path) -> None:
        """Take every record of a transformed file, unless that is done."""
        if entity in self._ids:
            return
        self._ids[entity] = {
            orjson.loads(line)["Item"]["PK"]["S"].partition("#")[2]
            for line in filter(starts_record, lines_of(path))
        }

    def referred(self, entity: str) -> Referred:
        """What the records of an entity may name. All that they name have been taken."""
        references = shape_of(entity).references
        return Referred(
            {each.attribute: (each.entity, self._ids[each.entity]) for each in references}
        )


class Referred:
    """The ids that may stand in the attributes of a record which name others."""

    def __init__(self, known: dict[str, tuple[str, set[str]]]) -> None:
        self._known = known
        self._ids = {attribute: ids for attribute, (_, ids) in known.items()}

    def dangling(self, references: Iterable[tuple[str, str]]) -> list[Note]:
        """The notes of references (attribute and id) to records that are not migrated."""
        return [
            self._note(attribute, identifier)
            for attribute, identifier in references
            if identifier not in self._ids[attribute]
        ]

    def _note(self, attribute: str, identifier: str) -> Note:
        entity, _ = self._known[attribute]
        text = f"{attribute} {identifier} is not among the migrated {entity}: "
        return Note(attribute, "reference", text + shape_of(entity).absent)
