"""What the engine needs of a database, whichever it is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Protocol

from extract.selection import Amount, Catalog, Label, Selection, SourceColumn

CONNECTIONS = 3  # of an extract: for records, for their children, and for what S9 adds up meanwhile

# A row's key and the row as a JSON object, as the artifact holds it (without a line break).
Row = tuple[bytes, bytes]
Rows = tuple[Iterator[Row], Iterator[Row] | None]


@dataclass(frozen=True)
class Snapshot:
    """The source's read view.

    `taken_at` is when it was taken by the source's clock (UTC), `server` the server's version,
    `guarantee` what the database promises of it. `transactions` says which transactions it sees,
    in whose count (`history`); both are empty where the database does not tell. `identity` is
    what the server says of itself and of the database: equal for the same one only.
    `connections` says over how many connections it is read, and why not over more, where that
    depends on the server.
    """

    name: str
    taken_at: str
    server: str
    transactions: str
    history: str
    guarantee: str = ""
    identity: Mapping[str, str] = field(default_factory=dict)
    connections: str = ""


@dataclass(frozen=True)
class Reads:
    """What is going to be read: tables and views by their names in S9's schema, and SQL of the
    operator's own; and over how many connections, if the database can let so many see the same."""

    tables: tuple[str, ...] = ()
    queries: tuple[str, ...] = ()
    connections: int = 1


class Source(Catalog, Protocol):
    """A connection to S9 whose every query sees the same snapshot.

    While it is used as a context manager, a stop that is asked for ends the query that is running,
    and Interrupted is raised. Every method raises SourceError for what S9 refuses, BackOff when
    the connection is lost.
    """

    @property
    def snapshot(self) -> Snapshot:
        """The snapshot that all queries see."""

    @property
    def encryption(self) -> str:
        """The protocol by which the connection is encrypted ("TLSv1.3"); "" when it is not."""

    @property
    def connection_number(self) -> int:
        """The number by which the server, or what stands in between, calls the connection."""

    def __enter__(self) -> Source:
        """Watch for a stop from here on."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close every connection; the snapshot ends."""

    def beside(self) -> AbstractContextManager[Source | None]:
        """Another source with the same snapshot, for another thread: what is asked of it runs at
        the same time. It ends with the context, also when something is being asked. None where no
        connection is free for it."""

    def count(self, selection: Selection) -> int:
        """How many rows a selection has, by SQL."""

    def count_keys(self, selection: Selection) -> tuple[int, int]:
        """The same, and how many different keys."""

    def tally(self, query: str, /) -> list[tuple[Any, ...]]:
        """The rows of a query that has only a few, as the database's library gives them."""

    def label(self, reference: str, column: SourceColumn, /) -> Label:
        """The SQL of a value as a label: extract/sums/queries.py."""

    def amount(self, reference: str, column: SourceColumn, /) -> Amount:
        """The SQL of an amount: extract/sums/queries.py."""

    @property
    def groups_by_sets(self) -> bool:
        """Whether GROUPING SETS are known: extract/sums/queries.py."""

    def summed(self, query: str, /) -> Iterator[Row]:
        """The rows of a query that returns a number and a JSON text, as they come."""

    def exceptions(self, tables: Iterable[str] | None, /) -> str:
        """What of these tables the snapshot does not cover, in words; "" when it covers all.

        None: configured SQL may read any table.
        """

    def rows_of(self, tables: Iterable[str], /) -> dict[str, int]:
        """How many rows whole tables have: with the snapshot, the witness of their state. Tables
        that cannot be read are left out, and all where nothing could be proved with it."""

    def unchanged_since(self, transactions: str, rows: Mapping[str, int], /) -> bool:
        """Whether tables are provably what they were in an earlier snapshot, whose `transactions`
        and `rows` are given."""

    def writable(self, tables: Iterable[str]) -> list[str]:
        """Those of the tables that the account may change."""

    def rows(
        self, records: Selection, children: Selection | None, after: int | None = None
    ) -> AbstractContextManager[Rows]:
        """The rows of the records whose key is greater than `after`, in order, and those of their
        children in the order of their parents, to be read in step."""
