"""Which records of a part of a file are refused: their places in it, on disk, for whoever compares
records and must leave them out."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path

from utils.files.elsewhere import range_of, size_of, write_temporary

_KIND = "Q"


def write_places(directory: Path, places: Iterable[int]) -> Path:
    """Write places into a new file below `directory`."""
    return write_temporary(directory, array(_KIND, places).tobytes())


def read_places(path: Path | None) -> frozenset[int]:
    """The places in such a file; none where there is no file."""
    if path is None:
        return frozenset()
    places = array(_KIND)
    places.frombytes(range_of(path, 0, size_of(path)))
    return frozenset(places)


def places_by_part(
    places: Iterable[int], firsts: Sequence[int], directory: Path
) -> dict[int, Path]:
    """Write the places of records in a file, which ascend, as those in its parts: a file for each
    part that has any. `firsts` has the place of the first record of each part."""

    def part_of(place: int) -> int:
        return bisect_right(firsts, place) - 1

    return {
        part: write_places(directory, (place - firsts[part] for place in found))
        for part, found in groupby(places, part_of)
    }


def places_before(places: Iterable[int], removed: Iterable[int]) -> Iterator[int]:
    """Where records were in a file before others were `removed` from it, and these, in their order.
    `places` are where they are now; both ascend."""
    gone, waiting = 0, iter(removed)
    next_gone = next(waiting, None)
    for place in places:
        while next_gone is not None and next_gone <= place + gone:
            yield next_gone
            gone += 1
            next_gone = next(waiting, None)
        yield place + gone
    if next_gone is not None:
        yield next_gone
        yield from waiting
