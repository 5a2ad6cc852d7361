"""Positions in the log, and what a snapshot sees by the low 32 bits of a transaction's number."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extract.change_log.postgresql.positions import Visible, position_of, position_text


@given(st.integers(0, (1 << 64) - 1))
def test_a_position_survives_being_written(position: int) -> None:
    assert position_of(position_text(position)) == position


@pytest.mark.parametrize("text", ["", "0", "0/", "x/0", "?"])
def test_what_is_no_position(text: str) -> None:
    with pytest.raises(ValueError):
        position_of(text)


@given(
    end=st.integers(10, 1 << 40),
    ago=st.integers(-1000, (1 << 31) - 1),
    running=st.lists(st.integers(1, 2000), max_size=5),
)
def test_seen_is_what_had_ended_before_the_snapshot(end: int, ago: int, running: list[int]) -> None:
    """Whatever lap of the 32-bit circle the numbers are in."""
    numbers = [end - each for each in running if end - each > 2]
    visible = Visible.of(f"{min([end, *numbers])}:{end}:{','.join(map(str, sorted(numbers)))}")
    xid = end - ago
    if xid > 2:
        assert visible.sees(xid % (1 << 32)) == (ago > 0 and xid not in numbers)


def test_nothing_runs() -> None:
    visible = Visible.of("100:100:")
    assert visible.unseen([99, 100, 101]) == [100, 101]


@pytest.mark.parametrize(
    ("later", "earlier", "covers"),
    [
        ("5:9:5", "5:9:5", True),
        ("9:9:", "5:9:5", True),
        ("5:12:5,10", "5:9:5,7", True),
        ("5:12:5,7", "5:9:5", False),
        ("5:8:5", "5:9:5", False),
    ],
)
def test_a_later_snapshot_sees_all_that_an_earlier_one_sees(
    later: str, earlier: str, covers: bool
) -> None:
    assert Visible.of(later).covers(Visible.of(earlier)) == covers
