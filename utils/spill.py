"""Buckets on disk: sets larger than memory, compared a bucket at a time.

Every entry is a key with a value; entries are spread over bucket files by a hash of the key, so
that all entries of one key are in one bucket. A bucket is small enough to be held in memory.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO
from zlib import crc32

from utils.workspace import open_private, storage_errors, temporary_directory

# A hundred files are open at once, in a process that may hold 300 MB.
_BUFFER = 1 << 16


class Buckets:
    """Key and value pairs on disk. Keys and values are bytes without line breaks or tabs."""

    def __init__(self, scratch: Path, *, count: int = 128) -> None:
        self._directory = temporary_directory(scratch)
        self._files: list[IO[bytes]] = [
            open_private(self._directory / f"{number:03}", "wb", buffering=_BUFFER)
            for number in range(count)
        ]
        self._count = count

    def __enter__(self) -> Buckets:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for handle in self._files:
            with suppress(OSError):  # a full disk has been told by whoever wrote
                handle.close()
        shutil.rmtree(self._directory, ignore_errors=True)

    def add(self, entries: Iterable[tuple[bytes, bytes]]) -> None:
        """Append entries; the same key may come any number of times."""
        spread: dict[int, list[bytes]] = {}
        for key, value in entries:
            spread.setdefault(crc32(key) % self._count, []).append(key + b"\t" + value + b"\n")
        with storage_errors(self._directory):
            for number, lines in spread.items():
                self._files[number].write(b"".join(lines))

    def __iter__(self) -> Iterator[list[tuple[bytes, bytes]]]:
        """The entries, a bucket at a time, each in the order in which they were added."""
        with storage_errors(self._directory):
            for handle in self._files:
                handle.flush()
        for number in range(self._count):
            with (self._directory / f"{number:03}").open("rb") as handle:
                yield [_parse(line) for line in handle]


def _parse(line: bytes) -> tuple[bytes, bytes]:
    key, _, value = line.rstrip(b"\n").partition(b"\t")
    return key, value
