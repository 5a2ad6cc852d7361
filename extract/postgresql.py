"""S9 on PostgreSQL: one read-only REPEATABLE READ snapshot, streamed by COPY as ready JSON.

The server renders every row with row_to_json, which keeps decimals exact (they are cast to text),
writes dates and times in ISO form whatever DateStyle says, and escapes every control character;
so COPY in CSV with control characters for quote and delimiter never has to quote, and a row
arrives as the bytes that the artifact holds.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from types import TracebackType
from typing import Any

import psycopg2
from psycopg2 import errorcodes, extensions
from psycopg2.extensions import libpq_version, quote_ident

from extract.rights import require_read_only
from extract.selection import JoinedCopy, Selection, SourceColumn
from extract.source import Row, Rows, Snapshot
from utils.config import SourceConfig
from utils.error_handler import BackOff, SourceError, SourceUnavailable
from utils.interrupt import Interrupted, StopFlag
from utils.logger import get_logger

_INTEGERS = {20, 21, 23}
_DECIMALS = {700, 701, 790, 1700}
_TIMESTAMP_WITH_ZONE = 1184
_LOST = {
    errorcodes.ADMIN_SHUTDOWN,
    errorcodes.CRASH_SHUTDOWN,
    errorcodes.CANNOT_CONNECT_NOW,
    errorcodes.IDLE_IN_TRANSACTION_SESSION_TIMEOUT,
    errorcodes.SERIALIZATION_FAILURE,  # a standby that had to give up the snapshot
}
# Without a code of the server these say that the connection broke (libpq speaks, not the server).
_LOST_TYPES = (psycopg2.OperationalError, psycopg2.InterfaceError, psycopg2.DatabaseError)
_SEPARATOR = b"\x02"
_COPY = "COPY ({query}) TO STDOUT (FORMAT csv, DELIMITER E'\\x02', QUOTE E'\\x01')"
_PIPE_BUFFER = 1 << 18
_SYSTEM_CERTIFICATES_SINCE = 160000  # libpq 16 knows sslrootcert=system
# The snapshot lives in a connection that idles while another one streams, for as long as it takes.
_NO_TIMEOUTS = (
    "SELECT set_config(name, '0', false) FROM pg_settings WHERE name IN "
    "('statement_timeout', 'idle_in_transaction_session_timeout', 'transaction_timeout')"
)
_GUARANTEE = (
    "one REPEATABLE READ, READ ONLY transaction, whose snapshot is exported to every connection"
)
_TRANSACTIONS = 1 << 32  # how many numbers there are in a row's xmin before they start again


class PostgresSource:
    """A connection to S9 whose every query sees the same snapshot.

    While it is used as a context manager, a stop that is asked for ends the query that is running,
    and Interrupted is raised.
    """

    def __init__(self, config: SourceConfig, stop: StopFlag | None = None) -> None:
        self._config = config
        self._stop = stop or StopFlag()
        self._main = _connect(config)
        self._others: list[extensions.connection] = []
        self._opened = ExitStack()
        with _source_errors(config, self._stop):
            self._main.set_session(isolation_level="REPEATABLE READ", readonly=True)
            self.snapshot = self._take_snapshot()

    def __enter__(self) -> PostgresSource:
        self._opened.enter_context(self._stop.cancelling(self._cancel))
        return self

    def _cancel(self) -> None:
        for opened in (self._main, *self._others):
            with suppress(psycopg2.Error):
                opened.cancel()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._opened.close()
        for opened in (*self._others, self._main):
            with suppress(psycopg2.Error):
                opened.close()

    def _take_snapshot(self) -> Snapshot:
        query = (
            "SELECT pg_export_snapshot(), "
            "to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"'), "
            "current_setting('server_version'), txid_current_snapshot()::text"
        )
        with self._main.cursor() as opened:  # a snapshot cannot be exported inside a savepoint
            _check_read_only(opened)
            opened.execute(query)
            name, taken_at, server, transactions = opened.fetchone() or ()
        return Snapshot(name, taken_at, server, transactions, self._history(), _GUARANTEE)

    def _history(self) -> str:
        """Whose transaction numbers these are: "" where the server does not tell everybody."""
        try:
            return "/".join(
                self._one(
                    "SELECT system_identifier::text, timeline_id::text "
                    "FROM pg_control_system(), pg_control_checkpoint()"
                )
            )
        except SourceError:
            return ""

    def _one(self, query: str) -> tuple[Any, ...]:
        with self._statement() as cursor:
            cursor.execute(query)
            row: tuple[Any, ...] | None = cursor.fetchone()
            assert row is not None
            return row

    @contextmanager
    def _statement(self) -> Iterator[extensions.cursor]:
        """A cursor for one statement that may fail without ending the transaction, and with it
        the snapshot."""
        with _source_errors(self._config, self._stop), self._main.cursor() as opened:
            opened.execute("SAVEPOINT statement")
            try:
                yield opened
            except psycopg2.Error:
                with suppress(psycopg2.Error):
                    opened.execute("ROLLBACK TO SAVEPOINT statement")
                raise
            opened.execute("RELEASE SAVEPOINT statement")

    def quote(self, identifier: str) -> str:
        """An identifier in double quotes, safe in SQL."""
        return quote_ident(identifier, self._main)

    def columns(self, query: str) -> list[SourceColumn]:
        """The columns that a SELECT returns, with what PostgreSQL says of their types."""
        with self._statement() as cursor:
            cursor.execute(f"SELECT * FROM ({query}) AS q LIMIT 0")
            return [
                SourceColumn(
                    column.name,
                    is_integer=column.type_code in _INTEGERS,
                    is_decimal=column.type_code in _DECIMALS,
                    is_zoned=column.type_code == _TIMESTAMP_WITH_ZONE,
                )
                for column in cursor.description or ()
            ]

    def count(self, selection: Selection) -> int:
        """How many rows a selection has, by SQL."""
        [rows] = self._one(f"SELECT count(*) FROM ({selection.query}) AS q")
        return int(rows)

    def count_keys(self, selection: Selection) -> tuple[int, int]:
        """The same, and how many different keys."""
        key = self.quote(selection.key)
        rows, keys = self._one(
            f"SELECT count(*), count(DISTINCT {key}) FROM ({selection.query}) AS q"
        )
        return int(rows), int(keys)

    def tally(self, query: str) -> list[tuple[Any, ...]]:
        """The rows of a query that has only a few."""
        with self._statement() as cursor:
            cursor.execute(query)
            return list(cursor.fetchall())

    def exceptions(self, _tables: Iterable[str] | None) -> str:
        """Nothing: every table of PostgreSQL has snapshots."""
        return ""

    def writable(self, tables: Iterable[str]) -> list[str]:
        """Those of the tables that the account may change."""
        rights = "INSERT, UPDATE, DELETE, TRUNCATE"
        return [
            name
            for name in tables
            if any(
                self._one(
                    f"SELECT has_table_privilege(to_regclass('{name}'), '{rights}'), "
                    f"has_any_column_privilege(to_regclass('{name}'), 'INSERT, UPDATE')"
                )
            )
        ]

    def rows_of(self, tables: Iterable[str]) -> dict[str, int]:
        """How many rows whole tables have: with the snapshot, the witness of their state. Tables
        that cannot be read are left out."""
        counted = {}
        for name in tables:
            with suppress(SourceError):
                counted[name] = int(self._one(f"SELECT count(*) FROM {name}")[0])
        return counted

    def unchanged_since(self, transactions: str, rows: Mapping[str, int]) -> bool:
        """Whether tables are provably what they were in an earlier snapshot.

        `transactions` and `rows` are that snapshot's. No row was inserted or updated if none was
        written (system column xmin) by a transaction as young as the oldest that was running at
        the snapshot: every younger one, and every subtransaction of a running one, has a higher
        number. Then none was deleted either if there are as many as before. A view has no xmin:
        nothing is provable then.
        """
        oldest = int(transactions.partition(":")[0]) % _TRANSACTIONS
        # xmin has the low 32 bits of the transaction's number; a row is newer when it is at most
        # half the circle ahead. 1 and 2 are not transactions.
        newer = (
            f"mod(xmin::text::bigint - {oldest} + {_TRANSACTIONS}, {_TRANSACTIONS}) "
            f"< {_TRANSACTIONS // 2} AND xmin::text::bigint > 2"
        )
        for name, before in rows.items():
            try:
                found, count = self._one(
                    f"SELECT (SELECT count(*) FROM (SELECT 1 FROM {name} WHERE {newer} LIMIT 1) "
                    f"AS q), (SELECT count(*) FROM {name})"
                )
            except SourceError:
                return False
            if found or count != before:
                return False
        return True

    @contextmanager
    def rows(
        self, records: Selection, children: Selection | None, after: int | None = None
    ) -> Iterator[Rows]:
        """The rows of the records, and of their children, each from a connection of its own."""
        streams = [self.stream(each, after) for each in (records, children) if each is not None]
        try:
            yield iter(streams[0]), iter(streams[1]) if children is not None else None
        finally:
            for stream in streams:
                stream.close()

    def stream(self, selection: Selection, after: int | None = None) -> RowStream:
        """The rows of a selection whose key is greater than `after`, in order."""
        query = self._sql(selection, after)
        get_logger().debug("Asking S9: %s", query)
        return RowStream(self._connection_in_snapshot(), query, self._config, self._stop)

    def _connection_in_snapshot(self) -> extensions.connection:
        opened = _connect(self._config)
        self._others.append(opened)
        with _source_errors(self._config, self._stop), opened.cursor() as cursor:
            opened.set_session(isolation_level="REPEATABLE READ", readonly=True)
            try:
                cursor.execute("SET TRANSACTION SNAPSHOT %s", (self.snapshot.name,))
            except psycopg2.DatabaseError as error:  # it ended with the connection that took it
                raise BackOff("SnapshotLost", _one_line(error)) from error
            _check_read_only(cursor)
        return opened

    def _sql(self, selection: Selection, after: int | None) -> str:
        """The query behind a stream: the key, and the row as JSON under canonical names. Rows are
        put in order first and rendered last: a sort of finished JSON texts would go by the disk.
        """
        key = f"q.{self.quote(selection.key)}"
        fields = [
            f"{self._value('q', field.column)} AS {self.quote(field.name)}"
            for field in selection.fields
        ]
        joins = ""
        for copy in selection.copies:
            alias = self.quote(f"copy of {copy.name}")
            fields.append(f"{alias}.row AS {self.quote(copy.name)}")
            joins += f" LEFT JOIN LATERAL ({self._copy_query(copy)}) AS {alias} ON true"
        order = "".join(f", q.{self.quote(name)} NULLS LAST" for name in selection.order)
        where = "" if after is None else f" WHERE {key} > {int(after)}"
        written = next(f.name for f in selection.fields if f.column.name == selection.key)
        return (
            f"SELECT t.{self.quote(written)}, row_to_json(t) FROM ("
            f"SELECT {', '.join(fields)} FROM ({selection.query}) AS q{joins}{where} "
            f"ORDER BY {key}{order}) AS t"
        )

    def _copy_query(self, copy: JoinedCopy) -> str:
        """The row to copy from, looked up for each record, which keeps the records in their
        order; PostgreSQL remembers (Memoize) what it has rendered for other records."""
        fields = ", ".join(
            f"{self._value('p', field.column)} AS {self.quote(field.name)}" for field in copy.fields
        )
        key, reference = f"p.{self.quote(copy.key.name)}", f"q.{self.quote(copy.reference)}"
        row = f"row_to_json((SELECT c FROM (SELECT {fields}) AS c))"
        if copy.doubled:  # one row in any case: a sale is never doubled along with its party
            row = (
                f"CASE count(*) WHEN 0 THEN NULL WHEN 1 THEN (array_agg({row}))[1] "
                "ELSE to_json(count(*)) END"
            )
        return f"SELECT {row} AS row FROM ({copy.query}) AS p WHERE {key} = {reference}"

    def _value(self, alias: str, column: SourceColumn) -> str:
        reference = f"{alias}.{self.quote(column.name)}"
        if column.is_decimal:
            return f"{reference}::text"
        # The session's time zone is the source's, so this is S9's own local time.
        return f"{reference}::timestamp" if column.is_zoned else reference


class RowStream:
    """Rows of a COPY as (key, JSON) pairs, pumped by a thread through a pipe.

    Rows that arrived before a failure are all handed out; then the failure is raised.
    """

    def __init__(
        self, opened: extensions.connection, query: str, config: SourceConfig, stop: StopFlag
    ) -> None:
        self._connection = opened
        self._query = query
        self._config = config
        self._stop = stop
        self._failure: BaseException | None = None
        reader, writer = os.pipe()
        self._reader = os.fdopen(reader, "rb", buffering=_PIPE_BUFFER)
        self._thread = threading.Thread(target=self._run, args=(writer,), daemon=True)
        self._thread.start()

    def _run(self, descriptor: int) -> None:
        try:
            self._pump(descriptor)
        except SystemError as error:  # psycopg2 can leave an error behind that it has raised once
            self._failure = self._failure or error.__cause__ or error

    def _pump(self, descriptor: int) -> None:
        try:
            with (
                os.fdopen(descriptor, "wb", buffering=_PIPE_BUFFER) as sink,
                self._connection.cursor() as cursor,
            ):
                cursor.copy_expert(_COPY.format(query=self._query), sink)
        except BaseException as error:  # handed to the reader, which raises it
            self._failure = error

    def __iter__(self) -> Iterator[Row]:
        for line in self._reader:
            key, _, row = line.partition(_SEPARATOR)
            yield key, row[:-1]
        self._thread.join()
        if self._failure is not None:
            with _source_errors(self._config, self._stop):
                raise self._failure

    def close(self) -> None:
        """Stop, also in the middle."""
        with suppress(psycopg2.Error):
            self._connection.cancel()
        self._reader.close()
        self._thread.join()
        self._connection.close()


def _connect(config: SourceConfig) -> extensions.connection:
    _probe(config)
    try:
        opened: extensions.connection = psycopg2.connect(
            **_ssl(config),
            host=config.host,
            port=config.tcp_port,
            dbname=config.database,
            user=config.username,
            password=str(config.password) or None,
            connect_timeout=config.connection_timeout,
            application_name="s9-migrate",
            client_encoding="UTF8",
            keepalives_idle=30,
            keepalives_interval=10,
            keepalives_count=6,
        )
        with opened.cursor() as cursor:
            cursor.execute("SELECT set_config('search_path', %s, false)", (_path(config),))
            cursor.execute("SELECT set_config('TimeZone', %s, false)", (config.timezone,))
            cursor.execute(_NO_TIMEOUTS)
        opened.commit()
    except psycopg2.Error as error:
        raise SourceUnavailable(
            f"S9 at {config.host}:{config.tcp_port} does not let {config.username} in: "
            f"{_one_line(error)}",
            remedy="check source.database, source.username, source.password and source.ssl",
        ) from error
    return opened


def _check_read_only(cursor: extensions.cursor) -> None:
    name = "transaction_read_only"
    cursor.execute(f"SHOW {name}")
    require_read_only({name: (cursor.fetchone() or ("",))[0]})


def _path(config: SourceConfig) -> str:
    escaped = config.schema.replace('"', '""')
    return f'"{escaped}"'


def _ssl(config: SourceConfig) -> dict[str, Any]:
    if config.ssl is False:
        return {"sslmode": "disable"}
    mode = "verify-full" if config.ssl is True else str(config.ssl)
    if config.ssl_root_cert:
        return {"sslmode": mode, "sslrootcert": config.ssl_root_cert}
    if mode == "verify-full" and libpq_version() >= _SYSTEM_CERTIFICATES_SINCE:
        return {"sslmode": mode, "sslrootcert": "system"}
    return {"sslmode": mode}


def _probe(config: SourceConfig) -> None:
    """Tell an unreachable server from one that refuses: libpq reports both as one error."""
    if config.host.startswith("/"):
        return
    try:
        address = (config.host, config.tcp_port)
        socket.create_connection(address, timeout=config.connection_timeout).close()
    except OSError as error:
        raise SourceUnavailable(
            f"S9 at {config.host}:{config.tcp_port} cannot be reached: {error.strerror or error}",
            remedy="check source.host, source.port, the network and that the server runs",
        ) from error


@contextmanager
def _source_errors(config: SourceConfig, stop: StopFlag) -> Iterator[None]:
    """Turn what the server refuses into a SourceError with a remedy, a lost connection into a
    BackOff, and whatever ends a query after a stop was asked for into Interrupted."""
    try:
        yield
    except psycopg2.Error as error:
        if stop.requested:
            raise Interrupted from error
        if error.pgcode in _LOST or (error.pgcode is None and type(error) in _LOST_TYPES):
            raise BackOff("SourceConnectionLost", _one_line(error)) from error
        raise _refused(config, error) from error


def _refused(config: SourceConfig, error: psycopg2.Error) -> SourceError:
    return SourceError(
        f"S9 ({config.database}, schema {config.schema}) refused a query: {_one_line(error)}",
        remedy=_remedy(error.pgcode or ""),
    )


def _remedy(code: str) -> str:
    if code == errorcodes.UNDEFINED_TABLE:
        return "check source.database, source.schema and source.layout"
    if code == errorcodes.UNDEFINED_COLUMN:
        return "check source.layout, and the query or condition in extraction.<entity>"
    if code == errorcodes.INSUFFICIENT_PRIVILEGE:
        return "grant SELECT on S9's tables to source.username"
    return "check the query or condition in extraction.<entity>, then run again"


def _one_line(error: psycopg2.Error) -> str:
    text = error.diag.message_primary or str(error)
    return " ".join(text.split())
