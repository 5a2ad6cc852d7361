"""Where the tasks of a fleet call the first machine, with a key that only this run's have."""

from __future__ import annotations

import os
import secrets
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing import AuthenticationError
from multiprocessing.connection import (
    Client,
    Connection,
    Listener,
    answer_challenge,
    deliver_challenge,
)

from utils.files.storage import Closes

_KEY_BYTES = 32
_WAKES_IN = 1.0  # seconds


@dataclass(frozen=True)
class FirstMachine:
    """Where it is called, and with which key."""

    address: tuple[str, int]
    key: bytes = field(repr=False)

    def call(self) -> Connection:
        """A connection to it. Raises OSError when it is not there, or is another one."""
        try:
            return _at_once(Client(self.address, authkey=self.key))
        except (EOFError, AuthenticationError) as error:
            raise ConnectionError(f"{self.address[0]} does not answer as it should") from error


class Callers(Closes):
    """Listens, and has each who calls with the key `greeted`, in a thread of his own.

    `addresses` are the one to listen at and the one by which the others know it (Fleet.addresses);
    so many may call at the same time.
    """

    def __init__(
        self,
        addresses: tuple[str, str],
        greeted: Callable[[Connection], object],
        *,
        backlog: int = 128,
    ) -> None:
        bound, host = addresses
        self._greeted = greeted
        self._is_closed = False
        self._listener = Listener((bound, 0), backlog=backlog)
        _, port = self._listener.address
        self.first_machine = FirstMachine((host, port), secrets.token_bytes(_KEY_BYTES))
        threading.Thread(target=self._accept, name="callers", daemon=True).start()

    def _accept(self) -> None:
        while not self._is_closed:
            with suppress(Exception):
                arrived = self._listener.accept()
                if self._is_closed:
                    arrived.close()
                    break
                # Who says nothing keeps nobody from being heard.
                threading.Thread(
                    target=self._greet, args=(arrived,), name="callers", daemon=True
                ).start()

    def _greet(self, arrived: Connection) -> None:
        try:
            deliver_challenge(arrived, self.first_machine.key)
            answer_challenge(arrived, self.first_machine.key)
        except Exception:  # who has not the key is turned away
            arrived.close()
            return
        self._greeted(_at_once(arrived))

    def close(self) -> None:
        """Listen no more."""
        self._is_closed = True
        with suppress(OSError):  # who waits for a call holds the door open until one comes
            socket.create_connection(self._listener.address, _WAKES_IN).close()
        self._listener.close()


def _at_once(connection: Connection) -> Connection:
    """A connection on which the end of an answer does not wait until what came before is known to
    have arrived (Nagle's algorithm: 40 ms)."""
    with socket.socket(fileno=os.dup(connection.fileno())) as same:
        same.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection
