"""What comes from outside stays a text."""

from __future__ import annotations

import unicodedata

from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup

from utils.pages.rendering import number, shown, told, when

anything = st.text(st.characters(codec="utf-8"), max_size=200)


@given(anything)
def test_a_text_is_only_a_text(text: str) -> None:
    made = told(text)
    inside = str(made).removeprefix('<bdi class="told">').removesuffix("</bdi>")
    assert not set(inside) & set("<>\"'")
    assert all(each.isprintable() or each in "\n\t" for each in Markup(made).striptags() + inside)
    assert not any(unicodedata.bidirectional(each) in _TURNS for each in inside)


_TURNS = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}


def test_a_long_text_is_cut_and_says_so() -> None:
    assert "3,000 characters more" in told("x" * 5_000)


def test_values_are_shown_by_what_they_are() -> None:
    assert shown(1_234_567) == "1,234,567"
    assert shown(12.5) == "12.5"
    assert shown(3.0) == "3"
    assert "–" in shown(None)
    assert shown(Markup("<b>own</b>")) == "<b>own</b>"
    assert shown("<b>") == '<bdi class="told">&lt;b&gt;</bdi>'
    assert number(0) == "0"
    assert when("2026-01-02T03:04:05.678Z").striptags() == "2026-01-02 03:04:05 UTC"
    assert "–" in when(None)
