"""Attributes that are not as they should be: of each type, by as little as can be.

An alteration is a function of the value that an attribute has (DynamoDB JSON); None takes the
attribute away. It is tried on an item of its kind: a header, a line, a party.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from tests.support.damage.catalogue import DAMAGES, HARMLESS, Act, Kind, add
from tests.support.damage.reported import Item, Reported, different, nothing
from tests.support.damage.tables import MigratedTables, Record
from utils.dynamodb.item_content import plain_number

Alteration = Callable[[Item], Item | None]


# -- numbers -----------------------------------------------------------------------------------


def by_a_cent(value: Item) -> Item:
    return {"N": plain_number(str(Decimal(value["N"]) + Decimal("0.01")))}


def by_a_thousandth(value: Item) -> Item:
    return {"N": plain_number(str(Decimal(value["N"]) + Decimal("0.001")))}


def with_the_noise_of_a_binary_float(value: Item) -> Item:
    return {"N": plain_number(str(Decimal(value["N"]) + Decimal("1E-14")))}


def a_hundredfold(value: Item) -> Item:
    """The decimal point is lost."""
    return {"N": plain_number(str(Decimal(value["N"]) * 100))}


def with_the_other_sign(value: Item) -> Item:
    return {"N": plain_number(str(-Decimal(value["N"])))}


def by_a_million(value: Item) -> Item:
    return {"N": plain_number(str(Decimal(value["N"]) + 1_000_000))}


def to_nought(_value: Item) -> Item:
    return {"N": "0"}


def as_a_text(value: Item) -> Item:
    return {"S": value["N"]}


def plus_one(value: Item) -> Item:
    return {"N": str(int(value["N"]) + 1)}


def minus_one(value: Item) -> Item:
    return {"N": str(int(value["N"]) - 1)}


def in_another_notation(value: Item) -> Item:
    """The same number: a server may keep it so."""
    return {"N": f"{Decimal(value['N']) / 10:f}E1"}


def with_more_noughts(value: Item) -> Item:
    return {"N": f"{Decimal(value['N']):.9f}"}


# -- texts -------------------------------------------------------------------------------------


def by_a_letter(value: Item) -> Item:
    return {"S": value["S"][:2] + ("a" if value["S"][2:3] != "a" else "b") + value["S"][3:]}


def in_capitals(value: Item) -> Item:
    return {"S": value["S"].upper()}


def with_a_blank_after_it(value: Item) -> Item:
    return {"S": value["S"] + " "}


def with_a_blank_before_it(value: Item) -> Item:
    return {"S": " " + value["S"]}


def with_two_blanks_for_one(value: Item) -> Item:
    return {"S": value["S"].replace(" ", "  ", 1)}


def with_a_blank_that_does_not_break(value: Item) -> Item:
    return {"S": value["S"].replace(" ", "\u00a0", 1)}


def in_the_decomposed_form(value: Item) -> Item:
    """The same letters to a reader, other code points."""
    return {"S": unicodedata.normalize("NFD", value["S"])}


def decoded_twice(value: Item) -> Item:
    return {"S": value["S"].encode().decode("latin-1")}


def without_accents(value: Item) -> Item:
    plain = unicodedata.normalize("NFD", value["S"]).encode("ascii", "ignore")
    return {"S": plain.decode()}


def with_a_letter_of_another_alphabet(value: Item) -> Item:
    return {"S": value["S"].replace("a", "\u0430", 1)}


def with_a_letter_that_nobody_sees(value: Item) -> Item:
    return {"S": value["S"][:3] + "\u200b" + value["S"][3:]}


def with_another_apostrophe(value: Item) -> Item:
    return {"S": value["S"].replace("'", "\u2019")}


def with_a_line_break(value: Item) -> Item:
    return {"S": value["S"].replace(" ", "\r\n", 1)}


def with_quotation_marks(value: Item) -> Item:
    return {"S": f'"{value["S"]}"'}


def looking_like_attributes(value: Item) -> Item:
    """A text that would be cut into attributes by whoever does not look closely."""
    return {"S": value["S"] + '},"total":{"N":"1'}


def cut_off(value: Item) -> Item:
    return {"S": value["S"][:-1]}


def emptied(_value: Item) -> Item:
    return {"S": ""}


def very_long(value: Item) -> Item:
    return {"S": value["S"] * 8_000}


def as_a_number(value: Item) -> Item:
    """The noughts before it are lost."""
    return {"N": plain_number(value["S"])}


def as_bytes(value: Item) -> Item:
    return {"B": value["S"].encode()}


def as_a_list(value: Item) -> Item:
    return {"L": [value]}


def as_a_map(value: Item) -> Item:
    return {"M": {"value": value}}


def as_a_set(value: Item) -> Item:
    return {"SS": [value["S"]]}


# -- dates and moments -------------------------------------------------------------------------


def by_a_day(value: Item) -> Item:
    return {"S": str(date.fromisoformat(value["S"]) + timedelta(days=1))}


def with_a_time(value: Item) -> Item:
    return {"S": value["S"] + "T00:00:00.000Z"}


def as_days(value: Item) -> Item:
    return {"N": str(date.fromisoformat(value["S"]).toordinal())}


def as_italians_write_it(value: Item) -> Item:
    return {"S": "/".join(reversed(value["S"].split("-")))}


def by_an_hour(value: Item) -> Item:
    """As if it had not been taken from local time to UTC."""
    hour = int(value["S"][11:13])
    return {"S": f"{value['S'][:11]}{(hour + 1) % 24:02}{value['S'][13:]}"}


def without_its_zone(value: Item) -> Item:
    return {"S": value["S"].removesuffix("Z")}


def years_before(value: Item) -> Item:
    return {"S": f"1999{value['S'][4:]}"}


def years_later(value: Item) -> Item:
    return {"S": f"2031{value['S'][4:]}"}


# -- flags, and attributes as such -------------------------------------------------------------


def the_other_way_round(value: Item) -> Item:
    return {"BOOL": not value["BOOL"]}


def as_a_word(value: Item) -> Item:
    return {"S": str(value["BOOL"]).lower()}


def as_one_or_nought(value: Item) -> Item:
    return {"N": str(int(value["BOOL"]))}


def absent(_value: Item) -> None:
    return None


def null(_value: Item) -> Item:
    return {"NULL": True}


def additional(_value: Item) -> Item:
    return {"S": "x"}


def an_empty_list(_value: Item) -> Item:
    return {"L": []}


def an_empty_map(_value: Item) -> Item:
    return {"M": {}}


def that_of_another(value: Item) -> Item:
    return {"S": str(int(value["S"]) + 1)}


def somebody_else(_value: Item) -> Item:
    return {"S": "someone@example.com"}


def past(_value: Item) -> Item:
    return {"N": "1000000000"}


def to_come(_value: Item) -> Item:
    return {"N": "4000000000"}


HEADER, LINE, BUYER, PRODUCER = "header", "line", "buyer", "producer"
_NEEDS = {HEADER: "sale", LINE: "sale", BUYER: "buyer", PRODUCER: "producer"}

# Of an item: the attribute, and what happens to it.
ALTERATIONS: dict[str, dict[str, tuple[Alteration, ...]]] = {
    HEADER: {
        "total": (by_a_cent, with_the_noise_of_a_binary_float, as_a_text, absent),
        "subtotal": (by_a_cent, a_hundredfold, by_a_million),
        "taxAmount": (by_a_cent, to_nought),
        "saleNumber": (as_a_text,),
        "currency": (emptied, absent),
        "year": (plus_one,),
        "notes": (
            by_a_letter,
            in_capitals,
            with_a_blank_after_it,
            in_the_decomposed_form,
            with_a_line_break,
            looking_like_attributes,
            very_long,
            absent,
            null,
            as_a_map,
        ),
        "poNumber": (as_a_number,),
        "deliveryDate": (by_a_day, with_a_time, as_days, as_italians_write_it, absent),
        "createdAt": (by_an_hour, without_its_zone),
        "updatedAt": (years_before, years_later, absent),
        "updatedBy": (somebody_else, absent),
        "invoiceGenerated": (the_other_way_round, as_a_word, as_one_or_nought, absent),
        "buyerName": (by_a_letter,),
        "buyerCity": (without_accents, decoded_twice),
        "saleId": (by_a_letter, absent),
        "legacyId": (that_of_another, absent),
        "ttl": (past, to_come),
        "weather": (additional, an_empty_list, an_empty_map),
        "deletedAt": (null, emptied),
    },
    LINE: {
        "netAmount": (by_a_cent,),
        "quantity": (by_a_thousandth, with_the_other_sign),
        "unitPrice": (by_a_cent,),
        "discount": (to_nought, absent),
        "taxRate": (to_nought,),
        "lineNumber": (plus_one, as_a_text, absent),
        "productDescription": (by_a_letter, with_two_blanks_for_one, cut_off),
        "productCode": (with_a_letter_that_nobody_sees,),
        "lineId": (by_a_letter,),
        "saleId": (by_a_letter,),
        "legacyId": (that_of_another, absent),
        "notes": (with_a_blank_that_does_not_break, as_a_set),
        "ttl": (past,),
        "deletedAt": (null,),
        "colour": (additional,),
    },
    BUYER: {
        "companyName": (with_another_apostrophe,),
        "address": (with_a_letter_of_another_alphabet, with_a_blank_before_it, as_a_list),
        "city": (emptied, absent),
        "postalCode": (as_a_number,),
        "email": (as_bytes,),
        "fiscalCode": (absent, null),
        "notes": (with_quotation_marks,),
        "status": (in_capitals,),
        "buyerId": (by_a_letter,),
        "legacyId": (that_of_another, absent),
        "ttl": (past,),
        "deletedAt": (null,),
    },
    PRODUCER: {
        "revenuePercentage": (by_a_cent, as_a_text),
        "address": (in_the_decomposed_form,),
        "products": (cut_off,),
        "country": (emptied,),
        "legacyId": (absent,),
        "shoeSize": (additional,),
    },
}
_SAME: dict[str, dict[str, tuple[Alteration, ...]]] = {
    HEADER: {"total": (in_another_notation, with_more_noughts), "linesCount": (with_more_noughts,)},
    LINE: {"quantity": (in_another_notation,)},
    PRODUCER: {"revenuePercentage": (with_more_noughts,)},
}


def item_of(of: str, record: Record) -> Item:
    """The item of a record that is meant."""
    return record.lines[0] if of == LINE else record.header


def _altering(
    of: str, attribute: str, alteration: Alteration, told: Callable[..., Reported]
) -> Act:
    def alter(tables: MigratedTables, record: Record) -> Reported:
        item = tables.now(record.entity, item_of(of, record))
        value: Any = item.get(attribute, {})
        other = alteration(value)
        assert other != item.get(attribute), f"{attribute} stays {other}"
        tables.alter(record.entity, item, **{attribute: other})
        return told(record.entity, item)

    return alter


def _as_before(_entity: str, _item: Item) -> Reported:
    return nothing()


def _enter(
    catalogue: dict[str, Kind],
    alterations: dict[str, dict[str, tuple[Alteration, ...]]],
    told: Callable[..., Reported],
) -> None:
    for of, attributes in alterations.items():
        for attribute, each in ((name, each) for name, all_ in attributes.items() for each in all_):
            act = _altering(of, attribute, each, told)
            add(catalogue, f"{of}: {attribute} {each.__name__}", act, _NEEDS[of])


_enter(DAMAGES, ALTERATIONS, different)
_enter(HARMLESS, _SAME, _as_before)
