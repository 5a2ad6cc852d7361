"""One connection to PostgreSQL, in one read-only transaction with every setting pinned."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psycopg2
from psycopg2 import errorcodes, extensions
from psycopg2.extensions import quote_ident

from extract.postgresql.connection import connect
from extract.postgresql.errors import is_lost, query_errors, row_security
from extract.postgresql.settings import PinnedSettings
from utils.config import SourceConfig
from utils.error_handler import BackOff, SourceError
from utils.interrupt import StopFlag

LOCK_SECONDS = 60
_SLICE_SECONDS = 2
_BEGIN = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
_LOCKED = {errorcodes.LOCK_NOT_AVAILABLE, errorcodes.DEADLOCK_DETECTED}
# Tables (and what else has rows in files of its own) that this transaction has read and that were
# rewritten, replaced or renamed after its snapshot: TRUNCATE leaves nothing of what it sees, and a
# table that came since has nothing for it. pg_class is read in the snapshot; what the functions
# say is of now. Below 16384 is the server's own catalogue. A query also locks all indexes of what
# it reads, but what comes of one after the snapshot (another one, REINDEX, a new name) takes no row
# away: the server uses none that this snapshot cannot be read by.
_REWRITTEN = """
    SELECT string_agg(DISTINCT l.relation::regclass::text, ', ')
    FROM pg_locks AS l LEFT JOIN pg_class AS c ON c.oid = l.relation
        LEFT JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE l.pid = pg_backend_pid() AND l.locktype = 'relation' AND l.relation >= 16384
        AND pg_index_has_property(l.relation, 'clusterable') IS NULL -- it is no index
        AND (c.oid IS NULL
            OR c.relkind IN ('r', 'm') AND c.relfilenode <> pg_relation_filenode(c.oid)
            OR to_regclass(quote_ident(n.nspname) || '.' || quote_ident(c.relname))
                IS DISTINCT FROM l.relation::regclass)
"""
_READ = """
    FROM pg_locks AS l JOIN pg_class AS c ON c.oid = l.relation
        JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE l.pid = pg_backend_pid() AND l.locktype = 'relation' AND l.relation >= 16384
"""
_FOREIGN = f"SELECT DISTINCT n.nspname || '.' || c.relname {_READ} AND c.relkind = 'f' ORDER BY 1"
# Functions of other languages than the server's own may read outside of the database (dblink).
_OUTWARD = f"""
    SELECT DISTINCT n.nspname || '.' || c.relname || ' calls ' || p.proname
    FROM (SELECT c.oid AS view {_READ} AND c.relkind IN ('v', 'm')) AS v
        JOIN pg_rewrite AS r ON r.ev_class = v.view
        JOIN pg_depend AS d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid
            AND d.refclassid = 'pg_proc'::regclass
        JOIN pg_proc AS p ON p.oid = d.refobjid AND p.oid >= 16384 AND p.provolatile = 'v'
        JOIN pg_language AS g ON g.oid = p.prolang AND g.lanname NOT IN ('sql', 'plpgsql')
        JOIN pg_class AS c ON c.oid = v.view JOIN pg_namespace AS n ON n.oid = c.relnamespace
    ORDER BY 1
"""
_HIDING = "SELECT DISTINCT relname FROM pg_class WHERE relrowsecurity"
_HOLDERS = """
    SELECT DISTINCT l.pid, a.usename, a.application_name
    FROM pg_locks AS l LEFT JOIN pg_stat_activity AS a USING (pid)
    WHERE l.relation = to_regclass(%s) AND l.mode = 'AccessExclusiveLock'
    ORDER BY l.pid
"""


_HOLDINGS = """
    SELECT DISTINCT l.relation::regclass::text, l.pid, a.usename
    FROM pg_locks AS l LEFT JOIN pg_stat_activity AS a USING (pid)
    WHERE l.mode = 'AccessExclusiveLock' AND l.relation >= 16384
    ORDER BY l.pid
"""


class TableLocked(Exception):
    """A table is held by somebody who changes the table itself, and was waited for a while."""

    def __init__(self, table: str) -> None:
        super().__init__(table)
        self.table = table


class Session:
    """A connection whose one transaction is begun by `begin`.

    Statements raise SourceError for what S9 refuses, BackOff when the connection is lost or the
    snapshot no longer shows what S9 holds, Interrupted after a stop was asked for. Each is a
    savepoint, so that one that fails does not end the transaction; after each the server confirms
    that it is still the same transaction with the same settings.
    """

    def __init__(self, config: SourceConfig, stop: StopFlag) -> None:
        self._config = config
        self._stop = stop
        self.connection = connect(config)
        self.connection.autocommit = True  # the transaction is begun in words
        schema = quote_ident(config.schema, self.connection)
        self._pinned = PinnedSettings.of(config, schema, self.connection.server_version)
        self._state: tuple[Any, ...] = ()

    def errors(self) -> Any:
        """Turns psycopg2's errors into the tool's."""
        return query_errors(self._config, self._stop)

    def begin(self) -> None:
        """Begin the transaction, or another one. No snapshot is taken yet."""
        self._state = ()
        self.give_back()
        # In one message: what the account brings along may allow no moment in between.
        with self.errors(), self.connection.cursor() as cursor:
            cursor.execute(f"{_BEGIN}; {self._pinned.statements(_SLICE_SECONDS)}")

    def give_back(self) -> None:
        """End the transaction, and with it its locks."""
        with self.errors(), self.connection.cursor() as cursor:
            if self.connection.info.transaction_status != extensions.TRANSACTION_STATUS_IDLE:
                cursor.execute("ROLLBACK")

    def lock(self, tables: Iterable[str]) -> None:
        """Hold tables and views (quoted names), with what they are made of, so that nobody can
        rewrite them from here on; before the snapshot is taken.

        What is no table, or cannot be locked or read, is left to the query that reads it. Raises
        TableLocked when somebody else holds one of them.
        """
        with self.errors(), self.connection.cursor() as cursor:
            for table in tables:
                cursor.execute("SAVEPOINT lock")
                try:
                    cursor.execute(f"LOCK TABLE {table} IN ACCESS SHARE MODE")
                except psycopg2.Error as error:
                    if is_lost(error) or self._stop.requested:
                        raise
                    cursor.execute("ROLLBACK TO SAVEPOINT lock")
                    if error.pgcode in _LOCKED:
                        raise TableLocked(table) from error
                cursor.execute("RELEASE SAVEPOINT lock")

    def see(self, snapshot: str) -> None:
        """Begun, and before anything is asked: see an exported snapshot. Raises SourceError when
        the server does not know it."""
        with self.errors(), self.connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION SNAPSHOT %s", (snapshot,))

    def settle(self) -> None:
        """Everything is held: from here on, wait longer for a lock; and check that the server
        has set all that was asked for."""
        with self.errors(), self.connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL lock_timeout = '{LOCK_SECONDS}s'")
            self._state = self._ask(cursor)
            self._pinned.check(self._state)

    def _ask(self, cursor: extensions.cursor) -> tuple[Any, ...]:
        cursor.execute(self._pinned.question())
        return cursor.fetchone() or ()

    def _confirm(self, cursor: extensions.cursor) -> None:
        """Let the server say that it is the same transaction as at its beginning."""
        now = self._ask(cursor)
        if now != self._state:
            self._pinned.check(now)
            raise SourceError(
                "S9 does not confirm that a query ran in the transaction that was begun for it",
                remedy="check that extraction.<entity> has a single SELECT that sets nothing; "
                "connect to the database directly, or through a pooler that keeps a transaction "
                "on one connection of the server",
            )
        cursor.execute(_REWRITTEN)
        [rewritten] = cursor.fetchone() or ("",)
        if rewritten:
            raise BackOff("TableRewritten", f"{rewritten} was rewritten after the snapshot")

    @contextmanager
    def statement(self) -> Iterator[extensions.cursor]:
        """A cursor for one statement that may fail without ending the transaction, and with it
        the snapshot."""
        with self.errors(), self.connection.cursor() as opened:
            opened.execute("SAVEPOINT statement")
            try:
                yield opened
            except psycopg2.Error as error:
                with suppress(psycopg2.Error):
                    opened.execute("ROLLBACK TO SAVEPOINT statement")
                    self._look_for_policies(opened, error)
                raise
            opened.execute("RELEASE SAVEPOINT statement")
            self._confirm(opened)

    def _look_for_policies(self, cursor: extensions.cursor, error: psycopg2.Error) -> None:
        """Raise SourceError when it was a table's policies that the server did not apply."""
        if error.pgcode != errorcodes.INSUFFICIENT_PRIVILEGE:
            return
        cursor.execute(_HIDING)
        said = error.diag.message_primary or ""
        named = sorted(name for (name,) in cursor.fetchall() if f'"{name}"' in said)
        if named:
            raise row_security(self._config, ", ".join(named)) from error

    def end_stream(self) -> None:
        """The rows of a stream have all come: let the server confirm what they were read in."""
        with self.errors(), self.connection.cursor() as cursor:
            cursor.execute("RELEASE SAVEPOINT stream")
            self._confirm(cursor)

    def one(self, query: str, *values: object) -> tuple[Any, ...]:
        """The one row of a query."""
        with self.statement() as cursor:
            cursor.execute(query, values or None)
            row: tuple[Any, ...] | None = cursor.fetchone()
            assert row is not None
            return row

    def column(self, query: str) -> list[str]:
        """The first column of all rows of a query."""
        with self.statement() as cursor:
            cursor.execute(query)
            return [str(first) for first, *_ in cursor.fetchall()]

    def foreign(self) -> list[str]:
        """The foreign tables among what this transaction has read, be it by views."""
        return self.column(_FOREIGN)

    def outward(self) -> list[str]:
        """The views among what it has read that call functions which may read elsewhere."""
        return self.column(_OUTWARD)

    def holders(self, table: str) -> str:
        """Who holds a table so that it cannot be read, or waits to, as far as the account may see
        that; "" for nobody."""
        with suppress(SourceError, BackOff), self.errors(), self.connection.cursor() as cursor:
            cursor.execute(_HOLDERS, (table,))
            return ", ".join(
                f"process {pid} of {user or 'an account'}"
                + (f" ({application})" if application else "")
                for pid, user, application in cursor.fetchall()
            )
        return ""

    def holdings(self) -> str:
        """Every table of the database that somebody holds so that it cannot be read."""
        with self.statement() as cursor:
            cursor.execute(_HOLDINGS)
            found = [
                f"{table} is locked by process {pid} of {user or 'an account'}"
                for table, pid, user in cursor.fetchall()
            ]
        return ", ".join(found) or "a table that is read was locked by somebody"

    def cancel(self) -> None:
        """End the statement that is running, from another thread."""
        with suppress(psycopg2.Error):
            self.connection.cancel()

    def close(self) -> None:
        """Hang up."""
        with suppress(psycopg2.Error):
            self.connection.close()
