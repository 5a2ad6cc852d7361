"""How an entity says what is read: tables, queries, keys, and the names its columns go by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Column:
    """A column under its canonical name, and the other names that installations give it."""

    name: str
    aliases: tuple[str, ...] = ()
    required: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """Every name, in the order in which they are looked for."""
        return (self.name, *self.aliases)


def columns(*declared: str, required: bool = False) -> tuple[Column, ...]:
    """Declare columns: each "canonical other other…"."""
    return tuple(
        Column(name, tuple(aliases), required)
        for name, *aliases in (text.split() for text in declared)
    )


@dataclass(frozen=True)
class Table:
    """A table of S9: its key (a canonical column name, integer) and its known columns."""

    name: str
    key: str
    columns: tuple[Column, ...]


@dataclass(frozen=True)
class Copy:
    """Columns of another row that a record carries under `name`, joined while extracting.

    `query` selects what can be copied, where that is not the whole table; a query that is
    configured for the entity `of` has the last word. `{table.column}` in it is as in Entity.
    """

    name: str
    reference: str
    table: Table
    columns: tuple[str, ...]
    query: str = ""
    of: str = ""


@dataclass(frozen=True)
class Children:
    """Rows that belong to a record and travel inside it under `name`."""

    name: str
    table: Table
    parent: str
    order: tuple[str, ...]


@dataclass(frozen=True)
class Criterion:
    """A column by whose value rows of a table are selected or not.

    `taken` are the values that are selected (none given: all but the `known`), `known` has words
    for others, and what is neither is unknown. Rows with a value of `elsewhere` belong to another
    entity of the same table. Values are texts in lower case, flags `true` and `false`.
    """

    column: str
    taken: frozenset[str]
    known: Mapping[str, str]
    elsewhere: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Entity:
    """What is read for one entity.

    `queries` has one SELECT for each policy of `extraction.disabledParties`; `{table.column}` in
    it stands for the name that a canonical column has in this installation. `criteria` say why
    they leave rows out, the first that does; they decide nothing. `otherwise` is the reason where
    none of them does.
    """

    name: str
    table: Table
    queries: Mapping[str, str]
    mentions: tuple[Table, ...] = ()
    copies: tuple[Copy, ...] = ()
    children: Children | None = None
    criteria: tuple[Criterion, ...] = ()
    otherwise: str = ""


@dataclass(frozen=True)
class ColumnMapping:
    """Which columns of a query were recognised: canonical name by source name, and the rest.
    `several` has the source names, in order, of columns that go by more than one."""

    recognised: Mapping[str, str]
    unmapped: tuple[str, ...] = field(default=())
    missing: tuple[str, ...] = field(default=())
    several: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def several_names(known: Sequence[Column], present: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """The known columns that a query returns under more than one name, with the names in order."""
    lowered = {name.lower(): name for name in present}
    taken: set[str] = set()
    several = {}
    for column in known:
        names = [lowered[name] for name in column.names if name in lowered]
        free = tuple(name for name in names if name not in taken)
        taken.update(free[:1])
        if len(free) > 1:
            several[column.name] = free
            taken.update(free)
    return several


def recognise(known: Sequence[Column], present: Sequence[str]) -> ColumnMapping:
    """Match the columns that a query returns with the known ones, the first name present first."""
    lowered = {name.lower(): name for name in present}
    recognised: dict[str, str] = {}
    missing: list[str] = []
    for column in known:
        found = next((lowered[name] for name in column.names if name in lowered), None)
        if found is None or found in recognised:
            missing.append(column.name)
        else:
            recognised[found] = column.name
    unmapped = tuple(name for name in present if name not in recognised)
    return ColumnMapping(recognised, unmapped, tuple(missing))
