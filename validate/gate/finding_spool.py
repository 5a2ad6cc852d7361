"""Findings on disk: those of a part, as it leaves them; all errors, given back by record in the
order of the file; and at which places of a part records are refused.

Records are refused for two kinds of reasons: those of the record itself, found in file order, and
those found afterwards by comparing records, in the order of the buckets. However many there are,
memory stays constant: each sorted run is a file, and the runs are merged while reading.
"""

from __future__ import annotations

import heapq
import shutil
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, suppress
from itertools import chain, groupby
from pathlib import Path
from typing import IO, NamedTuple

import orjson

from utils.files.elsewhere import range_of, size_of, write_temporary
from utils.files.findings import Finding
from utils.files.spill import Runs, Spill, read_lines
from utils.files.storage import Closes, open_private, storage_errors, temporary_directory

Entry = tuple[int, Finding]
_PLACES = "Q"


class Located(NamedTuple):
    """A finding about the record at a `place`. `identity` is the partition key of a record with
    errors, if others may name it, else ""."""

    place: int
    finding: Finding
    identity: str = ""


def spill_findings(spill: Spill, found: Iterable[Located]) -> None:
    """Add findings to runs of a single bucket."""
    spill.add((b"", orjson.dumps([each[0], each[1].as_json(), each[2]])) for each in found)


def findings_in(runs: Runs) -> Iterator[Located]:
    """The findings in such runs, in the order in which they were added."""
    for line in read_lines(runs):
        place, found, identity = orjson.loads(line)
        yield Located(place, Finding.of_json(found), identity)


def write_places(directory: Path, places: Iterable[int]) -> Path:
    """Write the places of records in a part into a new file below `directory`."""
    return write_temporary(directory, array(_PLACES, places).tobytes())


def read_places(path: Path | None) -> frozenset[int]:
    """The places in such a file; none where there is no file."""
    if path is None:
        return frozenset()
    places = array(_PLACES)
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


class FindingSpool(Closes):
    """Runs of (place in the file, finding), each in ascending order of the place."""

    def __init__(self, scratch: Path) -> None:
        self._directory = temporary_directory(scratch)
        self._runs, self._last = 1, -1  # the place of the last entry of the last run
        self._first = open_private(self._directory / "0", "wb")

    def close(self) -> None:
        with suppress(OSError):  # a full disk has been told by whoever wrote
            self._first.close()
        shutil.rmtree(self._directory, ignore_errors=True)

    def append(self, entries: Iterable[Entry]) -> None:
        """Add to the first run; the places must not be before those added already."""
        with storage_errors(self._directory):
            self._first.writelines(map(_line, entries))

    def add_run(self, entries: Iterable[Entry]) -> None:
        """Add entries in a run of their own, or behind the last ones that were added here, if they
        are further on."""
        left = iter(entries)
        first = next(left, None)
        if first is None:
            return
        if self._runs == 1 or first[0] < self._last:
            self._runs += 1
        path = self._directory / str(self._runs - 1)
        with storage_errors(self._directory), open_private(path, "ab") as handle:
            for entry in chain((first,), left):
                handle.write(_line(entry))
                self._last = entry[0]

    def __iter__(self) -> Iterator[tuple[int, list[Finding]]]:
        """Each record that has findings, with all of them, in file order."""
        with storage_errors(self._directory):
            self._first.flush()
        with ExitStack() as opened:
            runs = [
                _entries(opened.enter_context((self._directory / str(number)).open("rb")))
                for number in range(self._runs)
            ]
            merged = heapq.merge(*runs, key=_place)
            for place, entries in groupby(merged, key=_place):
                yield place, [finding for _, finding in entries]


def _place(entry: Entry) -> int:
    return entry[0]


def _line(entry: Entry) -> bytes:
    place, finding = entry
    return orjson.dumps([place, finding.as_json()]) + b"\n"


def _entries(handle: IO[bytes]) -> Iterator[Entry]:
    for line in handle:
        place, found = orjson.loads(line)
        yield place, Finding.of_json(found)
