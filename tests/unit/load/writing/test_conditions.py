"""The condition that an item is still what it was: which attributes it names, and its limits."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from load.writing.conditions import Condition, unchanged, unchanged_text
from load.writing.known_attributes import (
    known_attributes,
    may_be_empty,
    may_be_long,
    types_of,
    writers_of,
)
from utils.dynamodb.item_content import Item
from utils.dynamodb.item_text import flat_attributes
from utils.item_schemas import declared

KINDS = {
    "buyer": ("BUYER#1", "METADATA"),
    "producer": ("PRODUCER#1", "METADATA"),
    "sale": ("SALE#1", "METADATA"),
    "sale_line": ("SALE#1", "LINE#1"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_known_attributes_are_those_of_the_schema_and_what_the_api_alone_writes(
    kind: str,
) -> None:
    alone = {"deletedAt"} | ({"ttl"} if kind.startswith("sale") else set())
    assert known_attributes(*KINDS[kind]) == declared(kind).keys() - {"PK", "SK"} | alone


def test_an_attribute_is_what_it_is_in_the_items_of_its_entity() -> None:
    assert types_of("producers", "quantity") == {"S"}
    assert types_of("sales", "quantity") == {"N"}
    assert types_of("sales", "invoiceGenerated") == {"BOOL"}
    assert types_of("buyers", "legacy") == {"M"}
    assert types_of("sales", "deletedAt") == types_of("sales", "nothing") == set()
    assert writers_of("sales", "notes") == ["sales", "lines of sales"]
    assert writers_of("sales", "ttl") == writers_of("buyers", "producerId") == []


@pytest.mark.parametrize(
    ("entity", "attribute", "empty", "long"),
    [
        ("buyers", "vatNumber", True, True),
        ("buyers", "city", True, False),
        ("buyers", "phone", False, False),
        ("buyers", "sdi", False, False),
        ("producers", "products", False, True),
        ("sales", "buyerCity", True, True),
        ("sales", "paCupNumber", False, False),
        ("sales", "notes", False, True),
        ("sales", "saleDate", False, False),
        ("sales", "total", False, False),
    ],
)
def test_a_text_may_be_empty_or_too_long_for_a_key_as_its_schema_says(
    entity: str, attribute: str, empty: bool, long: bool
) -> None:
    assert may_be_empty(entity, attribute) == empty
    assert may_be_long(entity, attribute) == long


@pytest.mark.parametrize("kind", KINDS)
def test_the_condition_of_an_item_with_every_attribute_or_none_fits(kind: str) -> None:
    pk, sk = KINDS[kind]
    key = {"PK": {"S": pk}, "SK": {"S": sk}}
    whole = {name: {"S": "x"} for name in known_attributes(pk, sk)} | key
    for item in (key, whole):
        condition = unchanged(item)
        assert condition is not None
        request = condition.as_request()
        assert len(request["ConditionExpression"]) <= 4096
        names = request["ExpressionAttributeNames"].values()
        assert set(names) == known_attributes(pk, sk) | {"PK"}


def test_an_item_with_too_many_attributes_has_no_condition() -> None:
    key = {"PK": {"S": "SALE#1"}, "SK": {"S": "METADATA"}}
    assert unchanged({**key, **{f"a{n}": {"S": "x"} for n in range(200)}}) is None


def put_together(item: Item) -> Condition | None:
    attributes = flat_attributes(b'{"Item":%b}\n' % orjson.dumps(item))
    assert attributes is not None
    return unchanged_text(item["PK"]["S"], item["SK"]["S"], attributes)


def compared(condition: Condition | None) -> tuple[dict[str, Any], set[str]]:
    """What a condition says: the attributes and their values, and what must not be there."""
    assert condition is not None
    asked = condition.as_request()
    values = asked.get("ExpressionAttributeValues", {})
    same, absent = {}, set()
    for part in asked["ConditionExpression"].split(" AND "):
        name, _, value = part.partition("=")
        if value:
            same[asked["ExpressionAttributeNames"][name]] = values.pop(value)
        elif part.startswith("attribute_not_exists("):
            absent.add(asked["ExpressionAttributeNames"][part[part.index("(") + 1 : -1]])
        else:
            assert part == "attribute_exists(#k)"
    assert values == {}  # DynamoDB takes no value that is not used
    return same, absent


@pytest.mark.parametrize("kind", KINDS)
def test_a_condition_that_is_put_together_says_the_same(kind: str) -> None:
    pk, sk = KINDS[kind]
    key: Item = {"PK": {"S": pk}, "SK": {"S": sk}}
    values = {"total": {"N": "1.5"}, "notes": {"S": "}, :"}, "a1": {"BOOL": False}}
    for item in (key, {**key, **values, "status": {"NULL": True}, "year": {"S": ""}}):
        same, absent = compared(unchanged(item))
        assert compared(put_together(item)) == ({**same, **key}, absent)


@pytest.mark.parametrize(
    "attributes",
    [{"a_b": {"S": "x"}}, {"a": {"B": "AAAA"}}, {f"a{n}": {"S": "x"} for n in range(200)}],
)
def test_what_cannot_be_put_together_is_left_to_the_parsed_item(attributes: Item) -> None:
    assert put_together({"PK": {"S": "SALE#1"}, "SK": {"S": "METADATA"}, **attributes}) is None
