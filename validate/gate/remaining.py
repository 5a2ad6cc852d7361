"""What is left of a transformed file when the refused records leave it, in the form that it has.

A file is written anew. Of one in parts only those are that a record leaves, or in which the keys of
a sale change because the last one of its year is among the refused (utils/sale_numbering.py); the
others stay as they are.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from utils.earlier.by_key import key_of_items
from utils.files.artifacts import ArtifactEntry, ArtifactWriter, split_records, utc_now
from utils.files.elsewhere import size_of
from utils.files.findings import Finding
from utils.files.parts import Part, PartsList, parts_of, sha256_of_parts, totals, write_list
from utils.files.pieces import ByteRange, places, records_at
from utils.files.storage import Closes, partial_of
from utils.fleet.part_files import PartWriter, writing
from utils.run.run import Run
from utils.sale_numbering import Numbering

Refused = Iterable[tuple[int, list[Finding]]]
"""The places of refused records in a file, ascending, each with its findings."""


@dataclass(frozen=True)
class Numbers:
    """The numbering of the records that are left, and whether it is another one than before; that
    of records that have none is empty."""

    numbering: Numbering = field(default_factory=Numbering)
    is_another: bool = False

    def applied(self, line: bytes) -> bytes:
        """The line that opens a record, as it is to be."""
        return self.numbering.applied(line) if self.is_another else line


class Remaining(Closes):
    """What is left; a context manager. `records` are those of the file that have to be looked at,
    each of which is written, or left out."""

    @abstractmethod
    def records(self) -> Iterator[tuple[int, Sequence[bytes]]]:
        """The records that have to be looked at: their places in the file, and their lines."""

    @abstractmethod
    def write(self, record: Sequence[bytes]) -> None:
        """Keep a record."""

    @abstractmethod
    def entry(self) -> ArtifactEntry:
        """Make everything durable; returns what the manifest is to know of it."""


def remaining_of(run: Run, path: Path, refused: Refused, numbers: Numbers) -> Remaining:
    """What is left of the transformed file at `path` without the refused records, of which the
    places are gone through. It becomes the file by `Run.replace`."""
    parts = parts_of(path)
    if parts is None:
        return _OneFile(path, numbers)
    return _InParts(run, path, parts, (place for place, _ in refused), numbers)


def records_of(path: Path) -> Iterator[Sequence[bytes]]:
    """The records of a transformed file: the lines of each."""
    for place in places(size_of(path)):
        yield from split_records(records_at(path, place))


class _OneFile(Remaining):
    def __init__(self, path: Path, numbers: Numbers) -> None:
        self._path, self._numbers = path, numbers
        self._writer = ArtifactWriter(path)

    def close(self) -> None:
        self._writer.close()

    def records(self) -> Iterator[tuple[int, Sequence[bytes]]]:
        return enumerate(records_of(self._path))

    def write(self, record: Sequence[bytes]) -> None:
        head, *lines = record
        data = b"".join([self._numbers.applied(head), *lines])
        self._writer.write(data, records=1, items=len(record))

    def entry(self) -> ArtifactEntry:
        return self._writer.entry()


class _InParts(Remaining):
    def __init__(
        self, run: Run, path: Path, parts: PartsList, places_: Iterator[int], numbers: Numbers
    ) -> None:
        self._run, self._path, self._numbers = run, path, numbers
        self._parts, self._files = list(parts.parts), parts.files
        self._touched = _with_places(self._parts, places_) | self._renumbered()
        self._writer: PartWriter | None = None
        self._reading = self._records()

    def close(self) -> None:
        self._reading.close()

    def records(self) -> Iterator[tuple[int, Sequence[bytes]]]:
        return self._reading

    def _records(self) -> Generator[tuple[int, Sequence[bytes]], None, None]:
        first = 0
        for number, before in enumerate(self._parts):
            if number in self._touched:
                with writing(self._path, number) as self._writer:
                    yield from enumerate(records_of(self._files[number]), first)
                self._parts[number] = self._writer.written
            first += before.records

    def write(self, record: Sequence[bytes]) -> None:
        assert self._writer is not None
        head, *lines = record
        self._writer.spans(key_of_items(head))
        data = b"".join([self._numbers.applied(head), *lines])
        self._writer.output.write(data, records=1, items=len(record))

    def entry(self) -> ArtifactEntry:
        parts, path = [part for part in self._parts if part.records], self._path
        sha256 = sha256_of_parts(path, parts, self._run.stop.leave_if_asked)
        write_list(partial_of(path), parts, of=path)
        return ArtifactEntry(*totals(parts), sha256, utc_now())

    def _renumbered(self) -> set[int]:
        """The parts in which keys of sales change."""
        if not self._numbers.is_another:
            return set()
        cut = [
            (number, self._files[number], place)
            for number, part in enumerate(self._parts)
            for place in places(part.bytes)
        ]
        work = partial(_is_renumbered, numbering=self._numbers.numbering)
        found = self._run.runner.in_order(work, cut, pause=self._run.stop.leave_if_asked)
        return {number for (number, _, _), changes in zip(cut, found, strict=True) if changes}


def _with_places(parts: Sequence[Part], refused: Iterator[int]) -> set[int]:
    """The parts that have a record at one of these places, which ascend."""
    found, end, place = set[int](), 0, next(refused, None)
    for number, part in enumerate(parts):
        end += part.records
        while place is not None and place < end:
            found.add(number)
            place = next(refused, None)
    return found


def _is_renumbered(piece: tuple[int, Path, ByteRange], numbering: Numbering) -> bool:
    """Whether the keys of a sale change in a piece of a part."""
    _, path, place = piece
    records = split_records(records_at(path, place))
    return any(numbering.applied(record[0]) is not record[0] for record in records)
