"""Amounts: what the Sale Module would have computed is never doubted, what differs always is."""

from __future__ import annotations

from decimal import ROUND_HALF_DOWN, ROUND_HALF_UP, Decimal, localcontext

from hypothesis import given
from hypothesis import strategies as st

from tests.support.records.items import line, numbers, sale
from validate.rules.sale_rules import EXACT, line_amounts, sale_notes


def cents(value: Decimal) -> Decimal:
    """To cents, halves towards +∞."""
    return value.quantize(Decimal("0.01"), ROUND_HALF_UP if value > 0 else ROUND_HALF_DOWN)


def plain(value: Decimal) -> str:
    return f"{value.normalize():f}" if value else "0"


_QUANTITIES = st.decimals(min_value=-(10**6), max_value=10**6, places=3)
_PRICES = st.decimals(min_value=0, max_value=10**6, places=6)
_PERCENTS = st.decimals(min_value=0, max_value=100, places=4)
_RATES = st.decimals(min_value=0, max_value=100, places=2)


def inputs(q: Decimal, p: Decimal, d: Decimal, r: Decimal) -> dict[str, str]:
    """What a line's amounts are computed from, as attributes."""
    names = ("quantity", "unitPrice", "discount", "taxRate")
    return dict(zip(names, map(plain, (q, p, d, r)), strict=True))


def computed(q: Decimal, p: Decimal, d: Decimal, r: Decimal) -> dict[str, Decimal]:
    """The rules of the Sale Module: each amount rounded once, no rounding between the steps."""
    off = q * p * d / 100
    net = q * p - off
    tax = net * r / 100
    return {
        "discountAmount": cents(off),
        "netAmount": cents(net),
        "taxAmount": cents(tax),
        "totalAmount": cents(net + tax),
    }


@given(_QUANTITIES, _PRICES, _PERCENTS, _RATES)
def test_what_the_sale_module_computes_adds_up(
    q: Decimal, p: Decimal, d: Decimal, r: Decimal
) -> None:
    with localcontext(EXACT):
        amounts = {name: plain(value) for name, value in computed(q, p, d, r).items()}
        *_, problem = line_amounts(line(1, 1, **numbers(**inputs(q, p, d, r), **amounts)))
    assert problem == ""


@given(
    _QUANTITIES,
    _PRICES,
    _PERCENTS,
    _RATES,
    st.sampled_from(["discountAmount", "netAmount", "taxAmount", "totalAmount"]),
    st.decimals(min_value=Decimal("0.05"), max_value=1000, places=2),
    st.sampled_from([1, -1]),
)
def test_an_amount_that_is_off_by_more_than_rounding_is_told(
    q: Decimal, p: Decimal, d: Decimal, r: Decimal, name: str, by: Decimal, sign: int
) -> None:
    with localcontext(EXACT):
        amounts = computed(q, p, d, r)
        amounts[name] += by * sign
        texts = {key: plain(value) for key, value in amounts.items()}
        *_, problem = line_amounts(line(1, 1, **numbers(**inputs(q, p, d, r), **texts)))
    assert problem


@given(st.lists(st.tuples(_QUANTITIES, _PRICES, _PERCENTS, _RATES), min_size=1, max_size=30))
def test_a_sale_that_sums_up_its_lines_as_the_sale_module_does_is_not_doubted(
    values: list[tuple[Decimal, Decimal, Decimal, Decimal]],
) -> None:
    with localcontext(EXACT):
        lines = []
        for position, (q, p, d, r) in enumerate(values, start=1):
            amounts = {name: plain(value) for name, value in computed(q, p, d, r).items()}
            lines.append(line(1, position, **numbers(**inputs(q, p, d, r), **amounts)))
        sums = {
            header: plain(cents(sum((Decimal(item[name]["N"]) for item in lines), Decimal(0))))
            for header, name in (
                ("subtotal", "netAmount"),
                ("taxAmount", "taxAmount"),
                ("total", "totalAmount"),
            )
        }
        for status in ("confirmed", "draft"):
            item = sale(1, lines=0, status={"S": status}, **numbers(**sums))
            assert sale_notes(item, lines) == []


def test_the_message_names_the_figures() -> None:
    item = sale(1, lines=1, **numbers(total="41.8"))
    (note,) = sale_notes(item, [line(1, 1)])
    assert (note.field, note.rule) == ("total", "sale-total")
    for figure in ("41.8", "32.63", "7.18"):
        assert figure in note.message


def test_a_draft_is_told_what_confirming_makes_of_it() -> None:
    item = sale(1, lines=1, status={"S": "draft"}, **numbers(subtotal="32.62"))
    (note,) = sale_notes(item, [line(1, 1)])
    assert note.rule == "draft-sums"
    assert "confirming the draft makes it 32.63" in note.message


def test_a_sale_that_is_not_frozen_is_told_what_any_edit_makes_of_it() -> None:
    """The Sale Module recomputes it whatever its status; a frozen one nobody may change."""
    off = numbers(taxAmount="7.17", total="39.81")
    for status in ("confirmed", "invoiced", "paid", "cancelled"):
        item = sale(1, lines=1, status={"S": status}, **off)
        notes = sale_notes(item, [line(1, 1)])
        assert [(note.field, note.rule) for note in notes] == [
            ("taxAmount", "sale-sums"),
            ("total", "sale-sums"),
        ]
        assert "any edit of a line makes it 7.18" in notes[0].message
        frozen = {**item, "invoiceGenerated": {"BOOL": True}}
        assert sale_notes(frozen, [line(1, 1)]) == []
