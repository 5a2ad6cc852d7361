"""Lines: every attribute of the LINE items, their numbering, and what refuses their sale."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.records.rows import MIGRATION_TIME, line_of, line_row, lines_of, rules, sale_row
from transform.rejections import RejectedRecord
from transform.transform_sales import sale_to_items
from transform.values.ids import line_id, sale_id

LINE_34 = line_id(34, True)
SALE_5 = sale_id(5, True)


def numbers_of(*line_numbers: object) -> list[int]:
    rows = [line_row(key, line_number=n) for key, n in enumerate(line_numbers, start=1)]
    return [int(line["lineNumber"]["N"]) for line in lines_of(*rows)]


CASES = [
    ("product_code", " VT-10x50 ", "productCode", {"S": "VT-10x50"}),
    ("product_code", " ", "productCode", None),
    ("product_description", "Vite TE 10×50", "productDescription", {"S": "Vite TE 10×50"}),
    ("product_description", None, "productDescription", {"S": "-"}),
    ("product_description", "  ", "productDescription", {"S": "-"}),
    ("quantity", "12.500", "quantity", {"N": "12.5"}),
    ("quantity", "-3.000", "quantity", {"N": "-3"}),
    ("quantity", "0.000", "quantity", {"N": "0"}),
    ("quantity", 0, "quantity", {"N": "0"}),
    ("quantity", None, "quantity", {"N": "1"}),
    ("unit_price", "0.012345", "unitPrice", {"N": "0.012345"}),
    ("unit_price", "0.000000", "unitPrice", {"N": "0"}),
    ("discount", "12.5000", "discount", {"N": "12.5"}),
    ("discount", None, "discount", {"N": "0"}),
    ("discount_amount", "1.2345", "discountAmount", {"N": "1.2345"}),
    ("discount_amount", None, "discountAmount", {"N": "0"}),
    ("net_amount", "9.9900", "netAmount", {"N": "9.99"}),
    ("net_amount", None, "netAmount", {"N": "10"}),
    ("tax_rate", "4.00", "taxRate", {"N": "4"}),
    ("tax_rate", "0.00", "taxRate", {"N": "0"}),
    ("tax_rate", None, "taxRate", {"N": "22"}),
    ("tax_amount", "2.0000", "taxAmount", {"N": "2"}),
    ("tax_amount", None, "taxAmount", {"N": "2.2"}),
    ("total_amount", "12.2100", "totalAmount", {"N": "12.21"}),
    ("total_amount", None, "totalAmount", {"N": "12.2"}),
    ("total_amount", 0, "totalAmount", {"N": "0"}),
    ("unit_of_measure", "PZ ", "unitOfMeasure", {"S": "PZ"}),
    ("unit_of_measure", "", "unitOfMeasure", None),
    ("notes", "zincata\nbianca", "notes", {"S": "zincata\nbianca"}),
    ("notes", None, "notes", None),
    ("created_at", "2024-03-05T10:11:12", "createdAt", {"S": "2024-03-05T09:11:12.000Z"}),
    ("updated_at", "2024-07-05T10:11:12", "updatedAt", {"S": "2024-07-05T08:11:12.000Z"}),
    ("updated_at", None, "updatedAt", {"S": MIGRATION_TIME}),
    ("created_by", "rossi", "createdBy", {"S": "mario.rossi@example.com"}),
]


@pytest.mark.parametrize(("column", "value", "attribute", "stored"), CASES)
def test_every_column_of_a_line_has_its_attribute(
    column: str, value: Any, attribute: str, stored: Any
) -> None:
    assert line_of(**{column: value}).get(attribute) == stored


def test_the_least_line_is_complete_and_in_no_index() -> None:
    assert line_of() == {
        "PK": {"S": f"SALE#{SALE_5}"},
        "SK": {"S": f"LINE#{LINE_34}"},
        "saleId": {"S": SALE_5},
        "lineId": {"S": LINE_34},
        "legacyId": {"S": "34"},
        "lineNumber": {"N": "1"},
        "productDescription": {"S": "-"},
        "quantity": {"N": "1"},
        "unitPrice": {"N": "10"},
        "discount": {"N": "0"},
        "discountAmount": {"N": "0"},
        "netAmount": {"N": "10"},
        "taxRate": {"N": "22"},
        "taxAmount": {"N": "2.2"},
        "totalAmount": {"N": "12.2"},
        "createdAt": {"S": MIGRATION_TIME},
        "updatedAt": {"S": MIGRATION_TIME},
        "createdBy": {"S": "migration@system"},
        "updatedBy": {"S": "migration@system"},
    }


def test_a_line_without_description_is_described_by_its_code() -> None:
    assert line_of(product_code="VT-1")["productDescription"] == {"S": "VT-1"}
    described = line_of(product_code="VT-1", product_description=" - ")
    assert described["productDescription"] == {"S": "-"}


@pytest.mark.parametrize(
    ("sale_rate", "line_rate", "stored"),
    [(None, None, "22"), ("10.00", None, "10"), ("0", None, "0"), ("10.00", "0.00", "0")],
)
def test_the_rate_of_a_line_is_its_own_else_the_sales(
    sale_rate: str | None, line_rate: str | None, stored: str
) -> None:
    (line,) = lines_of(line_row(tax_rate=line_rate), iva_percentage=sale_rate)
    assert line["taxRate"] == {"N": stored}


@pytest.mark.parametrize(
    ("columns", "amounts"),
    [
        # nothing given: discount, net, tax, total
        (
            {"quantity": "3", "unit_price": "9.99", "discount": "10"},
            ("3", "26.97", "5.93", "32.91"),
        ),
        (
            {"quantity": "-3", "unit_price": "9.99", "discount": "10"},
            ("-3", "-26.97", "-5.93", "-32.91"),
        ),
        # a given figure takes part in what follows
        ({"discount_amount": "1"}, ("1", "9", "1.98", "10.98")),
        ({"net_amount": "8", "discount": "10"}, ("1", "8", "1.76", "9.76")),
        ({"tax_amount": "5"}, ("0", "10", "5", "15")),
        ({"total_amount": "99.9999"}, ("0", "10", "2.2", "99.9999")),
        (
            {"discount_amount": "0", "net_amount": "1", "tax_amount": "2", "total_amount": "4"},
            ("0", "1", "2", "4"),
        ),
        # a zero of S9 is a figure
        ({"net_amount": "0.0000", "discount": "0"}, ("0", "0", "0", "0")),
        ({"discount": "10", "discount_amount": 0}, ("0", "10", "2.2", "12.2")),
        # halves
        (
            {"unit_price": "59.985", "quantity": "-1", "tax_rate": "0"},
            ("0", "-59.98", "0", "-59.98"),
        ),
        ({"unit_price": "1.005", "tax_rate": "0"}, ("0", "1", "0", "1")),
    ],
)
def test_amounts_are_carried_or_computed(columns: dict[str, Any], amounts: tuple[str, ...]) -> None:
    line = line_of(**columns)
    names = ("discountAmount", "netAmount", "taxAmount", "totalAmount")
    assert tuple(line[name]["N"] for name in names) == amounts


@pytest.mark.parametrize(
    ("s9", "stored"),
    [
        ((1, 2, 3), [1, 2, 3]),
        ((10, 20, 30), [10, 20, 30]),
        ((0, 1, 1, 7), [1, 2, 3, 7]),
        ((None, None), [1, 2]),
        ((1, 2, None), [1, 2, 3]),
        ((None, 1, 2), [1, 2, 3]),
        ((5, 5, 6), [5, 6, 7]),
        ((-2, 4), [1, 4]),
        ((3, 2), [3, 2]),
        ((), []),
    ],
)
def test_line_numbers_are_s9s_or_keep_its_order(s9: tuple[object, ...], stored: list[int]) -> None:
    assert numbers_of(*s9) == stored


@given(st.lists(st.none() | st.integers(-3, 12), max_size=12))
def test_the_order_of_lines_survives_the_api(s9: list[int | None]) -> None:
    in_order = sorted(s9, key=lambda n: (n is None, n or 0))
    numbers = numbers_of(*in_order)
    assert numbers == sorted(set(numbers))
    assert not numbers or numbers[0] >= 1


@given(st.lists(st.integers(1, 2**53), unique=True, max_size=8))
def test_good_line_numbers_are_never_changed(s9: list[int]) -> None:
    assert numbers_of(*s9) == s9


@pytest.mark.parametrize(
    ("column", "value", "rule"),
    [
        ("id", None, "required"),
        ("id", "x", "invalid-integer"),
        ("line_number", "prima", "invalid-integer"),
        ("line_number", 2**53 + 1, "integer-too-large"),
        ("unit_price", None, "required"),
        ("unit_price", "  ", "required"),
        ("unit_price", "gratis", "invalid-number"),
        ("quantity", 1.5, "invalid-number"),
        ("quantity", [1], "invalid-number"),
        ("discount", "NaN", "invalid-number"),
        ("tax_rate", True, "invalid-number"),
        ("discount_amount", "x", "invalid-number"),
        ("net_amount", "x", "invalid-number"),
        ("tax_amount", {}, "invalid-number"),
        ("total_amount", "x", "invalid-number"),
        ("product_description", "\ud800", "invalid-text"),
        ("product_code", {"a": 1}, "invalid-value"),
        ("notes", 1.5, "invalid-text"),
        ("updated_at", "ieri", "invalid-timestamp"),
    ],
)
def test_what_cannot_be_converted_refuses_the_sale(column: str, value: Any, rule: str) -> None:
    rows = [line_row(33, line_number=1), line_row(**{"line_number": 2, column: value})]
    with pytest.raises(RejectedRecord) as rejected:
        sale_to_items(sale_row(lines=rows), rules())
    (rejection,) = rejected.value.rejections
    assert (rejection.field, rejection.rule) == (f"lines[2].{column}", rule)
    assert rejection.reason.startswith(
        "line None: " if column == "id" and value is None else "line "
    )


def test_a_reason_names_the_line() -> None:
    with pytest.raises(RejectedRecord) as rejected:
        lines_of(line_row(34, quantity="12 pz"))
    (rejection,) = rejected.value.rejections
    assert rejection.field == "lines[1].quantity"
    assert rejection.reason == "line 34: '12 pz' is not a decimal number"


def test_an_amount_too_long_for_dynamodb_refuses_the_sale() -> None:
    with pytest.raises(RejectedRecord) as rejected:
        lines_of(line_row(quantity="9" * 30 + ".123", unit_price="9" * 30 + ".1"))
    (rejection,) = rejected.value.rejections
    assert (rejection.field, rejection.rule) == ("lines[1].total_amount", "too-many-digits")
