"""What the target calls S9's values is what the items of the records with these values say."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.records.i2_rows import sale_row as i2_sale_row
from tests.support.records.rows import rules, sale_row
from transform.labels import Labels
from transform.rejections import RejectedRecord
from transform.row_to_texts import column_targets, transform_of
from transform.rules import Placeholder, TransformRules
from utils.config import LAYOUTS
from utils.entities import ENTITIES, column_of

_S9: dict[str, list[Any]] = {
    "sale_date": ["2024-03-05", " 2024-03-05 ", "2024-03-04T23:00:00Z", "2024-06-01 00:00:00"],
    "status": ["confermato", " PAGATO ", "proforma", "mine"],
    "currency": ["EUR", "chf ", "", None],
    "buyer_id": [12, "12", "12.0"],
    "producer_id": [7, 700],
}
_BROKEN: dict[str, list[Any]] = {
    "sale_date": [None, "yesterday", "2024-02-30", "0000-00-00"],
    "status": [None, "", "nobody knows", 5],
    "currency": ["EURO", "€", 7],
    "buyer_id": [None, "", "x", 1.5, [1]],
    "producer_id": [None],
}
_I2: dict[str, list[Any]] = {
    "sale_date": [20240305, "20240305"],
    "status": ["sent", "NEW", "to verify"],
    "currency": ["EUR", None],
    "buyer_id": [12],
    "producer_id": [7],
}
RULES = {
    "s9": rules(status_mapping={"mine": "paid"}),
    "readable": rules(generate_ids=False, default_currency="CHF", status_mapping={"mine": "paid"}),
}
I2_RULES = rules(layout="i2_speedex", id_scope="i2_speedex:")


def said(row: dict[str, Any], chosen: TransformRules) -> dict[str, str] | None:
    """What the item says, None when there is none."""
    try:
        item = transform_of("sales", chosen)(row, chosen)[0]
    except RejectedRecord:
        return None
    names = ("saleDate", "status", "currency", "buyerId", "producerId")
    return {name: item[name]["S"] for name in names}


@given(st.data())
@pytest.mark.parametrize("name", RULES)
def test_labels_of_layout_s9_are_those_of_the_items(name: str, data: st.DataObject) -> None:
    values = {
        column: data.draw(st.sampled_from([*good, *_BROKEN[column]]))
        for column, good in _S9.items()
    }
    _agree(values, sale_row(**values), RULES[name])


@given(st.data())
def test_labels_of_layout_i2_speedex_are_those_of_the_items(data: st.DataObject) -> None:
    broken = {**_BROKEN, "sale_date": [0, None, 20240230, "x"], "buyer_id": [0, None]}
    values = {
        column: data.draw(st.sampled_from([*good, *broken[column]])) for column, good in _I2.items()
    }
    named = values["buyer_id"] is not None and (values["buyer_id"] or data.draw(st.booleans()))
    buyer = {"name": "Bianchi", "country": "ITA"} if named else None
    copies: dict[str, Any] = {"buyer": {}} if named else {}
    _agree(values, i2_sale_row(**values, buyer=buyer), I2_RULES, **copies)


def _agree(
    values: dict[str, Any], row: dict[str, Any], chosen: TransformRules, **copies: Any
) -> None:
    labels = Labels("sales", chosen)({**values, **copies})
    item = said(row, chosen)
    if item is None:
        assert None in labels.values()
    else:
        assert labels == item
    for column, value in values.items():  # each by itself, as S9 adds them up
        assert Labels("sales", chosen)({column: value, **copies}).items() <= labels.items()


def test_a_configured_party_stands_in_for_none() -> None:
    someone = Placeholder(99, "Someone", "IT")
    chosen = rules(placeholders={"buyer": someone}, generate_ids=False)
    labels = Labels("sales", chosen)
    assert labels({"buyer_id": None}) == {"buyerId": "BUYER99"}
    assert labels({"producer_id": None}) == {"producerId": None}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_attribute_that_is_added_up_has_the_column_of_its_name(layout: str) -> None:
    for shape in ENTITIES:
        targets = column_targets(shape.name, rules(layout=layout))
        for attribute in shape.measures.attributes if shape.measures else ():
            assert attribute in targets[column_of(attribute)].split(",")
