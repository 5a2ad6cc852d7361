"""Buckets on disk: sets larger than memory, compared a bucket at a time.

What is compared are lines under keys. A line goes into one of some buckets by a hash of its key, so
that all lines of one key are in one bucket, and a bucket is small enough to be held in memory.
Whoever gathers lines, in whatever process, writes them as runs: files in which the buckets follow
each other. To read a bucket is to read its part of every run, in the order of the runs.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, islice, pairwise
from operator import methodcaller
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, TypeVar
from zlib import crc32

from utils.files.elsewhere import range_of, write_temporary
from utils.files.storage import temporary_directory

BUCKETS = 128
_RUN_BYTES = 6 << 20  # what is held in memory before it becomes a run
_TOGETHER_BYTES = 2 << 20  # buckets smaller than this are read together
_AT_ONCE = 1_000  # pairs

Keyed = tuple[bytes, bytes]
Piece = TypeVar("Piece")

_parted = methodcaller("partition", b"\t")


class SpillFile(NamedTuple):
    """A file of lines: bucket n is between `ends[n]` and `ends[n + 1]`."""

    path: str
    ends: tuple[int, ...]


Runs = tuple[SpillFile, ...]


class Spill:
    """Gathers lines and writes them as runs below a directory. Lines have no line break."""

    def __init__(self, directory: Path, *, count: int = BUCKETS) -> None:
        self._directory = directory
        self._count = count
        self._runs: list[SpillFile] = []
        self._empty()

    def _empty(self) -> None:
        self._lines: list[list[bytes]] = [[] for _ in range(self._count)]
        self._appends = [lines.append for lines in self._lines]
        self._held = 0

    def add(self, entries: Iterable[Keyed]) -> None:
        """Take lines, each given as (key, line)."""
        appends, count, held = self._appends, self._count, 0
        for key, line in entries:
            appends[crc32(key) % count](line)
            held += len(line)
        self._held += held
        if self._held >= _RUN_BYTES:
            self._write()

    def finish(self) -> tuple[SpillFile, ...]:
        """Write what is left; returns all runs."""
        if self._held:
            self._write()
        return tuple(self._runs)

    def _write(self) -> None:
        parts = [b"\n".join(lines) + b"\n" if lines else b"" for lines in self._lines]
        path = write_temporary(self._directory, b"".join(parts))
        self._runs.append(SpillFile(str(path), (0, *accumulate(map(len, parts)))))
        self._empty()


def ranges(*sides: Sequence[SpillFile], count: int = BUCKETS) -> list[range]:
    """The numbers of all buckets, cut into ranges that are worth being read together."""
    sizes = [0] * count
    for run in (run for runs in sides for run in runs):
        for number in range(count):
            sizes[number] += run.ends[number + 1] - run.ends[number]
    found, first, held = [], 0, 0
    for number, size in enumerate(sizes):
        held += size
        if held >= _TOGETHER_BYTES or number == count - 1:
            found.append(range(first, number + 1))
            first, held = number + 1, 0
    return found


def parcels(pieces: Iterable[tuple[Piece, Sequence[SpillFile], range]]) -> Iterator[list[Piece]]:
    """Pieces, each with the runs and the buckets that it reads; those that are not worth being done
    by themselves together."""
    parcel: list[Piece] = []
    held = 0
    for piece, runs, numbers in pieces:
        parcel.append(piece)
        held += sum(run.ends[numbers.stop] - run.ends[numbers.start] for run in runs)
        if held >= _TOGETHER_BYTES:
            yield parcel
            parcel, held = [], 0
    if parcel:
        yield parcel


def portions(ranges: Sequence[range], most: int) -> list[Sequence[range]]:
    """Ranges that follow each other, in at most so many portions of about as many."""
    count = min(most, len(ranges))
    ends = [len(ranges) * number // count for number in range(count + 1)] if count else [0]
    return [ranges[start:end] for start, end in pairwise(ends)]


def read_buckets(runs: Sequence[SpillFile], numbers: range) -> Iterator[list[bytes]]:
    """The lines of some buckets, bucket by bucket, each in the order of the runs."""
    parts = [(_read(run, numbers), run.ends) for run in runs]
    for number in numbers:
        texts = [
            data[ends[number] - ends[numbers.start] : ends[number + 1] - ends[numbers.start]]
            for data, ends in parts
        ]
        lines = b"".join(texts).split(b"\n")
        lines.pop()  # what follows the last line break
        yield lines


def read_lines(runs: Sequence[SpillFile]) -> Iterator[bytes]:
    """The lines of runs of a single bucket, in the order in which they were added; of these one run
    at a time is held in memory."""
    for run in runs:
        for lines in read_buckets((run,), range(1)):
            yield from lines


def _read(run: SpillFile, numbers: range) -> bytes:
    first, end = run.ends[numbers.start], run.ends[numbers.stop]
    if first == end:
        return b""
    return range_of(Path(run.path), first, end - first)


class Scratch:
    """A directory for runs, for as long as the context lasts."""

    def __init__(self, parent: Path) -> None:
        self._parent = parent

    def __enter__(self) -> Path:
        self._directory = temporary_directory(self._parent)
        return self._directory

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        shutil.rmtree(self._directory, ignore_errors=True)


@dataclass
class Buckets:
    """Key and value pairs on disk, gathered and read by one process. Keys and values are bytes
    without line breaks or tabs. A context manager."""

    scratch: Path
    count: int = BUCKETS

    def __enter__(self) -> Buckets:
        self._directory = Scratch(self.scratch)
        self._spill = Spill(self._directory.__enter__(), count=self.count)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._directory.__exit__(kind, error, trace)

    def add(self, entries: Iterable[Keyed]) -> None:
        """Append pairs, of which there may be more than memory has room for; the same key may come
        any number of times."""
        left = iter(entries)
        while some := list(islice(left, _AT_ONCE)):
            self._spill.add([(key, key + b"\t" + value) for key, value in some])

    def add_lines(self, lines: Iterable[bytes]) -> None:
        """Append some pairs that are lines already: key, tab, value."""
        self._spill.add([(line[: line.index(b"\t")], line) for line in lines])

    def __iter__(self) -> Iterator[list[Keyed]]:
        """The pairs, a bucket at a time, each in the order in which they were added."""
        runs = self._spill.finish()
        for numbers in ranges(runs, count=self.count):
            for lines in read_buckets(runs, numbers):
                yield [(key, value) for key, _, value in map(_parted, lines)]
