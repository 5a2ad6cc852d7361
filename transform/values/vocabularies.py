"""Attributes with a few allowed words: the target's words, and how Italian users write them.

A word is compared without case, and with every run of other characters as one blank, so that
`oil_gas`, `Oil & Gas` and `OIL/GAS` are one. An unknown word refuses the record: no choice of the
target means "something else".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from transform.rejections import Unconvertible
from transform.values.text import clean, quoted

_SEPARATORS = re.compile(r"[\W_]+")
_CURRENCY = re.compile(r"[A-Z]{3}")

LANGUAGES = ("it", "en", "de", "fr")

_SECTORS = {
    "construction": ("costruzione", "costruzioni", "edile", "edilizia"),
    "mining": ("estrattivo", "estrazione", "minerario", "miniere"),
    "oil_gas": ("oil gas", "oil and gas", "petrolio gas", "petrolio e gas"),
    "energy": ("energetico", "energia"),
    "manufacturing": ("manifattura", "manifatturiero", "industria manifatturiera"),
    "food_beverage": (
        "food beverage",
        "food and beverage",
        "alimentare",
        "alimentari",
        "alimenti bevande",
        "alimenti e bevande",
    ),
    "agriculture": ("agricolo", "agricoltura"),
    "chemicals": ("chemical", "chimica", "chimico"),
    "pharmaceuticals": ("pharmaceutical", "pharma", "farmaceutica", "farmaceutico"),
    "technology": ("tecnologia", "tecnologico"),
    "transport": ("trasporti", "trasporto"),
    "other": ("altra", "altre", "altri", "altro"),
}
_VAT_EXEMPTIONS = {
    "standard": ("ordinaria", "ordinario", "normale"),
    "split_payment": (
        "split payment",
        "scissione pagamenti",
        "scissione dei pagamenti",
    ),
    "exempt": ("esente", "esenzione"),
}
_QUANTITIES = {
    "any": ("qualsiasi", "qualunque", "tutte"),
    "small": ("piccola", "piccole", "piccolo", "piccoli", "piccole quantità"),
    "medium": ("media", "medie", "medio", "medi", "medie quantità"),
    "large": ("grande", "grandi", "grandi quantità"),
}


def sector(value: object) -> dict[str, Any] | None:
    """Return the String attribute of a buyer's sector; None when blank.

    Raises Unconvertible (`unknown-sector`).
    """
    return _choose(value, _SECTOR_WORDS, "sector")


def vat_exemption(value: object) -> dict[str, Any] | None:
    """Return the String attribute of a buyer's VAT regime; None when blank.

    Raises Unconvertible (`unknown-vat-exemption`).
    """
    return _choose(value, _VAT_EXEMPTION_WORDS, "vat-exemption")


def quantity_class(value: object) -> dict[str, Any] | None:
    """Return the String attribute of the quantities that a producer makes; None when blank.

    Raises Unconvertible (`unknown-quantity`).
    """
    return _choose(value, _QUANTITY_WORDS, "quantity")


def language(value: object) -> dict[str, Any] | None:
    """Return the String attribute of a language code; None when blank.

    Raises Unconvertible (`unknown-language`).
    """
    return _choose(value, _LANGUAGE_WORDS, "language")


def document_type(value: object) -> dict[str, Any] | None:
    """Return the String attribute of a document type; None when blank.

    Raises Unconvertible (`unknown-document-type`).
    """
    return _choose(value, _DOCUMENT_TYPE_WORDS, "document-type")


def currency(value: object) -> dict[str, Any] | None:
    """Return the String attribute of a currency code, in capitals; None when blank.

    Raises Unconvertible (`invalid-currency`) unless it has three letters.
    """
    code = clean(value).upper()
    if not code:
        return None
    if _CURRENCY.fullmatch(code):
        return {"S": code}
    raise Unconvertible(
        "invalid-currency", f"{quoted(code, words=True)} is not a three-letter code"
    )


def _words(synonyms: Mapping[str, tuple[str, ...]]) -> dict[str, dict[str, Any]]:
    return {
        _normalised(word): {"S": target}
        for target, others in synonyms.items()
        for word in (target, *others)
    }


def _normalised(text: str) -> str:
    return _SEPARATORS.sub(" ", text.casefold()).strip()


def _choose(value: object, words: Mapping[str, dict[str, Any]], what: str) -> dict[str, Any] | None:
    word = clean(value)
    if not word:
        return None
    chosen = words.get(word) or words.get(_normalised(word))
    if chosen is None:
        known = ", ".join(sorted({attribute["S"] for attribute in words.values()}))
        raise Unconvertible(f"unknown-{what}", f"{quoted(word, words=True)} is none of {known}")
    return chosen


_SECTOR_WORDS = _words(_SECTORS)
_VAT_EXEMPTION_WORDS = _words(_VAT_EXEMPTIONS)
_QUANTITY_WORDS = _words(_QUANTITIES)
_LANGUAGE_WORDS = _words(dict.fromkeys(LANGUAGES, ()))
_DOCUMENT_TYPE_WORDS = _words(
    {"invoice": ("fattura",), "proforma": ("pro forma", "fattura proforma", "fattura pro forma")}
)
