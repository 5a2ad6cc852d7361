"""Money of the sample data, in whole numbers of the smallest unit.

The Sale Module computes discount = q·p·d/100, net = q·p − discount, tax = net·rate/100 and
total = net + tax without rounding between the steps, and rounds each once to cents, halves
towards +∞, in binary doubles. Clean sample rows keep away from the halves, where doubles and
exact arithmetic may differ, so that there is one right answer.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

QUANTITY_DIGITS = 3
PRICE_DIGITS = 6
DISCOUNT_DIGITS = 4
RATE_DIGITS = 2
DEFAULT_RATE = 22 * 10**RATE_DIGITS
_CENT = 10 ** (QUANTITY_DIGITS + PRICE_DIGITS - 2)
_CENT_DISCOUNTED = _CENT * 100 * 10**DISCOUNT_DIGITS
_CENT_TAXED = _CENT_DISCOUNTED * 100 * 10**RATE_DIGITS
_ONE_CENT_OF_PRICE = 10 ** (PRICE_DIGITS - 2)
_PATIENCE = 25


@dataclass(frozen=True)
class Figures:
    """What a line counts: quantity (thousandths), price (millionths), discount (percent, ten
    thousandths), rate (percent, hundredths). None is S9's NULL: 1, no discount, `sale_rate`."""

    quantity: int | None
    price: int
    discount: int | None
    rate: int | None
    sale_rate: int | None = None


@dataclass(frozen=True)
class Amounts:
    """What a line, or a sale, is worth, in cents."""

    discount: int
    net: int
    tax: int
    total: int


NOTHING = Amounts(0, 0, 0, 0)


def settle(figures: Figures) -> tuple[Figures, Amounts]:
    """The figures with their price raised, by as few cents as need be, until the amounts are
    beyond doubt: no half cent anywhere, and total = net + tax after rounding too."""
    attempt = 0
    while (amounts := _certain(figures)) is None:
        attempt += 1
        price = figures.price
        if attempt % _PATIENCE == 0:
            # With an odd quantity, 10.005 stays on a half however many cents are added.
            price -= price % _ONE_CENT_OF_PRICE
        figures = replace(figures, price=price + _ONE_CENT_OF_PRICE)
    return figures, amounts


def _certain(figures: Figures) -> Amounts | None:
    quantity = 10**QUANTITY_DIGITS if figures.quantity is None else figures.quantity
    rate = figures.sale_rate if figures.rate is None else figures.rate
    gross = quantity * figures.price
    discount = gross * (figures.discount or 0)
    net = gross * (100 * 10**DISCOUNT_DIGITS) - discount
    tax = net * (DEFAULT_RATE if rate is None else rate)
    total = net * (100 * 10**RATE_DIGITS) + tax
    parts = (
        (discount, _CENT_DISCOUNTED),
        (net, _CENT_DISCOUNTED),
        (tax, _CENT_TAXED),
        (total, _CENT_TAXED),
    )
    if any(_near_half(value, cent) for value, cent in parts):
        return None
    amounts = Amounts(*(_cents(value, cent) for value, cent in parts))
    return amounts if amounts.net + amounts.tax == amounts.total else None


def _near_half(value: int, cent: int) -> bool:
    return abs(2 * (value % cent) - cent) < cent // 5_000


def _cents(value: int, cent: int) -> int:
    return (2 * value + cent) // (2 * cent)


def decimal_text(value: int | None, digits: int) -> str | None:
    """The number value / 10^digits as PostgreSQL reads it: -1234 with 2 digits is "-12.34"."""
    if value is None:
        return None
    sign, value = ("-", -value) if value < 0 else ("", value)
    whole, part = divmod(value, 10**digits)
    return f"{sign}{whole}.{part:0{digits}d}"
