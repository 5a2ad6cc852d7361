"""However a table is cut into pieces, everything is in exactly one of them."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from utils.dynamodb.scan_segments import in_order, pieces_of


@given(st.integers(1, 2_000), st.integers(1, 64))
def test_every_segment_is_in_one_piece_and_the_last_pieces_are_small(
    segments: int, processes: int
) -> None:
    pieces = list(pieces_of(segments, processes))
    assert sorted(segment for piece in pieces for segment in piece) == list(range(segments))
    sizes = [len(piece) for piece in pieces]
    assert sizes == sorted(sizes, reverse=True)
    assert max(sizes) <= 32
    assert sizes[-1] <= 4


@given(st.integers(8, 2_000))
def test_segments_that_are_read_together_are_far_apart(segments: int) -> None:
    order = in_order(segments)
    for one, other in pairwise(order):
        apart = abs(one - other)
        assert min(apart, segments - apart) >= segments // 5
