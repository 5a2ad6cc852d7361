"""What the whole reading of indexes finds, as values: entries that are missing or too many, and
keys that do not say what their record says.

Texts hold keys of items and names of attributes and indexes, never what an index is sorted by: that
of parties is their name.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass, field
from typing import Any

from validate.compare.differences import ItemKey, Listing

MISSING, STALE, OTHER_KEYS, TWICE = "missing", "stale", "other-keys", "twice"
_WORDS = {
    MISSING: "is missing from the index",
    STALE: "is in the index and should not be",
    OTHER_KEYS: "is in the index under other keys",
    TWICE: "is in the index more than once",
}


@dataclass(frozen=True)
class WrongEntry:
    """An item that an index does not have as the table has it; `how` is one of the words above."""

    key: ItemKey
    index: str
    how: str

    def __str__(self) -> str:
        return f"{self.key} {_WORDS[self.how]} {self.index}"

    def as_json(self) -> dict[str, Any]:
        return {**self.key.as_json(), "how": self.how}


@dataclass
class IndexFindings:
    """One index against its table: `items` that have both its keys, `entries` that were read,
    for `read_units`, and the items that are `wrong` in it."""

    items: int = 0
    entries: int = 0
    read_units: float = 0.0
    wrong: Listing[WrongEntry] = field(default_factory=Listing)

    @property
    def passed(self) -> bool:
        return not self.wrong.count

    def as_json(self) -> dict[str, Any]:
        return {
            "items": self.items,
            "entries": self.entries,
            "readUnits": self.read_units,
            "wrong": self.wrong.as_json(),
        }

    def sentences(self, index: str) -> list[str]:
        return self.wrong.sentence(
            f"item is not in the index {index} as in the table",
            f"items are not in the index {index} as in the table",
        )


@dataclass(frozen=True)
class WrongKeys:
    """An item whose index keys do not repeat its attributes: (key, attribute) of each. Without an
    attribute the key should not be there at all (or, as `numbering` says, not alone)."""

    key: ItemKey
    names: tuple[tuple[str, str], ...]

    def __str__(self) -> str:
        return f"{self.key} ({', '.join(map(_disagreement, self.names))})"

    def as_json(self) -> dict[str, Any]:
        names = [{"key": key, "attribute": attribute or None} for key, attribute in self.names]
        return {**self.key.as_json(), "disagree": names}


def _by_key(found: WrongKeys) -> str:
    return str(found.key)


def _disagreement(names: tuple[str, str]) -> str:
    key, attribute = names
    return f"{key} and {attribute}" if attribute else f"{key} should not be there"


@dataclass
class KeyAgreement:
    """Index keys against the attributes that they are made of, in the table: how many items were
    `checked`, and which disagree."""

    checked: int = 0
    wrong: Listing[WrongKeys] = field(default_factory=Listing)

    @property
    def passed(self) -> bool:
        return not self.wrong.count

    def extend(self, later: KeyAgreement) -> None:
        """Take what was found among other items; of all the first by their keys are listed,
        whichever were looked at first."""
        self.checked += later.checked
        self.wrong.count += later.wrong.count
        entries = sorted([*self.wrong.entries, *later.wrong.entries], key=_by_key)
        self.wrong.entries = entries[: self.wrong.limit]

    def forget(self, pks: Container[Any]) -> None:
        """Nothing is to be said of the listed items of these records."""
        left = [each for each in self.wrong.entries if each.key.pk not in pks]
        self.wrong.count -= len(self.wrong.entries) - len(left)
        self.wrong.entries = left

    def as_json(self) -> dict[str, Any]:
        return {"checked": self.checked, **self.wrong.as_json()}

    def sentences(self) -> list[str]:
        return self.wrong.sentence(
            "item has index keys that do not say what its attributes say",
            "items have index keys that do not say what their attributes say",
        )
