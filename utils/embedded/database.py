"""What the embedded database servers have in common: accounts, a place, and a life."""

from __future__ import annotations

import atexit
import os
import secrets
import shutil
import signal
from abc import abstractmethod
from pathlib import Path
from typing import ClassVar, Generic, TypeVar

from utils.embedded.ports import LOOPBACK
from utils.embedded.process import ServerProcess
from utils.files.storage import Closes

_Self = TypeVar("_Self", bound="EmbeddedDatabase")  # type: ignore[type-arg] # of whatever connection
Connected = TypeVar("Connected")


class EmbeddedDatabase(Closes, Generic[Connected]):
    """A database server that listens on TCP only, at 127.0.0.1, and asks everybody for a password.
    Use it as a context manager, or call `start` and `close`.

    Its log is `log`. `owner` may do anything; `reader` is what S9 gives to a migration: it can only
    select. Both passwords are random.
    """

    ends_with: ClassVar[signal.Signals]
    breaks_off_with: ClassVar[signal.Signals]

    def __init__(self, directory: Path, database: str, log: str) -> None:
        self.directory = directory
        self.host = LOOPBACK
        self.port = 0
        self.database = database
        self.owner = "s9_owner"
        self.owner_password = secrets.token_urlsafe(18)
        self.reader = "s9_reader"
        self.reader_password = secrets.token_urlsafe(18)
        self.log = directory / log
        self._home: Path | None = None
        self._server: ServerProcess | None = None
        self._pid = os.getpid()

    def __enter__(self: _Self) -> _Self:
        self.start()
        return self

    @abstractmethod
    def start(self) -> None:
        """Start and wait until it answers; a second call does nothing."""

    @property
    def running(self) -> bool:
        """Whether the server has been started and has not ended."""
        return self._server is not None and self._server.running

    def stop(self, immediate: bool = False) -> None:
        """Stop, and keep the data for another `start`.

        Open connections are ended; `immediate` is the harsh way, as in a crash: whoever is
        connected sees the connection break off, and the next start recovers.
        """
        if self._server is not None:
            self._server.stop(self.breaks_off_with if immediate else self.ends_with)

    def restart(self, immediate: bool = False) -> None:
        """Stop and start on the same port, with the same data."""
        self.stop(immediate)
        self.start()

    def close(self) -> None:
        """Stop, and delete the data; the log stays."""
        if os.getpid() != self._pid:
            return  # forked off the process that the server belongs to
        atexit.unregister(self.close)
        if self._server is not None:
            self._server.stop(self.breaks_off_with)  # nothing to be kept: the fastest way
            self._server = None
        if self._home is not None:
            shutil.rmtree(self._home, ignore_errors=True)
            self._home = None

    def connect(self, database: str | None = None) -> Connected:
        """Connect as the owner to `database` (default: the first one)."""
        return self._connect(database or self.database, self.owner, self.owner_password)

    def connect_reader(self, database: str | None = None) -> Connected:
        """Connect as the read-only account to `database` (default: the first one)."""
        return self._connect(database or self.database, self.reader, self.reader_password)

    @abstractmethod
    def _connect(self, database: str, user: str, password: str) -> Connected: ...
