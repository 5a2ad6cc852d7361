"""The catalogue: every kind of damage, with what it takes and what verify must report of it.

A kind is a function of the tables and of the records that it takes, in the order of `needs`; it
does the damage and returns what verify must report: no less, and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.support.damage.reported import Reported
from tests.support.damage.tables import MigratedTables, Record

Act = Callable[..., Reported]


def _is_numbered(record: Record) -> bool:
    return "GSI4PK" in record.header


def _any(_record: Record) -> bool:
    return True


# What kinds take: the entity, and which of its records will do.
WANTED: dict[str, tuple[str, Callable[[Record], bool]]] = {
    "sale": ("sales", lambda record: bool(record.lines)),
    "any sale": ("sales", _any),
    "sale of two": ("sales", lambda record: len(record.lines) >= 2),
    "sale without lines": ("sales", lambda record: not record.lines),
    "numbered sale": ("sales", _is_numbered),
    "sale out of the numbering": ("sales", lambda record: not _is_numbered(record)),
    "buyer": ("buyers", _any),
    "producer": ("producers", _any),
}


@dataclass(frozen=True)
class Kind:
    """A kind of damage, or of work of the application. What is `whole` takes a table or more, and
    goes with nothing else."""

    name: str
    act: Act
    needs: tuple[str, ...] = ()
    whole: bool = False

    def takes(self, tables: MigratedTables) -> list[Record] | None:
        """Records for it that are free; None when there are not enough."""
        before = set(tables.taken)
        found = [tables.take(*WANTED[need]) for need in self.needs]
        if None in found:
            tables.taken = before
            return None
        return [record for record in found if record]

    def happens(self, tables: MigratedTables) -> Reported | None:
        """Let it happen to records that are free; None when there are not enough."""
        records = self.takes(tables)
        return None if records is None else self.act(tables, *records)


DAMAGES: dict[str, Kind] = {}
HARMLESS: dict[str, Kind] = {}


def damage(*needs: str, whole: bool = False) -> Callable[[Act], Act]:
    """Enter a kind of damage into the catalogue, under the name of its function."""
    return _entering(DAMAGES, needs, whole=whole)


def harmless(*needs: str, whole: bool = False) -> Callable[[Act], Act]:
    """Enter something that is no damage."""
    return _entering(HARMLESS, needs, whole=whole)


def _entering(
    catalogue: dict[str, Kind], needs: tuple[str, ...], *, whole: bool
) -> Callable[[Act], Act]:
    def enter(act: Act) -> Act:
        add(catalogue, act.__name__, act, *needs, whole=whole)
        return act

    return enter


def add(catalogue: dict[str, Kind], name: str, act: Act, *needs: str, whole: bool = False) -> None:
    """Enter a kind under a name that no other has."""
    assert name not in DAMAGES and name not in HARMLESS, name
    catalogue[name] = Kind(name, act, needs, whole)
