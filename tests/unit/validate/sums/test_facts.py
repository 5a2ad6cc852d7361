"""The facts of a record: one text for an entry, whatever the table holds."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.support.records.facts import facts_from_json
from tests.support.records.transformed import Item, sale
from utils.dynamodb.item_text import attributes_of
from utils.entities import ENTITIES
from validate.sums.facts import facts_json, facts_of

_FACTS = {"saleDate", "status", "currency", "buyerId", "producerId"}
_AMOUNTS = {"subtotal", "taxAmount", "total"}


def item_of(**changes: Any) -> Item:
    """The item that opens a sale; an attribute that is None is taken out."""
    item = {**sale(1)[0], **changes}
    return {name: value for name, value in item.items() if value is not None}


def said(item: Item) -> dict[str, Any]:
    facts = facts_json(facts_of(attributes_of(item), "sales"), 3, "sales")
    assert facts is not None
    return facts


def test_facts_are_what_the_attributes_say() -> None:
    amounts = {"total": {"N": "25.5"}, "subtotal": {"N": "20"}, "taxAmount": {"N": "5.5"}}
    item = item_of(**amounts, currency={"S": "CHF"}, status={"S": "paid"})
    facts = said(item)
    assert set(facts) == {*_FACTS, *_AMOUNTS, "lines"}
    assert (facts["total"], facts["subtotal"], facts["taxAmount"]) == ("25.5", "20", "5.5")
    assert {name: facts[name] for name in _FACTS} == {name: item[name]["S"] for name in _FACTS}
    assert facts["lines"] == 3


def test_what_is_absent_or_of_another_type_is_told() -> None:
    facts = said(
        item_of(total={"S": "12"}, status={"NULL": True}, buyerId=None, currency={"L": []})
    )
    assert facts["total"] == {"type": "S"}
    assert facts["status"] == {"type": "NULL"}
    assert facts["buyerId"] is None
    assert facts["currency"] == {"type": "L"}


def test_an_item_without_any_of_them_has_facts_nevertheless() -> None:
    facts = said({"PK": {"S": "SALE#1"}, "SK": {"S": "METADATA"}})
    assert facts == {**dict.fromkeys((*_FACTS, *_AMOUNTS)), "lines": 3}


def test_entities_without_amounts_have_no_facts() -> None:
    for shape in ENTITIES:
        assert bool(facts_of(attributes_of(item_of()), shape.name)) == (shape.measures is not None)
    assert facts_json(b"", 0, "buyers") is None


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=12))
def test_a_text_comes_back_and_fits_into_an_entry(text: str) -> None:
    found = facts_of(attributes_of(item_of(status={"S": text}, buyerId={"S": text})), "sales")
    assert not set(found) & set(b"\t\n ;")
    facts = facts_json(found, 2, "sales")
    assert facts is not None
    assert (facts["status"], facts["buyerId"]) == (text, text)
    assert facts_from_json(json.loads(json.dumps(facts)), "sales") == (found, 2)


@given(st.lists(st.binary(max_size=30), max_size=12))
def test_no_attributes_are_too_strange(attributes: list[bytes]) -> None:
    facts = facts_of(sorted(attributes), "sales")
    assert facts_json(facts, 0, "sales") is not None
