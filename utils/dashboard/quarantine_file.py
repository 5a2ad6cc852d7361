"""A quarantine file a page at a time, by the place of its lines: it may be larger than memory, and
one record of it, too."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import orjson

from utils.files.encryption import SUFFIX
from utils.files.storage import require_plain, storage_errors

_RECORDS = 20  # on a page
_LONGEST_LINE = 256 << 10  # bytes; of a longer line its head is shown
_MOST = 2 << 20  # bytes that are read for a page
_BLOCK = 64 << 10
_RECORD = b',"record":'  # outside of a text: within one its quotes have backslashes


@dataclass(frozen=True)
class Turned:
    """A page: its `entries`, as the file has them (`record` is absent where it is too long to be
    shown); `before` and `after` are where other pages begin, None at an end. `encrypted` says that
    the file cannot be read as it is."""

    entries: tuple[dict[str, Any], ...] = ()
    before: int | None = None
    after: int | None = None
    size: int = 0
    unreadable: int = 0
    is_encrypted: bool = False


def turned_to(path: Path, at: int) -> Turned:
    """The page that begins at, or after, byte `at`. Raises StorageError."""
    with storage_errors(path):
        require_plain(path)
        try:
            with path.open("rb") as handle:
                return _page(handle, at)
        except FileNotFoundError:
            return Turned(is_encrypted=path.with_name(path.name + SUFFIX).exists())


def _page(handle: IO[bytes], at: int) -> Turned:
    size = handle.seek(0, 2)
    start = _begin_of_line(handle, min(max(at, 0), size))
    entries: list[dict[str, Any]] = []
    unreadable, place = 0, start
    handle.seek(start)
    while len(entries) + unreadable < _RECORDS and place - start < _MOST:
        line = handle.readline(_LONGEST_LINE)
        if not line:
            break
        entry = _entry_of(line)
        place += len(line) + (0 if line.endswith(b"\n") else _skip(handle))
        if entry is None:
            unreadable += bool(line.strip())
        else:
            entries.append(entry)
    after = place if place < size else None
    before = _before(handle, start) if start else None
    return Turned(tuple(entries), before, after, size, unreadable)


def _begin_of_line(handle: IO[bytes], at: int) -> int:
    """Where the first line begins at or after a place."""
    if not at:
        return 0
    handle.seek(at - 1)
    return at if handle.read(1) == b"\n" else at + _skip(handle)


def _skip(handle: IO[bytes]) -> int:
    """Go to the end of the line; returns how many bytes that were."""
    skipped = 0
    while part := handle.readline(_BLOCK):
        skipped += len(part)
        if part.endswith(b"\n"):
            break
    return skipped


def _before(handle: IO[bytes], start: int) -> int:
    """Where the page before a place begins: so many lines further up, or as far as is read."""
    ends: list[int] = []  # of lines, from behind
    place = start
    while place and len(ends) <= _RECORDS and start - place < _MOST:
        block = max(0, place - _BLOCK)
        handle.seek(block)
        ends += list(_ends(handle.read(place - block), block))
        place = block
    if len(ends) > _RECORDS:
        return ends[_RECORDS]
    return ends[-1] if place and ends[-1] < start else 0


def _ends(data: bytes, offset: int) -> Iterator[int]:
    """Where lines end in a piece of the file, the last one first."""
    at = data.rfind(b"\n")
    while at >= 0:
        yield offset + at + 1
        at = data.rfind(b"\n", 0, at)


def _entry_of(line: bytes) -> dict[str, Any] | None:
    """What a line says; of one that was cut off all but the record. None for what is no entry."""
    if not line.endswith(b"\n"):
        head, found, _ = line.partition(_RECORD)
        line = head + b"}" if found else b""
    with suppress(orjson.JSONDecodeError):
        entry = orjson.loads(line)
        if isinstance(entry, dict) and isinstance(entry.get("legacyId"), str):
            return entry
    return None
