"""Single records of a transformed file by their keys in S9, without going through the file: it is
in the order of the keys."""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import orjson

from utils.files.artifacts import RECORD_MARK, RECORD_MARK_WITHIN
from utils.files.parts import files_of, opened_here, parts_of
from utils.files.pieces import ByteRange
from utils.files.storage import Closes

_ONE_AFTER_THE_OTHER = 1 << 15  # so many bytes are read quicker than found


class TransformedRecords(Closes):
    """The records of a transformed file. A context manager: it holds what it has opened."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._opened: dict[int, _OneFile] = {}

    def close(self) -> None:
        for each in self._opened.values():
            each.close()

    def place(self, key: int) -> ByteRange | None:
        """Where the lines of the record with S9's `key` are; None when the file is not there, or
        has none."""
        for start, file in self._with(key):
            found = self._file(start, file).place(key)
            if found is not None:
                return ByteRange(start + found.start, start + found.end)
        return None

    def lines(self, place: ByteRange) -> Iterator[bytes]:
        """The lines of a record, one after the other."""
        if not self._path.exists():
            return
        with opened_here(self._path) as handle:
            handle.seek(place.start)
            at = place.start
            while at < place.end and (line := handle.readline()):
                yield line
                at += len(line)

    def _with(self, key: int) -> Iterator[tuple[int, Path]]:
        """The files that may have a key, each with the byte of the artifact at which it begins."""
        if not self._path.exists():
            return
        parts = parts_of(self._path)
        for number, (start, file) in enumerate(files_of(self._path)):
            if parts is None or parts.parts[number].may_have(key):
                yield start, file

    def _file(self, start: int, path: Path) -> _OneFile:
        if start not in self._opened:
            self._opened[start] = _OneFile(path)
        return self._opened[start]


class _OneFile(Closes):
    """The records of a file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._handle: IO[bytes] | None = None
        self._whole: mmap.mmap | None = None
        self._size = 0

    def close(self) -> None:
        if self._whole is not None:
            self._whole.close()
        if self._handle is not None:
            self._handle.close()

    def place(self, key: int) -> ByteRange | None:
        """Where its lines are in the file; None when this has none."""
        self._open()
        low, high = 0, self._size
        while high - low > _ONE_AFTER_THE_OTHER:
            middle = self._start_from((low + high) // 2)
            found = self._key_at(middle) if middle < high else None
            if found is None or found > key:
                high = (low + high) // 2
            else:
                low = middle
        return self._from(low, key)

    def _open(self) -> None:
        if self._handle is None:
            self._handle = self._path.open("rb")
            self._size = os.fstat(self._handle.fileno()).st_size
            if self._size:
                self._whole = mmap.mmap(self._handle.fileno(), 0, access=mmap.ACCESS_READ)

    def _start_from(self, place: int) -> int:
        """Where the first record begins that begins behind the line that has byte `place`."""
        if self._whole is None:
            return self._size
        mark = self._whole.find(RECORD_MARK, place)
        while mark >= 0:
            start = self._whole.rfind(b"\n", 0, mark) + 1
            if place < start and mark - start < RECORD_MARK_WITHIN:
                return start
            mark = self._whole.find(RECORD_MARK, mark + 1)
        return self._size

    def _key_at(self, place: int) -> int | None:
        """The key of the record that begins at a byte; None where it says none."""
        assert self._handle is not None
        self._handle.seek(place)
        line = self._handle.readline()
        try:
            return int(orjson.loads(line)["Item"]["legacyId"]["S"])
        except (ValueError, KeyError, TypeError):
            return None

    def _from(self, place: int, key: int) -> ByteRange | None:
        while place < self._size:
            found, end = self._key_at(place), self._start_from(place)
            if found == key:
                return ByteRange(place, end)
            if found is not None and found > key:
                return None
            place = end
        return None
