"""The plan of a load: for every line of a transformed file, how it stands with the table.

data/undo/{entity}.plan has a byte for every 64 bytes of data/transformed/{entity}.json; the mark of
a line is in the place where the line begins (no line is as short as 64 bytes: the names of an
item's required attributes alone are longer). Before the first write a mark says what is to be done
with the line, afterwards what became of it; a rollback and a verification read it. A fresh plan
is a file of zero bytes, which take no room on most disks.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from utils.files.artifacts import starts_record
from utils.files.elsewhere import PlainFile, size_of
from utils.files.pieces import ByteRange, lines_in, located_rows, places
from utils.files.storage import Closes, open_private, storage_errors

_CELL = 64

NEW = 0  # was not there: sent in batches
SAME = ord("S")  # was there before the run with this content: nothing to write
OURS = ord("O")  # is there with this content, written by this run
REPLACED = ord("R")  # was there before the run with other content, now with this one
CONFLICT = ord("C")  # there before the run with other content: to be replaced
UPDATE = ord("U")  # written by this run with other content: to be replaced
TO_ADD = ord("a")  # not there, of a record in conflict: to be added on condition
ADDED = ord("A")  # not there before the run, written on condition
KEPT = ord("K")  # there with other content, and stays so
KEPT_ABSENT = ord("k")  # of a record that is kept: not written
EDITED = ord("E")  # written by this run, changed by the application since: stays so
WITHDRAWN = ord("W")  # of a refused record: taken out of the table again

# What a rollback has made of a line (load/rollback/undo_record.py): of one that the load created …
DELETED = ord("d")  # it is deleted
STAYS = ord("s")  # it stays: its record is in use
RETURNED = ord("p")  # it was deleted and is back: its record is in use after all
GONE = ord("g")  # somebody else has deleted it
NEVER = ord("n")  # it has not arrived
# … and of one that replaced another.
RESTORED = ord("r")  # what was there before is back
STAYS_REPLACED = ord("t")
RETURNED_REPLACED = ord("q")
GONE_REPLACED = ord("h")

CONDITIONAL = frozenset({CONFLICT, UPDATE, TO_ADD})
KEPT_MARKS = frozenset({KEPT, KEPT_ABSENT, EDITED})
_BLOCK = 1 << 20

Located = tuple[int, bytes, int]  # where a line begins, the line, its mark


class LineMarks(Closes):
    """An open plan; safe to share between threads. A context manager.

    Places are byte offsets in the transformed file.
    """

    def __init__(self, path: Path, *, writes: bool = True) -> None:
        """Unless it `writes`, it is only looked at."""
        with storage_errors(path):
            self._path = path
            self._file = PlainFile(path, os.O_RDWR if writes else os.O_RDONLY)
            self._size = self._file.size

    @classmethod
    def create(cls, path: Path, size: int) -> LineMarks:
        """A fresh plan for a file of `size` bytes: all lines are new."""
        with storage_errors(path), open_private(path, "wb") as handle:
            handle.truncate(size // _CELL + 1)
        return cls(path)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def marks(self, start: int, lines: Sequence[bytes]) -> list[int]:
        """The marks of consecutive lines, the first of which begins at byte `start`."""
        first = start // _CELL
        length = sum(map(len, lines))
        cells = self._file.read((start + length) // _CELL - first + 1, first)
        if not any(cells):
            return [NEW] * len(lines)
        found = []
        for line in lines:
            found.append(cells[start // _CELL - first])
            start += len(line)
        return found

    def has_any(self, marks: Collection[int], place: ByteRange) -> bool:
        """Whether a line that begins in a range of bytes has one of these marks (not NEW)."""
        first = place.start // _CELL
        cells = self._file.read((place.end - 1) // _CELL - first + 1, first)
        return any(mark in cells for mark in marks)

    def lines_of(self, path: Path, start: int = 0) -> Iterator[Located]:
        """The lines of the transformed file at `path` from byte `start` on: for each where it
        begins, the line, and its mark."""
        for piece in places(size_of(path), start=start):
            place, lines = located_rows(path, piece)
            for line, mark in zip(lines, self.marks(place, lines), strict=True):
                yield place, line, mark
                place += len(line)

    def records_in(self, path: Path, place: ByteRange) -> Iterator[list[Located]]:
        """The records of a piece of whole records of the transformed file at `path`: their lines,
        as `lines_of` has them."""
        lines = lines_in(path, place)
        at = place.start
        record: list[Located] = []
        for line, mark in zip(lines, self.marks(at, lines), strict=True):
            if record and starts_record(line):
                yield record
                record = []
            record.append((at, line, mark))
            at += len(line)
        if record:
            yield record

    def mark_all(self, start: int, lines: Sequence[bytes], marks: Sequence[int]) -> None:
        """Set the marks of consecutive lines."""
        for line, mark in zip(lines, marks, strict=True):
            if mark != NEW:
                self.mark(start, mark)
            start += len(line)

    def mark(self, place: int, mark: int) -> None:
        """Set the mark of the line that begins at `place`."""
        with storage_errors(self._path):
            self._file.write(bytes((mark,)), place // _CELL)

    def mark_some(self, marks: Sequence[tuple[int, int]]) -> None:
        """Set marks, each with the place where its line begins; nobody else may be setting any
        between the first of these places and the last."""
        if not marks:
            return
        places = [place // _CELL for place, _ in marks]
        first = min(places)
        with storage_errors(self._path):
            cells = bytearray(self._file.read(max(places) - first + 1, first))
            for cell, (_, mark) in zip(places, marks, strict=True):
                cells[cell - first] = mark
            self._file.write(cells, first)

    def sync(self) -> None:
        """Make every mark durable."""
        with storage_errors(self._path):
            self._file.sync()

    def count(self) -> Counter[int]:
        """How many lines there are of each mark but NEW."""
        counts: Counter[int] = Counter()
        for first in range(0, self._size, _BLOCK):
            block = self._file.read(_BLOCK, first)
            counts.update(block.translate(None, bytes((NEW,))))  # most places are no line's
        return counts
