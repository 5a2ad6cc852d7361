"""Pictures: what they draw adds up, and stays within them."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from utils.pages import charts
from utils.pages.charts import Amount, Bar, BarRow, rate_curve, time_line

_SVG = "{http://www.w3.org/2000/svg}"
moments = st.floats(0, 1_000)


@st.composite
def amounts(draw: st.DrawFn) -> Amount:
    began, ended = sorted((draw(moments), draw(moments)))
    return Amount(began, ended, draw(st.floats(0, 1e6)))


@given(st.lists(amounts(), max_size=30), st.floats(0.5, 5_000))
def test_a_curve_loses_nothing(them: list[Amount], beyond: float) -> None:
    """What is done a second in each stretch, times its length, is all that was done."""
    seconds = max([each.ended for each in them], default=0.0) + beyond
    rates = charts._spread(them, seconds)
    assert len(rates) <= charts._POINTS
    total = sum(each.amount for each in them)
    assert sum(rates) * seconds / len(rates) == pytest.approx(total, rel=1e-6, abs=1e-3)


@given(st.lists(st.tuples(moments, moments), min_size=1, max_size=8))
def test_bars_are_within_the_time_and_are_seen(stretches: list[tuple[float, float]]) -> None:
    bars = [Bar(min(each), max(each)) for each in stretches]
    drawn = time_line("a label", [BarRow("a <name>", "3 s", bars)], 1_000)
    tree = ElementTree.fromstring(drawn)
    found = [each for each in tree.iter(f"{_SVG}rect") if each.get("class") != "track"]
    assert len(found) == len(bars)
    for each in found:
        left, width = (float((each.get(name) or "").rstrip("%")) for name in ("x", "width"))
        assert left >= 0
        assert width > 0
        assert left + width <= 100.5
    assert "a <name>" in "".join(tree.itertext())


def test_there_is_no_picture_of_nothing() -> None:
    assert time_line("", [], 10) == ""
    assert time_line("", [BarRow("a", "", [])], 0) == ""
    assert rate_curve("", [], [], 10) == ""
    assert rate_curve("", [Amount(0, 1, 5)], [], 0) == ""


def test_a_picture_says_what_it_is_and_how_much_at_the_most() -> None:
    drawn = rate_curve(
        'a "label"', [Amount(0, 10, 50_000)], [Amount(2, 3, 0.5), Amount(2, 3, 4.0)], 20
    )
    tree = ElementTree.fromstring(drawn)
    assert tree.get("aria-label") == 'a "label"'
    assert "5,000 a second" in "".join(tree.itertext())
    waits = [each for each in tree.iter(f"{_SVG}rect") if each.get("class") == "waits"]
    assert len(waits) == 1
    assert not re.search(r"nan|inf", str(drawn))
