"""Equal items have equal content, whoever wrote them down; different ones have not."""

from __future__ import annotations

import itertools
import json
from decimal import Decimal
from typing import Any

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from utils.dynamodb.item_content import (
    content,
    content_of,
    differ_only_in,
    differing_attributes,
    is_same,
    is_usual,
    normal_item,
    plain_number,
)
from utils.dynamodb.item_text import content_of_line

Value = dict[str, Any]

TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
# Texts with everything that could be taken for the end of an attribute.
TRICKY = st.lists(
    st.sampled_from(['},"', '":{"', '"', "}", "},", ",", "\\", ":{", "{", "x", "è", "\n"]),
    max_size=6,
).map("".join)
ITEM: dict[str, Value] = {
    "text": {"S": 'così "detto"\n'},
    "list": {"L": [{"N": "1"}, {"M": {"b": {"BOOL": True}, "a": {"NULL": True}}}]},
    "a": {"S": ""},
}


@given(st.permutations(list(ITEM)))
def test_a_line_has_the_content_of_its_item(names: list[str]) -> None:
    item = {name: ITEM[name] for name in names}
    assert content_of_line(orjson.dumps({"Item": item}) + b"\n") == content(ITEM)


@given(st.dictionaries(st.sampled_from("abcd"), TRICKY.map(lambda text: {"S": text}), min_size=1))
@example({"a": {"S": "x},"}, "b": {"S": 'y":{"'}})
@example({"b": {"S": ":{"}, "a": {"S": "x},"}})
@example({"a": {"S": '},"b":{"S":"z'}})
def test_a_line_of_tricky_texts_has_the_content_of_its_item(item: dict[str, Value]) -> None:
    assert content_of_line(orjson.dumps({"Item": item}) + b"\n") == content(item)


@given(st.permutations(list(ITEM)))
def test_order_spacing_and_escapes_do_not_matter(names: list[str]) -> None:
    answer = json.dumps({name: ITEM[name] for name in names}, indent=1, ensure_ascii=True)
    assert content(json.loads(answer)) == content(ITEM)


@pytest.mark.parametrize(
    ("written", "plain"),
    [
        ("25.50", "25.5"),
        ("25.0", "25"),
        ("1E+2", "100"),
        ("1e-7", "0.0000001"),
        ("-0", "0"),
        ("-0.00", "0"),
        ("007", "7"),
        (".5", "0.5"),
        ("12345678901234567890123456789012345678", "12345678901234567890123456789012345678"),
        ("no number", "no number"),
    ],
)
def test_numbers_are_compared_by_value(written: str, plain: str) -> None:
    assert plain_number(written) == plain
    usual = is_usual(orjson.dumps({"a": {"N": written}}))
    assert usual == (written == plain and plain != "no number")


@given(st.decimals(allow_nan=False, allow_infinity=False, places=10))
def test_a_plain_number_is_the_same_number_and_needs_no_more_work(number: Decimal) -> None:
    plain = plain_number(str(number))
    assert Decimal(plain) == number
    assert plain_number(plain) == plain
    assert is_usual(orjson.dumps({"a": {"N": plain}}))


@given(TEXTS)
def test_a_text_is_never_taken_for_a_number_or_a_set(text: str) -> None:
    assert is_usual(orjson.dumps({"a": {"S": text}}))


def test_sets_are_compared_without_their_order() -> None:
    one = {"a": {"SS": ["x", "y"]}, "b": {"NS": ["1.0", "2"]}, "c": {"L": [{"N": "1"}]}}
    other = {"c": {"L": [{"N": "1.0"}]}, "b": {"NS": ["2", "1"]}, "a": {"SS": ["y", "x"]}}
    assert not is_usual(orjson.dumps(one))
    assert content(normal_item(one)) == content(normal_item(other))


def test_a_list_keeps_its_order() -> None:
    one, other = {"a": {"L": [{"S": "x"}, {"S": "y"}]}}, {"a": {"L": [{"S": "y"}, {"S": "x"}]}}
    assert content(normal_item(one)) != content(normal_item(other))


def test_differing_attributes_are_named_without_equal_numbers() -> None:
    left = {"a": {"N": "1.50"}, "b": {"S": "x"}, "c": {"S": "only here"}}
    right = {"a": {"N": "1.5"}, "b": {"S": "y"}, "d": {"BOOL": True}}
    assert differing_attributes(left, right) == ["b", "c", "d"]


_VALUES: list[dict[str, Any]] = [
    {"S": "1"},
    {"N": "1"},
    {"N": "1.0"},
    {"N": "2"},
    {"SS": ["a", "b"]},
    {"SS": ["b", "a"]},
    {"NS": ["1", "2"]},
    {"NS": ["2.0", "1"]},
    {"M": {"n": {"N": "1"}}},
    {"M": {"n": {"N": "1E0"}}},
    {"L": [{"N": "1"}]},
    {"NULL": True},
]


def test_items_are_compared_as_their_canonical_forms_are() -> None:
    for one, other in itertools.product(_VALUES, repeat=2):
        left, right = {"a": one, "GSI4PK": {"S": "x"}}, {"a": other, "GSI4PK": {"S": "x"}}
        same = normal_item(left) == normal_item(right)
        assert is_same(left, right) == same == (content_of(left) == content_of(right))
        assert differing_attributes(left, right) == ([] if same else ["a"])
        less = {"a": other}
        assert differing_attributes(left, less) == (["GSI4PK"] if same else ["GSI4PK", "a"])
        assert differ_only_in(left, less, "GSI4") == same
        assert not differ_only_in(left, left, "GSI4")
