"""The thread that reads the binlog."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from time import monotonic
from typing import Any

import pymysql
from pymysql.cursors import DictCursor
from pymysqlreplication import BinLogStreamReader

from extract.change_log.change_log import CannotGoOn, Changes
from extract.change_log.mysql.control import lost
from extract.change_log.mysql.positions import Place
from extract.change_log.mysql.transactions import EVENTS, CannotBeRead, Transactions
from extract.mysql.connection import connect
from extract.mysql.errors import number_of, one_line
from utils.config import SourceConfig
from utils.error_handler import MigrationError, SourceError, SourceUnavailable
from utils.interrupt import Interrupted
from utils.logger import get_logger

# What it would say of lost connections is said here.
logging.getLogger("pymysqlreplication").setLevel(logging.CRITICAL)
_AGAIN = 0.5  # seconds between two tries to connect again
_HEARTBEAT = 5  # seconds after which an idle server says that it is there
_SILENT = 60  # seconds after which one that does not is taken for lost
_READ_FAILED = 1236  # the place is not in the log (any more), or the log is damaged
_DENIED = (1044, 1045, 1142, 1227)


class Stream:
    """Reads the log from a place on, until it is closed or `failure` is set; `take` gets what each
    transaction has changed, where it ends, and its GTID (no changes and "" for other places that
    the log can be read on from). A lost connection is opened again, for as long as
    the configuration says; `is_same` says why it is not the same server then, "" when it is."""

    def __init__(
        self,
        config: SourceConfig,
        server_id: int,
        begin: Place,
        transactions: Callable[[], Transactions],
        take: Callable[[Changes, Place, str], None],
        is_same: Callable[[], str],
        is_again: bool = False,
    ) -> None:
        self._config = config
        self._server_id = server_id
        self._place = begin
        self._transactions = transactions
        self._take = take
        self._is_same = is_same
        self._is_over = threading.Event()
        self._connections: list[Any] = []
        self._was_lost = is_again
        self._until: float | None = None  # how long it is tried to connect again
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
        while not self._is_over.is_set():
            try:
                self._read()
            except CannotGoOn as reason:
                self.failure = reason
                return
            except (pymysql.Error, OSError, SourceUnavailable) as error:
                self._until = self._until or monotonic() + self._config.connection_timeout
                if not self._may_go_on(error, self._until):
                    return
            except CannotBeRead as reason:
                self.failure = CannotGoOn(str(reason))
                return
            except Interrupted:
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
            filter_non_implemented_events=False,
            ignore_decode_errors=True,  # of other columns than the keys
            enable_logging=False,
            pymysql_wrapper=self._connect,
        )
        try:
            while not self._is_over.is_set():
                event = reader.fetchone()
                if event is None:
                    raise OSError("the server has ended it")
                self._until = None
                changes = transactions.read(event)
                at = Place.of(str(reader.log_file), int(reader.log_pos)).in_log(place.log)
                if changes is not None:
                    self._go_to(changes, at, transactions.gtid)
                elif transactions.is_at_a_place(event) and self._place.is_before(at):
                    self._go_to(Changes(), at, "")
        finally:
            self._connections.clear()
            with suppress(pymysql.Error, OSError):
                reader.close()

    def _go_to(self, changes: Changes, place: Place, gtid: str) -> None:
        if not self._place.is_before(place):  # the log tells places of 32 bits
            raise CannotGoOn(f"S9's binlog {place.name} has more than four gigabytes")
        self._place = place
        self._take(changes, place, gtid)

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
            connection._read_timeout = _SILENT  # type: ignore[attr-defined]
        self._connections.append(connection)
        return connection
