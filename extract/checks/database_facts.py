"""What a server says of itself and of S9's tables, which no row has to be read for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from utils.error_handler import BackOff, SourceError


@dataclass(frozen=True)
class TableFacts:
    """A table or view that is there. `rows` is the server's own estimate, None when it has none;
    `unique` are the columns of which one alone tells rows apart; `readable` is the server's word
    on the account's right, None when it says nothing."""

    is_view: bool = False
    rows: int | None = None
    unique: frozenset[str] = frozenset()
    readable: bool | None = None


@dataclass(frozen=True)
class Remark:
    """Something to be known of a server: with a `remedy` it is worth a warning, and `is_bad` when
    nothing can be read because of it."""

    name: str
    found: str
    remedy: str = ""
    is_bad: bool = False


@dataclass(frozen=True)
class ServerFacts:
    """The server: product and version in words, whether that is older than what the tool is made
    for, and whatever else is to be known of it."""

    product: str
    is_old: bool
    remarks: Sequence[Remark] = ()
    tables: Mapping[str, TableFacts] = field(default_factory=dict)


DENIED, MISSING, LOCKED, OTHER = "denied", "missing", "locked", "other"


class Facts(Protocol):
    """Asks one kind of database. Every method raises SourceError and BackOff as a source does."""

    def hurry(self, seconds: int) -> None:
        """From now on wait no longer than that for a table that somebody is changing."""

    def server(self) -> ServerFacts:
        """What the server says of itself; without tables."""

    def tables(self, names: Sequence[str]) -> Mapping[str, TableFacts]:
        """Those of the tables that are there, as far as the account may see that."""

    def elsewhere(self, name: str) -> list[str]:
        """Where else there is a table of this name: schemas or databases."""

    def kind_of(self, error: SourceError | BackOff) -> str:
        """Whether a query was DENIED, its table is MISSING or LOCKED, or something OTHER."""

    def grant(self, table: str) -> str:
        """The SQL with which an administrator lets the account read a table."""


def text(value: str) -> str:
    """A text in SQL, for names that hold no backslash."""
    return "'" + value.replace("'", "''") + "'"


def listed(names: Sequence[str]) -> str:
    """Texts in SQL, for IN; none is in an empty list."""
    return ", ".join(map(text, names)) or "NULL"
