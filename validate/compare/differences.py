"""What a comparison finds, as values: items that are missing, too much or different, lines that are
not as many as a sale says, references that lead nowhere.

Texts hold keys, attribute names, dates and counts, never a personal value.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Generic, Protocol, TypeVar

import orjson

from utils.entities import Children, shape_at, shape_of
from utils.wording.figures import counted
from validate.compare_counts import Count

LISTED = 1_000  # entries that a list of the report holds at most; its count is always whole
MOST_TOUCHED = 200_000  # beyond them the access patterns of sales in groups are not judged


@dataclass(frozen=True)
class ItemKey:
    """The key of an item; texts, or whatever DynamoDB JSON stands in their place."""

    pk: Any
    sk: Any

    @classmethod
    def of(cls, pk: bytes, sk: bytes) -> ItemKey:
        """The key whose two parts are given as JSON texts."""
        return cls(orjson.loads(pk), orjson.loads(sk))

    def __str__(self) -> str:
        return f"{self.pk} / {self.sk}"

    def as_json(self) -> dict[str, Any]:
        return {"PK": self.pk, "SK": self.sk}


@dataclass(frozen=True)
class DifferentItem:
    """An item that is in the table with other content; `attributes` are those that differ."""

    key: ItemKey
    attributes: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.key} ({', '.join(self.attributes) or 'it has changed in the meantime'})"

    def as_json(self) -> dict[str, Any]:
        return {**self.key.as_json(), "attributes": list(self.attributes)}


@dataclass(frozen=True)
class ChangedItem:
    """An item that the application has "changed", "deleted" (as it deletes) or "added" to a
    migrated record since the load; or that S9 has (utils/differences.py)."""

    key: ItemKey
    how: str

    def __str__(self) -> str:
        return f"{self.key} ({self.how})"

    def as_json(self) -> dict[str, Any]:
        return {**self.key.as_json(), "how": self.how}


@dataclass(frozen=True)
class KeptItem:
    """An item of S9 that the load has left as the table has it: with other content
    (`in_table`), or not there at all."""

    key: ItemKey
    in_table: bool

    def __str__(self) -> str:
        return f"{self.key}" if self.in_table else f"{self.key} (not there)"

    def as_json(self) -> dict[str, Any]:
        return {**self.key.as_json(), "inTable": self.in_table}


@dataclass(frozen=True)
class WrongLines:
    """A sale that says `lines_count` while the table has `found` lines of it; None: the lines
    are there and the sale is not."""

    sale: Any
    lines_count: str | None
    found: int
    children: Children

    def __str__(self) -> str:
        found = counted(self.found, self.children.singular, self.children.name)
        if self.lines_count is None:
            return f"{self.sale} is not there and has {found}"
        return f"{self.sale} has {self.children.count} {self.lines_count or 'absent'}, and {found}"

    def as_json(self) -> dict[str, Any]:
        return {"PK": self.sale, self.children.count: self.lines_count, "found": self.found}


@dataclass(frozen=True)
class Unresolved:
    """A record of an `entity` (its PK) that names one which is not in its table, as a sale its
    parties; "" names none."""

    entity: str
    user: Any
    named: Any

    def __str__(self) -> str:
        return f"{self.user} → {self.named}"

    def as_json(self) -> dict[str, Any]:
        shape = shape_of(self.entity)
        named = shape_at(str(self.named)) or shape_of(shape.references[0].entity)
        return {shape.singular: self.user, named.role[0]: self.named}


class Listed(Protocol):
    """What a list of the report has: as JSON, and as a text without personal values."""

    def as_json(self) -> dict[str, Any]: ...


Entry = TypeVar("Entry", bound=Listed)


@dataclass
class Listing(Generic[Entry]):
    """So many of something, and the first of them."""

    count: int = 0
    entries: list[Entry] = field(default_factory=list)
    limit: int = LISTED

    def add(self, entry: Entry) -> None:
        """Count an entry, and keep it while there is room."""
        self.count += 1
        if len(self.entries) < self.limit:
            self.entries.append(entry)

    def extend(self, later: Listing[Entry]) -> None:
        """Append another listing."""
        self.count += later.count
        self.entries += later.entries[: max(0, self.limit - len(self.entries))]

    def as_json(self) -> dict[str, Any]:
        return {
            "count": self.count,
            "list": [entry.as_json() for entry in self.entries],
            "truncated": self.count > len(self.entries),
        }

    def sentence(self, one: str, many: str) -> list[str]:
        """One sentence, none for an empty listing: the count with what is counted
        (utils/wording/figures.py), and the first entry."""
        said = counted(self.count, one, many)
        first = f", the first: {self.entries[0]}" if self.entries else ""
        return [said + first] if self.count else []


@dataclass
class KeyDifferences:
    """The items of one table against the transformed file.

    `behind` is what S9 has changed since the load, where S9 has been read again: the table is as it
    was loaded. `extra` items carry a legacyId and are not in the file; `only_in_target` counts them
    by kind.
    `foreign` ones carry none, were written by somebody else, and are no difference. `changed` is
    what the application has done with migrated records since the load, which is none either;
    `touched` are the PKs of these records, `over` those of what is only in the table (at most
    `MOST_TOUCHED` each). `refused` are the items of
    records that the load refused: in the file, rightly not in the table. `kept` are items that the
    load has left as the table has them; `kept_absent` counts those that are not there at all.

    For the ledger: `kept_found` are those of the kept ones that are there and carry a legacyId,
    `beyond` all items with one that the file has not, `unmarked` those under our keys that have
    lost it, `ahead` those that S9 has got since the load.
    """

    missing: Listing[ItemKey] = field(default_factory=Listing)
    extra: Listing[ItemKey] = field(default_factory=Listing)
    different: Listing[DifferentItem] = field(default_factory=Listing)
    changed: Listing[ChangedItem] = field(default_factory=Listing)
    behind: Listing[ChangedItem] = field(default_factory=Listing)
    touched: set[bytes] = field(default_factory=set)
    over: set[bytes] = field(default_factory=set)
    foreign: int = 0
    refused: int = 0
    kept: Listing[KeptItem] = field(default_factory=Listing)
    kept_absent: int = 0
    kept_found: Count = field(default_factory=lambda: Count(0, 0))
    beyond: Count = field(default_factory=lambda: Count(0, 0))
    unmarked: Count = field(default_factory=lambda: Count(0, 0))
    ahead: Count = field(default_factory=lambda: Count(0, 0))
    only_in_target: Counter[str] = field(default_factory=Counter)

    @property
    def passed(self) -> bool:
        return self.is_undamaged and not self.behind.count

    @property
    def is_undamaged(self) -> bool:
        """Whether nothing is otherwise than it was loaded, but for the application's work."""
        return not (self.missing.count or self.extra.count or self.different.count)

    def extend(self, later: KeyDifferences) -> None:
        """Append what was found among other keys."""
        self.missing.extend(later.missing)
        self.extra.extend(later.extra)
        self.different.extend(later.different)
        self.changed.extend(later.changed)
        self.behind.extend(later.behind)
        _fill(self.touched, later.touched)
        _fill(self.over, later.over)
        self.foreign += later.foreign
        self.refused += later.refused
        self.kept.extend(later.kept)
        self.kept_absent += later.kept_absent
        self.kept_found += later.kept_found
        self.beyond += later.beyond
        self.unmarked += later.unmarked
        self.ahead += later.ahead
        self.only_in_target += later.only_in_target

    def is_changed(self, pk: bytes, sk: bytes, how: str) -> None:
        """The application has done something with an item of a migrated record, or under it."""
        self.changed.add(ChangedItem(ItemKey.of(pk, sk), how))
        _fill(self.touched, (pk,))

    def is_behind(self, pk: bytes, sk: bytes, how: str) -> None:
        """S9 has changed an item of a record since the load."""
        self.behind.add(ChangedItem(ItemKey.of(pk, sk), how))
        _fill(self.touched, (pk,))

    def is_extra(self, pk: bytes, sk: bytes, kind: str) -> None:
        """An item is only in the table: one of its "records", "lines" or other "items"."""
        self.extra.add(ItemKey.of(pk, sk))
        self.only_in_target[kind] += 1
        _fill(self.over, (pk,))

    def as_json(self) -> dict[str, Any]:
        return {
            "missing": self.missing.as_json(),
            "extra": self.extra.as_json(),
            "different": self.different.as_json(),
            "onlyInTarget": dict(self.only_in_target),
            "changedSince": self.changed.as_json(),
            "changedInSource": self.behind.as_json(),
            "kept": {**self.kept.as_json(), "absent": self.kept_absent},
            "foreign": self.foreign,
            "refused": self.refused,
        }

    def sentences(self, table: str) -> list[str]:
        return [
            *self.missing.sentence(
                f"item is missing from {table}", f"items are missing from {table}"
            ),
            *self.extra.sentence(
                f"item is only in {table}: S9 no longer has it",
                f"items are only in {table}: S9 no longer has them",
            ),
            *self.different.sentence(
                f"item of {table} differs from the file", f"items of {table} differ from the file"
            ),
            *self.behind.sentence(
                f"item of {table} is as it was loaded, and S9 has changed since",
                f"items of {table} are as they were loaded, and S9 has changed since",
            ),
        ]


def _fill(known: set[bytes], further: Iterable[bytes]) -> None:
    known.update(islice(further, MOST_TOUCHED - len(known)))


@dataclass
class LineDifferences:
    """Sales whose lines are not as many as they say, and lines without their sale."""

    checked: int = 0
    different: Listing[WrongLines] = field(default_factory=Listing)

    @property
    def passed(self) -> bool:
        return not self.different.count

    def extend(self, later: LineDifferences) -> None:
        """Append what was found among other sales."""
        self.checked += later.checked
        self.different.extend(later.different)

    def as_json(self) -> dict[str, Any]:
        return {"checked": self.checked, **self.different.as_json()}

    def sentences(self, entity: str) -> list[str]:
        one, children = shape_of(entity).singular, self.different.entries[:1]
        name = children[0].children.name if children else ""
        return self.different.sentence(
            f"{one} does not have the {name} that it says",
            f"{entity} do not have the {name} that they say",
        )


@dataclass
class ReferenceFindings:
    """The references from record to record: how many were looked up, and which lead nowhere;
    `lost` counts these by the entity that names."""

    checked: int = 0
    unresolved: Listing[Unresolved] = field(default_factory=Listing)
    lost: Counter[str] = field(default_factory=Counter)

    @property
    def passed(self) -> bool:
        return not self.unresolved.count

    def extend(self, later: ReferenceFindings) -> None:
        """Append what was found among other references."""
        self.checked += later.checked
        self.unresolved.extend(later.unresolved)
        self.lost += later.lost

    def add(self, found: Unresolved) -> None:
        """Take in a reference that leads nowhere."""
        self.unresolved.add(found)
        self.lost[found.entity] += 1

    def as_json(self) -> dict[str, Any]:
        return {"checked": self.checked, "unresolved": self.unresolved.as_json()}

    def sentences(self, entity: str) -> list[str]:
        """What is wrong with what an entity names."""
        shape = shape_of(entity)
        own = [each for each in self.unresolved.entries if each.entity == entity]
        roles = " or ".join(dict.fromkeys(shape_of(name).role[0] for name in shape.needs))
        return Listing(self.lost[entity], own).sentence(
            f"reference of a {shape.singular} leads to no {roles}",
            f"references of {entity} lead to no {roles}",
        )
