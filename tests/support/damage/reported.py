"""What verify reports, and what it must report: item by item, by key."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from utils.differences import (
    ADDED,
    BY_APPLICATION,
    CHANGED,
    DELETED,
    DIFFERENT,
    EXTRA,
    MISSING,
    read_differences,
)
from utils.entities import ENTITY_NAMES
from utils.files.workspace import Workspace

Item = dict[str, Any]
ItemAt = tuple[str, str, str]  # entity of the table, PK, SK
HARMLESS = BY_APPLICATION
_NOTHING = {"count": 0, "list": [], "truncated": False}
_LISTS = {"missing": MISSING, "different": DIFFERENT, "extra": EXTRA}


def at(entity: str, item: Mapping[str, Any]) -> ItemAt:
    """Where an item is."""
    return entity, item["PK"]["S"], item["SK"]["S"]


@dataclass
class Reported:
    """What there is to say of some items, by where they are; the sales (PK) whose lines are not as
    many as they say, or that are not there and have lines; the references that lead nowhere, as
    (PK of the sale, PK of the party, or "" for nobody). `says` are words that a sentence of the
    report must have, beside."""

    items: dict[ItemAt, str] = field(default_factory=dict)
    lines: set[str] = field(default_factory=set)
    references: set[tuple[str, str]] = field(default_factory=set)
    says: set[str] = field(default_factory=set)

    def __add__(self, other: Reported) -> Reported:
        return Reported(
            {**self.items, **other.items},
            self.lines | other.lines,
            self.references | other.references,
            self.says | other.says,
        )

    @property
    def harmless(self) -> bool:
        """Whether all of it is the application's work."""
        return not (
            self.lines or self.references or self.says or set(self.items.values()) - HARMLESS
        )

    @property
    def damaged(self) -> dict[ItemAt, str]:
        """The items that are not as they should be."""
        return {where: how for where, how in self.items.items() if how not in HARMLESS}

    def naming(self, sales: Iterable[Mapping[str, Any]], party: str) -> Reported:
        """The same, and references of sales to a party that is nowhere."""
        lost = {(each["PK"]["S"], party) for each in sales}
        return Reported(self.items, self.lines, self.references | lost, self.says)

    def saying(self, *words: str) -> Reported:
        """The same, and words of the report."""
        return Reported(self.items, self.lines, self.references, self.says | set(words))

    def counting(self, *sales: Mapping[str, Any]) -> Reported:
        """The same, and sales whose lines are not as many as they say."""
        found = self.lines | {each["PK"]["S"] for each in sales}
        return Reported(self.items, found, self.references, self.says)


def _all(how: str, entity: str, items: Iterable[Mapping[str, Any]]) -> Reported:
    return Reported({at(entity, item): how for item in items})


def nothing() -> Reported:
    """Verify has nothing to say."""
    return Reported()


def missing(entity: str, *items: Mapping[str, Any]) -> Reported:
    return _all(MISSING, entity, items)


def different(entity: str, *items: Mapping[str, Any]) -> Reported:
    return _all(DIFFERENT, entity, items)


def extra(entity: str, *items: Mapping[str, Any]) -> Reported:
    return _all(EXTRA, entity, items)


def changed(entity: str, *items: Mapping[str, Any]) -> Reported:
    return _all(CHANGED, entity, items)


def deleted(entity: str, *items: Mapping[str, Any]) -> Reported:
    return _all(DELETED, entity, items)


def added(entity: str, *items: Mapping[str, Any]) -> Reported:
    return _all(ADDED, entity, items)


def reported(report: Mapping[str, Any]) -> Reported:
    """What a verification report says; its lists must be whole."""
    found = Reported()
    for entity, keys in report["keys"].items():
        for name, how in _LISTS.items():
            for entry in _whole(keys[name]):
                found.items[entity, entry["PK"], entry["SK"]] = how
        for name in ("changedSince", "changedInSource"):
            for entry in _whole(keys.get(name, _NOTHING)):
                found.items[entity, entry["PK"], entry["SK"]] = entry["how"]
    found.lines = {entry["PK"] for entry in _whole(report["lines"])}
    for entry in _whole(report["references"]["unresolved"]):
        (party,) = (value for name, value in entry.items() if name != "sale")
        found.references.add((entry["sale"], party))
    return found


def recorded(workspace: Workspace) -> dict[ItemAt, str]:
    """What the files of differences say of items."""
    return {
        (entity, record.pk, item.sk): item.how
        for entity in ENTITY_NAMES
        for record in read_differences(workspace.differences(entity))
        for item in record.items
    }


def _whole(listing: Mapping[str, Any]) -> list[dict[str, Any]]:
    assert not listing["truncated"]
    entries: list[dict[str, Any]] = listing["list"]
    assert len(entries) == listing["count"]
    return entries
