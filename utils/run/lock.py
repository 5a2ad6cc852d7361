"""One run at a time in a data directory."""

from __future__ import annotations

import fcntl
import os
import re
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


_SIGNED = re.compile(r"process (\d+), since ")
_LOCKS = Path("/proc/locks")


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


def held_by(path: Path) -> int | None:
    """The process that holds the lock file; None when nobody on this machine does. Only looked at:
    nobody who wants the lock meanwhile is kept from it. Raises StorageError."""
    with storage_errors(path):
        try:
            status, text = path.stat(), path.read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return None
    found = _SIGNED.match(text)
    named = int(found[1]) if found else None
    locking = list(_locking(status))
    if locking:
        return named if named in locking else locking[0]
    return named if named is not None and _has_open(named, status) else None


def _locking(status: os.stat_result) -> Iterator[int]:
    """The processes that have a lock on a file, as Linux lists them."""
    try:
        lines = _LOCKS.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return
    for line in lines:
        # 1: FLOCK  ADVISORY  WRITE 4242 fd:01:1234567 0 EOF
        words = line.split()
        if len(words) > 5 and words[5].rpartition(":")[2] == str(status.st_ino):
            pid = words[4]
            if pid.isdigit() and _has_open(int(pid), status, unless_known=True):
                yield int(pid)


def _has_open(pid: int, status: os.stat_result, *, unless_known: bool = False) -> bool:
    """Whether a process has this very file open; `unless_known` is the answer for one that does
    not show its files (it is another user's)."""
    files = Path("/proc") / str(pid) / "fd"
    try:
        return any(_is_same(each, status) for each in files.iterdir())
    except OSError:
        return unless_known


def _is_same(link: Path, status: os.stat_result) -> bool:
    try:
        found = link.stat()
    except OSError:
        return False
    return (found.st_dev, found.st_ino) == (status.st_dev, status.st_ino)


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
