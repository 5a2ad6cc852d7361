"""The quick way through sales gives what the slower way gives, or leaves the sale to it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.records.rows import line_row, party_copy, rules, sale_row
from transform.census.rows import count_record, end_counting
from transform.census.tally import Tally
from transform.fast.sales import FastSales, fast_sales
from transform.items.attributes import Row
from transform.rejections import RejectedRecord
from transform.rules import TransformRules
from transform.transform_sales import sale_to_texts
from transform.values.ids import id_maker, line_id, party_id, sale_id

TEXTS = st.one_of(
    st.text(max_size=6),
    st.sampled_from(
        ["", " ", "PZ", "Forlì", "è", " Bolt", "Bolt ", "Bolt\u00a0", "\u200bBolt", 'a"b', "a\\b"]
    ),
    st.sampled_from(["€ 5", "日本", "a\tb", "null", "a{b}", "true", "5", "😀", "\x7f", "x\u3000"]),
)
DAYS = st.sampled_from(
    [
        *("2024-03-05", "2023-02-29", "2024-03-05T00:00:00", "2024-03-05T10:00:00", "0000-00-00"),
        *("2024-03-04T23:00:00Z", "2024-03-05T00:00:00Z", "", 7),
    ]
)
MOMENTS = st.one_of(
    st.datetimes().map(lambda moment: moment.isoformat()),
    st.datetimes().map(lambda moment: moment.isoformat(timespec="milliseconds")),
    st.datetimes().map(lambda moment: moment.isoformat() + "Z"),
    st.sampled_from(
        [
            *("2024-03-31T02:30:00", "2024-10-27T02:30:00.5", "2024-07-01T00:00:00.123456789"),
            *("0000-00-00T00:00:00", "2024-07-01 10:00:00", "2024-07-01T24:00:00", "", "infinity"),
            *("2024-02-30T10:00:00", "1893-10-31T23:50:00", "2024-07-01T10:00:00.", 5),
            *("2026-10-25T00:30:00.5Z", "2026-10-25T01:30:00Z", "2024-02-30T10:00:00Z"),
            *("2024-07-01T24:00:00Z", "2024-07-01T10:00:00.Z", "2026-10-25T02:30:00+01:00"),
        ]
    ),
)
USUAL_NUMBERS = st.one_of(
    st.decimals(1, 10**9, places=4).map(str), st.decimals(-(10**3), -1, places=2).map(str)
)
NUMBERS = st.one_of(
    USUAL_NUMBERS,
    st.sampled_from(
        ["0", "0.0000", "-0.00", "-0", "5.", ".5", "05", "1e3", "100", "10.50", "+1", "", "NaN", 3]
    ),
    st.integers(10**38, 10**39).map(str),
)
WHOLE = st.one_of(
    st.integers(-3, 50), st.integers(-(2**60), 2**60), st.sampled_from(["7", " 7 ", "", True, 1.5])
)
FLAGS = st.sampled_from([True, False, 0, 1, "t", "no", ""])
STATUSES = st.sampled_from(
    ["confermato", "PAGATO ", "proforma", "annullato", "bozza", "sospeso", "", 5, True]
)
PAPERS = st.sampled_from(["invoice", "proforma", "Fattura", "", "bill", False])
OTHERS = st.one_of(
    TEXTS, st.integers(-(2**63), 2**63), st.booleans(), st.floats(allow_nan=False), st.just([1])
)

AMOUNTS = ("discount_amount", "net_amount", "tax_amount", "total_amount")
LINE_COLUMNS = {
    **dict.fromkeys(("id", "line_number"), WHOLE),
    **dict.fromkeys(("product_code", "product_description", "unit_of_measure", "notes"), TEXTS),
    **dict.fromkeys(("quantity", "unit_price", "discount", "tax_rate", *AMOUNTS), NUMBERS),
    **dict.fromkeys(("created_at", "updated_at"), MOMENTS),
    "shelf": OTHERS,
}
SALE_COLUMNS = {
    **dict.fromkeys(("reg_number", "invoice_number", "payment_method", "notes", "vat_off"), TEXTS),
    **dict.fromkeys(("buyer_name", "producer_name", "created_by", "updated_by"), TEXTS),
    **dict.fromkeys(("subtotal", "tax_amount", "total", "iva_percentage"), NUMBERS),
    **dict.fromkeys(("created_at", "updated_at"), MOMENTS),
    **dict.fromkeys(("sale_date", "delivery_date", "po_date"), DAYS),
    **dict.fromkeys(("first_id", "sale_number", "buyer_id", "number_t", "year"), WHOLE),
    "status": STATUSES,
    "invoice_generated": FLAGS,
    "currency": st.sampled_from(["EUR", "chf", "", "euro", 5]),
    "doc_type": PAPERS,
    "colour": OTHERS,
}


def nullable(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(st.none(), values)


@st.composite
def changed(draw: st.DrawFn, row: Row, columns: dict[str, st.SearchStrategy[Any]]) -> Row:
    """A row that has all of the columns, NULL where it does not say otherwise, with other values
    in a few of them."""
    full = {**dict.fromkeys(columns), **row}
    for column in draw(st.lists(st.sampled_from(sorted(columns)), max_size=2)):
        full[column] = draw(nullable(columns[column]))
    return {name: full[name] for name in sorted(full)}


@st.composite
def lines(draw: st.DrawFn) -> list[Row]:
    """Some lines: with all amounts or with none, and with changes."""
    found = []
    for number in range(1, draw(st.integers(1, 3)) + 1):
        row = line_row(key=number, line_number=number, unit_price=draw(USUAL_NUMBERS))
        if draw(st.booleans()):  # nothing is lacking
            row |= dict.fromkeys(("created_at", "updated_at"), "2024-03-05T10:11:12")
            row |= {"product_description": "Vite", "product_code": "V1", "tax_rate": "10"}
            row |= {"quantity": "2", "discount": "5"}
        if draw(st.booleans()):
            row |= {name: draw(USUAL_NUMBERS) for name in AMOUNTS}
        found.append(draw(changed(row, LINE_COLUMNS)))
    return found


@st.composite
def sales(draw: st.DrawFn) -> Row:
    """A sale, in a few columns of which there is something strange."""
    party = party_copy(name=draw(nullable(TEXTS)), city=draw(nullable(TEXTS)))
    row = draw(changed(sale_row(buyer=draw(st.sampled_from([party] * 9 + [None]))), SALE_COLUMNS))
    del row["lines"]
    return {**row, "lines": draw(lines() if draw(st.integers(0, 9)) else st.just([]))}


RULES = st.sampled_from(
    [
        rules(),
        rules(generate_ids=False, timezone="Asia/Kathmandu"),
        rules(preserve_timestamps=False, user_mapping={}),
        rules(status_mapping={"sospeso": "draft"}, id_scope="other:", default_currency="CHF"),
        rules(updated_at="2026-02-01T00:00:00.000Z", default_document="invoice"),
    ]
)


def of_columns(row: Row, lines: list[Row]) -> Row:
    """A sale with all columns, in the order in which `sales` has them."""
    full = {**dict.fromkeys(SALE_COLUMNS), **row}
    rows = [{**dict.fromkeys(LINE_COLUMNS), **line} for line in lines]
    del full["lines"]
    return {
        **{name: full[name] for name in sorted(full)},
        "lines": [{name: line[name] for name in sorted(line)} for line in rows],
    }


def quick(chosen: TransformRules) -> FastSales:
    found = fast_sales([orjson.dumps(of_columns(sale_row(), [line_row()]))], chosen)
    assert found is not None
    return found


def slowly(line: bytes, chosen: TransformRules) -> list[bytes] | None:
    try:
        return [text.encode() for text in sale_to_texts(orjson.loads(line), chosen)]
    except RejectedRecord:
        return None


@given(row=sales(), chosen=RULES)
def test_it_is_the_same_as_by_the_slower_way_or_left_to_it(
    row: Row, chosen: TransformRules
) -> None:
    line = orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE)
    usual = quick(chosen).texts(line)
    assert usual is None or usual == slowly(line, chosen)


@given(row=sales(), chosen=RULES)
def test_it_counts_what_the_slower_way_counts(row: Row, chosen: TransformRules) -> None:
    line = orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE)
    fast, counted, expected = quick(chosen), Tally(), Tally()
    fast.count_into(Tally())
    if fast.texts(line) is not None:
        count_record("sales", chosen, row, [], raw=row, tally=expected)
        end_counting("sales", chosen, expected)
    fast.count_into(counted)
    assert counted.as_json() == expected.as_json()


def usual_row(**changes: Any) -> Row:
    """A sale that is like nearly all others, with `changes`."""
    amounts = dict.fromkeys(AMOUNTS, "10.0000")
    given = line_row(key=1, **amounts, tax_rate="22.00")
    computed = line_row(key=2, line_number=2, quantity="3.000", discount="5.0000")
    return of_columns(sale_row(**changes), [given, computed])


def usual_rows() -> Iterator[Row]:
    yield usual_row()
    yield usual_row(subtotal="20.00", tax_amount="4.40", total="24.40", iva_percentage="10.00")
    yield usual_row(created_at="2024-03-05T10:11:12.5", updated_at="2024-07-05T10:11:12")
    yield usual_row(created_at="2026-10-25T00:30:00.5Z", updated_at="2026-10-25T01:30:00Z")
    yield usual_row(notes="Forlì è là", reg_number="41/2024", created_by="rossi", currency="EUR")
    yield usual_row(status="bozza", doc_type="proforma", year=2024, number_t=3)
    yield usual_row(delivery_date="2024-03-06", invoice_generated=True, payment_method="")


@pytest.mark.parametrize("row", [*usual_rows()])
def test_what_is_usual_is_not_left_to_the_slower_way(row: Row) -> None:
    line = orjson.dumps(row)
    texts = quick(rules()).texts(line)
    assert texts is not None
    assert texts == slowly(line, rules())
    assert len(texts) == 3


@pytest.mark.parametrize(
    "line",
    [
        orjson.dumps(usual_row()) + b"}",
        orjson.dumps(usual_row())[:-1],
        orjson.dumps(usual_row(notes="x")).replace(b'"notes":"x"', b'"notes":"\xff"'),
        orjson.dumps(usual_row(notes="x")).replace(b'"notes":"x"', b'"notes":"\\u0041"'),
        orjson.dumps(usual_row()).replace(b'"buyer":{', b'"buyer":{,'),
        orjson.dumps(dict(reversed(usual_row().items()))),
        b"",
    ],
)
def test_what_is_not_in_the_usual_form_is_left_to_the_slower_way(line: bytes) -> None:
    assert quick(rules()).texts(line) is None


def test_the_columns_are_those_of_the_first_sale_that_has_lines() -> None:
    without = orjson.dumps(sale_row())
    assert fast_sales([without], rules()) is None
    other = orjson.dumps({"shelf": 9, **usual_row()})
    found = fast_sales([without, other], rules())
    assert found is not None
    assert found.texts(other) == slowly(other, rules())
    assert found.texts(without) is None


def test_a_party_that_has_changed_is_copied_as_it_is_in_each_sale() -> None:
    usual = quick(rules())
    for city in ("Milano", "Torino", "Milano"):
        line = orjson.dumps(usual_row(buyer=party_copy(city=city)))
        assert usual.texts(line) == slowly(line, rules())


@given(
    key=st.integers(-(2**63), 2**63 - 1), generate=st.booleans(), scope=st.sampled_from(["", "x:"])
)
def test_an_id_of_digits_is_the_id_of_the_number(key: int, generate: bool, scope: str) -> None:
    digits = str(key).encode()
    assert id_maker("sale", generate, scope)(digits) == sale_id(key, generate, scope).encode()
    assert id_maker("line", generate, scope)(digits) == line_id(key, generate, scope).encode()
    assert (
        id_maker("buyer", generate, scope)(digits)
        == party_id("buyer", key, generate, scope).encode()
    )
