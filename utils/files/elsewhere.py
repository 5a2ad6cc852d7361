"""Files as a process uses them that may not see them: ranges, places, new files.

A process of a fleet need not see the run's files (utils/fleet/machines/witness.py). What it does
with them are a few small functions: marked by `at_the_files`, these are called as any other, and
are done where the files are, here or at the first machine, which is asked then.
"""

from __future__ import annotations

import io
import os
import shutil
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp, mkstemp
from typing import IO, Any, ParamSpec, Protocol, TypeVar

from utils.error_handler import StorageError
from utils.files.parts import Content, opened_here, size_here
from utils.files.storage import (
    Closes,
    make_directory,
    open_plain,
    partial_of,
    publish,
    storage_errors,
)
from utils.wording.invocation import again

_READ_AHEAD = 1 << 18  # bytes of a file elsewhere that are read together, where little is asked for
_BLOCK = 4 << 20

Given = ParamSpec("Given")
Result = TypeVar("Result")


class Ask(Protocol):
    """Has a function done where the files are, with these arguments: all of them survive pickling.
    Raises what it raises, and BackOff when nobody answers."""

    def __call__(
        self, function: Callable[..., Any], given: tuple[Any, ...], named: dict[str, Any]
    ) -> Any: ...


class _Elsewhere:
    ask: Ask | None = None  # None: they are here


def bind(ask: Ask | None) -> None:
    """From now on this process finds the files by asking; None: they are here."""
    _Elsewhere.ask = ask


def are_here() -> bool:
    """Whether this process sees the files itself."""
    return _Elsewhere.ask is None


def require_here() -> None:
    """Raise StorageError where this process does not see the files, for a step that has to."""
    if not are_here():
        raise StorageError(
            f"{socket.gethostname()}, a machine of the fleet, does not see the files of "
            "data.directory, as the others do",
            remedy="put data.directory on a file system that all machines of the fleet have, under "
            "the same path, and may write to (NFS, Amazon EFS or FSx), or on one that this machine "
            f"has alone; then: {again()}",
        )


def at_the_files(function: Callable[Given, Result]) -> Callable[Given, Result]:
    """A function of a module or a class that is done where the files are."""

    @wraps(function)
    def done_there(*given: Given.args, **named: Given.kwargs) -> Result:
        if _Elsewhere.ask is None:
            return function(*given, **named)
        found: Result = _Elsewhere.ask(done_there, given, named)
        return found

    return done_there


@at_the_files
def size_of(path: Path) -> int:
    """How many bytes a file has, or an artifact. Raises StorageError."""
    with storage_errors(path):
        return size_here(path)


@at_the_files
def range_of(path: Path, start: int, size: int) -> bytes:
    """So many bytes of a file, or an artifact, from byte `start` on; fewer where it ends. Raises
    StorageError."""
    with storage_errors(path), Content(path) as content:
        return content.read(size, start)


@at_the_files
def write_temporary(directory: Path, data: bytes) -> Path:
    """Write a new file below `directory`, under a name of its own; returns its path. Raises
    StorageError."""
    with storage_errors(directory):
        handle, name = mkstemp(dir=directory)
        os.fchmod(handle, 0o600)  # whatever the umask
        with os.fdopen(handle, "wb") as file:
            file.write(data)
    return Path(name)


def opened(path: Path) -> IO[bytes]:
    """A file, or an artifact, to be read from its front, or from anywhere. Raises OSError or
    StorageError."""
    if are_here():
        return opened_here(path)
    return io.BufferedReader(_Ranges(path), _READ_AHEAD)


@contextmanager
def brought(path: str | None) -> Iterator[str | None]:
    """A small file that something of others wants by its path: where it is, or a copy of it, for as
    long as the context lasts. None stays None. Raises StorageError."""
    if path is None or are_here():
        yield path
        return
    with TemporaryDirectory(prefix="s9-migrate-") as directory:  # 0700
        copy = Path(directory) / Path(path).name
        copy.write_bytes(range_of(Path(path), 0, size_of(Path(path))))
        yield str(copy)


class _Ranges(io.RawIOBase):
    """A file elsewhere, of which ranges are read as they are asked for."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._size = size_of(path)
        self._at = 0
        self.name = str(path)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        bases = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}
        self._at = bases[whence] + offset
        return self._at

    def readinto(self, buffer: Any) -> int:
        wanted = min(len(buffer), self._size - self._at)
        if wanted <= 0:
            return 0
        data = range_of(self._path, self._at, wanted)
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)


class PlainFile(Closes):
    """A file that many read and write at the same time, at places; safe to share between threads.
    `flags` are those of os.open. Raises StorageError."""

    def __init__(self, path: Path, flags: int) -> None:
        self._path, self._flags = path, flags
        self._file = _descriptor(path, flags) if are_here() else None

    @property
    def size(self) -> int:
        """How many bytes it has."""
        return size_of(self._path) if self._file is None else os.fstat(self._file).st_size

    def read(self, size: int, start: int) -> bytes:
        """So many bytes from byte `start` on; fewer where it ends."""
        if self._file is None:
            return range_of(self._path, start, size)
        return os.pread(self._file, size, start)

    def write(self, data: bytes | bytearray, start: int) -> None:
        """Write bytes at a place."""
        if self._file is None:
            _write_at(self._path, bytes(data), start)
        else:
            os.pwrite(self._file, data, start)

    def append(self, data: bytes) -> None:
        """Write bytes at the end, in one go."""
        if self._file is None:
            _append(self._path, self._flags, data)
        else:
            os.write(self._file, data)

    def sync(self) -> None:
        """Make durable what has been written."""
        if self._file is None:
            _sync(self._path)
        else:
            os.fsync(self._file)

    def close(self) -> None:
        """Close it."""
        file, self._file = self._file, None
        if file is not None:
            os.close(file)


def _descriptor(path: Path, flags: int) -> int:
    if flags == os.O_RDONLY:  # which changes nothing, not even who may read it
        return os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC)
    return open_plain(path, flags)


@contextmanager
def _open(path: Path, flags: int) -> Iterator[int]:
    file = _descriptor(path, flags)
    try:
        yield file
    finally:
        os.close(file)


@at_the_files
def _write_at(path: Path, data: bytes, start: int) -> None:
    with storage_errors(path), _open(path, os.O_WRONLY) as file:
        os.pwrite(file, data, start)


@at_the_files
def _append(path: Path, flags: int, data: bytes) -> None:
    with storage_errors(path), _open(path, flags) as file:
        os.write(file, data)


@at_the_files
def _sync(path: Path) -> None:
    with storage_errors(path), _open(path, os.O_RDONLY) as file:
        os.fsync(file)


@contextmanager
def made_at(path: Path) -> Iterator[Path]:
    """Where to write, and complete, the file that is to be at `path`: it is there when the context
    is left without an exception. Raises StorageError."""
    if are_here():
        make_directory(path.parent)
        yield path
        return
    directory = Path(mkdtemp(prefix="s9-migrate-"))  # 0700
    try:
        own = directory / path.name
        yield own
        _bring(own, path)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _bring(own: Path, path: Path) -> None:
    """Bring a file from here to where the others are. Twice at the same place does no harm."""
    place = 0
    with own.open("rb") as source:
        while data := source.read(_BLOCK):
            _put(path, data, place)
            place += len(data)
    _complete(path, place)


@at_the_files
def _put(path: Path, data: bytes, place: int) -> None:
    """The next bytes of a file that is being brought; the first ones begin it anew."""
    partial = partial_of(path)
    if not place:
        make_directory(path.parent)
    flags = os.O_WRONLY | (0 if place else os.O_CREAT | os.O_TRUNC)
    with storage_errors(partial), _open(partial, flags) as file:
        os.pwrite(file, data, place)


@at_the_files
def _complete(path: Path, size: int) -> None:
    """All has been brought."""
    if not size:
        _put(path, b"", 0)
    partial = partial_of(path)
    if partial.exists():  # it had its name before the answer was lost, else
        with storage_errors(partial), _open(partial, os.O_RDONLY) as file:
            os.fsync(file)
        publish(path)
