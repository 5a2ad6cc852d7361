"""Artifacts in pieces: ranges of bytes that whoever shares the work reads for himself.

A line (or a record, a sale with its lines) belongs to the piece in which it begins. So every piece
can be named without reading the file, none passes between processes, and all of them together are
the file, wherever the cuts are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from io import BytesIO
from itertools import takewhile
from pathlib import Path
from typing import IO, NamedTuple, TypeVar

from utils.files.artifacts import RECORD_MARK, RECORD_MARK_WITHIN, starts_record
from utils.files.elsewhere import at_the_files, range_of
from utils.files.parts import Content, opened_here

_LOOK_BYTES = 1 << 16
_HEAD_BYTES = 1 << 12  # in which a line says what it is
PIECE_BYTES = 1 << 19  # with what becomes of it, about what stays in a processor's cache


T = TypeVar("T")


def portions(
    entries: Iterable[T], most: int, size_of: Callable[[T], int], most_bytes: int = 1 << 20
) -> Iterator[list[T]]:
    """Entries that are done with so many at a time: `most` of them, and no more bytes together than
    `most_bytes`, so that memory is bounded however large they are. One that has more is alone."""
    portion: list[T] = []
    held = 0
    for entry in entries:
        size = size_of(entry)
        held += size
        if portion and (held > most_bytes or len(portion) == most):
            yield portion
            portion, held = [], size
        portion.append(entry)
    if portion:
        yield portion


class ByteRange(NamedTuple):
    """A range of bytes in a file: from `start` up to `end`, which is not in it."""

    start: int
    end: int


def places(size: int, *, start: int = 0, target: int = PIECE_BYTES) -> list[ByteRange]:
    """The pieces of a file of `size` bytes from `start` on, each of `target` bytes at most."""
    return [ByteRange(at, min(at + target, size)) for at in range(start, size, target)]


def rows_at(path: Path, place: ByteRange) -> list[bytes]:
    """The lines that begin in a piece of a file, each with its line break."""
    return located_rows(path, place)[1]


def located_rows(path: Path, place: ByteRange) -> tuple[int, list[bytes]]:
    """The same, with the byte offset at which the first of them begins."""
    begin, data = data_at(path, place)
    return begin, BytesIO(data).readlines()


@at_the_files
def data_at(path: Path, place: ByteRange) -> tuple[int, bytes]:
    """The lines that begin in a piece of a file as they follow each other, and the byte offset at
    which the first of them begins."""
    with opened_here(path) as handle:
        return _data(handle, place)


def headers_in(data: bytes) -> Iterator[tuple[int, int]]:
    """Where the lines that open a record of a transformed file begin and end (without their line
    break) in the data of a piece. The lines between are not looked at."""
    end = 0
    while (mark := data.find(RECORD_MARK, end)) >= 0:
        start = data.rfind(b"\n", 0, mark) + 1
        end = data.find(b"\n", mark)
        end = len(data) if end < 0 else end
        if mark - start < RECORD_MARK_WITHIN:
            yield start, end


def records_at(path: Path, place: ByteRange) -> list[bytes]:
    """The lines of the records that begin in a piece of a transformed file."""
    return located_records(path, place)[1]


def located_records(path: Path, place: ByteRange) -> tuple[int, list[bytes]]:
    """The same, with the byte offset at which the first of them begins."""
    begin, data = records_data(path, place)
    return begin, BytesIO(data).readlines()


@at_the_files
def records_data(path: Path, place: ByteRange) -> tuple[int, bytes]:
    """The same as they follow each other, with the byte offset of the first."""
    with opened_here(path) as handle:
        begin, data = _data(handle, place)
        first = next(headers_in(data), (len(data), 0))[0] if place.start else 0
        if first == len(data):
            return place.end, b""
        # The last record may have lines behind the end.
        rest = takewhile(lambda line: not starts_record(line), handle)
        return begin + first, b"".join([data[first:], *rest])


def whole_records(path: Path, *, start: int = 0, target: int = PIECE_BYTES) -> Iterator[ByteRange]:
    """The pieces of a transformed file from byte `start` on, where a record begins, each of whole
    records: as many as fit into `target` bytes, and one that goes beyond."""
    with Content(path) as content:
        while start < content.size:
            end = record_end(content, min(start + target, content.size) - 1, content.size)
            yield ByteRange(start, end)
            start = end


def lines_in(path: Path, place: ByteRange) -> list[bytes]:
    """The lines of a piece that begins and ends with whole lines."""
    return BytesIO(range_of(path, place.start, place.end - place.start)).readlines()


def record_end(content: Content, place: int, end: int) -> int:
    """Where the record ends that has byte `place`, at most `end`: no record is cut in two, so that
    whoever sends it can send it whole."""
    place = _line_end(content, place, end)
    while place < end:
        if starts_record(content.read(_HEAD_BYTES, place).partition(b"\n")[0]):
            break
        place = _line_end(content, place, end)
    return place


def _line_end(content: Content, place: int, end: int) -> int:
    """Where the line ends that has byte `place`, at most `end`."""
    while place < end:
        block = content.read(_LOOK_BYTES, place)
        found = block.find(b"\n")
        if found >= 0:
            return min(place + found + 1, end)
        if not block:
            return end
        place += len(block)
    return end


def _data(handle: IO[bytes], place: ByteRange) -> tuple[int, bytes]:
    handle.seek(max(0, place.start - 1))
    if place.start:
        handle.readline()  # the end of the line before
    begin = handle.tell()
    data = handle.read(max(0, place.end - begin))
    if not data.endswith(b"\n"):
        data += handle.readline() if data else b""
    return begin, data
