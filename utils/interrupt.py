"""Ctrl-C and SIGTERM: the first asks the run to finish what is in flight, the second leaves.

Nothing is lost either way: what a checkpoint says is on disk before the checkpoint is.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from utils.error_handler import ExitCode

_LOOK_EVERY = 0.1
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupted(Exception):
    """The operator has asked to stop, and everything needed to go on has been saved."""


class StopFlag:
    """Whether a stop has been asked for. Waiting ends early when it has."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._is_installed = False

    @property
    def requested(self) -> bool:
        return self._event.is_set()

    def request(self) -> None:
        self._event.set()

    def leave_if_asked(self) -> None:
        """Raise Interrupted when a stop has been asked for."""
        if self.requested:
            raise Interrupted

    def sleep(self, seconds: float) -> None:
        """Sleep, or raise Interrupted as soon as a stop is asked for."""
        if self._event.wait(seconds):
            raise Interrupted

    def rest(self, seconds: float) -> None:
        """Sleep, at most until a stop is asked for."""
        self._event.wait(seconds)

    @contextmanager
    def cancelling(self, cancel: Callable[[], None]) -> Iterator[None]:
        """While this lasts, end by `cancel` what keeps the run waiting once a stop is asked for.

        `cancel` is called from another thread, again and again until the context is left: a call
        between two waits would end neither.
        """
        left = threading.Event()

        def watch() -> None:
            while not left.wait(_LOOK_EVERY):
                if self.requested:
                    cancel()

        threading.Thread(target=watch, name="stop", daemon=True).start()
        try:
            yield
        finally:
            left.set()  # not waited for: `cancel` may be at a server that does not answer

    def install(self) -> None:
        """Make SIGINT and SIGTERM request a stop; a second one ends the process at once.

        A thread acts on them, because Python runs a handler only between two steps of the main
        thread, which a library may hold up (a query that waits for a lock). Once is enough.
        """
        if self._is_installed:
            return
        self._is_installed = True
        # Never closed: the interpreter writes to it for as long as the process lives.
        reader, writer = os.pipe()
        os.set_blocking(writer, False)
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        for number in _SIGNALS:
            signal.signal(number, _leave_it_to_the_thread)
        threading.Thread(target=self._listen, args=(reader,), name="signals", daemon=True).start()

    def _listen(self, reader: int) -> None:
        while received := os.read(reader, 16):
            for number in received:
                if number in _SIGNALS:
                    self._on_signal()

    def _on_signal(self) -> None:
        if self.requested:
            os._exit(ExitCode.INTERRUPTED)
        self._event.set()
        # os.write: the screen's own stream may be in the middle of another write.
        with suppress(OSError, ValueError):  # a screen that is gone stops nothing
            os.write(
                sys.stderr.fileno(),
                b"\nStopping: finishing what is in flight (again to leave at once)\n",
            )


def _leave_it_to_the_thread(_number: int, _frame: FrameType | None) -> None:
    """The handler of the interpreter; with none, the signal would end the process."""
