"""The segments of a parallel scan: how many there are, in which order they are read, and which of
them make a piece of work."""

from __future__ import annotations

from collections.abc import Iterator
from math import gcd

SEGMENT_ITEMS = 4_096
_FEWEST, _MOST = 4, 32  # in a piece of work


def segments_for(items: int, *, fewest: int) -> int:
    """How many segments there are for about so many items, `fewest` at least."""
    return max(fewest, -(-items // SEGMENT_ITEMS))


def in_order(total: int) -> list[int]:
    """Segments in the order in which they are read.

    A segment is a stretch of the range in which DynamoDB puts partitions in order, so those that
    follow each other are in one partition, which has a read rate of its own: they are taken far
    apart.
    """
    stride = max(1, total * 5 // 8)
    while gcd(stride, total) > 1:
        stride += 1
    return [number * stride % total for number in range(total)]


def pieces_of(total: int, processes: int) -> Iterator[tuple[int, ...]]:
    """All segments, as pieces for so many processes: large ones first, because a process waits at
    the end of each, and small ones last, so that all of them end together. Few segments are so many
    pieces that it is worth it to share them out (utils/processes/pool.py), unless they are as few
    as there are of any table."""
    rest = in_order(total)
    fewest = _FEWEST if total <= _FEWEST else min(_FEWEST, total // _FEWEST)
    while rest:
        share = len(rest) // (2 * processes)
        size = max(fewest, min(share, _MOST))
        yield tuple(rest[:size])
        del rest[:size]
