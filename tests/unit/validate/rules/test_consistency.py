"""A sale agrees with itself, or it is said where it does not."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.records.items import as_written, identifier, sale_record
from validate.fast.sales import facts_if_clean
from validate.rules.consistency import sale_notes

# Values that conform to the schemas; half of them belong to this sale.
_TEXTS = {
    "PK": [f"SALE#{identifier('sale', n)}" for n in (7, 8)] + ["SALE#SALE7", "SALE#SALE8"],
    "saleId": [identifier("sale", n) for n in (7, 8)] + ["SALE7", "SALE8"],
    "status": ["draft", "confirmed", "cancelled"],
    "GSI1PK": ["STATUS#draft", "STATUS#confirmed", "STATUS#cancelled"],
    "docType": ["proforma", "invoice"],
    "GSI2PK": [f"BUYER#{identifier('buyer', n)}" for n in (1, 2)],
    "buyerId": [identifier("buyer", n) for n in (1, 2)],
    "GSI3PK": [f"PRODUCER#{identifier('producer', n)}" for n in (1, 2)],
    "producerId": [identifier("producer", n) for n in (1, 2)],
    **{key: ["2024-03-04", "2024-03-05"] for key in ("GSI1SK", "GSI2SK", "GSI3SK", "saleDate")},
    "GSI4PK": ["SALE"],
    "GSI4SK": ["2024-03-04", "2024-03-05"],
    "legacyId": ["7", "8"],
}
_LINE_TEXTS = {
    "PK": _TEXTS["PK"],
    "saleId": _TEXTS["saleId"],
    "SK": [f"LINE#{identifier('line', n)}" for n in (7001, 7002)] + ["LINE#LINE5"],
    "lineId": [identifier("line", n) for n in (7001, 7002)] + ["LINE5"],
    "legacyId": ["5", "7001"],
}


@st.composite
def sales(draw: st.DrawFn) -> list[dict[str, Any]]:
    items = sale_record(7, lines=draw(st.integers(0, 3)))
    for _ in range(draw(st.integers(0, 3))):
        item = draw(st.sampled_from(items))
        table = _TEXTS if item is items[0] else _LINE_TEXTS
        name = draw(st.sampled_from(sorted(table)))
        item[name] = {"S": draw(st.sampled_from(table[name]))}
    if draw(st.booleans()):
        for name in draw(st.sets(st.sampled_from(["GSI4PK", "GSI4SK"]))):
            items[0].pop(name, None)
    if len(items) > 1 and draw(st.booleans()):
        draw(st.sampled_from(items[1:]))["lineNumber"] = {"N": draw(st.sampled_from("123"))}
    if draw(st.booleans()):
        items[0]["linesCount"] = {"N": draw(st.sampled_from("0123"))}
    return items


@settings(max_examples=500, deadline=None)
@given(sales())
def test_a_sale_beyond_doubt_agrees_with_itself(items: list[dict[str, Any]]) -> None:
    notes = list(sale_notes(items[0], items[1:]))
    assert facts_if_clean(as_written(items)) is None or notes == []


def test_readable_ids_are_made_of_the_key_of_s9() -> None:
    items = sale_record(7, lines=1)
    items[0].update(PK={"S": "SALE#SALE7"}, saleId={"S": "SALE7"})
    items[1].update(items[0] | items[1] | {"PK": {"S": "SALE#SALE7"}, "saleId": {"S": "SALE7"}})
    assert list(sale_notes(items[0], items[1:])) == []
    items[0]["legacyId"] = {"S": "8"}
    assert [note.field for note in sale_notes(items[0], items[1:])] == ["saleId"]
