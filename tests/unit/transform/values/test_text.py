"""Text: freed of what surrounds it, never of what is in it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transform.rejections import Unconvertible
from transform.values.text import clean, quoted, text

ZERO_WIDTH = "\u200b\u200c\u200d\u2060\ufeff\u180e"
edges = st.text(alphabet=" \t\r\n\u00a0\u2003\u3000\u2028\0" + ZERO_WIDTH)
storable = st.text(alphabet=st.characters(exclude_categories=["Cs"]))


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("  ROSSI & FIGLI S.p.A.  ", "ROSSI & FIGLI S.p.A."),
        ("Società dell'Élite", "Società dell'Élite"),
        ("\u00a0Forlì\u00a0", "Forlì"),
        ("\ufeffCaffè\u200b", "Caffè"),
        ("Via\0 Roma", "Via Roma"),
        (" \0 x \0 ", "x"),
        ("riga 1\n\triga 2\r\n", "riga 1\n\triga 2"),
        ("SocietÃ\u00a0", "SocietÃ"),  # decoded twice: not repaired
        ("viti 🔩", "viti 🔩"),
        ("due  spazi", "due  spazi"),
        (4711, "4711"),
        (-3, "-3"),
    ],
)
def test_only_the_edges_of_a_text_are_cleaned(source: object, expected: str) -> None:
    assert text(source) == {"S": expected}


@pytest.mark.parametrize("blank", [None, "", "   ", "\t\n", "\0", "\u00a0", "\ufeff", "\u200b \0"])
def test_blank_is_absent(blank: object) -> None:
    assert text(blank) is None
    assert clean(blank) == ""


@given(edges, storable, edges)
def test_whatever_surrounds_it_a_text_is_the_same(before: str, inner: str, after: str) -> None:
    assert clean(before + inner + after) == clean(inner)


@given(storable)
def test_cleaning_takes_only_nul_and_edges(value: str) -> None:
    cleaned = clean(value)
    assert cleaned in value.replace("\0", "")
    assert cleaned == clean(cleaned)
    assert cleaned == cleaned.strip()
    left = value.replace("\0", "").replace(cleaned, "", 1) if cleaned else value
    assert all(c.isspace() or c in ZERO_WIDTH + "\0" for c in left)


@given(storable)
def test_an_attribute_is_the_cleaned_text_or_absent(value: str) -> None:
    cleaned = clean(value)
    assert text(value) == ({"S": cleaned} if cleaned else None)


@pytest.mark.parametrize("value", ["caff\ud800", "\udfff", 1.5, True, False, [], {}])
def test_what_is_no_text_is_refused_without_quoting_it(value: object) -> None:
    with pytest.raises(Unconvertible) as refused:
        text(value)
    assert refused.value.rule == "invalid-text"
    assert "caff" not in refused.value.reason


@given(st.text())
def test_a_quotation_is_short_and_can_be_written_to_any_file(value: str) -> None:
    assert len(quoted(value)) <= 42
    quoted(value).encode()
