"""However a file and a table are cut into pieces, everything is in exactly one of them."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import cast

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.transformed_artifacts import sale
from utils.table_reader import TableReader
from validate import verify_pieces
from validate.verify_pieces import TablePass, file_pieces, lines_of_records


def table_pass(segments: int) -> TablePass:
    return TablePass(cast(TableReader, None), "Sales", segments, Path(), sales=True)


@given(st.lists(st.integers(0, 4), max_size=9), st.integers(1, 4_000))
@settings(deadline=None)
def test_every_record_of_a_file_is_whole_and_in_one_piece(
    tmp_path_factory: pytest.TempPathFactory, lines: list[int], size: int
) -> None:
    records = [
        [orjson.dumps({"Item": item}) + b"\n" for item in sale(number, lines=count)]
        for number, count in enumerate(lines)
    ]
    path = tmp_path_factory.getbasetemp() / "sales.json"
    path.write_bytes(b"".join(line for record in records for line in record))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(verify_pieces, "_FILE_BYTES", size)
        pieces = file_pieces(path.stat().st_size)
    found = [lines_of_records(path, place) for place in pieces]
    assert [line for piece in found for line in piece] == [
        line for record in records for line in record
    ]
    assert all(b'"SK":{"S":"METADATA"}' in piece[0] for piece in found if piece)


def test_what_opens_no_record_at_the_beginning_of_a_file_is_not_lost(tmp_path: Path) -> None:
    stray, record = (
        [orjson.dumps({"Item": item}) + b"\n" for item in items]
        for items in (sale(1, lines=2)[1:], sale(2, lines=1))
    )
    path = tmp_path / "sales.json"
    path.write_bytes(b"".join(stray + record))
    size = path.stat().st_size
    cut = size // 2
    assert lines_of_records(path, (0, cut)) + lines_of_records(path, (cut, size)) == stray + record


@given(st.integers(1, 2_000), st.integers(1, 64))
def test_every_segment_is_in_one_piece(segments: int, at_once: int) -> None:
    pieces = table_pass(segments).pieces(at_once)
    assert sorted(segment for piece in pieces for segment in piece) == list(range(segments))
    assert {len(piece) for piece in pieces[:-1]} <= {at_once}


@given(st.integers(8, 2_000))
def test_segments_that_are_read_together_are_far_apart(segments: int) -> None:
    order = [segment for (segment,) in table_pass(segments).pieces(1)]
    for one, other in pairwise(order):
        apart = abs(one - other)
        assert min(apart, segments - apart) >= segments // 5
