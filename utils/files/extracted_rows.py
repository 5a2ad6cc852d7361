"""Single rows of an extracted file by their keys, without going through the file: it is in the
order of the keys."""

from __future__ import annotations

import re
from pathlib import Path
from typing import IO, Any, NamedTuple

import orjson

from utils.files.parts import opened_here, size_here
from utils.files.storage import Closes

ROW_KEY = re.compile(rb'"first_id":\s*"?(-?[0-9]+)')
"""How the key of a row stands in its line (in its first group)."""
_STEP = 1 << 14
_ONE_AFTER_THE_OTHER = 1 << 15  # so many bytes are read quicker than found


class _Found(NamedTuple):
    """Where a line begins, and the key of its row (None where it says none)."""

    start: int
    key: int | None


class RowsByKey(Closes):
    """The rows of an extracted file. A context manager: it holds the file, once it is asked.

    It is quickest for keys that rise from one question to the next.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._handle: IO[bytes] | None = None
        self._size = 0
        self._last = _Found(0, None)

    def close(self) -> None:
        if self._handle is not None:
            self._handle.close()

    def row(self, key: int) -> dict[str, Any] | None:
        """The row with this key; None when the file is not there, has none, or it is unreadable."""
        line = self.line(key)
        return None if line is None else _row_of(line)

    def line(self, key: int) -> bytes | None:
        """The line of that row; None when the file is not there, or has none."""
        if self._handle is None:
            if not self._path.exists():
                return None
            self._handle, self._size = opened_here(self._path), size_here(self._path)
        low, high = self._around(self._handle, key)
        while high - low > _ONE_AFTER_THE_OTHER:
            middle = (low + high) // 2
            found = self._line_at(self._handle, middle)
            if found is None or found.start >= high or (found.key or 0) > key:
                high = middle
            else:
                low = found.start
        return self._from(self._handle, low, key)

    def _around(self, handle: IO[bytes], key: int) -> tuple[int, int]:
        """Bytes between which the row begins, if it is there: from the last one on in growing
        steps."""
        known = self._last.key
        low = self._last.start if known is not None and known <= key else 0
        step = _STEP
        while (high := low + step) < self._size:
            found = self._line_at(handle, high)
            if found is None or (found.key or 0) > key:
                return low, high
            low, step = found.start, step * 2
        return low, self._size

    def _from(self, handle: IO[bytes], place: int, key: int) -> bytes | None:
        handle.seek(place)
        for line in handle:
            found = key_of_row(line)
            if found == key:
                self._last = _Found(place, key)
                return line
            if found is not None and found > key:
                return None
            place += len(line)
        return None

    @staticmethod
    def _line_at(handle: IO[bytes], place: int) -> _Found | None:
        """The first line that begins at a byte or behind it."""
        handle.seek(max(0, place - 1))
        if place:
            handle.readline()
        start = handle.tell()
        line = handle.readline()
        return _Found(start, key_of_row(line)) if line else None


def key_of_row(line: bytes) -> int | None:
    """The key of the row in a line; None where it says none, or is unreadable."""
    found = ROW_KEY.match(line, 1)  # nearly always the first column
    if found:
        return int(found[1])
    row = _row_of(line)
    try:
        return int((row or {})["first_id"])
    except (KeyError, TypeError, ValueError):
        return None


def _row_of(line: bytes) -> dict[str, Any] | None:
    try:
        row = orjson.loads(line)
    except ValueError:
        return None
    return row if isinstance(row, dict) else None
