"""One connection to S9 on MySQL or MariaDB, with the transaction in which everything is read."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Generator, Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from itertools import chain
from typing import Any

import pymysql
from pymysql.cursors import DictCursor

from extract.mysql.connection import connect
from extract.mysql.errors import query_errors
from extract.mysql.protocol_rows import Arriving
from extract.mysql.settings import IDENTIFYING, check, identity
from extract.snapshot.rights import require_read_only
from extract.source import Row
from utils.config import SourceConfig
from utils.error_handler import SourceError
from utils.interrupt import StopFlag
from utils.logger import get_logger


class Session:
    """A connection whose every query, from `begin` on, sees the same snapshot.

    `errors` is the context for what is asked of it: SourceError for what the server refuses,
    BackOff when the connection is lost, Interrupted when a stop was asked for.
    """

    def __init__(self, config: SourceConfig, stop: StopFlag) -> None:
        """Connect. Raises SourceUnavailable."""
        self._config = config
        self._stop = stop
        self.connection = connect(config)
        try:
            with self.errors():
                [(self.number, database)] = self.all("SELECT CONNECTION_ID(), DATABASE()")
                self.database = str(database)
                self._set_zone()
                self.all("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        except BaseException:
            self.close()
            raise

    def _set_zone(self) -> None:
        """Let the session's time zone be S9's, for what views make of instants; a TIMESTAMP is
        read as it is stored. Many servers have no time zones: UTC then."""
        try:
            self.all(f"SET SESSION time_zone = {self.connection.escape(self._config.timezone)}")
        except pymysql.Error:
            self.all("SET SESSION time_zone = '+00:00'")

    @property
    def encryption(self) -> str:
        """The protocol by which the connection is encrypted; "" when it is not."""
        channel = getattr(self.connection, "_sock", None)
        return (channel.version() or "") if isinstance(channel, ssl.SSLSocket) else ""

    def errors(self) -> AbstractContextManager[None]:
        """Turn what goes wrong inside into this tool's errors."""
        return query_errors(self._config, self._stop)

    def begin(self) -> None:
        """Begin the transaction with its snapshot; one that there is ends."""
        self.all("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")

    def check(self) -> None:
        """Within the transaction everything must be as it was set, on the connection that it was
        set on. Raises SourceError."""
        require_read_only(self.variables("transaction_read_only", "tx_read_only"))
        check(self.connection)
        [(number,)] = self.all("SELECT CONNECTION_ID()")
        if number != self.number:
            raise SourceError(
                "S9's answers come from different connections: something in between shares "
                "connections",
                remedy="connect to the database directly, not through a connection pool",
            )

    @contextmanager
    def hurried(self, seconds: int) -> Iterator[None]:
        """Wait no longer than that for a table that somebody holds."""
        [(before,)] = self.all("SELECT @@SESSION.lock_wait_timeout")
        self.all(f"SET SESSION lock_wait_timeout = {seconds}")
        yield
        self.all(f"SET SESSION lock_wait_timeout = {int(before)}")

    def identity(self) -> dict[str, str]:
        """What tells the server from others."""
        return identity(self.variables(*IDENTIFYING), self._config.database)

    def variables(self, *names: str) -> dict[str, str]:
        """Those of the session's variables that the server has."""
        return self._shown("SESSION VARIABLES", names)

    def status(self, *names: str) -> dict[str, str]:
        """What the server counts, of all sessions."""
        return self._shown("GLOBAL STATUS", names)

    def status_of_its_own(self, *names: str) -> dict[str, str]:
        """What the server says of this session."""
        return self._shown("SESSION STATUS", names)

    def _shown(self, what: str, names: tuple[str, ...]) -> dict[str, str]:
        listed = ", ".join(f"'{name}'" for name in names)
        found = self.all(f"SHOW {what} WHERE Variable_name IN ({listed})")
        return {str(name).lower(): str(value) for name, value in found}

    def all(self, query: str, values: object = None) -> list[tuple[Any, ...]]:
        """All rows of a query. Raises what PyMySQL raises."""
        with self.connection.cursor() as cursor:
            cursor.execute(query, values)
            return list(cursor.fetchall())

    def by_name(self, query: str) -> list[Mapping[str, Any]]:
        """The same, by the names of their columns."""
        with self.connection.cursor(DictCursor) as cursor:
            cursor.execute(query)
            return list(cursor.fetchall())

    def ask(self, query: str) -> Arriving:
        """The rows of a query as they come, to be closed. Raises what PyMySQL raises."""
        get_logger().debug("Asking S9: %s", query)
        return Arriving(self.connection, query)

    def stream(self, query: str) -> Generator[Row]:
        """The rows of a query that returns a key and a JSON text, as they come."""
        with self.errors(), closing(self.ask(query)) as arriving:
            yield from chain.from_iterable(arriving.pages())

    def cancel(self) -> None:
        """End the query that is running, by a second connection: the first one waits for it."""
        with suppress(SourceError, pymysql.Error, OSError):
            other = connect(self._config)
            with other.cursor() as cursor:
                cursor.execute(f"KILL {self.number}")
            with suppress(pymysql.Error, OSError):
                other.close()

    def break_off(self) -> None:
        """Hang up, also from another thread than the one that waits for an answer."""
        with suppress(OSError, AttributeError):
            getattr(self.connection, "_sock").shutdown(socket.SHUT_RDWR)  # noqa: B009
        self.close()

    def close(self) -> None:
        """Hang up."""
        with suppress(pymysql.Error, OSError):
            self.connection.close()
