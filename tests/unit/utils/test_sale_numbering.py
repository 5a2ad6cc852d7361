"""What the numbering reads of a sale's line is what its item says, whatever else is in it."""

from __future__ import annotations

from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st

from tests.support.records.items import sale
from utils.dynamodb.item_content import line_of
from utils.dynamodb.item_text import legacy_id_of
from utils.sale_numbering import Numbering, candidate_of, numbers_of, toggled

TEXTS = st.text(st.sampled_from('ab"\\,:{}#\n') | st.characters(codec="utf-8"), max_size=20)
NAMES = st.sampled_from(("legacyId", "saleNumber", "saleDate", "year", "status", "docType", "PK"))
VALUES = st.builds(lambda text: {"S": text}, TEXTS) | st.builds(
    lambda number: {"N": str(number)}, st.integers(0, 9999)
)


@st.composite
def sales(draw: st.DrawFn) -> dict[str, Any]:
    """The METADATA item of a sale, also one that is no candidate."""
    day = f"20{draw(st.integers(19, 21))}-0{draw(st.integers(1, 9))}-1{draw(st.integers(0, 9))}"
    item = sale(draw(st.integers(1, 999)), lines=0)
    item |= {
        "saleDate": {"S": day},
        "saleNumber": {"N": str(draw(st.integers(1, 50)))},
        "status": {"S": draw(st.sampled_from(("confirmed", "cancelled")))},
        "notes": {"S": draw(TEXTS)},
        "GSI4PK": {"S": "SALE"},
        "GSI4SK": {"S": day},
    }
    item["year"] = {"N": draw(st.sampled_from((day[:4], day[:4], "1999")))}
    if draw(st.booleans()):
        item["docType"] = {"S": draw(st.sampled_from(("invoice", "proforma")))}
    if draw(st.booleans()):
        item["legacy"] = {"M": draw(st.dictionaries(NAMES, VALUES, max_size=3))}
    if draw(st.booleans()):
        del item[draw(st.sampled_from(("year", "status", "legacyId")))]
    return item


def is_candidate(item: dict[str, Any]) -> bool:
    """The rule of utils/sale_numbering.py, of an item."""
    day = item["saleDate"]["S"]
    return (
        item.get("status", {}).get("S") not in (None, "cancelled")
        and item.get("docType", {}).get("S") != "proforma"
        and item.get("year", {"N": day[:4]})["N"] == day[:4]
    )


@given(sales())
def test_a_candidate_is_read_as_its_item_says(item: dict[str, Any]) -> None:
    line = line_of(item)
    found = candidate_of(line)
    assert (found is not None) == is_candidate(item)
    if found is not None:
        read = found.number, found.date.decode(), found.key.decode()
        assert read == (int(item["saleNumber"]["N"]), item["saleDate"]["S"], item["PK"]["S"])


@given(sales())
def test_the_key_in_s9_is_the_item_s_own(item: dict[str, Any]) -> None:
    found = legacy_id_of(line_of(item))
    assert (found or b"").decode() == item.get("legacyId", {}).get("S", "")


@given(sales())
def test_the_keys_of_the_index_of_numbers_go_and_come_back_in_their_place(
    item: dict[str, Any],
) -> None:
    line = line_of(item)
    without = toggled(line)
    if without is None:
        assert not is_candidate(item)
        return
    rest = {name: item[name] for name in item if not name.startswith("GSI4")}
    assert orjson.loads(without)["Item"] == rest
    assert without == line_of(rest)
    assert toggled(without) == line


@given(st.lists(sales().filter(is_candidate), max_size=12))
def test_the_last_sales_of_a_piece_are_those_of_all_its_sales(items: list[dict[str, Any]]) -> None:
    lines = [line_of(item) for item in items]
    numbering = Numbering()
    numbering.add(filter(None, map(candidate_of, lines)))
    assert numbers_of(lines).last == numbering.last
