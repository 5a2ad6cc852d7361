"""Which parties are migrated, and which sales name one that is not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import orjson

from utils.artifacts import read_rows
from validate.facts import Facts
from validate.rules import Note

_ENTITIES = {"buyerId": "buyers", "producerId": "producers"}


class MigratedParties:
    """The ids of the parties that pass the gate, 16 bytes for each."""

    def __init__(self) -> None:
        self._places: dict[str, list[bytes]] = {entity: [] for entity in _ENTITIES.values()}
        self._ids: dict[str, set[bytes]] = {}

    def add(self, entity: str, facts: Iterable[Facts]) -> None:
        """Take the next parties of a file, each with its place; those with errors as nobody."""
        self._places[entity] += [compact(party.key.partition("#")[2]) for party in facts]

    def remove(self, entity: str, places: Iterable[int]) -> None:
        """All of an entity are taken: the parties at `places` of its file are refused after all."""
        if entity not in self._places:
            return
        taken = self._places[entity]
        for place in places:
            taken[place] = b""
        self._ids[entity] = set(taken) - {b""}
        taken.clear()

    def read(self, entity: str, path: Path) -> None:
        """Take every party of a transformed file."""
        self._ids[entity] = {
            compact(orjson.loads(line)["Item"]["PK"]["S"].partition("#")[2])
            for chunk in read_rows(path)
            for line in chunk.lines
        }

    def dangling(self, facts: Facts) -> Iterator[Note]:
        """The references of a record to parties that are not migrated."""
        for attribute, identifier in facts.references:
            entity = _ENTITIES[attribute]
            if compact(identifier) not in self._ids[entity]:
                text = (
                    f"{attribute} {identifier} is not among the migrated {entity}: the party is "
                    "disabled in S9, of another kind, or refused here"
                )
                yield Note(attribute, "reference", text)


def compact(identifier: str) -> bytes:
    """An id in the least memory: the 16 bytes of a UUID, else the text as it is."""
    try:
        return bytes.fromhex(identifier.replace("-", ""))
    except ValueError:
        return identifier.encode()
