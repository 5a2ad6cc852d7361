"""However a file is cut into pieces, every line and every record is whole, and in one of them."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.records.transformed import sale
from utils.files.artifacts import starts_record
from utils.files.pieces import (
    ByteRange,
    lines_in,
    located_records,
    places,
    portions,
    records_at,
    rows_at,
    whole_records,
)


def records_of(line_counts: list[int]) -> list[list[bytes]]:
    return [
        [orjson.dumps({"Item": item}) + b"\n" for item in sale(number, lines=count)]
        for number, count in enumerate(line_counts)
    ]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "sales.json"


@given(line_counts=st.lists(st.integers(0, 4), max_size=9), target=st.integers(150, 4_000))
def test_everything_is_in_exactly_one_piece(
    tmp_path_factory: pytest.TempPathFactory, line_counts: list[int], target: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "sales.json"
    records = records_of(line_counts)
    lines = [line for record in records for line in record]
    path.write_bytes(b"".join(lines))
    pieces = places(path.stat().st_size, target=target)
    assert [line for place in pieces for line in rows_at(path, place)] == lines
    found = [records_at(path, place) for place in pieces]
    assert [line for piece in found for line in piece] == lines
    assert all(starts_record(piece[0]) for piece in found if piece)
    begins = [located_records(path, place)[0] for place in pieces]
    whole = path.read_bytes()
    for begin, piece in zip(begins, found, strict=True):
        assert whole[begin:].startswith(b"".join(piece))
    if pieces:  # every end is a place to go on from
        middle = len(pieces) // 2
        later = places(len(whole), start=pieces[middle].end, target=target)
        rest = [line for place in later for line in records_at(path, place)]
        assert rest == [line for piece in found[middle + 1 :] for line in piece]


@given(line_counts=st.lists(st.integers(0, 4), max_size=9), target=st.integers(1, 4_000))
def test_pieces_of_whole_records_follow_each_other(
    tmp_path_factory: pytest.TempPathFactory, line_counts: list[int], target: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "sales.json"
    lines = [line for record in records_of(line_counts) for line in record]
    path.write_bytes(b"".join(lines))
    pieces = list(whole_records(path, target=target))
    assert [line for place in pieces for line in lines_in(path, place)] == lines
    for place in pieces:
        found = lines_in(path, place)
        assert starts_record(found[0])
        last = max(n for n, line in enumerate(found) if starts_record(line))
        assert place.start + sum(map(len, found[:last])) < place.start + target
    for place in pieces:
        assert (
            list(whole_records(path, start=place.end, target=target))
            == pieces[pieces.index(place) + 1 :]
        )


@pytest.mark.parametrize("shift", [-1, 0, 1])
def test_a_cut_between_two_records_and_beside_it(path: Path, shift: int) -> None:
    records = records_of([0, 2, 0, 1])
    path.write_bytes(b"".join(line for record in records for line in record))
    cut = sum(map(len, [*records[0], *records[1]])) + shift
    first, second = ByteRange(0, cut), ByteRange(cut, path.stat().st_size)
    wanted = 3 if shift > 0 else 2
    assert records_at(path, first) == [line for record in records[:wanted] for line in record]
    assert records_at(path, second) == [line for record in records[wanted:] for line in record]
    lines = 5 if shift > 0 else 4
    assert (len(rows_at(path, first)), len(rows_at(path, second))) == (lines, 7 - lines)


def test_what_opens_no_record_at_the_beginning_of_a_file_is_not_lost(path: Path) -> None:
    (stray, record) = ([*records_of([2])[0][1:]], records_of([0, 1])[1])
    path.write_bytes(b"".join(stray + record))
    size = path.stat().st_size
    cut = size // 2
    halves = records_at(path, ByteRange(0, cut)), records_at(path, ByteRange(cut, size))
    assert halves[0] + halves[1] == stray + record


def test_a_last_line_without_a_line_break_is_a_line(path: Path) -> None:
    path.write_bytes(b"1\n2")
    assert rows_at(path, ByteRange(0, 3)) == [b"1\n", b"2"]
    assert rows_at(path, ByteRange(0, 2)) == [b"1\n"]
    assert rows_at(path, ByteRange(2, 3)) == [b"2"]


@given(sizes=st.lists(st.integers(0, 30)), most=st.integers(1, 5), most_bytes=st.integers(1, 40))
def test_portions_are_all_entries_and_none_is_too_large(
    sizes: list[int], most: int, most_bytes: int
) -> None:
    entries = [b"x" * size for size in sizes]
    found = list(portions(entries, most, len, most_bytes))
    assert [entry for portion in found for entry in portion] == entries
    for portion in found:
        assert 1 <= len(portion) <= most
        assert len(portion) == 1 or sum(map(len, portion)) <= most_bytes


def test_portions_hold_no_more_bytes_than_they_may() -> None:
    tracemalloc.start()
    for portion in portions((b"x" * (1 << 20) for _ in range(50)), 1_000, len, 4 << 20):
        assert len(portion) <= 4
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10 << 20
