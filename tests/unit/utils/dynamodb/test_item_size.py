"""The size of an item, as DynamoDB counts it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.records.item_texts import ITEMS, Item
from utils.dynamodb.item_size import flat_size, item_size, shapes_of, size_of_text

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


@given(ITEMS)
def test_a_text_has_the_size_of_its_item(item: Item) -> None:
    assert size_of_text(orjson.dumps(item)) == item_size(item)


def test_a_flat_item_need_not_be_parsed() -> None:
    item: Item = {
        "PK": {"S": "città,{}:[]"},
        "n": {"N": "-10.05"},
        "on": {"BOOL": True},
        "z": {"N": "0"},
    }
    item |= {"off": {"BOOL": False}, "large": {"N": "98765432100"}, "small": {"N": "0.00071"}}
    assert flat_size(shapes_of(orjson.dumps(item))) == item_size(item)


@pytest.mark.parametrize(
    "value",
    [{"S": 'a "quoted" {"N":"1"}'}, {"N": "1E+20"}, {"M": {"a": {"S": "b"}}}, {"SS": ["a"]}],
)
def test_what_has_more_than_that_is_parsed(value: dict[str, Any]) -> None:
    text = orjson.dumps({"a": value})
    assert flat_size(shapes_of(text)) is None
    assert size_of_text(text) == item_size({"a": value})
