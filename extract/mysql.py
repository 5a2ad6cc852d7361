"""S9 on MySQL or MariaDB: one consistent snapshot, whose rows arrive as JSON that the server wrote.

MySQL cannot share a snapshot between connections, so everything is read through the one that has
it, one query after another. Records and their children are wanted in step: the records are kept
in a temporary file first, and the children are then asked for page by page along their keys.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import orjson
import pymysql
from pymysql.connections import Connection
from pymysql.cursors import SSCursor

from extract.mysql_connection import connect
from extract.mysql_errors import query_errors
from extract.mysql_json import column_of, integer, json_fields, json_object
from extract.mysql_zone import local_time
from extract.selection import JoinedCopy, Selection, SourceColumn
from extract.source import Row, Rows, Snapshot
from utils.config import SourceConfig
from utils.error_handler import SourceError
from utils.interrupt import StopFlag
from utils.logger import get_logger
from utils.workspace import make_directory, storage_errors

_GUARANTEE = (
    "one REPEATABLE READ transaction WITH CONSISTENT SNAPSHOT, READ ONLY, through which everything "
    "is read; it covers InnoDB tables"
)
_TRANSACTIONAL = {"innodb", "rocksdb", "tokudb"}
_PAGE = 1_000
_WRITING = re.compile(r"\b(?:ALL PRIVILEGES|INSERT|UPDATE|DELETE|DROP|ALTER|SUPER)\b")
_GRANT = re.compile(r"GRANT (?P<rights>.+?) ON (?P<place>\S+) TO ", re.DOTALL)


class MySqlSource:
    """A connection to S9 whose every query sees the same snapshot. See extract/source.py for what
    its methods promise."""

    def __init__(self, config: SourceConfig, stop: StopFlag | None, scratch: Path) -> None:
        self._config = config
        self._stop = stop or StopFlag()
        self._scratch = scratch
        self._opened = ExitStack()
        self._connection = connect(config)
        with self._errors():
            [(self._number,)] = self._all("SELECT CONNECTION_ID()")
            self._knows_zone = self._set_zone()
            self._snapshot = self._take_snapshot()

    @property
    def snapshot(self) -> Snapshot:
        """The snapshot that all queries see."""
        return self._snapshot

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

    def _set_zone(self) -> bool:
        """Whether the session's time zone is S9's. Where the server has no time zones, it is UTC,
        and columns with a time zone are converted by SQL of our own."""
        try:
            self._all(f"SET SESSION time_zone = {self._connection.escape(self._config.timezone)}")
        except pymysql.Error:
            self._all("SET SESSION time_zone = '+00:00'")
            return False
        return True

    def _take_snapshot(self) -> Snapshot:
        self._all("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        # Asked before the snapshot is taken: it sees everything that was there at that time.
        [(moment, server)] = self._all(
            "SELECT DATE_FORMAT(UTC_TIMESTAMP(6), '%Y-%m-%dT%H:%i:%s.%f'), VERSION()"
        )
        self._all("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
        taken_at = f"{moment[: -len('123')]}Z"
        return Snapshot(
            "", taken_at, str(server), transactions="", history="", guarantee=_GUARANTEE
        )

    def _all(self, query: str) -> list[tuple[Any, ...]]:
        with self._connection.cursor() as cursor:
            cursor.execute(query)
            return list(cursor.fetchall())

    def quote(self, identifier: str) -> str:
        """An identifier in backticks, safe in SQL."""
        escaped = identifier.replace("`", "``")
        return f"`{escaped}`"

    def columns(self, query: str) -> list[SourceColumn]:
        """The columns that a SELECT returns, with what the server says of their types."""
        with self._errors(), self._connection.cursor() as cursor:
            cursor.execute(f"SELECT * FROM ({query}) AS q LIMIT 0")
            # The public description lacks the flags and the character set.
            return [column_of(field) for field in cursor._result.fields]

    def count(self, selection: Selection) -> tuple[int, int]:
        """How many rows a selection has, and how many different keys, by SQL."""
        key = self.quote(selection.key)
        with self._errors():
            [(rows, keys)] = self._all(
                f"SELECT count(*), count(DISTINCT {key}) FROM ({selection.query}) AS q"
            )
        return int(rows), int(keys)

    def exceptions(self, tables: Iterable[str] | None) -> str:
        """The tables without snapshots: all of the database's count when configured SQL or a view
        may read any."""
        query = "SELECT TABLE_NAME, ENGINE FROM information_schema.TABLES WHERE TABLE_SCHEMA = %s"
        with self._errors(), self._connection.cursor() as cursor:
            cursor.execute(query, (self._config.database,))
            engines = {str(name): engine for name, engine in cursor.fetchall()}
        named = None if tables is None else set(tables)
        if named is None or any(engines.get(name) is None for name in named):
            named = set(engines)
        without = sorted(
            f"{name} ({engines[name]})"
            for name in named
            if engines.get(name) and engines[name].lower() not in _TRANSACTIONAL
        )
        if not without:
            return ""
        return f"these tables have no snapshots, as their engines have none: {', '.join(without)}"

    def rows_of(self, _tables: Iterable[str]) -> dict[str, int]:
        """None: nothing could be proved with them."""
        return {}

    def unchanged_since(self, _transactions: str, _rows: Mapping[str, int]) -> bool:
        """Never: MySQL tells nobody which transaction has written a row."""
        return False

    def writable(self, tables: Iterable[str]) -> list[str]:
        """Those of the tables that the account may change, by its grants."""
        with self._errors():
            grants = [str(line) for (line,) in self._all("SHOW GRANTS")]
        found = [match for line in grants if (match := _GRANT.match(line))]
        places = {match["place"] for match in found if _WRITING.search(match["rights"].upper())}
        database = self.quote(self._config.database)
        everywhere = places & {"*.*", f"{database}.*"}
        return [name for name in tables if everywhere or f"{database}.{self.quote(name)}" in places]

    @contextmanager
    def rows(
        self, records: Selection, children: Selection | None, after: int | None = None
    ) -> Iterator[Rows]:
        """The rows of the records, and of their children in step."""
        with ExitStack() as opened:
            if children is None:
                yield opened.enter_context(self._stream(self._sql(records, after))), None
                return
            kept = opened.enter_context(self._kept(self._sql(records, after)))
            yield _read(kept), self._children(children, _read(kept), after)

    @contextmanager
    def _stream(self, query: str) -> Iterator[Iterator[Row]]:
        """The rows of a query as they come. Left in the middle, the connection is given up: the
        protocol has no way to refuse the rest."""
        get_logger().debug("Asking S9: %s", query)
        with self._errors(), _as_bytes(self._connection):
            cursor = self._connection.cursor(SSCursor)
            cursor.execute(query)
        rows = self._arriving(cursor)
        try:
            yield rows
        finally:
            if getattr(cursor, "_result").unbuffered_active:  # noqa: B009 (not in the stubs)
                getattr(self._connection, "_force_close")()  # noqa: B009
            rows.close()

    def _arriving(self, cursor: SSCursor) -> Generator[Row]:
        read = cursor.read_next
        with self._errors():
            while (found := read()) is not None:
                key, row = found
                if row is None:
                    raise _unwritable(key.decode())
                # In hexadecimal escapes MariaDB has capitals, PostgreSQL and orjson have not.
                yield key, orjson.dumps(orjson.loads(row)) if b"\\u" in row else row

    @contextmanager
    def _kept(self, query: str) -> Iterator[IO[bytes]]:
        """The rows of a query in a file without a name, which nothing can leave behind."""
        make_directory(self._scratch)
        with ExitStack() as opened:
            with storage_errors(self._scratch):
                kept = opened.enter_context(tempfile.TemporaryFile(dir=self._scratch))
            with self._stream(query) as rows, storage_errors(self._scratch):
                while lines := [b"%b\t%b\n" % row for row in islice(rows, _PAGE)]:
                    kept.write(b"".join(lines))
                kept.flush()
            yield kept

    def _children(
        self, children: Selection, parents: Iterator[Row], after: int | None
    ) -> Iterator[Row]:
        """The children of the parents, a page of parents at a time; at once where no index leads
        from a parent to its children."""
        if not self._is_indexed(children.table, children.key):
            with self._stream(self._sql(children, after)) as rows:
                yield from rows
            return
        while keys := [key.decode() for key, _ in islice(parents, _PAGE)]:
            wanted = f"SELECT * FROM {children.table}"
            with self._stream(self._sql(children, None, wanted, keys)) as rows:
                yield from rows

    def _is_indexed(self, table: str, column: str) -> bool:
        query = (
            "SELECT count(*) FROM information_schema.STATISTICS WHERE TABLE_SCHEMA = %s "
            "AND TABLE_NAME = %s AND COLUMN_NAME = %s AND SEQ_IN_INDEX = 1"
        )
        with self._errors(), self._connection.cursor() as cursor:
            cursor.execute(query, (self._config.database, table, column))
            [(found,)] = cursor.fetchall()
        return bool(found)

    def _sql(
        self,
        selection: Selection,
        after: int | None,
        query: str = "",
        keys: Sequence[str] = (),
    ) -> str:
        """The query behind a stream: the key, and the row as JSON under canonical names."""
        key = f"q.{self.quote(selection.key)}"
        column = next(f.column for f in selection.fields if f.column.name == selection.key)
        parts = json_fields(selection.fields, self.quote, "q", self._local)
        joins = ""
        for copy in selection.copies:
            alias = self.quote(f"copy of {copy.name}")
            parts.append((copy.name, self._copy(copy, alias)))
            joins += (
                f" LEFT JOIN {copy.table} AS {alias}"
                f" ON {alias}.{self.quote(copy.key)} = q.{self.quote(copy.reference)}"
            )
        order = "".join(f", q.{self.quote(n)} IS NULL, q.{self.quote(n)}" for n in selection.order)
        where = "" if after is None else f" WHERE {key} > {int(after)}"
        where = f" WHERE {key} IN ({', '.join(keys)})" if keys else where
        return (
            f"SELECT {integer(key, column)}, {json_object(parts)} "
            f"FROM ({query or selection.query}) AS q{joins}{where} ORDER BY {key}{order}"
        )

    def _copy(self, copy: JoinedCopy, alias: str) -> str:
        parts = json_fields(copy.fields, self.quote, alias, self._local)
        return f"IF({alias}.{self.quote(copy.key)} IS NULL, 'null', {json_object(parts)})"

    def _local(self, reference: str) -> str:
        return reference if self._knows_zone else local_time(reference, self._config.timezone)


@contextmanager
def _as_bytes(connection: Connection[Any]) -> Iterator[None]:
    """Queries that begin in here get the server's bytes, as they are."""
    decoders = connection.decoders
    connection.use_unicode, connection.decoders = False, {}
    try:
        yield
    finally:
        connection.use_unicode, connection.decoders = True, decoders


def _read(kept: IO[bytes]) -> Iterator[Row]:
    """The rows of a file from its beginning, whoever else reads it."""
    place = 0
    while True:
        kept.seek(place)
        lines = kept.readlines(1 << 20)
        place = kept.tell()
        if not lines:
            return
        for line in lines:
            key, _, row = line.partition(b"\t")
            yield key, row[:-1]


def _unwritable(key: object) -> SourceError:
    return SourceError(
        f"S9 cannot write the row with the key {key} as text: it is longer than the server's "
        "max_allowed_packet, or holds text that is not valid in its character set",
        remedy="raise max_allowed_packet on the server, or correct the row; then run again",
    )


def _hang_up(connection: Connection[Any]) -> None:
    with suppress(pymysql.Error, OSError):
        connection.close()
