"""Ctrl-C and SIGTERM: the first asks the run to finish what is in flight, the second leaves.

Nothing is lost either way: what a checkpoint says is on disk before the checkpoint is.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from types import FrameType

from utils.error_handler import ExitCode


class Interrupted(Exception):
    """The operator has asked to stop, and everything needed to go on has been saved."""


class StopFlag:
    """Whether a stop has been asked for. Waiting ends early when it has."""

    def __init__(self) -> None:
        self._event = threading.Event()

    @property
    def requested(self) -> bool:
        return self._event.is_set()

    def request(self) -> None:
        self._event.set()

    def sleep(self, seconds: float) -> None:
        """Sleep, or raise Interrupted as soon as a stop is asked for."""
        if self._event.wait(seconds):
            raise Interrupted

    def install(self) -> None:
        """Make SIGINT and SIGTERM request a stop; a second one ends the process at once."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._on_signal)

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        if self.requested:
            os._exit(ExitCode.INTERRUPTED)
        self._event.set()
        # os.write: the handler may run in the middle of another write to the same stream.
        os.write(
            sys.stderr.fileno(),
            b"\nStopping: finishing what is in flight (again to leave at once)\n",
        )
