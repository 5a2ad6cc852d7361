"""Reads an archive as it comes, looks at every byte of it, and writes nothing to disk.

It takes only what `evidence` writes: the head, then the files that EVIDENCE.json names, in its
order, under the very blocks that the tool writes before a file of that name and size. So no path,
link, owner or device has to be judged: whatever else stands there is refused.
"""

from __future__ import annotations

import hashlib
import struct
import tarfile
import zlib
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Any

import orjson

from utils.error_handler import ExitCode, MigrationError
from utils.evidence.archive import (
    BLOCK,
    DOCUMENT,
    END,
    HEAD_BYTES,
    FileEntry,
    entry_head,
    is_safe,
    padding,
    sha256_in,
)
from utils.reports.report_schemas import problems_of
from utils.wording.figures import counted
from utils.wording.terminal import printable

MANIFEST = "manifest.json"
_PART = 1 << 16
_LARGEST_KEPT = 16 << 20  # bytes of EVIDENCE.json and of the manifest, which are looked into
_TRAILER = struct.Struct("<2L")
MOST_DENSE = 250
"""Times as large as the archive that its files may be, above `_SMALL`: reports and logs shrink to a
tenth, what is far above that is there to fill a disk."""
_SMALL = 64 << 20
_KINDS = {
    tarfile.SYMTYPE: "a symbolic link",
    tarfile.LNKTYPE: "a hard link",
    tarfile.CHRTYPE: "a device",
    tarfile.BLKTYPE: "a device",
    tarfile.FIFOTYPE: "a pipe",
    tarfile.DIRTYPE: "a directory",
}


class NotEvidence(MigrationError):
    """A file is no archive that `evidence` has written."""

    exit_code = ExitCode.USAGE


class Altered(Exception):
    """The archive is not as it was written, so that it is no use to read on. The text says what is
    wrong."""


@dataclass
class Contents:
    """What an archive holds: EVIDENCE.json and the manifest, parsed, the files that are as it
    says, and what is wrong, a sentence each."""

    document: dict[str, Any] = field(default_factory=dict)
    manifest: dict[str, Any] = field(default_factory=dict)
    whole: list[FileEntry] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


class ArchiveReader:
    """Takes an archive in pieces of any size. `size` is that of the whole archive in bytes.

        reader.write(piece) …; found = reader.close()

    An archive that was altered is unpacked no further than it makes sense; what is wrong with it is
    in what is found.
    """

    def __init__(self, size: int) -> None:
        self._found = Contents()
        self._most = max(_SMALL, MOST_DENSE * size)
        self._head = b""
        self._rest = hashlib.sha256()
        self._inflate = zlib.decompressobj(-zlib.MAX_WBITS)
        self._crc, self._size = 0, 0
        self._trailer, self._beyond = b"", 0
        self._files = self._read_files()
        self._wanted = next(self._files)  # bytes that the reading of files waits for
        self._waiting = bytearray()
        self._is_at_end = False
        self._is_over = False  # there is nothing more to be made of it

    def write(self, data: bytes, /) -> int:
        """Take the next piece."""
        taken = len(data)
        missing = HEAD_BYTES - len(self._head)
        if missing:
            self._head += data[:missing]
            data = data[missing:]
            self._is_over = len(self._head) == HEAD_BYTES and sha256_in(self._head) is None
        self._rest.update(data)
        if not self._is_over:
            try:
                self._unpack(data)
            except Altered as problem:
                self._ends(str(problem))
        return taken

    def flush(self) -> None:
        """Nothing is kept back."""

    def close(self) -> Contents:
        """That was all; returns what was found. Raises NotEvidence for what is no such archive."""
        digest = sha256_in(self._head)
        if digest is None:
            raise _not_evidence()
        if not self._is_over:
            self._judge_the_end()
        if self._rest.digest() != digest:
            self._found.problems.insert(
                0, "the archive's own SHA-256 is not that of its bytes: it was altered or cut"
            )
        return self._found

    def _ends(self, problem: str) -> None:
        self._found.problems.append(problem)
        self._is_over = True

    def _judge_the_end(self) -> None:
        if not self._inflate.eof or len(self._trailer) < _TRAILER.size:
            self._ends("it ends in the middle: the archive was cut")
        elif _TRAILER.unpack(self._trailer) != (self._crc, self._size & 0xFFFFFFFF):
            self._ends("its checksum is not that of its content")
        elif self._beyond:
            self._ends(f"{counted(self._beyond, 'byte')} follow its end")

    def _unpack(self, data: bytes) -> None:
        if self._inflate.eof:
            self._take_trailer(data)
            return
        while True:
            try:
                plain = self._inflate.decompress(data, _PART)
            except zlib.error as error:
                raise Altered("its content cannot be unpacked") from error
            data = self._inflate.unconsumed_tail
            self._crc = zlib.crc32(plain, self._crc)
            self._size += len(plain)
            self._pass_on(plain)
            if self._inflate.eof:
                self._take_trailer(self._inflate.unused_data)
                return
            if not data and len(plain) < _PART:
                return

    def _take_trailer(self, data: bytes) -> None:
        missing = _TRAILER.size - len(self._trailer)
        self._trailer += data[:missing]
        self._beyond += len(data[missing:])

    def _pass_on(self, plain: bytes) -> None:
        """Hand what was unpacked to the reading of files, in the portions that it waits for."""
        self._waiting += plain
        while self._waiting:
            if self._is_at_end:
                raise Altered("something follows its last file")
            if len(self._waiting) < self._wanted:
                return
            portion = bytes(self._waiting[: self._wanted])
            del self._waiting[: self._wanted]
            try:
                self._wanted = self._files.send(portion)
            except StopIteration:
                self._is_at_end = True

    def _read_files(self) -> Generator[int, bytes, None]:
        """Gets as many bytes of the tar as it asks for. Raises Altered."""
        size = _size_of_document((yield BLOCK))
        digest, text = yield from self._content(DOCUMENT, size)
        self._found.document = _document(text)
        due = _files_in(self._found.document, self._most)
        seen = {DOCUMENT}
        while (block := (yield BLOCK)) != bytes(BLOCK):
            entry = self._next_file(block, due, seen)
            seen.add(entry.name)
            digest, text = yield from self._content(entry.name, entry.size)
            if digest != entry.sha256:
                self._found.problems.append(f"{entry.name} is not what was packed: its SHA-256")
                continue
            self._found.whole.append(entry)
            if entry.name == MANIFEST:
                self._found.manifest = _json_object(text, MANIFEST)
        self._found.problems += [f"{entry.name} is missing" for entry in due]
        if (yield len(END) - BLOCK) != END[BLOCK:]:
            raise Altered("something stands where it should end")

    def _next_file(self, block: bytes, due: list[FileEntry], seen: set[str]) -> FileEntry:
        """The file that begins with a block, which is taken from those that are due; those before
        it are missing. Raises Altered."""
        try:
            info = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
        except tarfile.HeaderError as error:
            raise Altered("something stands where a file should begin") from error
        name = printable(info.name)
        if info.type in _KINDS:
            raise Altered(f"{name} is {_KINDS[info.type]}: only files belong into it")
        if not is_safe(info.name):
            raise Altered(f"the name {name} may lead elsewhere")
        if info.name in seen:
            raise Altered(f"{name} is in it twice")
        names = [entry.name for entry in due]
        if info.name not in names:
            raise Altered(f"{name} was added: {DOCUMENT} does not name it")
        place = names.index(info.name)
        if block != entry_head(info.name, due[place].size):
            raise Altered(f"{name} is not as {DOCUMENT} says: its size, or what else tar keeps")
        self._found.problems += [f"{entry.name} is missing" for entry in due[:place]]
        entry = due[place]
        del due[: place + 1]
        return entry

    def _content(self, name: str, size: int) -> Generator[int, bytes, tuple[str, bytes]]:
        """The SHA-256 of a file's content, and the content where it is kept."""
        digest, kept = hashlib.sha256(), bytearray()
        is_kept = name in (DOCUMENT, MANIFEST) and size <= _LARGEST_KEPT
        left = size
        while left:
            piece = yield min(left, _PART)
            digest.update(piece)
            if is_kept:
                kept += piece
            left -= len(piece)
        if padding(size) and any((yield padding(size))):
            raise Altered(f"something stands between {name} and the next file")
        return digest.hexdigest(), bytes(kept)


def _not_evidence() -> NotEvidence:
    return NotEvidence(
        "it does not begin as an archive of evidence does: it is another file, was packed again by "
        "another program, or its first bytes were altered",
        remedy="name the file that `evidence` has written, as it was",
    )


def _size_of_document(block: bytes) -> int:
    try:
        info = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except tarfile.HeaderError as error:
        raise Altered("something stands where it should begin") from error
    if block != entry_head(DOCUMENT, info.size) or info.size > _LARGEST_KEPT:
        raise Altered(f"it does not begin with {DOCUMENT}, as the tool writes it")
    return info.size


def _json_object(text: bytes, name: str) -> dict[str, Any]:
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise Altered(f"{name} is no JSON") from error
    if not isinstance(found, dict):
        raise Altered(f"{name} is no JSON object")
    return found


def _document(text: bytes) -> dict[str, Any]:
    document = _json_object(text, DOCUMENT)
    if wrong := problems_of("evidence", text):
        raise Altered(f"{DOCUMENT} is not as the tool writes it ({printable(wrong[0][:200])})")
    return document


def _files_in(document: dict[str, Any], most: int) -> list[FileEntry]:
    """The files that EVIDENCE.json names, which are `most` bytes together. Raises Altered."""
    files = [FileEntry(each["name"], each["size"], each["sha256"]) for each in document["files"]]
    for entry in files:
        if not is_safe(entry.name):
            raise Altered(f"{DOCUMENT} names {printable(entry.name)}, which may lead elsewhere")
    names = [DOCUMENT, *(entry.name for entry in files)]
    if len(names) != len(set(names)):
        raise Altered(f"{DOCUMENT} names a file twice")
    if sum(entry.size for entry in files) > most:
        largest = max(files, key=lambda entry: entry.size)
        raise Altered(
            f"{largest.name} is said to have {counted(largest.size, 'byte')}: so much is in no "
            "archive of this size, unless it is to fill a disk"
        )
    return files
