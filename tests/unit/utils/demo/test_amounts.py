"""Clean sample amounts leave no doubt: exact arithmetic and binary doubles agree on the cent."""

from __future__ import annotations

import math
from decimal import ROUND_FLOOR, Decimal

from hypothesis import given
from hypothesis import strategies as st

from utils.demo.sample.amounts import Amounts, Figures, decimal_text, settle

FIGURES = st.builds(
    Figures,
    quantity=st.none() | st.integers(-999_999, 999_999),
    price=st.integers(0, 10**10),
    discount=st.none() | st.integers(0, 100 * 10**4),
    rate=st.none() | st.sampled_from([0, 400, 1_000, 2_200]),
    sale_rate=st.none() | st.sampled_from([0, 400, 1_000, 2_200]),
)


def as_decimals(figures: Figures) -> tuple[Decimal, Decimal, Decimal, Decimal]:
    quantity = Decimal(1) if figures.quantity is None else Decimal(figures.quantity) / 1_000
    rate = figures.sale_rate if figures.rate is None else figures.rate
    percent = Decimal(22) if rate is None else Decimal(rate) / 100
    return quantity, Decimal(figures.price) / 10**6, _discount(figures), percent


def _discount(figures: Figures) -> Decimal:
    return Decimal(figures.discount or 0) / 10**4


def in_exact_arithmetic(figures: Figures) -> Amounts:
    quantity, price, discount, rate = as_decimals(figures)
    off = quantity * price * discount / 100
    net = quantity * price - off
    tax = net * rate / 100
    rounded = [
        int((value * 100 + Decimal("0.5")).to_integral_value(ROUND_FLOOR))
        for value in (off, net, tax, net + tax)
    ]
    return Amounts(*rounded)


def in_doubles(figures: Figures) -> Amounts:
    quantity, price, discount, rate = (float(value) for value in as_decimals(figures))
    off = quantity * price * discount / 100
    net = quantity * price - off
    tax = net * rate / 100
    return Amounts(*(math.floor(value * 100 + 0.5) for value in (off, net, tax, net + tax)))


@given(FIGURES)
def test_settled_amounts_are_those_of_exact_arithmetic_and_of_doubles(figures: Figures) -> None:
    settled, amounts = settle(figures)
    assert amounts == in_exact_arithmetic(settled) == in_doubles(settled)


@given(FIGURES)
def test_settled_totals_are_net_and_tax(figures: Figures) -> None:
    _, amounts = settle(figures)
    assert amounts.net + amounts.tax == amounts.total


@given(FIGURES)
def test_settling_only_raises_the_price_and_only_a_little(figures: Figures) -> None:
    settled, _ = settle(figures)
    assert figures.price <= settled.price <= figures.price + 2_000_000
    assert (settled.quantity, settled.discount, settled.rate) == (
        figures.quantity,
        figures.discount,
        figures.rate,
    )


def test_a_price_that_stays_on_the_half_cent_is_brought_to_whole_cents() -> None:
    settled, _ = settle(Figures(quantity=-3_000, price=10_005_000, discount=None, rate=400))
    assert settled.price % 10_000 == 0


@given(st.integers(-(10**15), 10**15), st.integers(1, 6))
def test_decimal_text_is_the_exact_number(value: int, digits: int) -> None:
    text = decimal_text(value, digits)
    assert text is not None
    assert Decimal(text) == Decimal(value) / 10**digits
    assert len(text.partition(".")[2]) == digits


def test_null_stays_null() -> None:
    assert decimal_text(None, 2) is None
