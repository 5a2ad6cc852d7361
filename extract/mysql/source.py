"""S9 on MySQL or MariaDB: one consistent snapshot, whose rows arrive as JSON that the server wrote.

MySQL cannot share a snapshot between connections, so everything is read through the one that has
it, one query after another. Records and their children are wanted in step: the records are kept
in a temporary file first, and then given out along with the children that arrive.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from itertools import chain, islice
from pathlib import Path
from types import TracebackType
from typing import Any

import pymysql
from pymysql.connections import Connection
from pymysql.cursors import DictCursor

from extract.mysql.amounts import amount_of, label_of
from extract.mysql.connection import connect
from extract.mysql.errors import query_errors
from extract.mysql.protocol_rows import Arriving, Cells, SpooledRows, columns_of
from extract.mysql.queries import Queries, quote
from extract.mysql.row_json import column_of
from extract.mysql.session import IDENTIFYING, check, identity
from extract.mysql.tables import MySqlTables, replication
from extract.selection import Amount, Label, Selection, SourceColumn, first_of, same_family
from extract.snapshot.rights import require_read_only
from extract.source import Reads, Row, Rows, Snapshot
from utils.config import SourceConfig
from utils.error_handler import SourceError
from utils.interrupt import StopFlag
from utils.logger import get_logger

_GUARANTEE = (
    "one REPEATABLE READ transaction WITH CONSISTENT SNAPSHOT, READ ONLY, through which everything "
    "is read; it covers InnoDB tables"
)
_PAGE = 1_000  # parents whose children are asked for at a time
_FEW_AMONG = 10  # parents are few when the table has so many times as many children
_SORTED = 1_000_000  # rows that a live server is asked to sort at once, some 200 MB
_FEW = 150_000  # parties whose copies are held in memory: some sixty megabytes
_NO_MORE = b"99999999999999999999"  # more than every key
_WRITING = re.compile(r"\b(?:ALL PRIVILEGES|INSERT|UPDATE|DELETE|DROP|ALTER|SUPER)\b")
_GRANT = re.compile(r"GRANT (?P<rights>.+?) ON (?P<place>\S+) TO ", re.DOTALL)

# Of every copy that a record has: what stands before it, and its text by reference.
Copies = Sequence[tuple[bytes, Mapping[bytes, bytes]]]


class MySqlSource:
    """A connection to S9 whose every query sees the same snapshot. See extract/source.py for what
    its methods promise."""

    def __init__(
        self,
        config: SourceConfig,
        stop: StopFlag | None,
        scratch: Path,
        reads: Reads | None = None,
    ) -> None:
        self._config = config
        self._reads = reads or Reads()
        self._stop = stop or StopFlag()
        self._scratch = scratch
        self._opened = ExitStack()
        self._queries = Queries()
        self._connection = connect(config)
        with self._errors():
            [(self._number,)] = self._all("SELECT CONNECTION_ID()")
            [(database,)] = self._all("SELECT DATABASE()")
            self._tables = MySqlTables(self._all, str(database))
            self._set_zone()
            self._snapshot = self._take_snapshot()

    @property
    def snapshot(self) -> Snapshot:
        """The snapshot that all queries see."""
        return self._snapshot

    @property
    def encryption(self) -> str:
        """The protocol by which the connection is encrypted; "" when it is not."""
        channel = getattr(self._connection, "_sock", None)
        return (channel.version() or "") if isinstance(channel, ssl.SSLSocket) else ""

    @property
    def connection_number(self) -> int:
        """The server's number of the connection."""
        return int(self._number)

    def __enter__(self) -> MySqlSource:
        self._opened.enter_context(self._stop.cancelling(self._cancel))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._opened.close()
        _hang_up(self._connection)

    def _cancel(self) -> None:
        """End the query that is running, by a second connection: the first one waits for it."""
        with suppress(SourceError, pymysql.Error, OSError):
            other = connect(self._config)
            with other.cursor() as cursor:
                cursor.execute(f"KILL {self._number}")
            _hang_up(other)

    def _errors(self) -> Any:
        return query_errors(self._config, self._stop)

    def _set_zone(self) -> None:
        """Let the session's time zone be S9's, for what views make of instants; a TIMESTAMP is
        read as it is stored. Many servers have no time zones: UTC then."""
        try:
            self._all(f"SET SESSION time_zone = {self._connection.escape(self._config.timezone)}")
        except pymysql.Error:
            self._all("SET SESSION time_zone = '+00:00'")

    def _take_snapshot(self) -> Snapshot:
        self._all("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        # Asked before the snapshot is taken: it sees everything that was there at that time.
        [(moment, server)] = self._all(
            "SELECT DATE_FORMAT(UTC_TIMESTAMP(6), '%Y-%m-%dT%H:%i:%s.%f'), VERSION()"
        )
        self._all("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
        self._check()
        taken_at = f"{moment[: -len('123')]}Z"
        return Snapshot(
            "",
            taken_at,
            str(server),
            transactions="",
            history="",
            guarantee="; ".join(filter(None, (_GUARANTEE, self._replication()))),
            identity=identity(self._variables(*IDENTIFYING), self._config.database),
        )

    def _check(self) -> None:
        """Within the transaction everything must be as it was set, on the connection that it was
        set on. Raises SourceError."""
        require_read_only(self._variables("transaction_read_only", "tx_read_only"))
        check(self._connection)
        [(number,)] = self._all("SELECT CONNECTION_ID()")
        if number != self._number:
            raise SourceError(
                "S9's answers come from different connections: something in between shares "
                "connections",
                remedy="connect to the database directly, not through a connection pool",
            )

    def _replication(self) -> str:
        read_only = self._variables("read_only").get("read_only", "OFF") == "ON"
        said = replication(self._by_name, read_only)
        if said:
            get_logger().warning("%s", said)
        return said

    def _variables(self, *names: str) -> dict[str, str]:
        listed = ", ".join(f"'{name}'" for name in names)
        found = self._all(f"SHOW SESSION VARIABLES WHERE Variable_name IN ({listed})")
        return {str(name): str(value) for name, value in found}

    def _all(self, query: str, values: object = None) -> list[tuple[Any, ...]]:
        with self._connection.cursor() as cursor:
            cursor.execute(query, values)
            return list(cursor.fetchall())

    def _by_name(self, query: str) -> list[Mapping[str, Any]]:
        with self._connection.cursor(DictCursor) as cursor:
            cursor.execute(query)
            return list(cursor.fetchall())

    def quote(self, identifier: str) -> str:
        """An identifier in backticks, safe in SQL."""
        return quote(identifier)

    def table(self, name: str) -> str:
        """A table of the database that is connected to; there is no other place to look."""
        return quote(name)

    def columns(self, query: str) -> list[SourceColumn]:
        """The columns that a SELECT returns, with what the server says of their types."""
        with self._errors():
            fields = columns_of(self._connection, f"SELECT * FROM ({query}) AS q LIMIT 0")
            self._check()  # the query may be the operator's
        return [column_of(field) for field in fields]

    def first_of(self, columns: Sequence[SourceColumn]) -> tuple[str, str]:
        """The first of several columns that has a value, and whether two have different ones."""
        names = [f"q.{quote(column.name)}" for column in columns]
        if not same_family(columns):
            names = [f"CONVERT({name} USING utf8mb4)" for name in names]
        return first_of(names, "TRIM({0}) <> ''", "CAST({0} AS BINARY) <> CAST({1} AS BINARY)")

    def count(self, selection: Selection) -> int:
        """How many rows a selection has, by SQL."""
        with self._errors():
            [(rows,)] = self._all(f"SELECT count(*) FROM ({selection.query}) AS q")
            self._check()
        return int(rows)

    def count_keys(self, selection: Selection) -> tuple[int, int]:
        """The same, and how many different keys."""
        key = quote(selection.key)
        with self._errors():
            [(rows, keys)] = self._all(
                f"SELECT count(*), count(DISTINCT {key}) FROM ({selection.query}) AS q"
            )
            self._check()
        return int(rows), int(keys)

    def tally(self, query: str) -> list[tuple[Any, ...]]:
        """The rows of a query that has only a few."""
        with self._errors():
            return self._all(query)

    def label(self, reference: str, column: SourceColumn) -> Label:
        """The SQL of a value as JSON text, as the artifact has it."""
        return label_of(reference, column)

    def amount(self, reference: str, column: SourceColumn) -> Amount:
        """The SQL of an amount."""
        return amount_of(reference, column)

    @property
    def groups_by_sets(self) -> bool:
        """Whether GROUPING SETS are known."""
        return False

    def summed(self, query: str) -> Iterator[Row]:
        """The rows of a query that returns a number and a JSON text, as they come."""
        return self._stream(query)

    def exceptions(self, tables: Iterable[str] | None) -> str:
        """What has no snapshot, and what cannot be seen to have one, also behind views."""
        with self._errors():
            return self._tables.without_snapshot(tables, self._reads.queries)

    def rows_of(self, tables: Iterable[str]) -> dict[str, int]:
        """None: nothing could be proved with them. Raises SourceError for a table that would show
        others than all of its rows."""
        with self._errors():
            self._tables.require_whole(tables)
        return {}

    def listed(self, table: str) -> list[str]:
        """All columns of a table in order, if `SELECT *` does not return them all; else none."""
        with self._errors():
            return self._tables.listed(table)

    def unchanged_since(self, _transactions: str, _rows: Mapping[str, int]) -> bool:
        """Never: MySQL tells nobody which transaction has written a row."""
        return False

    def writable(self, tables: Iterable[str]) -> list[str]:
        """Those of the tables that the account may change, by its grants."""
        with self._errors():
            grants = [str(line) for (line,) in self._all("SHOW GRANTS")]
        found = [match for line in grants if (match := _GRANT.match(line))]
        places = {match["place"] for match in found if _WRITING.search(match["rights"].upper())}
        database = quote(self._config.database)
        everywhere = places & {"*.*", f"{database}.*"}
        return [name for name in tables if everywhere or f"{database}.{quote(name)}" in places]

    @contextmanager
    def rows(
        self, records: Selection, children: Selection | None, after: int | None = None
    ) -> Iterator[Rows]:
        """The rows of the records, and of their children in step."""
        with closing(self._records(records, after)) as arriving:
            if children is None:
                yield arriving, None
                return
            with (
                # Copied now, while the server writes the next records.
                SpooledRows.of(arriving, self._scratch) as kept,
                closing(self._children(children, kept, after)) as following,
            ):
                yield kept.rows(), following

    def _records(self, records: Selection, after: int | None) -> Generator[Row]:
        copies = self._copies(records) if self._are_few(records) else []
        query = self._queries.after(records, after, spliced=bool(copies))
        if not copies:
            yield from self._stream(query)
            return
        with self._errors(), closing(self._ask(query)) as arriving:
            yield from _with_copies(chain.from_iterable(arriving.pages_with_references()), copies)

    def _copies(self, records: Selection) -> Copies:
        """All that can be copied; read once where two are copies of the same."""
        held = {query: dict[bytes, bytes]() for query in map(self._queries.copies, records.copies)}
        for query, found in held.items():
            for key, row in self._stream(query):
                found[key] = row if key not in found else _one_more(found[key])
        return [
            (b',"%b":' % copy.name.encode(), held[self._queries.copies(copy)])
            for copy in records.copies
        ]

    def _are_few(self, records: Selection) -> bool:
        """Whether what is to be copied is so little that it is held here, rendered once, instead
        of being rendered again for every record that refers to it."""
        by_name = {field.column.name: field.column for field in records.fields}
        with self._errors():
            return bool(records.copies) and all(
                by_name[copy.reference].is_integer
                and copy.key.is_integer
                and self._all(f"SELECT count(*) FROM ({copy.query}) AS q")[0][0] <= _FEW
                for copy in records.copies
            )

    def _children(
        self, children: Selection, kept: SpooledRows, after: int | None
    ) -> Generator[Row]:
        """The children of the kept records: all of the table in one sorted stream, or, along an
        index, a page of parents at a time when they are few among many or too many to be sorted."""
        if self._is_worth_paging(children, kept.count):
            keys = kept.keys()
            while page := list(islice(keys, _PAGE)):
                yield from self._stream(self._queries.of_parents(children, page))
            return
        if not kept.count:
            return
        parents = kept.keys()
        parent = next(parents)
        for key, row in self._stream(self._queries.of_all_parents(children, after)):
            if key != parent:
                number = int(key)
                while int(parent) < number:
                    parent = next(parents, _NO_MORE)
                if key != parent:
                    continue
            yield key, row

    def _stream(self, query: str) -> Generator[Row]:
        """The rows of a query as they come: key and JSON."""
        with self._errors(), closing(self._ask(query)) as arriving:
            yield from chain.from_iterable(arriving.pages())

    def _ask(self, query: str) -> Arriving:
        get_logger().debug("Asking S9: %s", query)
        return Arriving(self._connection, query)

    def _is_worth_paging(self, children: Selection, parents: int) -> bool:
        query = (
            "SELECT TABLE_ROWS FROM information_schema.TABLES JOIN information_schema.STATISTICS "
            "USING (TABLE_SCHEMA, TABLE_NAME) WHERE TABLE_SCHEMA = %s AND TABLE_NAME = %s "
            "AND COLUMN_NAME = %s AND SEQ_IN_INDEX = 1"
        )
        with self._errors(), self._connection.cursor() as cursor:
            cursor.execute(query, (self._config.database, children.table, children.key))
            indexed = cursor.fetchall()
        # The number of rows is the server's own estimate.
        most = min(parents * _FEW_AMONG, _SORTED)
        return any((rows or 0) > most for (rows,) in indexed)


def _with_copies(rows: Iterable[Cells], copies: Copies) -> Iterator[Row]:
    """The rows with the copies that their references lead to; `null` where they lead nowhere."""
    for key, row, *references in rows:
        parts = [row[:-1]]
        for (name, found), reference in zip(copies, references, strict=True):
            parts += (name, found.get(reference, b"null"))
        parts.append(b"}")
        yield key, b"".join(parts)


def _one_more(known: bytes) -> bytes:
    """In the place of a row to be copied: how many there are of its key, one more than known."""
    return b"%d" % (int(known) + 1 if known.isdigit() else 2)


def _hang_up(connection: Connection[Any]) -> None:
    with suppress(pymysql.Error, OSError):
        connection.close()
