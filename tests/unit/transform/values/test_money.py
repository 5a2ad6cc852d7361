"""Numbers: exact, canonical, never rounded, never through a binary float."""

from __future__ import annotations

import re
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transform.rejections import Unconvertible
from transform.values.money import (
    MAX_INTEGER,
    decimal,
    five_decimals,
    integer,
    number,
    whole_number,
)

CANONICAL = re.compile(r"0|-?(0\.[0-9]*[1-9]|[1-9][0-9]*(\.[0-9]*[1-9])?)")

# 32 digits and 6 decimals are the 38 digits that DynamoDB keeps.
numerics = st.decimals(min_value=-(10**31), max_value=10**31, places=6)


def stored(value: object) -> str:
    found = decimal(value)
    assert found is not None
    text = found["N"]
    assert isinstance(text, str)
    return text


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("25.50", "25.5"),
        ("25.00", "25"),
        ("100", "100"),
        ("-1200.00", "-1200"),
        ("0.000000", "0"),
        ("-0.00", "0"),
        ("0E-7", "0"),
        ("1E-7", "0.0000001"),
        ("2.55E+1", "25.5"),
        ("007.50", "7.5"),
        (".5", "0.5"),
        ("+3.", "3"),
        (" 12.30 ", "12.3"),
        (0, "0"),
        (-17, "-17"),
        ("12345678901234567890123456789012345678", "12345678901234567890123456789012345678"),
    ],
)
def test_a_number_is_written_in_canonical_form(source: object, expected: str) -> None:
    assert stored(source) == expected


@given(numerics)
def test_every_number_keeps_its_exact_value(value: Decimal) -> None:
    assert Decimal(stored(format(value, "f"))) == value


@given(numerics)
def test_the_form_does_not_depend_on_how_the_source_writes_it(value: Decimal) -> None:
    plain = stored(format(value, "f"))
    assert CANONICAL.fullmatch(plain)
    assert stored(format(value, "E")) == plain
    assert stored(plain) == stored(format(value, ".9f")) == plain


@given(numerics)
def test_units_and_scale_are_the_number(value: Decimal) -> None:
    found = number(format(value, "f"))
    assert found is not None
    assert Fraction(found.units, 10**found.scale) == Fraction(value)
    assert found.stored == decimal(format(value, "f"))


spellings = (
    numerics.map(lambda value: format(value, "f"))
    | numerics.map(lambda value: format(value, ".14f"))
    | st.from_regex(r"-?[0-9]{1,24}(\.[0-9]{0,16})?", fullmatch=True)
    | st.from_regex(r"[-+0-9.eE ]{0,8}", fullmatch=True)
    | st.sampled_from(["-0", "-0.00", "0.0", "1.", "1 2", "NaN", ""])
    | st.integers()
    | st.floats()
    | st.none()
    | st.booleans()
)


@given(st.lists(spellings, min_size=5, max_size=5))
def test_five_numbers_at_once_are_what_they_are_singly(values: list[Any]) -> None:
    found = five_decimals(values)
    if found is not None:
        assert list(found) == [stored(value) for value in values]


@pytest.mark.parametrize("long", ["1" + "0" * 25, "-7" + "0" * 20, "10000000000000000000000.50"])
def test_zeros_of_a_long_number_are_not_taken_for_its_decimals(long: str) -> None:
    assert five_decimals(["1.00", long, "2", "3.50", "0"]) is None


@given(st.lists(st.decimals("-1e19", "1e19", places=6), min_size=5, max_size=5))
def test_five_numbers_as_databases_write_them_are_taken_at_once(values: list[Decimal]) -> None:
    texts = [format(value + 0, "f") for value in values]
    assert five_decimals(texts) is not None or "-0.000000" in texts


@pytest.mark.parametrize("absent", [None, "", "   "])
def test_null_and_blank_are_no_number(absent: object) -> None:
    assert decimal(absent) is None
    assert number(absent) is None
    assert integer(absent) is None


@pytest.mark.parametrize(
    "value",
    [
        "NaN",
        "Infinity",
        "-Infinity",
        "1,5",
        "12 345",
        "1_000",
        "٣",
        "ten",
        "1e",
        "--1",
        1.5,
        True,
        [],
    ],
)
def test_what_is_no_decimal_number_is_refused(value: Any) -> None:
    with pytest.raises(Unconvertible) as refused:
        decimal(value)
    assert refused.value.rule == "invalid-number"


def test_a_number_that_dynamodb_cannot_hold_is_refused_not_rounded() -> None:
    with pytest.raises(Unconvertible) as refused:
        decimal("1." + "1" * 38)
    assert refused.value.rule == "too-many-digits"


def test_zeros_at_either_end_need_no_digits() -> None:
    assert stored("0.0000000000000000000000000000000000012") == "0." + "0" * 35 + "12"
    assert stored("12" + "0" * 36) == "12" + "0" * 36


@pytest.mark.parametrize("value", ["1e39", "1e-39", "1e999"])
def test_magnitudes_beyond_all_money_are_refused(value: str) -> None:
    with pytest.raises(Unconvertible):
        decimal(value)


@pytest.mark.parametrize("value", [MAX_INTEGER, -MAX_INTEGER, 0, 41])
def test_integers_within_2_to_the_53_are_carried(value: int) -> None:
    assert integer(value) == {"N": str(value)}


@pytest.mark.parametrize("value", [MAX_INTEGER + 1, -MAX_INTEGER - 1])
def test_integers_beyond_2_to_the_53_are_refused(value: int) -> None:
    with pytest.raises(Unconvertible) as refused:
        integer(value)
    assert refused.value.rule == "integer-too-large"


@pytest.mark.parametrize(
    ("text", "expected"), [("41", 41), (" 41 ", 41), ("41.00", 41), ("-3", -3)]
)
def test_whole_numeric_text_is_an_integer(text: str, expected: int) -> None:
    assert whole_number(text) == expected


@pytest.mark.parametrize("value", ["41.5", "5/2026", True, 41.0, {}])
def test_anything_else_is_no_integer(value: object) -> None:
    with pytest.raises(Unconvertible) as refused:
        integer(value)
    assert refused.value.rule == "invalid-integer"
