"""Which parties are migrated, and which sales name one that is not."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import orjson

from utils.files.artifacts import lines_of
from validate.gate.record_facts import Facts
from validate.rules.catalogue import Note

_ENTITIES = {"buyerId": "buyers", "producerId": "producers"}


class MigratedParties:
    """The ids of the parties that pass the gate, in some hundred bytes for each."""

    def __init__(self) -> None:
        self._places: dict[str, list[str]] = {entity: [] for entity in _ENTITIES.values()}
        self._ids: dict[str, set[str]] = {}

    def add(self, entity: str, facts: Iterable[Facts]) -> None:
        """Take the next parties of a file, each with its place; those with errors as nobody."""
        self._places[entity] += [party.key.partition("#")[2] for party in facts]

    def remove(self, entity: str, places: Iterable[int]) -> None:
        """All of an entity are taken: the parties at `places` of its file are refused after all."""
        if entity not in self._places:
            return
        taken = self._places[entity]
        for place in places:
            taken[place] = ""
        self._ids[entity] = set(taken) - {""}
        taken.clear()

    def read(self, entity: str, path: Path) -> None:
        """Take every party of a transformed file."""
        self._ids[entity] = {
            orjson.loads(line)["Item"]["PK"]["S"].partition("#")[2] for line in lines_of(path)
        }

    def dangling(self, references: Iterable[tuple[str, str]]) -> list[Note]:
        """The notes of references to parties that are not migrated."""
        return [
            Note(
                attribute,
                "reference",
                f"{attribute} {identifier} is not among the migrated {_ENTITIES[attribute]}: the "
                "party is disabled in S9, of another kind, or refused here",
            )
            for attribute, identifier in references
            if identifier not in self._ids[_ENTITIES[attribute]]
        ]
