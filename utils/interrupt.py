"""Ctrl-C and SIGTERM: the first asks the run to finish what is in flight, the second leaves.

Nothing is lost either way: what a checkpoint says is on disk before the checkpoint is.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from utils.error_handler import ExitCode


class Interrupted(Exception):
    """The operator has asked to stop, and everything needed to go on has been saved."""


class StopFlag:
    """Whether a stop has been asked for. Waiting ends early when it has."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._calls: list[Callable[[], None]] = []
        self._wires: tuple[socket.socket, socket.socket] | None = None

    @property
    def requested(self) -> bool:
        return self._event.is_set()

    def request(self) -> None:
        self._event.set()

    def sleep(self, seconds: float) -> None:
        """Sleep, or raise Interrupted as soon as a stop is asked for."""
        if self._event.wait(seconds):
            raise Interrupted

    @contextmanager
    def calling(self, call: Callable[[], None]) -> Iterator[None]:
        """Call `call`, in a thread of its own, as soon as a stop is asked for."""
        self._calls.append(call)
        try:
            yield
        finally:
            self._calls.remove(call)

    def install(self) -> None:
        """Make SIGINT and SIGTERM request a stop; a second one ends the process at once.

        Handlers written in Python run when the main thread is back in Python, which a query may
        keep it from for hours. So the numbers of signals go through a socket to a thread.
        """
        ours, theirs = self._wires = socket.socketpair()
        theirs.setblocking(False)
        signal.set_wakeup_fd(theirs.fileno(), warn_on_full_buffer=False)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda _number, _frame: None)
        threading.Thread(target=self._listen, args=(ours,), name="signals", daemon=True).start()

    def _listen(self, wire: socket.socket) -> None:
        while numbers := wire.recv(64):
            for number in numbers:
                if number in (signal.SIGINT, signal.SIGTERM):
                    self._on_signal()

    def _on_signal(self) -> None:
        if self.requested:
            os._exit(ExitCode.INTERRUPTED)
        self._event.set()
        os.write(
            sys.stderr.fileno(),
            b"\nStopping: finishing what is in flight (again to leave at once)\n",
        )
        for call in list(self._calls):
            call()
