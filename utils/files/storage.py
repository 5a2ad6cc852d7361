"""Files and directories as the tool keeps them: private, plain, complete under their final names.

Directories are 0700 and files 0600 whatever the umask, because they hold personal and commercial
data; nothing is read or written through a link. What is under its final name is complete: it is
written under a partial name, synced and renamed. What the file system refuses is a StorageError
that says what to do. Here is all that the tool asks of a file system; a store of another kind
would have to answer for the same.
"""

from __future__ import annotations

import errno
import os
import stat
import tempfile
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TypeVar

from utils.error_handler import StorageError
from utils.wording.invocation import again

PARTIAL_SUFFIX = ".partial"
_renaming = threading.RLock()
_listeners: list[Callable[[Path], object]] = []
# What a file system answers that cannot make a rename durable by itself, as some network ones do.
_NO_SYNC = {errno.EINVAL, errno.EBADF, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP}

_Self = TypeVar("_Self", bound="Closes")


class Closes(ABC):
    """What has to be closed after use: a context manager that is closed when its body is left,
    however that comes about."""

    def __enter__(self: _Self) -> _Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @abstractmethod
    def close(self) -> None:
        """Give back what is held open."""


def make_directory(path: Path) -> None:
    """Create `path` and its parents; what is made, and the directory itself, is 0700 whatever the
    umask."""
    with storage_errors(path):
        for directory in reversed((path, *path.parents)):
            if not directory.exists():
                directory.mkdir(exist_ok=True)
                directory.chmod(0o700)
        path.chmod(0o700)


def temporary_directory(parent: Path) -> Path:
    """A new directory below `parent` (which is made if need be); 0700 whatever the umask."""
    make_directory(parent)
    with storage_errors(parent):
        made = Path(tempfile.mkdtemp(dir=parent))
        made.chmod(0o700)
        return made


def open_private(path: Path, mode: str, *, buffering: int = 1 << 20) -> IO[bytes]:
    """Open a binary file that only its owner can read (0600 whatever the umask).

    `mode` is "wb" (new or emptied), "ab" (append) or "r+b" (go on in a file that exists);
    `buffering` is in bytes. Raises StorageError; also for what is no plain file: nothing is
    written through a link, and no pipe is waited for.
    """
    flags = {
        "wb": os.O_WRONLY | os.O_CREAT | os.O_TRUNC,
        "ab": os.O_WRONLY | os.O_CREAT | os.O_APPEND,
        "r+b": os.O_RDWR,
    }[mode]
    with storage_errors(path):
        return os.fdopen(open_plain(path, flags), mode, buffering=buffering)


def open_plain(path: Path, flags: int) -> int:
    """Open a plain file, made private; returns its descriptor. Raises OSError, StorageError for
    what is no plain file."""
    try:
        descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o600)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.EISDIR, errno.ENXIO):
            require_plain(path, stat.S_ISREG)
        raise
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise _in_the_way(path)
        os.fchmod(descriptor, 0o600)  # whatever the umask
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def require_plain(path: Path, is_kind: Callable[[int], bool] = stat.S_ISREG) -> None:
    """Raise StorageError when `path` is there, and a link or not what it must be: of `is_kind`,
    one of stat's S_IS…"""
    with storage_errors(path):
        try:
            mode = path.lstat().st_mode
        except FileNotFoundError:
            return
    if not is_kind(mode):
        raise _in_the_way(path)


def _in_the_way(path: Path) -> StorageError:
    kinds = {stat.S_IFLNK: "a symbolic link", stat.S_IFDIR: "a directory", stat.S_IFREG: "a file"}
    kind = kinds.get(stat.S_IFMT(path.lstat().st_mode), "something special")
    return StorageError(
        f"{path} is {kind}, and the tool keeps its own files there",
        remedy="move it away (nothing in a data directory is read or written through a link); to "
        "have the files elsewhere, set data.directory or backup.directory",
    )


def write_atomically(path: Path, data: bytes) -> None:
    """Replace `path` by `data`: temporary file, fsync, rename, fsync of the directory."""
    temporary = path.with_name(path.name + ".tmp")
    with storage_errors(path):
        with open_private(temporary, "wb") as handle:
            handle.write(data)
            handle.flush()
            os.fsync(handle.fileno())
        _rename(temporary, path)


def partial_of(path: Path) -> Path:
    """Where a file or directory is until it is complete."""
    return path.with_name(path.name + PARTIAL_SUFFIX)


def publish(path: Path) -> None:
    """Give what is finished and synced under its partial name its own. Raises StorageError."""
    with storage_errors(path):
        _rename(partial_of(path), path)


def _rename(temporary: Path, path: Path) -> None:
    """Rename, and make that durable (where the file system can: the others are taken at their
    word, as databases do)."""
    with _renaming:
        temporary.replace(path)
    descriptor = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NO_SYNC:
            raise
    finally:
        os.close(descriptor)
    for listener in tuple(_listeners):
        listener(path)


@contextmanager
def renames_held() -> Iterator[None]:
    """While this lasts, nobody else in this process gives a finished file its name."""
    with _renaming:
        yield


@contextmanager
def telling_of_files(listener: Callable[[Path], object]) -> Iterator[None]:
    """While this lasts, `listener` hears of every file, or directory, that has got its name in this
    process. What it raises is raised to whoever has written the file."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)


@contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Turn what the file system refuses about `path` into a StorageError with a remedy."""
    try:
        yield
    except OSError as error:
        raise _storage_error(path, error) from error


def _storage_error(path: Path, error: OSError) -> StorageError:
    if error.errno in (errno.EMFILE, errno.ENFILE):
        return StorageError(
            f"too many files are open to use {path}",
            remedy="allow this process more open files (`ulimit -n 4096`), or set "
            f"migration.processes to 1; then: {again()}",
        )
    if error.errno == errno.EFBIG:
        return StorageError(
            f"{path} has become larger than this process or its disk allows",
            remedy="allow larger files (`ulimit -f unlimited`), or point data.directory at another "
            f"disk; then: {again()}",
        )
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StorageError(
            f"no space left on the disk while writing {path}",
            remedy="free some space, or move data.directory to a larger disk, then run: "
            f"{again()} (what was complete is kept)",
        )
    return StorageError(
        f"cannot write {path}: {error.strerror}",
        remedy="check that data.directory exists on a writable disk and belongs to this user",
    )
