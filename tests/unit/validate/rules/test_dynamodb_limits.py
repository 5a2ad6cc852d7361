"""Sizes and limits as DynamoDB counts them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from validate.rules.dynamodb_limits import MAX_ITEM_BYTES, item_size, limit_notes

KEYS = ("PK", "SK", "GSI1PK", "GSI1SK")
GOOD = {"PK": {"S": "BUYER#1"}, "SK": {"S": "METADATA"}}

# The rules and the examples are those of "DynamoDB item sizes and formats".
VALUE_SIZES: list[tuple[dict[str, Any], int]] = [
    ({"S": ""}, 0),
    ({"S": "abc"}, 3),
    ({"S": "è🏭"}, 6),
    ({"N": "0"}, 1),
    ({"N": "5"}, 2),
    ({"N": "27"}, 2),
    ({"N": "100"}, 2),
    ({"N": "127"}, 3),
    ({"N": "-27"}, 3),
    ({"N": "12.5"}, 3),
    ({"N": "0.145"}, 3),
    ({"N": "00027.00"}, 2),
    ({"N": "1E+100"}, 2),
    ({"N": "9" * 38}, 20),
    ({"N": "-" + "9" * 38}, 21),
    ({"N": "-9." + "9" * 37}, 21),
    ({"BOOL": True}, 1),
    ({"NULL": True}, 1),
    ({"B": "AAECAw=="}, 4),
    ({"L": []}, 3),
    ({"M": {}}, 3),
    ({"L": [{"S": "ab"}, {"N": "5"}]}, 3 + 2 + 2 + 2),
    ({"M": {"key": {"S": "value"}}}, 3 + 3 + 5 + 1),
    ({"L": [{"M": {}}]}, 3 + 3 + 1),
    ({"SS": ["a", "bc"]}, 3),
    ({"NS": ["5", "127"]}, 5),
    ({"BS": ["AAECAw=="]}, 4),
]


@pytest.mark.parametrize(("value", "size"), VALUE_SIZES)
def test_the_size_of_a_value(value: dict[str, Any], size: int) -> None:
    assert item_size({"name": value}) == 4 + size


def test_attribute_names_count_in_bytes() -> None:
    assert item_size({"città": {"S": "x"}}) == 7


def test_an_item_of_a_name_and_an_id() -> None:
    assert item_size({"Id": {"N": "101"}, "Title": {"S": "Book 101 Title"}}) == 2 + 3 + 5 + 14


_SCALARS = st.one_of(
    st.builds(lambda text: {"S": text}, st.text()),
    st.builds(
        lambda number: {"N": f"{number:f}"},
        st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**20), max_value=10**20),
    ),
    st.builds(lambda flag: {"BOOL": flag}, st.booleans()),
)
_ATTRIBUTES = st.recursive(
    _SCALARS,
    lambda inner: st.one_of(
        st.builds(lambda elements: {"L": elements}, st.lists(inner, max_size=4)),
        st.builds(lambda members: {"M": members}, st.dictionaries(st.text(), inner, max_size=4)),
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.text(), _ATTRIBUTES, max_size=8))
def test_no_item_is_larger_than_its_json(item: dict[str, Any]) -> None:
    assert item_size(item) <= len(orjson.dumps({"Item": item}))


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**30), max_value=10**30))
def test_a_number_takes_about_a_byte_for_two_digits(number: Decimal) -> None:
    digits = len("".join(map(str, number.as_tuple().digits)).strip("0"))
    size = item_size({"": {"N": f"{number:f}"}})
    if digits <= 38:
        assert min(21, (digits + 1) // 2 + 1) <= size <= min(21, (digits + 2) // 2 + 2)


NESTED: dict[str, Any] = {"S": "x"}
for _ in range(31):
    NESTED = {"L": [NESTED]}

BREACHES: list[tuple[str, dict[str, Any]]] = [
    ("dynamodb-key", {"SK": {"S": "METADATA"}}),
    ("dynamodb-key", {**GOOD, "PK": {"S": ""}}),
    ("dynamodb-key", {**GOOD, "PK": {"N": "1"}}),
    ("dynamodb-key", {**GOOD, "PK": {"S": "x" * 2049}}),
    ("dynamodb-key", {**GOOD, "SK": {"S": "è" * 513}}),
    ("dynamodb-key", {**GOOD, "GSI1PK": {"S": ""}}),
    ("dynamodb-key", {**GOOD, "GSI1SK": {"S": "x" * 1025}}),
    ("dynamodb-number", {**GOOD, "n": {"N": "1" * 39}}),
    ("dynamodb-number", {**GOOD, "n": {"N": "1.0000000000000000000000000000000000000001"}}),
    ("dynamodb-number", {**GOOD, "n": {"N": "1E126"}}),
    ("dynamodb-number", {**GOOD, "n": {"N": "1E-131"}}),
    ("dynamodb-number", {**GOOD, "n": {"N": "1,5"}}),
    ("dynamodb-number", {**GOOD, "n": {"N": ""}}),
    ("dynamodb-number", {**GOOD, "n": {"N": 5}}),
    ("dynamodb-number", {**GOOD, "n": {"L": [{"N": "x"}]}}),
    ("dynamodb-set", {**GOOD, "s": {"SS": []}}),
    ("dynamodb-nesting", {**GOOD, "l": {"L": [NESTED]}}),
    ("dynamodb-item-size", {**GOOD, "s": {"S": "x" * (MAX_ITEM_BYTES - 19)}}),
    ("not-an-item", {**GOOD, "s": {"X": "x"}}),
    ("not-an-item", {**GOOD, "s": {}}),
    ("not-an-item", {**GOOD, "s": "text"}),
]
WITHIN: list[dict[str, Any]] = [
    GOOD,
    {**GOOD, "PK": {"S": "x" * 2048}, "SK": {"S": "è" * 512}},
    {**GOOD, "GSI1PK": {"S": "x" * 2048}, "GSI1SK": {"S": "x" * 1024}},
    {**GOOD, "text": {"S": ""}, "l": {"L": []}, "m": {"M": {}}, "b": {"BOOL": False}},
    {**GOOD, "n": {"N": "9" * 38}},
    {**GOOD, "n": {"N": "0000" + "9" * 38 + "0000"}},
    {**GOOD, "n": {"N": "9.9999999999999999999999999999999999999E+125"}},
    {**GOOD, "n": {"N": "-1E-130"}},
    {**GOOD, "l": NESTED},
    {**GOOD, "s": {"S": "x" * (MAX_ITEM_BYTES - 20)}},
]


@pytest.mark.parametrize(("rule", "item"), BREACHES)
def test_what_dynamodb_refuses(rule: str, item: dict[str, Any]) -> None:
    assert {note.rule for note in limit_notes(item, KEYS)} == {rule}


@pytest.mark.parametrize("item", WITHIN)
def test_what_dynamodb_takes(item: dict[str, Any]) -> None:
    assert limit_notes(item, KEYS) == []
