"""An item's attributes are the same bytes, whoever wrote it down and however it is read."""

from __future__ import annotations

import json
from random import Random

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.support.records.item_texts import FLAT, ITEMS, NAMES, SPACING, TEXTS, Item
from utils.dynamodb import item_text
from utils.dynamodb.answer_shapes import NoAnswer
from utils.dynamodb.item_content import normal_item
from utils.dynamodb.item_text import (
    attributes_of,
    attributes_of_line,
    flat_attributes,
    holds_just,
    is_there,
    key_of,
    neighbours_of,
    read_page,
    start_of,
    text_of,
    text_of_item,
)


def line_of(item: Item) -> bytes:
    return orjson.dumps({"Item": item}) + b"\n"


def page_of(*items: Item, last_key: Item | None = None) -> bytes:
    """An answer as DynamoDB spaces it: not at all."""
    end = {"LastEvaluatedKey": last_key} if last_key else {}
    return orjson.dumps({"Count": len(items), "Items": items, "ScannedCount": len(items), **end})


@given(ITEMS)
@example({"a": {"S": "x},"}, "b": {"S": 'y":{"'}})
@example({"a": {"S": "x},"}, "b": {"S": ":{"}})
@example({"b": {"S": "{"}, "a": {"S": "x},"}})
@example({"a": {"S": '},"b":{"S":"z'}})
@example({"b": {"M": {}}, "a": {"L": [{"S": "1"}, {"S": "2"}]}})
@example({"a": {"M": {"b": {"S": "x"}, "c": {"S": "y},"}}}, "d": {"S": "z"}})
@example({"a": {"M": {"c": {"S": "x"}, "b": {"S": "y"}}}})
@example({"b": {"M": {}}, "a": {"M": {"a": {"M": {}}}}})
@example({"a1": {"N": "1"}, "a": {"N": "2"}})
@example({"},": {"S": "x"}, "a": {"S": "},"}})
def test_a_line_has_the_attributes_of_its_item(item: Item) -> None:
    assert attributes_of_line(line_of(item)) == attributes_of(item)


LAST_KEYS = st.dictionaries(
    NAMES, st.builds(lambda text: {"S": text}, TEXTS), min_size=1, max_size=4
)


@given(st.lists(ITEMS, max_size=4), st.none() | LAST_KEYS)
@example([{"a": {"S": "}},{"}}, {"a": {"S": "x"}}], None)
@example([{"a": {"S": "x"}}], {"PK": {"S": '}}]},"Count":1'}})
@example([{"a": {"S": "}}]"}}], {"PK": {"S": "}}]"}})
def test_a_page_has_the_attributes_of_its_items(items: list[Item], last_key: Item | None) -> None:
    found = read_page(page_of(*items, last_key=last_key))
    assert list(found.items) == [attributes_of(item) for item in items]
    assert found.last_key == (last_key or None)


@given(ITEMS, st.randoms(), SPACING, st.booleans())
@example({"a": {"S": "è"}}, Random(0), (",", ":"), True)
def test_order_spacing_and_escapes_do_not_matter(
    item: Item, random: Random, spacing: tuple[str, str], escaped: bool
) -> None:
    names = list(item)
    random.shuffle(names)
    shuffled = {name: item[name] for name in names}
    answer = {"Items": [shuffled], "Count": 1, "ScannedCount": 1}
    page = json.dumps(answer, separators=spacing, ensure_ascii=escaped).encode()
    assert list(read_page(page).items) == [attributes_of_line(line_of(item))]


@given(ITEMS, ITEMS)
def test_different_items_have_different_attributes(one: Item, other: Item) -> None:
    same = normal_item(one) == normal_item(other)
    left, right = attributes_of_line(line_of(one)), attributes_of_line(line_of(other))
    assert (left == right) == same
    assert (text_of_item(left) == text_of_item(right)) == same


def test_an_item_is_its_attributes_joined() -> None:
    item = {"b": {"S": "x"}, "a": {"N": "1.50"}, "c": {"M": {"z": {"N": "1"}, "y": {"L": []}}}}
    text = text_of_item(attributes_of(item))
    assert orjson.loads(b'{"%b}}' % text) == normal_item(item)


def test_an_item_in_the_usual_form_is_not_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    item: Item = {
        "PK": {"S": "SALE#1"},
        "city": {"S": "Forlì, Sant'Angelo: {x}".replace("{x}", "")},
        "total": {"N": "-25.5"},
        "small": {"N": "0.000001"},
        "paid": {"BOOL": True},
        "count": {"N": "0"},
    }
    expected = attributes_of(item)
    monkeypatch.setattr(item_text, "attributes_of", None)
    assert attributes_of_line(line_of(item)) == expected
    assert list(read_page(page_of(item, item)).items) == [expected] * 2


def test_what_is_no_json_is_refused_at_the_latest_when_it_is_read() -> None:
    for page in (b"<html>", b'{"Items":[{"a":{"S":"x"}}', page_of({"a": {"S": "x"}})[:-1]):
        with pytest.raises(NoAnswer):
            list(read_page(page).items)


def test_attributes_are_found_by_name_and_kind() -> None:
    found = attributes_of(
        {"PK": {"S": 'è "x"'}, "PK2": {"S": "other"}, "SK": {"N": "7"}, "n": {"N": "1"}}
    )
    assert orjson.loads(text_of(found, start_of("PK"))) == 'è "x"'
    assert text_of(found, start_of("n", "N")) == b'"1"'
    assert text_of(found, start_of("n")) == text_of(found, start_of("P")) == b""
    assert is_there(found, "n")
    assert not is_there(found, "P")
    assert key_of(found, start_of("SK")) == b'{"N":"7"}'
    assert key_of(found, start_of("nowhere")) == b"null"


KEY = st.none() | st.sampled_from([{"S": "SALE#1"}, {"S": 'è "x"'}, {"N": "7"}, {"S": ""}])


@given(pk=KEY, sk=KEY, rest=st.dictionaries(NAMES, FLAT, max_size=3))
@example(pk={"S": "a"}, sk={"S": "b"}, rest={"PZ": {"S": "between them"}})
@example(pk={"S": "a"}, sk={"S": "b"}, rest={})
def test_two_keys_are_found_wherever_they_stand(
    pk: dict[str, str] | None, sk: dict[str, str] | None, rest: Item
) -> None:
    keys = {"PK": pk, "SK": sk}
    found = attributes_of({**rest, **{name: key for name, key in keys.items() if key}})
    first, second = start_of("PK"), start_of("SK")
    assert neighbours_of(found, first, second) == (key_of(found, first), key_of(found, second))


def known(*items: Item) -> list[list[bytes]]:
    return [each for item in items if (each := flat_attributes(line_of(item))) is not None]


@given(st.lists(st.dictionaries(NAMES, FLAT, min_size=1), max_size=4), st.randoms())
def test_an_answer_holds_just_what_is_known_in_whatever_order(
    items: list[Item], random: Random
) -> None:
    expected = known(*items)
    shuffled = [dict(random.sample(list(item.items()), len(item))) for item in items]
    random.shuffle(shuffled)
    page = page_of(*shuffled)
    if len(expected) == len(items) and items:
        assert holds_just(page, expected)
        assert not holds_just(page_of(*shuffled, last_key={"PK": {"S": "x"}}), expected)
        assert not holds_just(page_of(*shuffled, shuffled[0]), expected)
    assert not holds_just(page, [*expected, [b'PK":{"S":"another"']])


@pytest.mark.parametrize(
    "page",
    [
        b"",
        b"{}",
        b'{"Count":2,"Items":[{"a":{"S":"x"}}]}',
        b'{"Count":1,"Items":[{"a":{"S":"y"}}]}',
        b'{"Count":1,"Items":[{"a":{"S":"x"},"b":{"S":"y"}}]}',
        b'{"Count":1,"Items":[{"a":{"S":"x"}}],"LastEvaluatedKey":{"a":{"S":"x"}}}',
        b'{"Count":1,"Items":[{"a":{"S":"x"}}]',
    ],
)
def test_an_answer_that_is_another_or_none_does_not_hold_just_that(page: bytes) -> None:
    assert not holds_just(page, known({"a": {"S": "x"}}))
