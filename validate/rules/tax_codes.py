"""VAT numbers, Italian tax codes and IBANs: checked by python-stdnum, country by country."""

from __future__ import annotations

import re
from functools import cache, lru_cache
from typing import Any

from stdnum import iban
from stdnum.ch import uid
from stdnum.exceptions import ValidationError
from stdnum.it import codicefiscale, iva
from stdnum.util import get_cc_module

_PERSON = re.compile(
    r"[A-Z]{6}[0-9LMNPQRSTUV]{2}[A-Z][0-9LMNPQRSTUV]{2}[A-Z][0-9LMNPQRSTUV]{3}[A-Z]"
)
_DIGITS_OF_COMPANY = 11
_NOISE = re.compile(r"[\s.\-/:]")
_SWISS = frozenset({"CH", "LI"})
_SWISS_SUFFIX = re.compile(r"(?:MWST|TVA|IVA|TPV)$")
# Where a VAT number begins with other letters than the country's ISO code.
_VAT_PREFIXES = {"GR": ("EL", "GR"), "MC": ("FR", "MC"), "IM": ("GB", "IM"), "GB": ("GB", "XI")}
# Countries whose numbers are those of another one.
_NUMBERED_AS = {"IM": "GB"}
_IBAN_LENGTHS = {
    **{"AT": 20, "BE": 16, "BG": 22, "CH": 21, "CY": 28, "CZ": 24, "DE": 22, "DK": 18, "EE": 20},
    **{"ES": 24, "FI": 18, "FR": 27, "GB": 22, "GR": 27, "HR": 21, "HU": 28, "IE": 22, "IT": 27},
    **{"LI": 21, "LT": 20, "LU": 20, "LV": 21, "MC": 27, "MT": 31, "NL": 18, "NO": 15, "PL": 28},
    **{"PT": 25, "RO": 24, "SE": 24, "SI": 19, "SK": 24, "SM": 27},
}
_IBAN_START = re.compile(r"(?<![A-Za-z0-9])[A-Z]{2}[0-9]{2}(?=[ ]?[A-Z0-9])")


def compact(number: str) -> str:
    """A number in capitals, without the blanks, dots, dashes and slashes that people put in."""
    return _NOISE.sub("", number).upper()


def vat_key(country: str, number: str) -> str:
    """A VAT number in one spelling, for comparing: its country and what follows the prefix.

    "" for one that says nothing (blank, or only zeros).
    """
    bare = _without_prefix(country, compact(number))
    return f"{country}{bare}" if bare.strip("0") else ""


def is_person(number: str) -> bool:
    """Whether a text has the form of the Italian tax code of a person (16 characters)."""
    return bool(_PERSON.fullmatch(compact(number)))


def is_vat_number(country: str, number: str) -> bool:
    """Whether `number` is a valid VAT number of `country` (ISO alpha-2), prefix or not.

    Countries whose numbers python-stdnum does not know are taken as they are.
    """
    bare = _without_prefix(country, compact(number))
    if country in _SWISS:
        return _passes(uid, _SWISS_SUFFIX.sub("", compact(number)))
    if country == "IT":
        return _is_iva(bare)
    module = _vat_module(_NUMBERED_AS.get(country, country))
    return module is None or _passes(module, bare) or _passes(module, compact(number))


def is_fiscal_code(number: str) -> bool:
    """Whether `number` is a valid Italian tax code: 16 characters, or 11 digits of a company."""
    bare = compact(number)
    return _is_iva(bare) if len(bare) == _DIGITS_OF_COMPANY else _passes(codicefiscale, bare)


@lru_cache(maxsize=64)
def _is_iva(number: str) -> bool:
    """Whether these are the eleven digits of an Italian company. Cached: they are its VAT number
    and its tax code."""
    return _passes(iva, number)


@lru_cache(maxsize=4096)
def is_iban(number: str) -> bool:
    """Whether `number` is a valid IBAN. Cached: a firm has few accounts and many sales."""
    return _passes(iban, compact(number))


def wrong_ibans(text: str) -> list[str]:
    """The IBANs within a free text that are not valid.

    Only what obviously means one counts: country, check digits and exactly as many further
    characters as the country's IBANs have, in one piece or in groups.
    """
    found = (_iban_at(text, match.start()) for match in _IBAN_START.finditer(text))
    return [number for number in found if number and not is_iban(number)]


def _iban_at(text: str, start: int) -> str:
    """The characters of an IBAN that begins at `start`; "" when they are not one's."""
    length = _IBAN_LENGTHS.get(text[start : start + 2])
    if length is None:
        return ""
    found = ""
    for position in range(start, len(text)):
        character = text[position]
        if len(found) == length:
            return "" if character.isalnum() else found
        if character.isascii() and character.isalnum():
            found += character
        elif character != " ":
            return ""
    return found if len(found) == length else ""


def _without_prefix(country: str, number: str) -> str:
    for prefix in _VAT_PREFIXES.get(country, (country,)):
        if number.startswith(prefix):
            return number[len(prefix) :]
    return number


@cache
def _vat_module(country: str) -> Any:
    return get_cc_module(country.lower(), "vat")


def _passes(module: Any, number: str) -> bool:
    try:
        return bool(module.validate(number))
    except ValidationError:
        return False
