"""The archive: a tar of plain files in one gzip member, the same bytes for the same content.

Anybody's `tar xzf` opens it. Nothing in it depends on when, where and by whom it was packed: times
are 0, owners nobody, the order is that of EVIDENCE.json, which comes first. gzip's checksum does
not see every altered byte (those between the end of the data and the checksum, for one), so the
head has a field of its own (RFC 1952, section 2.3.1.1) with the SHA-256 of all that follows it.
"""

from __future__ import annotations

import hashlib
import os
import re
import struct
import tarfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

DOCUMENT = "EVIDENCE.json"
"""What is in the archive, and what is known of it; the first file."""

BLOCK = 512
END = bytes(2 * BLOCK)
HEAD_BYTES = 48
_LEVEL = 6
_DIGEST_BYTES = hashlib.sha256().digest_size
# gzip, deflate, with a field "SE" of 32 bytes, no time, no operating system.
_FIXED = b"\x1f\x8b\x08\x04" + bytes(5) + b"\xff" + struct.pack("<H2sH", 36, b"SE", 32)
_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*){0,4}")
_LONGEST_NAME = 100


@dataclass(frozen=True)
class FileEntry:
    """A file by its name in the data directory: its size in bytes and its SHA-256."""

    name: str
    size: int
    sha256: str


def is_safe(name: str) -> bool:
    """Whether a name is one that the tool gives: relative, of plain words, leading nowhere else."""
    return len(name) <= _LONGEST_NAME and bool(_NAME.fullmatch(name))


def head(rest_sha256: bytes) -> bytes:
    """How an archive begins, the rest of which has this SHA-256."""
    return _FIXED + rest_sha256


def sha256_in(head: bytes) -> bytes | None:
    """The SHA-256 in the head of an archive; None for what is no such head."""
    is_ours = len(head) == HEAD_BYTES and head.startswith(_FIXED)
    return head[len(_FIXED) :] if is_ours else None


def entry_head(name: str, size: int) -> bytes:
    """The block before a file's content."""
    info = tarfile.TarInfo(name)
    info.size, info.mode = size, 0o600
    return info.tobuf(tarfile.GNU_FORMAT, "utf-8", "strict")


def padding(size: int) -> int:
    """The bytes after a file's content up to the next block."""
    return -size % BLOCK


class ArchiveWriter:
    """Writes an archive to an open file, in constant memory."""

    def __init__(self, out: IO[bytes], *, level: int = _LEVEL) -> None:
        """`level` is zlib's."""
        self._out = out
        self._rest = hashlib.sha256()
        self._deflate = zlib.compressobj(level, zlib.DEFLATED, -zlib.MAX_WBITS)
        self._crc, self._size = 0, 0
        out.write(head(bytes(_DIGEST_BYTES)))

    def add(self, name: str, size: int, content: Iterable[bytes]) -> None:
        """Add a file of `size` bytes. Raises ValueError when the content has another size."""
        self._put(entry_head(name, size))
        left = size
        for block in content:
            left -= len(block)
            self._put(block)
        if left:
            raise ValueError(name)
        self._put(bytes(padding(size)))

    def finish(self) -> None:
        """Write the end, and make all of it durable."""
        self._put(END)
        self._write(self._deflate.flush())
        self._write(struct.pack("<2L", self._crc, self._size & 0xFFFFFFFF))
        self._out.flush()
        self._out.seek(0)
        self._out.write(head(self._rest.digest()))
        self._out.flush()
        os.fsync(self._out.fileno())

    def _put(self, data: bytes) -> None:
        self._crc = zlib.crc32(data, self._crc)
        self._size += len(data)
        self._write(self._deflate.compress(data))

    def _write(self, data: bytes) -> None:
        self._rest.update(data)
        self._out.write(data)


def blocks_of(path: Path, size: int = 1 << 20) -> Iterator[bytes]:
    """The content of a file, in blocks."""
    with path.open("rb") as handle:
        while block := handle.read(size):
            yield block
