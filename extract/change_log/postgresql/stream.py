"""The thread that reads PostgreSQL's log, and its connection."""

from __future__ import annotations

import selectors
import socket
import struct
import threading
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from time import monotonic
from typing import Any

import psycopg2
from psycopg2 import errorcodes
from psycopg2.extras import LogicalReplicationConnection

from extract.change_log.change_log import CannotGoOn
from extract.change_log.postgresql.control import lost, patiently, refused
from extract.change_log.postgresql.inbox import Inbox
from extract.change_log.postgresql.pgoutput import UnknownMessage, decode
from extract.change_log.postgresql.positions import Visible, position_of
from extract.change_log.postgresql.slots import has_hung_up
from extract.change_log.postgresql.touched import Transactions
from extract.postgresql.connection import connect
from extract.postgresql.errors import is_lost, spoken
from utils.config import SourceConfig
from utils.error_handler import MigrationError, SourceError, SourceUnavailable
from utils.interrupt import Interrupted, StopFlag
from utils.logger import get_logger

APPLICATION = "s9-migrate log"
_MESSAGES_SINCE = 140000
SPEAK_EVERY = 1.0  # seconds, whatever else is to be read: wal_sender_timeout may be a few
_LOOK_EVERY = 0.5
_LEAVE_SECONDS = 10.0  # at most: it may be at a server that does not answer
_SHORT, _MOST_SHORT_LIVES = 2.0, 10
_PASSING = ("53", "57")  # SQLSTATEs: short of memory, disk or connections; ended by somebody


@dataclass(frozen=True)
class Server:
    """Whose log it is: what the server says of itself and of the end of its log."""

    system: str
    timeline: str
    database: str
    end: int = 0

    @classmethod
    def of(cls, known: Mapping[str, str]) -> Server:
        """From what was kept of it."""
        return cls(known.get("system", ""), known.get("timeline", ""), known.get("database", ""))

    def is_of(self, other: Server) -> bool:
        """Whether it is the same database, whichever server has it."""
        return (self.system, self.database) == (other.system, other.database)

    def differs_from(self, other: Server) -> str:
        """Why what was read from the other one does not go on here; "" when it does."""
        if not self.is_of(other):
            return "this is another database than the one whose log was followed"
        if self.timeline != other.timeline:
            return (
                "another server has taken over, or the database was restored (its timeline was "
                f"{other.timeline}, and is {self.timeline})"
            )
        return ""


class Replication:
    """A replication connection. Raises SourceUnavailable and SourceError."""

    def __init__(self, config: SourceConfig) -> None:
        self._config = config
        self.connection: Any = connect(
            config,
            connection_factory=LogicalReplicationConnection,
            application_name=APPLICATION,
        )
        try:
            self.cursor: Any = self.connection.cursor()
            self.cursor.execute("IDENTIFY_SYSTEM")
            system, timeline, end, database = self.cursor.fetchone() or ("", 0, "0/0", "")
        except psycopg2.Error as error:
            self.close()
            raise (lost if is_lost(error) else refused)(config, error) from error
        self.process = int(self.connection.info.backend_pid)
        self.server = Server(str(system), str(timeline), str(database), position_of(str(end)))

    def start(self, slot: str, publication: str) -> None:
        """Let the log come, from where it was confirmed last. Raises psycopg2.Error."""
        options = {"proto_version": "1", "publication_names": f'"{publication}"'}
        if self.connection.server_version >= _MESSAGES_SINCE:
            options["messages"] = "true"  # of marks, lest they wait for somebody else's change
        self.cursor.start_replication(slot_name=slot, options=options, decode=False)

    def close(self) -> None:
        """Hang up."""
        with suppress(psycopg2.Error):
            self.connection.close()


class Stream:
    """Reads a slot's log (`replication` has begun with it) into an inbox, in a thread of its own,
    until it is closed or `failure` is set. When the connection is lost it connects again, for as
    long as the configuration says, and does before what `prepare` does. Every second it does what
    `look_beside` does."""

    def __init__(
        self,
        config: SourceConfig,
        replication: Replication,
        slot: str,
        publication: str,
        transactions: Callable[[], Transactions],
        inbox: Inbox,
        visible: Callable[[], Visible],
        prepare: Callable[[], object],
        look_beside: Callable[[], object],
    ) -> None:
        self._config = config
        self._server = replication.server
        self._slot = slot
        self._publication = publication
        self._new_transactions = transactions
        self._inbox = inbox
        self._visible = visible
        self._prepare = prepare
        self._look_beside = look_beside
        self._stop = StopFlag()
        self._is_to_renew = threading.Event()
        self._waker, self._bell = socket.socketpair()
        self._waker.setblocking(False)
        self.last_start = 0  # of the last message; 0 before the first
        self.failure: MigrationError | CannotGoOn | None = None
        self._short_lives = 0
        self._thread = threading.Thread(
            target=self._run, args=(replication,), name="change log", daemon=True
        )
        self._thread.start()

    def hurry(self) -> None:
        """There is something to tell the server."""
        with suppress(OSError):
            self._bell.send(b"!")

    def renew(self) -> None:
        """Hang up, and connect again."""
        self._is_to_renew.set()
        self.hurry()

    def close(self) -> None:
        """Tell the server what is confirmed, and hang up."""
        self._stop.request()
        self.hurry()
        self._thread.join(_LEAVE_SECONDS)
        self._waker.close()
        self._bell.close()

    def _run(self, replication: Replication | None) -> None:
        try:
            while replication is not None:
                replication = self._until_lost(replication)
        except Interrupted:
            pass
        except (MigrationError, CannotGoOn) as error:
            self.failure = error
        except (UnknownMessage, struct.error) as error:
            self.failure = CannotGoOn(f"its log has a message that is not known here ({error})")
        except BaseException as error:
            get_logger().debug("The reader of the log has ended", exc_info=True)
            self.failure = SourceError(
                f"the log of S9 cannot be read: {type(error).__name__}",
                remedy="see the log file",
            )
        self._inbox.wake()

    def _until_lost(self, replication: Replication) -> Replication | None:
        """Read until the connection is lost, and open another one; None when that is all."""
        began = monotonic()
        try:
            with closing(replication):
                try:
                    self._read(replication.cursor)
                finally:
                    has_hung_up(self._slot, replication.process)
            return None
        except psycopg2.Error as error:
            if self._stop.requested:
                return None
            if not (is_lost(error) or (error.pgcode or "")[:2] in _PASSING):
                raise CannotGoOn(f"the server ended it: {_said(error)}") from error
            self._short_lives = self._short_lives + 1 if monotonic() - began < _SHORT else 0
            if self._short_lives > _MOST_SHORT_LIVES:
                raise lost(self._config, error) from error
            get_logger().warning("The log of S9 was lost (%s); connecting again", _said(error))
        self._stop.rest(_LOOK_EVERY)
        return patiently(self._config, self._stop, self._again)

    def _again(self) -> Replication:
        replication = Replication(self._config)
        try:
            if reason := replication.server.differs_from(self._server):
                raise CannotGoOn(reason)
            self._prepare()
            begin(self._config, replication, self._slot, self._publication)
        except BaseException:
            replication.close()
            raise
        return replication

    def _read(self, cursor: Any) -> None:
        transactions = self._new_transactions()
        self.last_start = 0
        spoken_at = monotonic()
        with selectors.DefaultSelector() as ready:
            ready.register(cursor, selectors.EVENT_READ)
            ready.register(self._waker, selectors.EVENT_READ)
            while not self._stop.requested:
                if self._is_to_renew.is_set():
                    self._is_to_renew.clear()
                    raise psycopg2.OperationalError("the connection beside it was lost")
                message = cursor.read_message()
                if message is not None:
                    self._take(transactions, message.payload)
                    self.last_start = _number(message.data_start) or self.last_start
                elif not transactions.is_inside:
                    self._inbox.arrived(_number(cursor.wal_end))
                is_woken = message is None and self._wait(ready)
                if is_woken or monotonic() - spoken_at > SPEAK_EVERY:
                    self._speak(cursor)
                    spoken_at = monotonic()
                    self._look_beside()
        self._speak(cursor)

    def _take(self, transactions: Transactions, payload: bytes) -> None:
        if not transactions.needs(payload):
            return
        touched = transactions.read(decode(payload))
        if touched is not None:
            self._inbox.put(touched, transactions.end, self._visible)

    def _wait(self, ready: selectors.BaseSelector) -> bool:
        """Until the server or somebody here speaks; whether it was somebody here."""
        woken = False
        for key, _ in ready.select(_LOOK_EVERY):
            if key.fileobj is self._waker:
                with suppress(BlockingIOError):
                    self._waker.recv(4096)
                woken = True
        return woken

    def _speak(self, cursor: Any) -> None:
        # psycopg2 confirms by itself, without asking, what comes behind the last message when that
        # was confirmed whole: so it never is, by a byte.
        forgettable = max(0, min(self._inbox.forgettable, self.last_start - 1))
        cursor.send_feedback(
            write_lsn=self._inbox.reached, flush_lsn=forgettable, apply_lsn=forgettable, force=True
        )


def begin(config: SourceConfig, replication: Replication, slot: str, publication: str) -> None:
    """Start the log. Raises CannotGoOn where the slot is of no use any more, SourceUnavailable
    when it is held (by a connection of our own that was lost, for one)."""
    try:
        replication.start(slot, publication)
    except psycopg2.Error as error:
        if is_lost(error):
            raise lost(config, error) from error
        if error.pgcode == errorcodes.OBJECT_IN_USE:
            raise SourceUnavailable(
                f"S9's log is followed already: somebody else reads the slot {slot}",
                remedy="stop the other one; S9 notices one that was killed after "
                "wal_sender_timeout (60 seconds, unless set otherwise)",
            ) from error
        if error.pgcode == errorcodes.INSUFFICIENT_PRIVILEGE:
            raise refused(config, error) from error
        raise CannotGoOn(f"the slot {slot} cannot be read any more: {_said(error)}") from error


def _said(error: psycopg2.Error) -> str:
    return spoken(error) or f"SQLSTATE {error.pgcode}"


def _number(position: object) -> int:
    """psycopg2 gives positions as numbers, and 0 for none."""
    return int(position) if isinstance(position, int) else 0
