"""A connection beside the stream of a binlog: what the server says of itself and of its log."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from time import monotonic
from typing import Any

import pymysql
from pymysql.connections import Connection

from extract.change_log.mysql.positions import GtidState, Place
from extract.change_log.requirement import CHECK, UNPRIVILEGED
from extract.mysql.connection import connect
from extract.mysql.errors import is_lost, one_line
from extract.mysql.settings import IDENTIFYING, identity
from utils.config import SourceConfig
from utils.error_handler import SourceError, SourceUnavailable
from utils.interrupt import StopFlag
from utils.wording.invocation import command

_AGAIN = 0.5  # seconds between two tries


class Control:
    """The connection; opened again when it is lost, for as long as `source.connectionTimeout`. May
    be used by several threads."""

    def __init__(self, config: SourceConfig, stop: StopFlag) -> None:
        self._config = config
        self._stop = stop
        self._turn = threading.RLock()
        self._connection: Connection[Any] | None = None
        self._lock = ""
        [(version,)] = self.rows("SELECT VERSION()")
        self.is_mariadb = "mariadb" in str(version).lower()
        self.database = str(self.rows("SELECT DATABASE()")[0][0])

    def close(self) -> None:
        """Hang up."""
        with self._turn:
            connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(pymysql.Error, OSError):
                connection.close()

    def rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """The rows of a query. Raises SourceError for what the server refuses, SourceUnavailable
        when it stays away."""
        until = monotonic() + self._config.connection_timeout
        while True:
            try:
                with self._turn:
                    return self._rows(query, values)
            except SourceUnavailable:
                self.close()
                if monotonic() > until:
                    raise
                self._stop.sleep(_AGAIN)

    def _rows(self, query: str, values: Sequence[object]) -> list[tuple[Any, ...]]:
        try:
            if self._connection is None:
                self._connection = connect(self._config)
                if self._lock:  # it went with the connection
                    self._take_lock(self._connection)
            with self._connection.cursor() as cursor:
                cursor.execute(query, values or None)
                return list(cursor.fetchall())
        except (pymysql.Error, OSError) as error:
            if isinstance(error, pymysql.Error) and not is_lost(error):
                raise refused(self._config, error) from error
            raise lost(self._config, error) from error

    def locks(self, name: str) -> bool:
        """Take a lock of this name, for as long as there is a connection; whether nobody else has
        it."""
        [(is_ours,)] = self.rows("SELECT GET_LOCK(%s, 0)", name)
        self._lock = name if is_ours else ""
        return bool(is_ours)

    def _take_lock(self, connection: Connection[Any]) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT GET_LOCK(%s, 0)", (self._lock,))

    def if_allowed(self, query: str) -> list[tuple[Any, ...]]:
        """The rows of a query, none where it is not allowed, or not known here."""
        with suppress(SourceError):
            return self.rows(query)
        return []

    def variables(self, *names: str) -> dict[str, str]:
        """The server's variables of these names, in lower case; those that it does not have are
        left out."""
        listed = ", ".join(["%s"] * len(names))
        found = self.rows(f"SHOW GLOBAL VARIABLES WHERE Variable_name IN ({listed})", *names)
        return {str(name).lower(): str(value) for name, value in found}

    def identity(self) -> Mapping[str, str]:
        """What tells this server from another."""
        return identity(self.variables(*IDENTIFYING), self.database)

    def now(self) -> str:
        """This moment by S9's clock, as a snapshot tells when it was taken."""
        [(now,)] = self.rows("SELECT DATE_FORMAT(UTC_TIMESTAMP(6), '%Y-%m-%dT%H:%i:%s.%f')")
        return f"{str(now)[:23]}Z"

    def end(self) -> Place:
        """The end of the log as it is now: whatever was committed before is before it. Raises
        SourceError where the account may not ask."""
        if self.is_mariadb:
            # The place of a snapshot: everybody may ask for it.
            with self._turn:
                self.rows("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
                try:
                    return snapshot_place(self.rows) or self._end_as_master()
                finally:
                    self.rows("ROLLBACK")
        return self._end_as_master()

    def _end_as_master(self) -> Place:
        failure: SourceError | None = None
        for word in ("BINARY LOG", "BINLOG", "MASTER"):
            try:
                found = self.rows(f"SHOW {word} STATUS")
            except SourceUnavailable:
                raise
            except SourceError as error:
                failure = error
                continue
            if found:
                return Place.of(str(found[0][0]), int(found[0][1]))
        raise failure or SourceError(
            f"S9 ({self._config.host}) keeps no binlog",
            remedy=f"{command(CHECK)} prints what a DBA sets for it",
        )

    def gtids(self, place: Place | None = None) -> str:
        """The GTIDs up to a place (MariaDB, see GtidState), or of all that is committed now
        (MySQL); "" where the server does not tell."""
        if self.is_mariadb:
            if place is None:
                return ""
            found = self.rows("SELECT BINLOG_GTID_POS(%s, %s)", place.name, place.byte)
            return GtidState(str(found[0][0] or "")).text
        found = self.rows("SELECT @@GLOBAL.gtid_executed")
        return "".join(str(found[0][0] or "").split())

    def under_way(self) -> frozenset[str]:
        """The GTIDs of transactions that have one and are not seen yet; none on MariaDB."""
        if self.is_mariadb:
            return frozenset()
        return owned(str(self.rows("SELECT @@GLOBAL.gtid_owned")[0][0] or ""))


def owned(text: str) -> frozenset[str]:
    """The GTIDs in MySQL's own words: "uuid:7#15:9#16, uuid:3#17" (with who has them)."""
    found = set()
    for part in text.replace("\n", "").split(","):
        server, *numbers = part.strip().split(":")
        found |= {f"{server}:{number.partition('#')[0]}" for number in numbers}
    return frozenset(found)


def snapshot_place(ask: Callable[[str], list[tuple[Any, ...]]]) -> Place | None:
    """The place in the binlog of the snapshot that a session has (MariaDB, Percona Server); None
    where the server does not tell."""
    found = {
        str(name).lower(): str(value) for name, value in ask("SHOW STATUS LIKE 'binlog_snap%'")
    }
    name = found.get("binlog_snapshot_file", "")
    return Place.of(name, int(found["binlog_snapshot_position"])) if name else None


def lost(config: SourceConfig, error: Exception) -> SourceUnavailable:
    """The connection to the log was lost."""
    if isinstance(error, SourceUnavailable):
        return error
    said = one_line(error) if isinstance(error, pymysql.Error) else str(error)
    return SourceUnavailable(
        f"the log of S9 ({config.host}) cannot be reached any more: {said}",
        remedy="when S9 answers again, type the same command: it goes on where it was",
    )


def refused(config: SourceConfig, error: pymysql.Error) -> SourceError:
    """The server does not let us."""
    return SourceError(
        f"S9 ({config.host}) does not let {config.username} follow its log: {one_line(error)}",
        remedy=f"{command(CHECK)} prints what a DBA runs for it; {command(UNPRIVILEGED)} works "
        "without",
    )
