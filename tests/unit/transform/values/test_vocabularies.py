"""Statuses, flags and attributes with a few allowed words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transform.rejections import Unconvertible
from transform.values import vocabularies
from transform.values.flags import boolean, flag
from transform.values.statuses import SALE_STATUSES, sale_status, sale_status_words

WORDS = sale_status_words({})
S9_TABLE = {
    "draft": ["bozza", "draft", "new", "to verify", "proforma"],
    "confirmed": ["confermato", "conf", "confirmed", "ready"],
    "invoiced": ["fatturato", "invoiced", "sent"],
    "paid": ["pagato", "paid"],
    "cancelled": ["annullato", "annullata", "cancelled", "deleted"],
}
PAIRS = [(word, status) for status, words in S9_TABLE.items() for word in words]


@pytest.mark.parametrize(("word", "status"), PAIRS)
def test_every_status_of_s9_has_its_counterpart(word: str, status: str) -> None:
    for written in (word, word.upper(), f"  {word.title()}\t", f"\u00a0{word}"):
        assert sale_status(written, WORDS) == (status, word == "proforma")


def test_the_table_holds_nothing_else() -> None:
    assert sorted(WORDS.items()) == sorted(PAIRS)
    assert set(WORDS.values()) == SALE_STATUSES


@pytest.mark.parametrize("unknown", [None, "", "  ", "in lavorazione", "drafts", "0"])
def test_an_unknown_or_empty_status_is_refused_and_named(unknown: object) -> None:
    with pytest.raises(Unconvertible) as refused:
        sale_status(unknown, WORDS)
    assert refused.value.rule == "unknown-status"
    assert repr(unknown) in refused.value.reason


def test_configured_words_extend_the_table_and_win_over_it() -> None:
    words = sale_status_words({" In Lavorazione ": "confirmed", "sent": "confirmed"})
    assert sale_status("IN LAVORAZIONE", words) == ("confirmed", False)
    assert sale_status("sent", words) == ("confirmed", False)
    assert sale_status("invoiced", words) == ("invoiced", False)


def test_a_configured_word_must_lead_to_a_status_of_the_target() -> None:
    with pytest.raises(ValueError, match="shipped"):
        sale_status_words({"spedito": "shipped"})


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (True, True),
        (False, False),
        (1, True),
        (0, False),
        ("t", True),
        ("FALSE", False),
        ("1", True),
    ],
)
def test_a_flag_may_be_a_boolean_or_a_bit(value: object, expected: bool) -> None:
    assert boolean(value) is expected
    assert flag(value) == {"BOOL": expected}


@pytest.mark.parametrize("absent", [None, "", " "])
def test_null_and_blank_are_no_flag(absent: object) -> None:
    assert boolean(absent) is None
    assert flag(absent) is None


@pytest.mark.parametrize("value", [2, -1, "si", "x", 1.0, []])
def test_anything_else_is_no_flag(value: object) -> None:
    with pytest.raises(Unconvertible) as refused:
        flag(value)
    assert refused.value.rule == "invalid-boolean"


Choice = Callable[[object], "dict[str, Any] | None"]
SECTORS = [
    *("construction", "mining", "oil_gas", "energy", "manufacturing", "food_beverage"),
    *("agriculture", "chemicals", "pharmaceuticals", "technology", "transport", "other"),
]
CHOICES: list[tuple[Choice, list[str]]] = [
    (vocabularies.sector, SECTORS),
    (vocabularies.vat_exemption, ["standard", "split_payment", "exempt"]),
    (vocabularies.quantity_class, ["any", "small", "medium", "large"]),
    (vocabularies.language, ["it", "en", "de", "fr"]),
    (vocabularies.document_type, ["proforma", "invoice"]),
]


@pytest.mark.parametrize(("choose", "words"), CHOICES)
def test_the_words_of_the_target_are_taken_in_any_case(choose: Choice, words: list[str]) -> None:
    for word in words:
        for written in (word, word.upper(), f" {word} ", word.replace("_", " ")):
            assert choose(written) == {"S": word}


@pytest.mark.parametrize(("choose", "words"), CHOICES)
def test_blank_is_absent_and_the_unknown_is_refused(choose: Choice, words: list[str]) -> None:
    assert choose(None) is choose("  ") is None
    with pytest.raises(Unconvertible) as refused:
        choose("boh")
    assert refused.value.rule.startswith("unknown-")
    assert "'boh'" in refused.value.reason
    assert all(word in refused.value.reason for word in words)


@pytest.mark.parametrize(
    ("choose", "italian", "word"),
    [
        (vocabularies.sector, "Edilizia", "construction"),
        (vocabularies.sector, "OIL & GAS", "oil_gas"),
        (vocabularies.sector, "Petrolio e gas", "oil_gas"),
        (vocabularies.sector, "Food & Beverage", "food_beverage"),
        (vocabularies.sector, "alimentare", "food_beverage"),
        (vocabularies.sector, "Chimica", "chemicals"),
        (vocabularies.sector, "Trasporti", "transport"),
        (vocabularies.sector, "Altro", "other"),
        (vocabularies.vat_exemption, "Split Payment", "split_payment"),
        (vocabularies.vat_exemption, "scissione dei pagamenti", "split_payment"),
        (vocabularies.vat_exemption, "ESENTE", "exempt"),
        (vocabularies.vat_exemption, "ordinario", "standard"),
        (vocabularies.quantity_class, "Piccole quantità", "small"),
        (vocabularies.quantity_class, "grandi", "large"),
        (vocabularies.quantity_class, "qualsiasi", "any"),
        (vocabularies.document_type, "Fattura", "invoice"),
        (vocabularies.document_type, "pro-forma", "proforma"),
    ],
)
def test_italian_words_are_understood(choose: Choice, italian: str, word: str) -> None:
    assert choose(italian) == {"S": word}


@given(st.text(alphabet="abcdefghijklmnopqrstuvwxyz", min_size=3, max_size=3))
def test_a_currency_is_three_capitals(code: str) -> None:
    assert vocabularies.currency(f" {code} ") == {"S": code.upper()}


@pytest.mark.parametrize("value", ["€", "EU", "EURO", "E R", "12A", "ßss"])
def test_what_has_not_three_letters_is_no_currency(value: str) -> None:
    with pytest.raises(Unconvertible) as refused:
        vocabularies.currency(value)
    assert refused.value.rule == "invalid-currency"


def test_a_blank_currency_is_absent() -> None:
    assert vocabularies.currency(" ") is None
