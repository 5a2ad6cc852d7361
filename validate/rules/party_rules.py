"""What is doubtful about a buyer or producer: its codes, its addresses, its place."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from utils.wording.masking import mask
from validate.rules.catalogue import Note
from validate.rules.checks import Check
from validate.rules.iso_codes import countries, currencies, italian_provinces
from validate.rules.tax_codes import is_fiscal_code, is_person, is_vat_number, wrong_ibans

Item = dict[str, Any]

_LABEL = r"[^\W_](?:[\w-]*[^\W_])?"
_EMAIL = re.compile(
    rf"[^\s@<>()\[\],;:\\\"/.]+(?:\.[^\s@<>()\[\],;:\\\"/.]+)*@(?:{_LABEL}\.)+[^\W\d_]{{2,}}"
)
_BETWEEN_ADDRESSES = re.compile(r"[;,/\s]+")


def business_notes(item: Item) -> Iterator[Note]:
    """What is doubtful about a party that conforms to its schema."""
    country = item["country"]["S"]
    if country not in countries():
        yield Note("country", "country", f'country holds "{country}", which is not in ISO 3166')
    currency = item.get("currency", {}).get("S")
    if currency is not None and currency not in currencies():
        yield Note("currency", "currency", f'currency holds "{currency}", not one of ISO 4217')
    yield from _tax_notes(item, country)
    if country == "IT":
        yield from _province_notes(item["province"]["S"])
    for name in ("email", "pec"):
        if name in item:
            yield from _email_notes(name, item[name]["S"])
    for number in wrong_ibans(item.get("bankDetails", {}).get("S", "")):
        yield Note(
            "bankDetails", "iban", f"bankDetails holds {mask(number)}, which is not a valid IBAN"
        )


def _tax_notes(item: Item, country: str) -> Iterator[Note]:
    number, code = item["vatNumber"]["S"], item["fiscalCode"]["S"]
    if number and country == "IT" and is_person(number):
        text = f"vatNumber holds {mask(number)}, the tax code of a person"
        yield Note("vatNumber", "tax-code-as-vat-number", text)
    elif number and not is_vat_number(country, number):
        text = f"vatNumber holds {mask(number)}, which is not a valid VAT number of {country}"
        yield Note("vatNumber", "vat-number", text)
    if code and country == "IT" and not is_fiscal_code(code):
        text = f"fiscalCode holds {mask(code)}, which is not a valid Italian tax code"
        yield Note("fiscalCode", "fiscal-code", text)


def _province_notes(province: str) -> Iterator[Note]:
    if province and province not in italian_provinces():
        text = f"province holds {mask(province)}, not the two letters of an Italian province"
        yield Note("province", "province", text)


def _email_notes(name: str, text: str) -> Iterator[Note]:
    if _EMAIL.fullmatch(text):
        return
    addresses = [part for part in _BETWEEN_ADDRESSES.split(text) if part]
    if len(addresses) > 1 and all(map(_EMAIL.fullmatch, addresses)):
        message = f"{name} holds {len(addresses)} addresses ({mask(text)}), the API expects one"
        yield Note(name, "email-several", message)
    else:
        yield Note(name, "email", f"{name} holds {mask(text)}, which is not an e-mail address")


CHECKS = (
    Check(
        frozenset(
            {
                *("country", "currency", "vat-number", "tax-code-as-vat-number", "fiscal-code"),
                *("province", "email", "email-several", "iban"),
            }
        ),
        lambda record: business_notes(record.items[0]),
        business=True,
    ),
)
