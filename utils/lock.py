"""One run at a time in a data directory."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from utils.artifacts import utc_now
from utils.error_handler import MigrationError
from utils.workspace import storage_errors

_LOOKS = 20
_BETWEEN_LOOKS = 0.05
"""Seconds; a run signs the lock file right after it has got the lock."""


@contextmanager
def run_lock(path: Path) -> Iterator[None]:
    """Hold the lock file; the operating system lets go of it however the process ends.

    Raises MigrationError that names the process that holds it.
    """
    with storage_errors(path):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        with storage_errors(path):
            os.fchmod(descriptor, 0o600)  # whatever the umask
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise MigrationError(
                f"another run is at work in {path.parent} ({_holder(descriptor)})",
                remedy="wait until it has ended, or stop it; then run again",
            ) from None
        with storage_errors(path):
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"process {os.getpid()}, since {utc_now()}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)


def _holder(descriptor: int) -> str:
    """What the run that holds the lock has signed with.

    A name is only what a line's end follows. The first look waits too: a run that has just got
    the lock may not yet have wiped out the name of the one before it.
    """
    for _ in range(_LOOKS):
        time.sleep(_BETWEEN_LOOKS)
        line, end, _ = os.pread(descriptor, 200, 0).decode(errors="replace").partition("\n")
        if line and end:
            return line
    return "a process that has not said which"
