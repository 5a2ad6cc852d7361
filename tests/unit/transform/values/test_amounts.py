"""Amounts: what S9 holds is carried; what it lacks is what the API would have stored."""

from __future__ import annotations

import math
from decimal import ROUND_HALF_DOWN, ROUND_HALF_UP, Context, Decimal
from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from transform.rejections import Unconvertible
from transform.values.amounts import NO_FIGURES, Figures, js_round, line_amounts, rounded_sum
from transform.values.money import Number, number

WIDE = Context(prec=300)
NO_DISCOUNT = "0"

quantities = st.decimals("-5000", "5000", places=3)
prices = st.decimals("0", "100000", places=6)
short_prices = st.decimals("0", "1000", places=3)
discounts = st.decimals("0", "100", places=4)
rates = st.sampled_from([Decimal(rate) for rate in ("0", "4", "5", "10", "22", "22.5", "7.7")])
amounts = st.decimals("-100000", "100000", places=4)
maybe_amount = st.none() | amounts


def num(value: object) -> Number:
    found = number(str(value) if isinstance(value, Decimal) else value)
    assert found is not None
    return found


def math_round(value: float) -> float:
    """`Math.round` by its definition: the integer n with n - 1/2 <= value < n + 1/2."""
    return float(math.floor(Fraction(value) + Fraction(1, 2)))


def api_cents(value: float) -> Decimal:
    """`Math.round(value * 100) / 100`, as JSON writes the result."""
    return Decimal(repr(math_round(value * 100) / 100)) + 0


def api_line(q: float, p: float, d: float, r: float) -> list[Decimal]:
    """The API's own lines of code, in doubles."""
    discount = q * p * d / 100
    net = q * p - discount
    tax = net * r / 100
    return [api_cents(x) for x in (discount, net, tax, net + tax)]


def computed(
    quantity: object, price: object, discount: object, rate: object, figures: Figures = NO_FIGURES
) -> list[Decimal]:
    found = line_amounts(num(quantity), num(price), num(discount), num(rate), figures)
    return [Decimal(amount["N"]) for amount in found]


@pytest.mark.parametrize(
    ("value", "rounded"),
    [
        (0.5, 1),
        (-0.5, 0),
        (-1.5, -1),
        (2.5, 3),
        (0.49999999999999994, 0),
        (-0.49999999999999994, 0),
        (-0.5000000000000001, -1),
        (4503599627370495.5, 4503599627370496),
        (-4503599627370495.5, -4503599627370495),
        (9007199254740991.0, 9007199254740991),
    ],
)
def test_rounding_is_that_of_javascript(value: float, rounded: int) -> None:
    assert js_round(value) == rounded


@given(st.floats(min_value=-1e15, max_value=1e15))
def test_rounding_takes_every_half_towards_infinity(value: float) -> None:
    assert js_round(value) == math_round(value)


# Computed by Node.js with Math.round(x * 100) / 100 on the API's formulas.
NODE = [
    # quantity, price, discount, rate; discount amount, net, tax, total
    (("1", "-59.985", "0", "0"), ("0", "-59.98", "0", "-59.98")),
    (("1", "59.985", "0", "0"), ("0", "59.99", "0", "59.99")),
    (("1", "1.005", "0", "22"), ("0", "1", "0.22", "1.23")),
    (("1", "1.115", "0", "0"), ("0", "1.12", "0", "1.12")),
    (("1", "8.345", "0", "0"), ("0", "8.35", "0", "8.35")),
    (("3", "0.335", "0", "10"), ("0", "1.01", "0.1", "1.11")),
    (("-3", "0.335", "0", "10"), ("0", "-1.01", "-0.1", "-1.11")),
    (("12.5", "4.123456", "5", "22"), ("2.58", "48.97", "10.77", "59.74")),
    (("0", "10", "5", "22"), ("0", "0", "0", "0")),
    (("10", "10", "100", "22"), ("100", "0", "0", "0")),
]


@pytest.mark.parametrize(("terms", "expected"), NODE)
def test_amounts_are_those_of_the_api(terms: tuple[str, ...], expected: tuple[str, ...]) -> None:
    quantity, price, discount, rate = map(num, terms)
    stored = line_amounts(quantity, price, discount, rate)
    assert tuple(amount["N"] for amount in stored) == expected


@given(quantities, prices, discounts, rates)
@example(Decimal("1"), Decimal("1.005"), Decimal("0"), Decimal("22"))
@example(Decimal("5000"), Decimal("100000"), Decimal("99.9999"), Decimal("22"))
@example(Decimal("-4999.999"), Decimal("99999.999999"), Decimal("33.3333"), Decimal("7.7"))
def test_lines_are_priced_as_the_api_prices_them(
    quantity: Decimal, price: Decimal, discount: Decimal, rate: Decimal
) -> None:
    expected = api_line(float(quantity), float(price), float(discount), float(rate))
    assert computed(quantity, price, discount, rate) == expected


@given(st.integers(-(10**7), 10**7), st.sampled_from(["1", "-1", "0.5", "1.5", "3", "12.5"]))
def test_each_half_goes_where_the_doubles_of_the_api_send_it(cents: int, quantity: str) -> None:
    price = Decimal(cents).scaleb(-2) + Decimal("0.005")
    expected = api_line(float(quantity), float(price), 0.0, 22.0)
    assert computed(quantity, price, NO_DISCOUNT, "22") == expected


@given(quantities, short_prices, st.sampled_from(["0", "5", "10", "12.5", "50"]), rates)
def test_short_prices_with_many_halves_are_priced_as_the_api_does(
    quantity: Decimal, price: Decimal, discount: str, rate: Decimal
) -> None:
    expected = api_line(float(quantity), float(price), float(discount), float(rate))
    assert computed(quantity, price, discount, rate) == expected


@given(quantities, prices, discounts, rates)
def test_away_from_halves_the_exact_value_is_rounded(
    quantity: Decimal, price: Decimal, discount: Decimal, rate: Decimal
) -> None:
    gross = WIDE.multiply(quantity, price)
    off = WIDE.multiply(gross, discount).scaleb(-2, WIDE)
    net = WIDE.subtract(gross, off)
    tax = WIDE.multiply(net, rate).scaleb(-2, WIDE)
    for exact, stored in zip(
        (off, net, tax, WIDE.add(net, tax)), computed(quantity, price, discount, rate), strict=True
    ):
        half_down = exact.quantize(Decimal("0.01"), ROUND_HALF_DOWN, WIDE)
        half_up = exact.quantize(Decimal("0.01"), ROUND_HALF_UP, WIDE)
        if half_down == half_up and abs(abs(exact - half_up) - Decimal("0.005")) > Decimal("1e-5"):
            assert stored == half_up
        assert abs(stored - exact) <= Decimal("0.00501")


@given(quantities, short_prices, discounts, rates, st.tuples(*[maybe_amount] * 4))
def test_a_figure_of_s9_is_carried_and_takes_part_in_what_follows(
    quantity: Decimal,
    price: Decimal,
    discount: Decimal,
    rate: Decimal,
    given_amounts: tuple[Decimal | None, ...],
) -> None:
    figures = Figures(*(None if amount is None else num(amount) for amount in given_amounts))
    discount_amount, net_amount, tax_amount, total_amount = (
        None if amount is None else float(amount) for amount in given_amounts
    )
    q, p = float(quantity), float(price)
    off = q * p * float(discount) / 100 if discount_amount is None else discount_amount
    net = q * p - off if net_amount is None else net_amount
    tax = net * float(rate) / 100 if tax_amount is None else tax_amount
    total = net + tax if total_amount is None else total_amount
    expected = [
        api_cents(double) if figure is None else figure
        for double, figure in zip((off, net, tax, total), given_amounts, strict=True)
    ]
    assert computed(quantity, price, discount, rate, figures) == expected


def test_no_step_starts_from_a_rounded_one() -> None:
    # net is 1.1045; 22 % of the stored 1.10 would be 0.242, and 1.10 + 0.24 only 1.34
    assert computed("1", "1.1045", "0", "22") == [
        0,
        Decimal("1.1"),
        Decimal("0.24"),
        Decimal("1.35"),
    ]


# Found by search: no exact halves, but so near to one that the doubles land on its other side.
@pytest.mark.parametrize(
    ("terms", "discount_amount"),
    [
        (("1", "803290918.668548", "90.1293", "22"), None),
        (("1", "716775265.738675", "41.7169", "22"), None),
        (("1", "95298.192809", "99.9999", "966658567"), None),
        (("1", "78128.186745", "99.9994", "778401449"), None),
        (("1", "82.894145", "0", "22.5"), "82424005912.4411"),
        (("1", "27.052467", "0", "22.5"), "73431583510.9341"),
    ],
)
def test_what_only_the_doubles_take_for_a_half_is_rounded_as_they_do(
    terms: tuple[str, ...], discount_amount: str | None
) -> None:
    q, p, d, r = map(float, terms)
    off = q * p * d / 100 if discount_amount is None else float(discount_amount)
    net = q * p - off
    tax = net * r / 100
    figures = NO_FIGURES if discount_amount is None else Figures(num(discount_amount))
    quantity, price, discount, rate = terms
    stored = computed(quantity, price, discount, rate, figures)
    assert stored[1:] == [api_cents(x) for x in (net, tax, net + tax)]


@pytest.mark.parametrize("net", ["119468565294311.03", "468569231679002.55", "-119468565294311.03"])
def test_beyond_what_doubles_can_count_the_exact_cents_stand(net: str) -> None:
    assert computed("1", net, "0", "0")[1] == Decimal(net)


def test_an_amount_of_more_digits_than_dynamodb_keeps_is_refused() -> None:
    with pytest.raises(Unconvertible) as refused:
        computed("1.11", "1" + "0" * 35 + "1", "0", "0")
    assert refused.value.rule == "too-many-digits"


@pytest.mark.parametrize(
    "extreme", ["9" * 38, "0." + "0" * 37 + "9", "-" + "9" * 19 + "." + "9" * 19]
)
def test_the_extremes_of_numbers_are_computed_or_refused_never_wrong(extreme: str) -> None:
    assert computed(extreme, "0", "0", "0") == [0, 0, 0, 0]
    exact = Fraction(extreme) * 100 + Fraction(1, 2)
    if abs(exact) < 10**36:
        assert computed(extreme, "1", "0", "0")[1] == Decimal(math.floor(exact)).scaleb(-2, WIDE)


@given(st.lists(amounts, max_size=12))
def test_a_sale_sums_its_lines_as_the_api_does(lines: list[Decimal]) -> None:
    double = 0.0
    for line in lines:
        double += float(line)
    found = rounded_sum({"N": str(num(line).stored["N"])} for line in lines)
    assert Decimal(found["N"]) == api_cents(double)


def test_the_sum_of_no_lines_is_nothing() -> None:
    assert rounded_sum([]) == {"N": "0"}


def test_a_sum_at_a_half_goes_where_the_doubles_send_it() -> None:
    # exactly 1.005, which as a double times 100 is 100.49999999999999
    assert rounded_sum([{"N": "1"}, {"N": "0.005"}]) == {"N": "1"}
    assert rounded_sum([{"N": "59.98"}, {"N": "0.005"}]) == {"N": "59.99"}
    assert rounded_sum([{"N": "-59.98"}, {"N": "-0.005"}]) == {"N": "-59.98"}
