"""A set of millions of keys in little memory: 8 bytes each, for asking whether a key is in it."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from hashlib import blake2b

_BUCKETS = 256


class KeySet:
    """Texts that were added. Two of them are taken for one with a chance of 1 in 2^64."""

    def __init__(self) -> None:
        self._buckets = [array("Q") for _ in range(_BUCKETS)]
        self._sorted = [True] * _BUCKETS

    def add(self, key: str) -> None:
        number = _number(key)
        self._buckets[number % _BUCKETS].append(number)
        self._sorted[number % _BUCKETS] = False

    def __bool__(self) -> bool:
        return any(self._buckets)

    def __contains__(self, key: str) -> bool:
        number = _number(key)
        place = number % _BUCKETS
        if not self._sorted[place]:
            self._buckets[place] = array("Q", sorted(self._buckets[place]))
            self._sorted[place] = True
        bucket = self._buckets[place]
        found = bisect_left(bucket, number)
        return found < len(bucket) and bucket[found] == number


def _number(key: str) -> int:
    return int.from_bytes(blake2b(key.encode(), digest_size=8).digest(), "big")
