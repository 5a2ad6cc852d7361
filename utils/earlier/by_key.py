"""Two files of one entity in the order of S9's keys, a new one and an earlier one: which part of
the earlier one is beside a piece of the new one.

Every byte of the earlier file belongs to exactly one piece of the new one, wherever the cuts are:
that of the next record in the new file whose key is not lower, and what is behind all of them to
the last one.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from pathlib import Path
from typing import IO, NamedTuple

from utils.dynamodb.item_text import source_key_of
from utils.files.artifacts import starts_record
from utils.files.parts import opened_here, size_here
from utils.files.pieces import ByteRange

_ONE_AFTER_THE_OTHER = 1 << 15  # so many bytes are read quicker than found

KeyOf = Callable[[bytes], "int | None"]
"""The key of the record that a line opens; None for a line that opens none, or says no key."""


class Keys(NamedTuple):
    """Keys from `low` on, up to `high`, which is not among them; either may be infinite."""

    low: float
    high: float


def key_of_items(line: bytes) -> int | None:
    """The key in S9 of the record that a transformed line opens."""
    return source_key_of(line) if starts_record(line) else None


def keys_at(path: Path, place: ByteRange, key_of: KeyOf) -> Keys:
    """The keys that a piece of a file stands for: from its first record on, up to the first behind
    it. The first piece stands for all that are lower, too; the last one for all that are higher."""
    with opened_here(path) as handle:
        low = _next(handle, place.start, key_of)[1] if place.start else -inf
        return Keys(low, _next(handle, place.end, key_of)[1])


def data_of(path: Path, keys: Keys, key_of: KeyOf) -> bytes:
    """What a file in the order of the keys has of some of them."""
    with opened_here(path) as handle:
        size = size_here(path)
        start = 0 if keys.low == -inf else _first_from(handle, keys.low, 0, size, key_of)
        end = size if keys.high == inf else _first_from(handle, keys.high, start, size, key_of)
        handle.seek(start)
        return handle.read(end - start)


def _first_from(handle: IO[bytes], key: float, low: int, high: int, key_of: KeyOf) -> int:
    """Where the first record begins whose key is not lower than this one; `low` is where a line
    begins that is not behind it, `high` the end of the file."""
    size = high
    while high - low > _ONE_AFTER_THE_OTHER:
        middle = (low + high) // 2
        place, found = _next(handle, middle, key_of)
        if found >= key:
            high = middle
        else:
            low = place
    handle.seek(low)
    for line in handle:
        own = key_of(line)
        if own is not None and own >= key:
            return low
        low += len(line)
    return size


def _next(handle: IO[bytes], place: int, key_of: KeyOf) -> tuple[int, float]:
    """The first record that begins at a byte or behind it, and has a key: where, and its key, which
    is infinite where there is none any more."""
    handle.seek(max(0, place - 1))
    if place:
        handle.readline()
    start = handle.tell()
    for line in handle:
        key = key_of(line)
        if key is not None:
            return start, key
        start += len(line)
    return start, inf
