"""An artifact in parts: files beside each other, and in the artifact's own place the list of them.

What a fleet makes nobody puts together. `transformed/sales.json` is a list then, which begins with
`{"inParts":`, and the records are in `transformed/sales/part-00042-….json`. One after the other the
parts are the file that one machine would have written, byte for byte; and the size of an artifact,
places in it and its SHA-256 are those of that file, whatever its form. Whoever reads an artifact
does it by these functions.

A part under its name is complete, and nobody writes to it again. The list is replaced as any other
file, by a rename: so an artifact is at every moment what it was, or what it is to be. What is not
in the list does not count, and is removed (`tidy`).
"""

from __future__ import annotations

import errno
import hashlib
import io
import os
import re
import shutil
import time
from bisect import bisect_right
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from typing import IO, Any

import orjson

from utils.error_handler import ArtifactError
from utils.files.storage import (
    Closes,
    make_directory,
    open_private,
    partial_of,
    publish,
    storage_errors,
)
from utils.wording.invocation import again

_MARK = b'{"inParts":'
_NAME = re.compile(r"part-\d{5,}-[0-9a-f]{12}\.json")
_DIRECTORY = re.compile(r"[a-z_]+(\.[a-z_.]+\.parts)?")
_MARKED = ".parts"
_BLOCK = 1 << 20
_READ_AHEAD = 1 << 18
_LISTS = 16  # that a process remembers
# To remove a directory into which somebody still writes; seconds between two tries.
_TRIES, _REST = 5, 0.2

_Look = tuple[int, int, int, int]


@dataclass(frozen=True)
class Part:
    """A part: its file's name, S9's keys of its first and its last record ("" where it has none,
    or its query gives it none), and what is in it (utils/files/artifacts.py, ArtifactEntry)."""

    name: str
    first: str
    last: str
    records: int
    items: int
    bytes: int
    sha256: str

    def as_json(self) -> dict[str, Any]:
        """As lists and checkpoints keep it."""
        return asdict(self)

    def may_have(self, key: int) -> bool:
        """Whether the record with a key of S9's may be in it: those of all parts are in the order
        of their keys."""
        try:
            return int(self.first) <= key <= int(self.last)
        except ValueError:
            return True


@dataclass(frozen=True)
class PartsList:
    """The parts of an artifact, in their order, and the directory where they are."""

    directory: Path
    parts: tuple[Part, ...]

    @cached_property
    def ends(self) -> list[int]:
        """The byte of the artifact behind each part."""
        return list(accumulate(part.bytes for part in self.parts))

    @property
    def size(self) -> int:
        """How many bytes the artifact has."""
        return self.ends[-1] if self.ends else 0

    @property
    def files(self) -> list[Path]:
        """The file of each part."""
        return [self.directory / part.name for part in self.parts]

    def stretches(self, size: int, start: int) -> Iterator[tuple[Path, int, int]]:
        """Where `size` bytes of the artifact from byte `start` on are: files, each with the place
        in it, and how many bytes."""
        number = bisect_right(self.ends, start)
        end = min(start + size, self.size)
        while start < end:
            part = self.parts[number]
            place = start - (self.ends[number] - part.bytes)
            length = min(part.bytes - place, end - start)
            yield self.directory / part.name, place, length
            start += length
            number += 1


_remembered: dict[Path, tuple[_Look, PartsList]] = {}


def totals(parts: Iterable[Part]) -> tuple[int, int, int]:
    """The records of parts, their items, and their bytes."""
    records = items = size = 0
    for part in parts:
        records, items, size = records + part.records, items + part.items, size + part.bytes
    return records, items, size


def directory_of(path: Path) -> Path:
    """Where the parts of the artifact at `path` are."""
    if path.suffix == ".json":
        return path.with_suffix("")
    return path.with_name(path.name + _MARKED)


def file_of(path: Path, part: Part) -> Path:
    """Where a part of the artifact at `path` is."""
    return directory_of(path) / part.name


def listed_in(directory: Path) -> Collection[Path]:
    """The files of a directory that are parts of an artifact, by its list. Raises OSError, and
    ArtifactError as `parts_of`."""
    is_marked = directory.suffix == _MARKED
    path = directory.with_suffix("" if is_marked else ".json")
    found = parts_of(path) if path.is_file() else None
    return () if found is None or found.directory != directory else frozenset(found.files)


def is_part(path: Path) -> bool:
    """Whether a file is named as parts are."""
    return bool(_NAME.fullmatch(path.name))


def is_of_parts(directory: Path) -> bool:
    """Whether a directory is named as those of parts are."""
    return bool(_DIRECTORY.fullmatch(directory.name)) and directory.is_dir()


def parts_of(path: Path) -> PartsList | None:
    """The parts of the artifact at `path`; None where it is one file. Raises OSError where there is
    none, ArtifactError for a list that is damaged."""
    with path.open("rb", buffering=0) as handle:
        return _list_in(path, handle.fileno())


def _list_in(path: Path, file: int) -> PartsList | None:
    """The list that an open file is; None for any other."""
    if os.pread(file, len(_MARK), 0) != _MARK:
        return None
    seen = os.fstat(file)
    look = seen.st_ino, seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns
    known = _remembered.get(path)
    if known is not None and known[0] == look:
        return known[1]
    found = _read(path, _all_of(file, seen.st_size, 0))
    if len(_remembered) >= _LISTS:
        _remembered.clear()
    _remembered[path] = look, found
    return found


def _read(path: Path, text: bytes) -> PartsList:
    try:
        document = orjson.loads(text)
        directory, parts = document["inParts"], [Part(**part) for part in document["parts"]]
        if not _DIRECTORY.fullmatch(directory):
            raise ValueError(directory)
        for part in parts:
            numbers = part.records, part.items, part.bytes
            are_counts = all(type(number) is int and number >= 0 for number in numbers)
            if not (are_counts and _NAME.fullmatch(part.name)):
                raise ValueError(part.name)
    except (ValueError, KeyError, TypeError) as error:
        raise ArtifactError(
            f"{path} is the list of its parts, and damaged: it is not what the tool writes",
            remedy="put the file back as it was; or make it anew, by the phase that writes it, "
            f"and: {again()}",
        ) from error
    return PartsList(path.parent / directory, tuple(parts))


def size_here(path: Path) -> int:
    """How many bytes the artifact at `path` has. Raises OSError, ArtifactError as `parts_of`."""
    with path.open("rb", buffering=0) as handle:
        found = _list_in(path, handle.fileno())
        return os.fstat(handle.fileno()).st_size if found is None else found.size


def size_of_all(path: Path) -> int:
    """The same, as the files of its parts have them together. Raises ArtifactError for one that is
    not there."""
    found = parts_of(path)
    if found is None:
        return path.stat().st_size
    return sum(_size_of_part(file) for file in found.files)


def _size_of_part(path: Path) -> int:
    with _plain(path) as handle:
        return os.fstat(handle.fileno()).st_size


def opened_here(path: Path) -> IO[bytes]:
    """The artifact at `path`, to be read from its front or from anywhere. Raises OSError, and
    ArtifactError as `parts_of`."""
    handle = path.open("rb")
    try:
        found = _list_in(path, handle.fileno())
    except BaseException:
        handle.close()
        raise
    if found is None:
        return handle
    handle.close()
    return io.BufferedReader(_InParts(path, found), _READ_AHEAD)


class Content(Closes):
    """The bytes of an artifact at places; safe to share between threads. Raises as `size_here`."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            self._parts = _list_in(path, self._file)
        except BaseException:
            self.close()
            raise
        self.size = os.fstat(self._file).st_size if self._parts is None else self._parts.size

    def read(self, size: int, start: int) -> bytes:
        """So many bytes from byte `start` on; fewer where the artifact ends."""
        if self._parts is None:
            return _all_of(self._file, size, start)
        found = []
        for path, place, length in self._parts.stretches(size, start):
            with _plain(path) as part:
                found.append(_all_of(part.fileno(), length, place))
            if len(found[-1]) < length:
                raise _not_what_it_was(path)
        return b"".join(found)

    def close(self) -> None:
        file, self._file = self._file, -1
        if file >= 0:
            os.close(file)


class _InParts(io.RawIOBase):
    """An artifact in parts as one file."""

    def __init__(self, path: Path, parts: PartsList) -> None:
        self.name = str(path)
        self._parts = parts
        self._at = 0
        self._open: tuple[Path, IO[bytes]] | None = None

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        bases = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._parts.size}
        self._at = bases[whence] + offset
        return self._at

    def readinto(self, buffer: Any) -> int:
        stretch = next(self._parts.stretches(len(buffer), self._at), None)
        if stretch is None:
            return 0
        path, place, length = stretch
        size: int = os.preadv(self._part(path), [memoryview(buffer)[:length]], place)
        if not size:
            raise _not_what_it_was(path)
        self._at += size
        return size

    def _part(self, path: Path) -> int:
        if self._open is None or self._open[0] != path:
            self._close_part()
            self._open = path, _plain(path)
        return self._open[1].fileno()

    def _close_part(self) -> None:
        if self._open is not None:
            self._open[1].close()
            self._open = None

    def close(self) -> None:
        self._close_part()
        super().close()


def _plain(path: Path) -> IO[bytes]:
    """A part's file. Raises ArtifactError where it is not there."""
    try:
        return os.fdopen(
            os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb", buffering=0
        )
    except FileNotFoundError as error:
        raise ArtifactError(
            f"{path} is missing, which is a part of {path.parent.name}",
            remedy="put the file back; or make it anew, by the phase that writes it, and: "
            f"{again()}",
        ) from error


def _all_of(file: int, size: int, start: int) -> bytes:
    found = os.pread(file, size, start)
    while len(found) < size and (more := os.pread(file, size - len(found), start + len(found))):
        found += more
    return found


def files_of(path: Path) -> list[tuple[int, Path]]:
    """The files that hold the artifact at `path`, each with the byte at which it begins. Raises as
    `size_here`."""
    found = parts_of(path)
    if found is None:
        return [(0, path)]
    return [
        (end - part.bytes, file)
        for end, part, file in zip(found.ends, found.parts, found.files, strict=True)
    ]


def require_whole(path: Path, parts: Sequence[Part], pause: Callable[[], object]) -> None:
    """Raise ArtifactError for a file of parts of the artifact at `path` that is not what was
    written there; and what `pause` raises, which is called at every block."""
    for part in parts:
        file, digest = file_of(path, part), hashlib.sha256()
        for block in _blocks(file, part.bytes):
            pause()
            digest.update(block)
        if digest.hexdigest() != part.sha256:
            raise _not_what_it_was(file)


def sha256_of_parts(path: Path, parts: Sequence[Part], pause: Callable[[], object]) -> str:
    """The SHA-256 of the artifact at `path` that these parts are to be. Raises ArtifactError for a
    file that has another size than was written there; and as `require_whole`."""
    digest = hashlib.sha256()
    for part in parts:
        for block in _blocks(file_of(path, part), part.bytes):
            pause()
            digest.update(block)
    return digest.hexdigest()


def _blocks(file: Path, size: int) -> Iterator[memoryview]:
    """The bytes of a part's file, of which there must be so many; each block is there until the
    next one is."""
    block = memoryview(bytearray(_BLOCK))
    with storage_errors(file), _plain(file) as handle:
        while read := handle.readinto(block):  # type: ignore[attr-defined] # a file has it
            yield block[:read]
            size -= read
    if size:
        raise _not_what_it_was(file)


def _not_what_it_was(file: Path) -> ArtifactError:
    return ArtifactError(
        f"{file} is not what was written there: it was cut or edited, or its disk has lost "
        "something",
        remedy=f"check the disk of data.directory; then delete {file}, and: {again()}",
    )


def write_list(path: Path, parts: Sequence[Part], of: Path | None = None) -> None:
    """Write the list of the parts of the artifact at `path`, durably, and give it its name; with
    `of`, it is written to `path` to become the artifact at `of`. Raises StorageError."""
    target = partial_of(path) if of is None else path
    with storage_errors(target), open_private(target, "wb") as handle:
        handle.write(_lines(directory_of(of or path).name, parts))
        handle.flush()
        os.fsync(handle.fileno())
    if of is None:
        publish(path)


def _lines(directory: str, parts: Sequence[Part]) -> bytes:
    """A list as JSON, with a line for each part."""
    lines = b",\n".join(orjson.dumps(part.as_json()) for part in parts)
    return b'%b%b,"parts":[\n%b\n]}\n' % (_MARK, orjson.dumps(directory), lines)


def link(path: Path, to: Path, of: Path | None = None, *, copies: bool = True) -> None:
    """Give the artifact at `path` another name; with `of`, the one to which `to` is renamed soon.
    Where the file system knows no links it is copied, unless it `copies` nothing. Raises OSError,
    StorageError."""
    give = _link_or_copy if copies else os.link
    found = parts_of(path)
    if found is None:
        give(path, to)
        return
    directory = directory_of(of or to)
    make_directory(directory)
    for part in found.parts:
        file = directory / part.name
        if not file.is_file() or file.stat().st_size != part.bytes:
            file.unlink(missing_ok=True)  # half a copy
            give(found.directory / part.name, file)
    write_list(to, found.parts, of=of or to)


def _link_or_copy(path: Path, to: Path) -> None:
    try:
        os.link(path, to)
    except OSError:  # a file system without links
        shutil.copyfile(path, to)
        to.chmod(0o600)
        with to.open("rb") as handle:
            os.fsync(handle.fileno())


def remove(path: Path) -> None:
    """Remove the artifact at `path`, in whatever form, if it is there. Raises OSError."""
    path.unlink(missing_ok=True)
    tidy(path)


def remove_all(paths: Iterable[Path]) -> None:
    """Remove artifacts and other files, in this order, with the directories of their parts, whether
    these are among them or not. Raises OSError."""
    for path in paths:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            remove(path)


def tidy(path: Path) -> None:
    """Remove the files of parts of the artifact at `path` that are not in its list, also while a
    task of an earlier run that does not know yet that it is not needed writes there. Raises
    StorageError."""
    directory = directory_of(path)
    if not directory.is_dir() or directory.is_symlink():
        return
    listed = set[Path]()
    if path.is_file():
        found = parts_of(path)
        listed = set(found.files if found else ())
    for left in reversed(range(_TRIES)):
        with storage_errors(directory):
            for file in sorted(directory.iterdir()):
                if file not in listed:
                    file.unlink(missing_ok=True)
            if listed:
                return
            try:
                directory.rmdir()
            except OSError as error:
                if error.errno == errno.ENOENT:
                    return
                if error.errno != errno.ENOTEMPTY or not left:
                    raise
                time.sleep(_REST)
            else:
                return
