"""S9 on PostgreSQL: one read-only REPEATABLE READ snapshot, streamed by COPY as ready JSON.

The server renders every row with row_to_json, which writes dates and times in ISO form whatever
DateStyle says, and escapes every control character; so COPY in CSV with control characters for
quote and delimiter never has to quote, and a row arrives as the bytes that the artifact holds.
What is not of a plain type (decimals, json, arrays, rows, ranges, …) is cast to text first: so it
comes exactly as the server holds it, as a JSON string.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from time import monotonic
from types import TracebackType
from typing import Any

import psycopg2
from psycopg2 import errorcodes
from psycopg2.extensions import adapt, quote_ident

from extract.postgresql.amounts import label_of, of_integer, of_numeric, of_text
from extract.postgresql.connection import place
from extract.postgresql.copy_stream import RowStream
from extract.postgresql.session import LOCK_SECONDS, Session, TableLocked
from extract.selection import (
    Amount,
    JoinedCopy,
    Label,
    Selection,
    SourceColumn,
    first_of,
    same_family,
)
from extract.source import Reads, Row, Rows, Snapshot
from utils.config import SourceConfig
from utils.error_handler import BackOff, SourceError, SourceUnavailable
from utils.interrupt import StopFlag
from utils.logger import get_logger
from utils.wording.invocation import again

_INTEGERS = {20, 21, 23}
_DECIMALS = {700, 701, 1700}
_MONEY, _NUMERIC = 790, 1700
_APPROXIMATE = {700, 701}
_TIMESTAMP_WITH_ZONE = 1184
# What row_to_json writes as it is: boolean, integers, text, varchar, char(n), "char", name, date,
# timestamp, time, uuid, bytea. Of a domain, the server tells the type that it is made of.
_PLAIN = {16, *_INTEGERS, 25, 1043, 1042, 18, 19, 1082, 1114, 1083, 2950, 17}
_GUARANTEE = (
    "one REPEATABLE READ, READ ONLY transaction, whose snapshot is exported to every connection, "
    "taken when every table was locked against being rewritten"
)
_TRANSACTIONS = 1 << 32  # how many numbers there are in a row's xmin before they start again
_REWRITES = 5  # snapshots that are taken again, since a table was rewritten at that very moment
_ONE_SELECT = "DECLARE asked refcursor; BEGIN OPEN asked FOR EXECUTE {query}; CLOSE asked; END"


@dataclass(frozen=True)
class PostgresColumn(SourceColumn):
    """A column with the number of its type (pg_type.oid)."""

    type: int = 25


class PostgresSource:
    """A connection to S9 whose every query sees the same snapshot.

    While it is used as a context manager, a stop that is asked for ends the query that is running,
    and Interrupted is raised.
    """

    def __init__(
        self,
        config: SourceConfig,
        stop: StopFlag | None = None,
        reads: Reads | None = None,
        *,
        joins: Snapshot | None = None,
    ) -> None:
        self._config = config
        self._reads = reads or Reads()
        self._stop = stop or StopFlag()
        self._opened = ExitStack()
        self._sessions: list[Session] = []
        try:
            # Of records and of their children: both are there from the beginning, since one that
            # came later might wait for somebody who waits for the first one's locks.
            for _ in range(2):
                self._sessions.append(Session(config, self._stop))
            self._main, self._side = self._sessions
            self.snapshot = self._joined(joins) if joins else self._take_snapshot()
        except BackOff as error:
            self._hang_up()
            if error.reason != "SourceConnectionLost":
                raise
            raise SourceUnavailable(
                f"S9 at {place(config)} closes the connection as soon as it is used: "
                f"{error.detail}",
                remedy="a pooler in between has to keep a transaction on one connection "
                "(pool_mode transaction or session) and to have room for two at a time; without "
                "one, see the server's log; or connect to the database directly",
            ) from error
        except BaseException:
            self._hang_up()
            raise

    @property
    def encryption(self) -> str:
        """The protocol by which the connection is encrypted; "" when it is not."""
        session = self._main.connection.info
        return str(session.ssl_attribute("protocol") or "TLS") if session.ssl_in_use else ""

    @property
    def connection_number(self) -> int:
        """What the server, or a pooler in its place, has said at the login."""
        return int(self._main.connection.info.backend_pid)

    def __enter__(self) -> PostgresSource:
        self._opened.enter_context(self._stop.cancelling(self._cancel))
        return self

    def _cancel(self) -> None:
        for session in self._sessions:
            session.cancel()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._opened.close()
        self._hang_up()

    def _hang_up(self) -> None:
        for session in reversed(self._sessions):
            session.close()

    def _take_snapshot(self) -> Snapshot:
        """Lock what is going to be read, and take the snapshot then: one that was taken before
        would see nothing in a table that is being rewritten, however long the query waits."""
        tables = self._tables()
        for attempt in range(_REWRITES):
            self._lock(tables)
            snapshot = self._export()
            try:
                for table in tables:
                    self._touch(f"SELECT * FROM {table}")
                for query in self._reads.queries:
                    self._touch(query)
            except BackOff as error:
                if error.reason != "TableRewritten" or attempt + 1 == _REWRITES:
                    raise
                get_logger().debug("Taking a new snapshot: %s", error.detail)
                continue
            return snapshot
        raise AssertionError

    def _tables(self) -> list[str]:
        return [self.table(name) for name in self._reads.tables]

    def _lock(self, tables: Iterable[str]) -> None:
        """Begin both transactions, with the tables locked in both. Raises SourceError when
        somebody holds one of them for too long."""
        deadline, told = monotonic() + LOCK_SECONDS, False
        while True:
            self._stop.leave_if_asked()
            try:
                for session in self._sessions:
                    session.begin()
                    session.lock(tables)
                return
            except TableLocked as locked:
                # Given back, lest somebody waits for the one while the other waits for him.
                for session in self._sessions:
                    session.give_back()
                held = (
                    f"{locked.table} is locked by {self._main.holders(locked.table) or 'somebody'}"
                )
                if monotonic() > deadline:
                    raise self._held_too_long(held) from locked
                if not told:
                    get_logger().warning("Waiting for S9: %s, which is changing the table", held)
                told = True

    def _held_too_long(self, held: str) -> SourceError:
        return SourceError(
            f"S9 ({self._config.database}): {held}, which is changing the table itself (ALTER, "
            f"TRUNCATE, a reload, VACUUM FULL); gave up after {LOCK_SECONDS} seconds",
            remedy=f"wait until that is over, or ask whoever does it to end it; then: {again()}",
        )

    def _export(self) -> Snapshot:
        query = (
            "SELECT pg_export_snapshot(), "
            "to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"'), "
            "current_setting('server_version'), txid_current_snapshot()::text"
        )
        main = self._main
        with main.errors(), main.connection.cursor() as opened:  # not inside a savepoint
            opened.execute(query)
            name, taken_at, server, transactions = opened.fetchone() or ()
        main.settle()
        self._import(name)
        identity = self._identity()
        history = "/".join(identity[part] for part in ("system", "timeline") if part in identity)
        return Snapshot(
            name, taken_at, server, transactions, history, _GUARANTEE, identity=identity
        )

    def _import(self, name: str) -> None:
        """Let the second connection see the first one's snapshot."""
        try:
            self._side.see(name)
        except SourceError as error:
            self._main.one("SELECT 1")  # raises BackOff when it was lost with its snapshot
            raise SourceError(
                f"S9 at {self._config.host} does not know its own snapshot on a second "
                "connection: there seems to be more than one server behind that address",
                remedy="connect to one server directly (source.host), not to a pooler or load "
                "balancer in front of several",
            ) from error
        self._side.settle()

    def _joined(self, snapshot: Snapshot) -> Snapshot:
        """See what another connection sees, of whatever machine. It holds the locks, too. Raises
        TableLocked when what is going to be read (where that was said) can be locked no more:
        somebody waits for the other connection to be done."""
        for session in self._sessions:
            session.begin()
            try:
                session.see(snapshot.name)
                session.lock(self._tables())
            except SourceError as error:
                raise SourceUnavailable(
                    f"S9 at {place(self._config)} does not know the snapshot",
                    remedy="it is of another server, or who holds it has lost its connection",
                ) from error
            session.settle()
        return snapshot

    def _identity(self) -> Mapping[str, str]:
        """Which database this is, by what a copy of it to another server does not take along.

        The system identifier is given to a cluster when it is made; its physical copies (a
        replica, also one that has become the primary) have the same. Where the server does not
        tell it to the account, the database's number and owner must do.
        """
        database, number, owner, recovering = self._main.one(
            "SELECT datname::text, oid::text, datdba::text, pg_is_in_recovery()::text "
            "FROM pg_database WHERE datname = current_database()"
        )
        found = {"database": database, "databaseOid": number, "inRecovery": recovering}
        try:
            system, timeline = self._main.one(
                "SELECT system_identifier::text, timeline_id::text "
                "FROM pg_control_system(), pg_control_checkpoint()"
            )
        except SourceError:
            return {**found, "owner": owner}
        return {"system": system, **found, "timeline": timeline}

    def _touch(self, query: str) -> None:
        """Open a query without reading a row: then everything that it reads is locked, and known
        to the server. It opens one SELECT only; whatever else a query is or holds is refused,
        nothing of it is executed. Another mistake in it is told by whoever reads it."""
        body = _ONE_SELECT.format(query=self._literal(query))
        try:
            with self._main.statement() as cursor:
                cursor.execute(f"DO {self._literal(body)}")
        except BackOff as error:
            if error.reason == "TableLocked":
                raise self._held_too_long(self._main.holdings()) from error
            raise
        except SourceError as error:
            cause = error.__cause__
            code = cause.pgcode if isinstance(cause, psycopg2.Error) else ""
            if code == errorcodes.INVALID_CURSOR_DEFINITION:
                raise

    def _literal(self, text: str) -> str:
        adapted = adapt(text)
        adapted.prepare(self._main.connection)
        literal: bytes = adapted.getquoted()
        return literal.decode()

    def quote(self, identifier: str) -> str:
        """An identifier in double quotes, safe in SQL."""
        return quote_ident(identifier, self._main.connection)

    def table(self, name: str) -> str:
        """A table of S9's, with its schema."""
        return f"{self.quote(self._config.schema)}.{self.quote(name)}"

    def columns(self, query: str) -> list[SourceColumn]:
        """The columns that a SELECT returns, with what PostgreSQL says of their types."""
        with self._main.statement() as cursor:
            cursor.execute(f"SELECT * FROM ({query}) AS q LIMIT 0")
            described = cursor.description or ()
        found = [
            PostgresColumn(
                column.name,
                is_integer=column.type_code in _INTEGERS,
                is_decimal=column.type_code in _DECIMALS | {_MONEY},
                is_zoned=column.type_code == _TIMESTAMP_WITH_ZONE,
                is_approximate=column.type_code in _APPROXIMATE,
                family=str(column.type_code),
                type=column.type_code,
            )
            for column in described
        ]
        self._check_money(found)
        return list(found)

    def _check_money(self, columns: Iterable[SourceColumn]) -> None:
        """A column of type money is a number of cents, or of whatever lc_monetary says: here,
        where it is pinned, of hundredths. Raises SourceError where S9's own setting differs."""
        names = [c.name for c in columns if isinstance(c, PostgresColumn) and c.type == _MONEY]
        if not names:
            return
        with self._main.statement() as cursor:
            cursor.execute("SAVEPOINT money")
            cursor.execute(
                "SELECT set_config('lc_monetary', reset_val, true) FROM pg_settings "
                "WHERE name = 'lc_monetary'"
            )
            [locale] = cursor.fetchone() or ("",)
            cursor.execute("SELECT scale('1'::money::numeric)")
            [digits] = cursor.fetchone() or (None,)
            cursor.execute("ROLLBACK TO SAVEPOINT money")
        if digits != 2:
            raise SourceError(
                f"{', '.join(names)} is of type money, and with lc_monetary {locale} it is not in "
                "hundredths: it cannot be known what its numbers mean",
                remedy=f"write extraction.<entity>.query with {names[0]}::numeric",
            )

    def listed(self, _table: str) -> list[str]:
        """None: in PostgreSQL it does."""
        return []

    def first_of(self, columns: Sequence[SourceColumn]) -> tuple[str, str]:
        """The first of several columns that has a value, and whether two have different ones."""
        names = [f"q.{self.quote(column.name)}" for column in columns]
        if not same_family(columns):
            names = [f"{name}::text" for name in names]
        return first_of(names, "btrim({0}::text) <> ''", "{0}::text <> {1}::text")

    def count(self, selection: Selection) -> int:
        """How many rows a selection has, by SQL."""
        [rows] = self._main.one(f"SELECT count(*) FROM ({selection.query}) AS q")
        return int(rows)

    def count_keys(self, selection: Selection) -> tuple[int, int]:
        """The same, and how many different keys."""
        key = self.quote(selection.key)
        rows, keys = self._main.one(
            f"SELECT count(*), count(DISTINCT {key}) FROM ({selection.query}) AS q"
        )
        return int(rows), int(keys)

    def tally(self, query: str) -> list[tuple[Any, ...]]:
        """The rows of a query that has only a few."""
        with self._main.statement() as cursor:
            cursor.execute(query)
            return list(cursor.fetchall())

    def label(self, reference: str, column: SourceColumn) -> Label:
        """The SQL of a value as JSON text, as the artifact has it."""
        return label_of(self._rendered(reference, column))

    def amount(self, reference: str, column: SourceColumn) -> Amount:
        """The SQL of an amount."""
        assert isinstance(column, PostgresColumn)
        if column.is_integer:
            return of_integer(reference)
        if column.type == _MONEY:
            return of_numeric(f"{reference}::numeric")
        return of_numeric(reference) if column.type == _NUMERIC else of_text(reference)

    @property
    def groups_by_sets(self) -> bool:
        """Whether GROUPING SETS are known."""
        return True

    def summed(self, query: str) -> Iterator[Row]:
        """The rows of a query that returns a number and a JSON text, as they come."""
        get_logger().debug("Asking S9: %s", query)
        with closing(RowStream(self._main, query)) as stream:
            yield from stream

    def exceptions(self, _tables: Iterable[str] | None) -> str:
        """The foreign tables, and the functions of other languages in views, among all that has
        been opened: what they read is of no snapshot."""
        found = []
        if foreign := self._main.foreign():
            found.append(
                "these foreign tables have no snapshots, because another server keeps their "
                "rows: " + ", ".join(foreign)
            )
        if outward := self._main.outward():
            found.append(
                "these views call functions that may read outside the snapshot: "
                + ", ".join(outward)
            )
        return "; ".join(found)

    def writable(self, tables: Iterable[str]) -> list[str]:
        """Those of the tables that the account may change."""
        rights = "INSERT, UPDATE, DELETE, TRUNCATE"
        return [
            name
            for name in tables
            if any(
                self._main.one(
                    "SELECT has_table_privilege(to_regclass(%s), %s), "
                    "has_any_column_privilege(to_regclass(%s), 'INSERT, UPDATE')",
                    self.table(name),
                    rights,
                    self.table(name),
                )
            )
        ]

    @contextmanager
    def beside(self) -> Iterator[PostgresSource | None]:
        """Another source with the same snapshot, for another thread; None where S9 lets nobody
        in for that, and behind a pooler, which would have it wait for connections that are in use
        here."""
        other = None
        if self._main.one("SELECT pg_backend_pid()") == (self.connection_number,):
            try:
                other = PostgresSource(self._config, self._stop, self._reads, joins=self.snapshot)
            except (BackOff, SourceError, SourceUnavailable, TableLocked) as error:
                get_logger().debug("No further connection to S9: %s", error)
        if other is None:
            yield None
            return
        with other:
            try:
                yield other
            finally:
                other._cancel()

    def rows_of(self, tables: Iterable[str]) -> dict[str, int]:
        """How many rows whole tables have: with the snapshot, the witness of their state. Tables
        that cannot be read are left out."""
        counted = {}
        for name in tables:
            with suppress(SourceError):
                counted[name] = int(self._main.one(f"SELECT count(*) FROM {self.table(name)}")[0])
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
            table = self.table(name)
            try:
                found, count = self._main.one(
                    f"SELECT (SELECT count(*) FROM (SELECT 1 FROM {table} WHERE {newer} LIMIT 1) "
                    f"AS q), (SELECT count(*) FROM {table})"
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
        asked = [(self._main, records), *([(self._side, children)] if children else [])]
        streams: list[RowStream] = []
        try:
            for session, selection in asked:
                query = self._sql(selection, after)
                get_logger().debug("Asking S9: %s", query)
                streams.append(RowStream(session, query))
            yield iter(streams[0]), iter(streams[1]) if children is not None else None
        finally:
            for stream in streams:
                stream.close()

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
        """The SQL of a value as row_to_json is to write it."""
        return self._rendered(f"{alias}.{self.quote(column.name)}", column)

    def _rendered(self, reference: str, column: SourceColumn) -> str:
        assert isinstance(column, PostgresColumn)
        if column.type in _PLAIN:
            return reference
        if column.type == _MONEY:
            return f"{reference}::numeric::text"
        if not column.is_zoned:
            return f"{reference}::text"
        # An instant, in UTC. What has no place in the calendar of ISO 8601 comes in the server's
        # own words, to be refused.
        return (
            f"CASE WHEN isfinite({reference}) AND {reference} >= '0001-01-01 00:00:00+00' "
            f"THEN replace(({reference} AT TIME ZONE 'UTC')::text, ' ', 'T') || 'Z' "
            f"ELSE {reference}::text END"
        )
