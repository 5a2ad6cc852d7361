"""The first machine does with the run's files what those of the fleet ask for who do not see them.

Executors of a managed Spark (AWS Glue, EMR Serverless) share no file system. What they do with
files are small functions (utils/files/elsewhere.py), each of which is a question over a connection
that a process keeps open. So every byte passes the first machine.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any

from utils.error_handler import BackOff
from utils.files.storage import Closes
from utils.fleet.machines.callers import Callers, FirstMachine
from utils.processes.questions import answer_all, opened, question

_TRIES = 2  # a connection may be lost, and opened again


class FileService(Closes):
    """Answers, at the first machine; a context manager. `at` is where to ask."""

    def __init__(self, addresses: tuple[str, str]) -> None:
        self._callers = Callers(addresses, self._serve)
        self.at = self._callers.first_machine
        self._asking: set[Connection] = set()

    def _serve(self, asking: Connection) -> None:
        self._asking.add(asking)
        answer_all(asking)
        self._asking.discard(asking)

    def close(self) -> None:
        """Answer no more."""
        self._callers.close()
        for each in list(self._asking):
            with suppress(OSError):
                each.close()


class FirstMachineSilent(BackOff):
    """The first machine cannot be called, or has hung up."""

    def __init__(self, at: FirstMachine, error: Exception) -> None:
        host, port = at.address
        said = str(error) or "it has hung up"
        super().__init__("FirstMachineSilent", f"{host}:{port}: {said}")
        self.machine = socket.gethostname()


class Asking:
    """Asks, in a process that does not see the files; safe to share between threads. See
    utils.files.elsewhere.Ask."""

    def __init__(self, at: FirstMachine) -> None:
        self._at = at
        self._lock = threading.Lock()
        self._connection: Connection | None = None

    def __call__(
        self, function: Callable[..., Any], given: tuple[Any, ...], named: dict[str, Any]
    ) -> Any:
        asked = question(function, given, named)
        with self._lock:
            answer = self._answer(asked)
        return opened(answer)

    def _answer(self, asked: bytes) -> bytes:
        for left in reversed(range(_TRIES)):
            try:
                if self._connection is None:
                    self._connection = self._at.call()
                self._connection.send_bytes(asked)
                return self._connection.recv_bytes()
            except (OSError, EOFError) as error:
                self._connection = None
                if not left:
                    raise FirstMachineSilent(self._at, error) from error
        raise AssertionError
