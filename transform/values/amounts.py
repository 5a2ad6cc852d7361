"""Amounts of lines and sales: S9's own where it has them, else what the API would have stored.

The rules of the Sale Module: discount = q·p·d/100, net = q·p − discount, tax = net·rate/100,
total = net + tax; each is rounded once, to cents, halves towards +∞ (−59.985 gives −59.98), and
no step starts from a rounded one. A figure that S9 holds is a legal figure: it is carried as it is
and takes the place of the computed one in the steps after it. A sale's subtotal, tax amount and
total are the rounded sums of what its lines hold.

Everything is computed exactly, in integers that count units of a power of ten. The API calculates
in binary doubles, where 1.005·100 is 100.49999999999999, so that a half may fall to either side.
Therefore an amount that is at a half, to within the error of those doubles, is computed a second
time as the API does, operation by operation, and the API's cent stands.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, NamedTuple

from transform.values.money import MAX_DIGITS, Number, number, refuse_too_many_digits

AttributeValue = dict[str, Any]

_POWERS: list[int] = [10**exponent for exponent in range(400)]
_DECIMALS = ["", *(f".{cents:02}".rstrip("0") for cents in range(1, 100))]
_MOST_UNITS = 10 ** (MAX_DIGITS - 2)

# Of amounts that follow from a gross amount and percentages up to 100, doubles err by less than
# 2^-48 of that gross amount. Up to _SURE_CENTS of it (2.7 thousand millions in units) that is less
# than 2^-10 of a cent, and what is further than that from a half (_MARGIN counts in halves of a
# cent) rounds to the same cent both ways.
_SURE_CENTS = 2**38
_MARGIN = 2**8
# Up to here the error is far below half a cent, so that the two ways differ by a cent at the most.
# Further up the cents of doubles are noise, and the exact amount stands.
_DOUBLES_COUNT_CENTS = 2**46


class Figures(NamedTuple):
    """S9's own amounts of a line; None where S9 has none."""

    discount: Number | None = None
    net: Number | None = None
    tax: Number | None = None
    total: Number | None = None


NO_FIGURES = Figures()
_NOTHING = Number(0, 0, {"N": "0"})


def line_amounts(
    quantity: Number,
    unit_price: Number,
    discount: Number,
    tax_rate: Number,
    figures: Figures = NO_FIGURES,
) -> list[AttributeValue]:
    """Return discount, net, tax and total of a line, each as {"N": …}.

    `discount` and `tax_rate` are percent. Raises Unconvertible (`too-many-digits`) when an amount
    needs more digits than DynamoDB keeps.
    """
    if None not in figures:
        return [figure.stored for figure in figures if figure]
    cents = line_cents(quantity, unit_price, discount, tax_rate, figures)
    return [
        figure.stored if figure else {"N": amount(own)}
        for own, figure in zip(cents, figures, strict=True)
    ]


def line_cents(
    quantity: Number,
    unit_price: Number,
    discount: Number,
    tax_rate: Number,
    figures: Figures = NO_FIGURES,
) -> list[int]:
    """Return the same amounts in cents, each as computed, also where S9 has a figure."""
    exact, cent, sure = _exact_amounts(quantity, unit_price, discount, tax_rate, figures)
    off, net, tax, total = exact
    # Of each amount the cents, and what is left of them, in halves of the unit. A rest of nothing
    # is a half that was rounded up, a full one a half just missed.
    two_cents, margin = 2 * cent, cent // _MARGIN
    most = two_cents - margin
    off_cents, off_rest = divmod(2 * off + cent, two_cents)
    net_cents, net_rest = divmod(2 * net + cent, two_cents)
    tax_cents, tax_rest = divmod(2 * tax + cent, two_cents)
    total_cents, total_rest = divmod(2 * total + cent, two_cents)
    cents = [off_cents, net_cents, tax_cents, total_cents]
    if not (
        sure
        and margin < off_rest < most
        and margin < net_rest < most
        and margin < tax_rest < most
        and margin < total_rest < most
    ):
        doubles = _api_amounts(quantity, unit_price, discount, tax_rate, figures)
        cents = [*map(_as_stored, cents, doubles)]
    return cents


def rounded_sum(amounts: Iterable[AttributeValue]) -> AttributeValue:
    """Return the sum of stored amounts, each {"N": …}, rounded to cents, as {"N": …}.

    Their order matters as it does to the API, which adds doubles one after the other.
    """
    summands = [number(amount["N"]) or _NOTHING for amount in amounts]
    scale = max((summand.scale for summand in summands), default=0) + 2
    exact = sum(_at(summand, scale) for summand in summands)
    cent = _POWERS[scale - 2]
    cents = (2 * exact + cent) // (2 * cent)
    # Not sum(), which compensates for the errors of doubles from Python 3.12 on.
    double = 0.0
    for summand in summands:
        double += _double(summand)
    return {"N": amount(_as_stored(cents, double))}


def amount(cents: int) -> str:
    """Return an amount as DynamoDB stores it. Raises Unconvertible (`too-many-digits`)."""
    units, rest = divmod(abs(cents), 100)
    plain = f"{units}{_DECIMALS[rest]}" if cents >= 0 else f"-{units}{_DECIMALS[rest]}"
    if units >= _MOST_UNITS:
        refuse_too_many_digits(plain)
    return plain


def js_round(value: float) -> int:
    """Return JavaScript's `Math.round(value)`: the nearest integer, halves towards +∞."""
    floor = math.floor(value)
    # Not floor(value + 0.5): that sum rounds 0.49999999999999994 up to 1.
    return floor + 1 if value - floor >= 0.5 else floor


def _exact_amounts(
    quantity: Number, unit_price: Number, discount: Number, tax_rate: Number, figures: Figures
) -> tuple[tuple[int, int, int, int], int, bool]:
    """Return the four amounts, what a cent is in their unit, and whether doubles are that exact."""
    # One scale for all steps, fine enough for the exact value of each.
    scale = quantity.scale + unit_price.scale + discount.scale + tax_rate.scale + 4
    if figures is not NO_FIGURES:
        scale += max([figure.scale for figure in figures if figure], default=0)
    cent = _POWERS[scale - 2]
    percent, percent_of_tax = _POWERS[discount.scale + 2], _POWERS[tax_rate.scale + 2]

    gross = quantity.units * unit_price.units
    gross *= _POWERS[scale - quantity.scale - unit_price.scale]
    given_off, given_net, given_tax, given_total = figures
    off = _at(given_off, scale) if given_off else gross * discount.units // percent
    net = _at(given_net, scale) if given_net else gross - off
    tax = _at(given_tax, scale) if given_tax else net * tax_rate.units // percent_of_tax
    total = _at(given_total, scale) if given_total else net + tax

    # Figures of S9 have any size and may contradict each other, so the bound does not hold.
    sure = (
        figures is NO_FIGURES
        and abs(gross) < _SURE_CENTS * cent
        and abs(discount.units) <= percent
        and abs(tax_rate.units) <= percent_of_tax
    )
    return (off, net, tax, total), cent, sure


def _api_amounts(
    quantity: Number, unit_price: Number, discount: Number, tax_rate: Number, figures: Figures
) -> tuple[float, float, float, float]:
    """Return the four amounts as the API has them before it rounds, in its order of operations."""
    given_off, given_net, given_tax, given_total = figures
    gross = _double(quantity) * _double(unit_price)
    off = _double(given_off) if given_off else gross * _double(discount) / 100
    net = _double(given_net) if given_net else gross - off
    tax = _double(given_tax) if given_tax else net * _double(tax_rate) / 100
    total = _double(given_total) if given_total else net + tax
    return off, net, tax, total


def _as_stored(cents: int, double: float) -> int:
    """Return the cents that the API stores: `cents` exactly, unless its double is one off."""
    if abs(cents) > _DOUBLES_COUNT_CENTS or not math.isfinite(double):
        return cents
    api_cents = js_round(double * 100)
    return api_cents if abs(api_cents - cents) == 1 else cents


def _at(figure: Number, scale: int) -> int:
    return figure.units * _POWERS[scale - figure.scale]


def _double(figure: Number) -> float:
    return float(figure.stored["N"])
