"""An ordinary connection beside the one that streams: asks, and makes what following needs."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from time import monotonic
from typing import Any, TypeVar

import psycopg2
from psycopg2 import errorcodes, extensions
from psycopg2.extensions import quote_ident

from extract.change_log.requirement import CHECK, UNPRIVILEGED
from extract.postgresql.connection import connect
from extract.postgresql.errors import is_lost, spoken
from extract.postgresql.settings import APPLICATION
from utils.config import SourceConfig
from utils.error_handler import SourceError, SourceUnavailable
from utils.interrupt import Interrupted, StopFlag
from utils.wording.invocation import command

_Result = TypeVar("_Result")
_AGAIN_EVERY = 0.5
_LOCK_SECONDS = 10
IDLES_SINCE = 140000
# What waits for a standby that does not answer would only wait: nothing here has to outlive S9.
_SETTINGS = (
    f"SET application_name = '{APPLICATION}'; SET search_path = pg_catalog; "
    "SET statement_timeout = 0; SET lock_timeout = 0; "
    "SET synchronous_commit = local"
)


class Control:
    """Connects when it is asked something, and again when the connection was lost, which is told
    by `when_lost`. May be used by several threads. Raises SourceUnavailable and SourceError."""

    def __init__(
        self, config: SourceConfig, stop: StopFlag, when_lost: Callable[[], object] = lambda: None
    ) -> None:
        self._config = config
        self._stop = stop
        self._when_lost = when_lost
        self._lock = threading.RLock()
        self._connection: extensions.connection | None = None
        self._was_connected = False

    def rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """The rows of a query."""
        return self._twice(lambda: self._execute(query, values))

    def one(self, query: str, *values: object) -> tuple[Any, ...]:
        """The one row of a query."""
        [row] = self.rows(query, *values)
        return row

    def write(self, *statements: str) -> None:
        """Run statements in one transaction, which may write whatever the account's default is."""
        whole = ("BEGIN READ WRITE", f"SET LOCAL lock_timeout = '{_LOCK_SECONDS}s'", *statements)
        with self._lock:
            try:
                self._execute("; ".join((*whole, "COMMIT")), ())
            except SourceError:
                self.close()  # whatever state it is in
                raise

    def waiting(self, query: str, *values: object) -> None:
        """Run what may wait for long; a stop that is asked for ends it. Raises Interrupted."""
        with self._lock, self._stop.cancelling(self._cancel):
            self._execute(query, values)

    def quote(self, identifier: str) -> str:
        """An identifier in double quotes, safe in SQL."""
        with self._lock:
            return quote_ident(identifier, self._opened())

    @property
    def version(self) -> int:
        """The server's version (150004)."""
        with self._lock:
            return self._opened().server_version

    @property
    def connection_number(self) -> int:
        """By which number the server, or what stands in between, calls the connection."""
        with self._lock:
            return self._opened().info.backend_pid

    def rest(self, seconds: float) -> None:
        """Sleep. Raises Interrupted when a stop is asked for."""
        self._stop.sleep(seconds)

    def notice(self) -> None:
        """See whether the server has ended the connection while nobody asked anything."""
        if not self._lock.acquire(blocking=False):
            return  # who asks something will see it
        try:
            if self._connection is not None:
                self._connection.poll()
        except psycopg2.Error:
            self.close()
            self._when_lost()
        finally:
            self._lock.release()

    def close(self) -> None:
        """Hang up."""
        with self._lock:
            connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(psycopg2.Error):
                connection.close()

    def _twice(self, ask: Callable[[], _Result]) -> _Result:
        """The connection may have been lost while nobody asked."""
        with self._lock:
            try:
                return ask()
            except SourceUnavailable:
                if not self._was_connected:
                    raise
                return patiently(self._config, self._stop, ask)

    def _execute(self, query: str, values: tuple[object, ...]) -> list[tuple[Any, ...]]:
        connection = self._opened()
        try:
            with connection.cursor() as cursor:
                cursor.execute(query, values or None)
                return list(cursor.fetchall()) if cursor.description else []
        except psycopg2.Error as error:
            if self._stop.requested and error.pgcode == errorcodes.QUERY_CANCELED:
                raise Interrupted from error
            if is_lost(error):
                self.close()
                self._when_lost()
                raise lost(self._config, error) from error
            raise refused(self._config, error) from error

    def _opened(self) -> extensions.connection:
        if self._connection is None:
            opened = connect(self._config)
            opened.autocommit = True
            try:
                with opened.cursor() as cursor:
                    cursor.execute(_SETTINGS)
                    if opened.server_version >= IDLES_SINCE:
                        cursor.execute("SET idle_session_timeout = 0")
            except psycopg2.Error as error:
                opened.close()
                raise (lost if is_lost(error) else refused)(self._config, error) from error
            self._connection, self._was_connected = opened, True
        return self._connection

    def _cancel(self) -> None:
        connection = self._connection
        if connection is not None:
            with suppress(psycopg2.Error):
                connection.cancel()


def patiently(config: SourceConfig, stop: StopFlag, attempt: Callable[[], _Result]) -> _Result:
    """What an attempt returns that may find S9 restarting: it is repeated for as long as the
    configuration is ready to wait for a connection. Raises SourceUnavailable, Interrupted."""
    deadline = monotonic() + config.connection_timeout
    while True:
        try:
            return attempt()
        except SourceUnavailable:
            if monotonic() > deadline:
                raise
        stop.sleep(_AGAIN_EVERY)


def lost(config: SourceConfig, error: psycopg2.Error) -> SourceUnavailable:
    """The connection broke."""
    return SourceUnavailable(
        f"the connection to S9 ({config.database}) that follows its log was lost: {spoken(error)}",
        remedy="check that the server runs and answers; what it keeps of its log is not lost",
    )


def refused(config: SourceConfig, error: psycopg2.Error) -> SourceError:
    """S9 refuses what following its log needs."""
    said = spoken(error)
    return SourceError(
        f"S9 ({config.database}) refuses what following its log needs (SQLSTATE "
        f"{error.pgcode or 'unknown'}){f': {said}' if said else ''}",
        remedy=f"{command(CHECK)} prints what a DBA runs; {command(UNPRIVILEGED)} works without",
    )


def text(value: str) -> str:
    """A text as SQL, for statements that take no values and are printed."""
    return "'" + value.replace("'", "''") + "'"
