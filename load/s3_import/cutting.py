"""How a transformed file becomes objects for an import: many small ones, in shuffled order.

An import reads objects side by side, and lines in the order in which they stand. Lines that follow
each other in S9's order have the same keys in an index (a status, a date): shuffled, they go to all
partitions at once ("Randomize sorted data", DynamoDB developer guide, S3DataImport.BestPractices).
And the first line that DynamoDB cannot use ends its object, the rest of which is dropped: so they
are small. Their number is limited to 50,000.

The file is cut into pieces, the pieces are put into an order that only depends on the file, and so
many of them become an object. So an object can be made again by whoever resumes, in constant
memory; all objects together hold each line of the file once.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from math import ceil
from pathlib import Path

from isal import igzip

from utils.files.pieces import ByteRange, rows_at

OBJECT_BYTES = 16 << 20  # of the file, not compressed
MOST_OBJECTS = 40_000
_PIECES = 64  # in an object
_LEVEL = 1


@dataclass(frozen=True)
class Cutting:
    """A file of `size` bytes with the SHA-256 `digest`, in objects of about `target` bytes."""

    path: Path
    size: int
    digest: str
    target: int

    @classmethod
    def of(cls, path: Path, size: int, digest: str) -> Cutting:
        return cls(path, size, digest, max(OBJECT_BYTES, ceil(size / MOST_OBJECTS)))

    def objects(self) -> list[list[ByteRange]]:
        """The pieces of the file that each object is made of: one object of nothing for an empty
        file, since DynamoDB must find something."""
        if not self.size:
            return [[]]
        piece = max(1, self.target // _PIECES)
        places = [
            ByteRange(start, min(start + piece, self.size)) for start in range(0, self.size, piece)
        ]
        places.sort(key=self._rank)
        return [places[first : first + _PIECES] for first in range(0, len(places), _PIECES)]

    def _rank(self, place: ByteRange) -> bytes:
        return blake2b(f"{self.digest} {place.start}".encode(), digest_size=16).digest()

    def content(self, number: int, places: Sequence[ByteRange]) -> ObjectContent:
        """What the object of a number holds."""
        lines = [line for place in places for line in rows_at(self.path, place)]
        # Nothing depends on chance here: where it is done again it comes out the same.
        random.Random(f"{self.digest} {number}").shuffle(lines)
        return ObjectContent(len(lines), b"".join(lines))


@dataclass(frozen=True)
class ObjectContent:
    """Lines of a transformed file, `items` of them."""

    items: int
    plain: bytes

    def compressed(self) -> bytes:
        """In gzip; the same bytes each time."""
        return bytes(igzip.compress(self.plain, _LEVEL, mtime=0))
