"""Damaged texts: the quick look at a line misses nothing that the thorough one finds."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.records.items import Item, as_lines, texts
from validate.rules.text_rules import may_be_damaged, text_notes


def rules_of(item: Item) -> set[str]:
    return {note.rule for note in text_notes(item)}


# The usual accident: UTF-8 taken for Windows-1252 or Latin-1, once.
ITALIAN = ["Società", "perché", "più", "è", "Città", "25 °C", "5 €", "“virgolette”", "l’azienda"]


@pytest.mark.parametrize("text", ITALIAN)
@pytest.mark.parametrize("encoding", ["latin-1", "cp1252"])
def test_text_that_was_decoded_wrongly_is_found(text: str, encoding: str) -> None:
    try:
        damaged = text.encode().decode(encoding)
    except UnicodeDecodeError:
        damaged = text.encode().decode("latin-1")
    assert "garbled-text" in rules_of(texts(notes=f"Nota: {damaged} (sic)"))
    assert rules_of(texts(notes=f"Nota: {text} (sic)")) == set()


@pytest.mark.parametrize("text", ["SocietÃ ", "SocietÃ", "Citt� di Castello"])
def test_what_is_left_of_it_after_trimming_is_found(text: str) -> None:
    assert rules_of(texts(city=text)) == {"garbled-text"}


@pytest.mark.parametrize("text", ["SÃO PAULO", "IRMÃ LTDA", "Â Paris", "hâ€", "Þórður", "ÄÖÜß"])
def test_letters_of_other_languages_are_not_taken_for_damage(text: str) -> None:
    assert rules_of(texts(city=text)) == set()


@pytest.mark.parametrize("character", ["\t", "\n", "\r"])
def test_lines_and_tabs_belong_into_long_texts_only(character: str) -> None:
    assert rules_of(texts(notes=f"a{character}b")) == set()
    assert rules_of(texts(city=f"a{character}b")) == {"control-characters"}


@pytest.mark.parametrize("character", ["\x01", "\x0b", "\x1f", "\x7f", "\x85", "\x9f"])
def test_other_control_characters_belong_nowhere(character: str) -> None:
    for name in ("notes", "city"):
        assert rules_of(texts(**{name: f"a{character}b"})) == {"control-characters"}


def test_a_message_names_the_character_and_no_text() -> None:
    (note,) = text_notes(texts(companyName="ROSSI\x07SPA"), "lines[2].")
    assert note.field == "lines[2].companyName"
    assert "U+0007" in note.message
    assert "ROSSI" not in note.message


_SNIPPETS = st.sampled_from(
    [
        "Ã",
        "Â",
        "â",
        "€",
        "™",
        "\xa0",
        "\x80",
        "Ÿ",
        "ð",
        "�",
        "\n",
        "\t",
        "\x07",
        "\\",
        '"',
        "/",
        "a ",
    ]
)


@given(
    st.dictionaries(
        st.sampled_from(["notes", "city", "companyName", "productDescription"]),
        st.one_of(st.text(), st.lists(_SNIPPETS).map("".join)),
    )
)
def test_a_line_that_looks_clean_is_clean(values: dict[str, str]) -> None:
    item = texts(**values)
    (line,) = as_lines([item])
    if not may_be_damaged(line):
        assert rules_of(item) == set()


def test_quotes_and_ordinary_letters_do_not_make_a_line_suspect() -> None:
    text = 'Tubo 1/2" «ottone» – perché è così, 25 °C, naïve, Straße'
    assert not may_be_damaged(orjson.dumps({"Item": texts(notes=text)}))
