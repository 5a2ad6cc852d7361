"""Findings on disk: those of a part, as it leaves them; and all errors, given back by record in the
order of the file.

Records are refused for two kinds of reasons: those of the record itself, found in file order, and
those found afterwards by comparing records, in the order of the buckets. However many there are,
memory stays constant: each sorted run is a file, and the runs are merged while reading.
"""

from __future__ import annotations

import heapq
import shutil
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, suppress
from itertools import chain, groupby
from pathlib import Path
from typing import IO, NamedTuple

import orjson

from utils.files.findings import Finding
from utils.files.spill import Runs, Spill, read_lines
from utils.files.storage import Closes, open_private, storage_errors, temporary_directory

Entry = tuple[int, Finding]


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
