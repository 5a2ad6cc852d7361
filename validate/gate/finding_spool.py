"""Error findings on disk, given back by record in the order of the file.

Records are refused for two kinds of reasons: those of the record itself, found in file order, and
those found afterwards by comparing records, in the order of the buckets. However many there are,
memory stays constant: each sorted run is a file, and the runs are merged while reading.
"""

from __future__ import annotations

import heapq
import shutil
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, suppress
from itertools import groupby
from pathlib import Path
from typing import IO

import orjson

from utils.files.findings import Finding
from utils.files.storage import Closes, open_private, storage_errors, temporary_directory

Entry = tuple[int, Finding]


class FindingSpool(Closes):
    """Runs of (place in the file, finding), each in ascending order of the place."""

    def __init__(self, scratch: Path) -> None:
        self._directory = temporary_directory(scratch)
        self._runs = 1
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
        """Add a run of its own."""
        with (
            storage_errors(self._directory),
            open_private(self._directory / str(self._runs), "wb") as handle,
        ):
            handle.writelines(map(_line, entries))
        self._runs += 1

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
