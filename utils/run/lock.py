"""One run at a time in a data directory."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from utils.error_handler import MigrationError, StorageError
from utils.files.artifacts import utc_now
from utils.files.storage import open_plain, storage_errors
from utils.wording.invocation import again

_LOOKS = 20
_BETWEEN_LOOKS = 0.05
"""Seconds; a run signs the lock file right after it has got the lock."""


@contextmanager
def run_lock(path: Path) -> Iterator[None]:
    """Hold the lock file; the operating system lets go of it however the process ends.

    Raises MigrationError that names the process that holds it.
    """
    with storage_errors(path):
        descriptor = open_plain(path, os.O_RDWR | os.O_CREAT)
    try:
        _take(path, descriptor)
        with storage_errors(path):
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"process {os.getpid()}, since {utc_now()}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)


def require_free(path: Path) -> None:
    """Raise MigrationError when somebody holds the lock file; leaves it as it is."""
    if not path.exists():
        return
    with storage_errors(path):
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        _take(path, descriptor)
    finally:
        os.close(descriptor)


def _take(path: Path, descriptor: int) -> None:
    """Lock an open file. NFS without a lock service, for one, has no locks at all; two runs in one
    directory would spoil each other, so there is no way around it."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):  # EWOULDBLOCK, EACCES: both say that it is held
        raise MigrationError(
            f"another run is at work in {path.parent} ({_holder(descriptor)})",
            remedy=f"wait until it has ended, or stop it; then: {again()}",
        ) from None
    except OSError as error:
        raise StorageError(
            f"{path} cannot be locked: {error.strerror}",
            remedy="point data.directory at a disk whose file system has locks: a local one, or "
            "NFS with its lock service (rpc.statd, or version 4)",
        ) from error


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
    return "an unnamed process"
