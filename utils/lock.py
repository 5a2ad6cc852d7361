"""One run at a time in a data directory."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from utils.artifacts import utc_now
from utils.error_handler import MigrationError
from utils.workspace import storage_errors


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
            holder = os.read(descriptor, 200).decode(errors="replace").strip() or "unknown"
            raise MigrationError(
                f"another run is at work in {path.parent} ({holder})",
                remedy="wait until it has ended, or stop it; then run again",
            ) from None
        with storage_errors(path):
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"process {os.getpid()}, since {utc_now()}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)
