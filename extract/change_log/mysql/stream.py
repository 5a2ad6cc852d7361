"""The thread that reads the binlog."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from time import monotonic
from typing import Any

import pymysql
from pymysql.cursors import DictCursor
from pymysqlreplication import BinLogStreamReader

from extract.change_log.change_log import Changes
from extract.change_log.mysql.control import lost
from extract.change_log.mysql.positions import Place
from extract.change_log.mysql.transactions import EVENTS, Transactions
from extract.mysql.connection import connect
from extract.mysql.errors import number_of, one_line
from utils.config import SourceConfig
from utils.error_handler import MigrationError, SourceError, SourceUnavailable
from utils.logger import get_logger

_AGAIN = 0.5  # seconds between two tries to connect again
_HEARTBEAT = 5  # seconds after which an idle server says that it is there
_SILENT = 60  # seconds after which one that does not is taken for lost
_READ_FAILED = 1236  # the place is not in the log (any more), or the log is damaged
_DENIED = (1044, 1045, 1142, 1227)


class CannotGoOn(Exception):
    """The log does not go on from where it was read to, for a reason in words."""


class Stream:
    """Reads the log from a place on, until it is closed or `failure` is set; `take` gets what each
    transaction has changed, and where it ends. A lost connection is opened again, for as long as
    the configuration says; `is_same` says why it is not the same server then, "" when it is."""

    def __init__(
        self,
        config: SourceConfig,
        server_id: int,
        begin: Place,
        transactions: Callable[[], Transactions],
        take: Callable[[Changes, Place], None],
        is_same: Callable[[], str],
    ) -> None:
        self._config = config
        self._server_id = server_id
        self._place = begin
        self._transactions = transactions
        self._take = take
        self._is_same = is_same
        self._is_over = threading.Event()
        self._connections: list[Any] = []
        self._was_lost = False
        self.failure: MigrationError | CannotGoOn | None = None
        self._thread = threading.Thread(target=self._run, name="binlog", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Hang up."""
        self._is_over.set()
        for connection in list(self._connections):
            with suppress(OSError, AttributeError):
                connection._sock.shutdown(socket.SHUT_RDWR)
        self._thread.join()

    def _run(self) -> None:
        until = None
        while not self._is_over.is_set():
            began = self._place
            try:
                self._read()
            except CannotGoOn as reason:
                self.failure = reason
                return
            except (pymysql.Error, OSError, SourceUnavailable) as error:
                if self._place != began:
                    until = None
                until = until or monotonic() + self._config.connection_timeout
                if not self._may_go_on(error, until):
                    return
            except BaseException as error:
                get_logger().debug("The reader of the log has ended", exc_info=True)
                self.failure = CannotGoOn(
                    f"its log has something that cannot be read ({type(error).__name__})"
                )
                return

    def _may_go_on(self, error: Exception, until: float) -> bool:
        """Whether to connect again; if not, what has failed is known."""
        if self._is_over.is_set():
            return False
        number = number_of(error) if isinstance(error, pymysql.Error) else 0
        if number == _READ_FAILED:
            assert isinstance(error, pymysql.Error)
            self.failure = CannotGoOn(f"S9 has no log from there on any more ({one_line(error)})")
        elif number in _DENIED:
            assert isinstance(error, pymysql.Error)
            self.failure = SourceError(
                f"S9 does not let {self._config.username} read its binlog: {one_line(error)}",
                remedy="have a DBA grant REPLICATION SLAVE to it again",
            )
        elif monotonic() > until:
            self.failure = lost(self._config, error)
        else:
            self._is_over.wait(_AGAIN)
            return True
        return False

    def _read(self) -> None:
        if self._was_lost and (reason := self._is_same()):
            raise CannotGoOn(reason)
        self._was_lost = True
        place, transactions = self._place, self._transactions()
        reader = BinLogStreamReader(
            {},
            self._server_id,
            blocking=True,
            resume_stream=True,
            only_events=list(EVENTS),
            log_file=place.name,
            log_pos=place.byte,
            slave_heartbeat=_HEARTBEAT,
            ignore_decode_errors=True,  # of other columns than the keys
            enable_logging=False,
            pymysql_wrapper=self._connect,
        )
        try:
            while not self._is_over.is_set():
                event = reader.fetchone()
                if event is None:
                    raise OSError("the server has ended it")
                changes = transactions.read(event)
                if changes is not None:
                    self._place = Place.of(str(reader.log_file), int(reader.log_pos))
                    self._take(changes, self._place)
        finally:
            self._connections.clear()
            with suppress(pymysql.Error, OSError):
                reader.close()

    def _connect(self, **settings: Any) -> Any:
        """A connection for the reader: its stream, or what it asks beside that. Raises OSError
        when it wants the second of a kind: it would go on in the middle of a transaction."""
        is_beside = "cursorclass" in settings
        if self._is_over.is_set() or len(self._connections) > is_beside:
            raise OSError("the connection was lost")
        connection = connect(self._config)
        if is_beside:
            connection.cursorclass = DictCursor
        else:
            connection._sock.settimeout(_SILENT)  # type: ignore[attr-defined]
        self._connections.append(connection)
        return connection
