"""Layouts: each has both halves under one name, and every column a place or `legacy`."""

from __future__ import annotations

from typing import Any

import pytest

from extract.declaration import Table
from extract.entities import entities_of
from tests.support.places import ROOT
from tests.support.records.rows import (
    buyer_row,
    line_row,
    party_copy,
    producer_row,
    rules,
    sale_row,
)
from tests.support.s9.i2_schema import TABLES
from transform.items.adapter_notes import Notes
from transform.items.attributes import Item, Row
from transform.layout import Adapter, Layout, layout_of
from transform.rejections import RejectedRecord, Unconvertible
from transform.row_to_texts import _Adapted, column_targets, transform_of
from transform.rules import Placeholder
from transform.transform_buyers import buyer_to_items
from transform.transform_producers import producer_to_items
from transform.transform_sales import sale_to_items
from utils.config import LAYOUTS
from utils.entities import ENTITY_NAMES

OURS = ("s9", "i2_speedex")


def tables_of(layout: str) -> dict[str, Table]:
    """The tables of a layout's entities, and of its lines."""
    entities = entities_of(layout)
    children = entities["sales"].children
    assert children is not None
    return {**{name: entity.table for name, entity in entities.items()}, "lines": children.table}


@pytest.mark.parametrize("half", ["extract", "transform"])
def test_every_layout_that_can_be_chosen_has_both_halves_and_no_other_is_there(half: str) -> None:
    modules = {path.stem for path in (ROOT / half / "layouts").glob("*.py")}
    assert {name for name in modules if name in LAYOUTS} == set(LAYOUTS)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_layout_declares_the_three_entities_in_their_order(layout: str) -> None:
    assert tuple(entities_of(layout)) == ENTITY_NAMES


def test_no_two_layouts_give_a_key_the_same_id() -> None:
    scopes = [layout_of(name).id_scope for name in LAYOUTS]
    assert len(set(scopes)) == len(scopes)
    assert layout_of("s9").id_scope == ""


def test_no_file_but_the_registry_asks_which_layout_it_is() -> None:
    """A layout is chosen by its name in one place for each half."""
    for folder in ("extract", "transform", "load", "validate", "utils"):
        for path in (ROOT / folder).rglob("*.py"):
            text = path.read_text(encoding="utf-8")
            own = path.parent.name == "layouts" or path.name.startswith("i2_")
            if not own and path.name != "config.py":
                assert "i2_speedex" not in text, path


@pytest.mark.parametrize("entity", ENTITY_NAMES)
def test_rows_of_s9_go_straight_to_the_transforms(entity: str) -> None:
    straight = {"buyers": buyer_to_items, "producers": producer_to_items, "sales": sale_to_items}
    assert transform_of(entity, rules()) is straight[entity]


COLUMN_TARGETS = {
    name: column_targets(name, rules()) for name in ("buyers", "producers", "sales", "lines")
}


@pytest.mark.parametrize("entity", COLUMN_TARGETS)
def test_every_place_of_s9_is_a_column_that_it_declares(entity: str) -> None:
    declared = {column.name for column in tables_of("s9")[entity].columns}
    assert COLUMN_TARGETS[entity].keys() <= declared | {"created_by", "updated_by"}


ROWS: dict[str, Row] = {"buyers": buyer_row(), "producers": producer_row(), "sales": sale_row()}


def both(columns: str, first: object, second: object) -> dict[str, tuple[Any, Any]]:
    """Two different values that any of the columns may have."""
    return dict.fromkeys(columns.split(), (first, second))


# All other columns take any text.
VALUES = {
    **both("first_id id sale_number number_t year buyer_id producer_id line_number", 1, 2),
    **both("enabled invoice_generated", True, False),
    **both("subtotal tax_amount total iva_percentage unit_price discount", "1.25", "7.5"),
    **both("discount_amount net_amount tax_rate total_amount", "1.25", "7.5"),
    **both("revenue_percentage", "1.25", "7.5"),
    **both("sale_date delivery_date po_date payment_date", "2024-03-05", "2024-04-06"),
    **both("dn_date dn_date2 dn_date3 registration_date", "2024-03-05", "2024-04-06"),
    **both("created_at updated_at", "2024-03-05 10:00:00", "2024-04-06 10:00:00"),
    **both("created_by updated_by", "rossi", "bianchi"),
    **both("country", "DE", "FR"),
    **both("currency", "EUR", "USD"),
    **both("preferred_language", "it", "de"),
    **both("sector", "mining", "energy"),
    **both("vat_exempt", "standard", "exempt"),
    **both("status", "bozza", "pagato"),
    **both("doc_type", "invoice", "proforma"),
}
USERS = {"rossi": "a@example.com", "bianchi": "b@example.com"}


def item_with(entity: str, column: str, value: object) -> Item:
    if entity == "lines":
        row = sale_row(lines=[{**line_row(), column: value}])
        return transform_of("sales", rules(user_mapping=USERS))(row, rules(user_mapping=USERS))[1]
    return transform_of(entity, rules(user_mapping=USERS))(
        {**ROWS[entity], column: value}, rules(user_mapping=USERS)
    )[0]


@pytest.mark.parametrize(
    ("entity", "column"),
    [
        (entity, column)
        for entity in COLUMN_TARGETS
        for column in COLUMN_TARGETS[entity]
        if column != "msg_id"  # a line's sale is the record that it is in
    ],
)
def test_a_column_changes_the_attributes_that_are_said_to_be_its_place(
    entity: str, column: str
) -> None:
    first, second = VALUES.get(column, ("un testo", "un altro"))
    if column == "quantity":
        first, second = ("1", "2") if entity == "lines" else ("small", "large")
    a, b = item_with(entity, column, first), item_with(entity, column, second)
    for attribute in COLUMN_TARGETS[entity][column].split(","):
        assert a[attribute] != b[attribute]


def test_the_tables_of_i2_speedex_are_read_whole_and_each_column_is_known() -> None:
    declared = {table.name: table for table in tables_of("i2_speedex").values()}
    for table in TABLES:
        known = {column.names[-1] for column in declared[table.name].columns}
        assert known == set(table.columns), table.name


def test_no_column_of_i2_speedex_is_taken_for_another_by_its_name() -> None:
    """A canonical name that is the name of another column would be read in its place."""
    for table in tables_of("i2_speedex").values():
        own = {column.names[-1] for column in table.columns}
        for column in table.columns:
            assert column.names[-1] == column.name or column.name not in own, column


# The engine, on a layout of the test's own


def doubtful(row: Row, notes: Notes, _rules: object) -> None:
    if row.get("colour") == "none":
        notes.refuse("colour", "no-colour", "the row has no colour")
    if row.get("colour") == "faded":
        notes.doubt("colour", "faded", "it may have been red")
        notes.keep("shade", 7)


def upper(value: object) -> object:
    if value == "?":
        raise Unconvertible("no-name", "a question is no name")
    return str(value).upper()


def raising(row: Row, *_rest: object) -> None:
    if row.get("colour") == "torn":
        raise Unconvertible("torn", "nothing can be made of it")


def completing(item: Item, row: Row) -> None:
    if row.get("colour") == "late":
        raise Unconvertible("late", "nothing can be made of it after all")


OWN = Layout(
    id_scope="own:",
    buyers=Adapter(values={"name": upper}, adapt=doubtful),
    producers=Adapter(adapt=raising, complete=completing),
    lines=Adapter(adapt=doubtful),
)


def adapted(entity: str, row: Row, **changes: Any) -> list[Item]:
    return _Adapted(OWN, entity, rules()).items(row, rules(layout="own", **changes))


def refusals(entity: str, row: Row) -> list[tuple[str, str]]:
    with pytest.raises(RejectedRecord) as rejected:
        adapted(entity, row)
    return [(each.field, each.rule) for each in rejected.value.rejections]


def test_values_are_converted_and_columns_without_a_place_are_carried() -> None:
    row = buyer_row(
        colour=" red ", size=3, sold=True, big=2**60, tags=["a"], blank=" ", nothing=None
    )
    (item,) = adapted("buyers", row)
    assert item["companyName"] == {"S": "FERRAMENTA BIANCHI"}
    assert item["legacy"] == {
        "M": {
            "kind": {"N": "2"},
            "colour": {"S": "red"},
            "size": {"N": "3"},
            "sold": {"BOOL": True},
            "big": {"S": str(2**60)},
            "tags": {"S": '["a"]'},
        }
    }
    assert row["name"] == "Ferramenta Bianchi", "the row itself is not touched"


def test_an_item_without_anything_to_carry_has_no_legacy() -> None:
    row = buyer_row()
    del row["kind"]
    (item,) = adapted("buyers", row)
    assert "legacy" not in item


def test_doubts_and_kept_values_are_in_legacy() -> None:
    (item,) = adapted("buyers", buyer_row(kind=None, colour="faded"))
    assert item["legacy"]["M"] == {
        "colour": {"S": "faded"},
        "shade": {"N": "7"},
        "doubts": {"M": {"colour": {"S": "faded: it may have been red"}}},
    }


def test_a_column_called_as_the_doubts_keeps_its_value() -> None:
    (item,) = adapted("buyers", buyer_row(kind=None, colour="faded", doubts="mine"))
    assert item["legacy"]["M"]["doubts_s9"] == {"S": "mine"}
    assert "M" in item["legacy"]["M"]["doubts"]


def test_all_that_is_wrong_is_reported_once_whoever_has_found_it() -> None:
    row = buyer_row(name="?", colour="none", country="ZZ")
    assert refusals("buyers", row) == [
        ("name", "no-name"),
        ("colour", "no-colour"),
        ("country", "unknown-country"),
    ]


@pytest.mark.parametrize("rule", ["torn", "late"])
def test_what_a_layouts_function_finds_unconvertible_refuses_the_record(rule: str) -> None:
    assert refusals("producers", producer_row(colour=rule)) == [("", rule)]


def test_the_copies_of_parties_are_converted_as_the_parties_are() -> None:
    item = adapted("sales", sale_row())[0]
    assert item["buyerName"] == {"S": "FERRAMENTA BIANCHI"}
    assert item["producerName"] == {"S": "Viteria Ligure"}
    assert refusals("sales", sale_row(buyer=party_copy(name="?"))) == [
        ("buyer.name", "no-name"),
        ("buyer_name", "required"),
    ]


def test_lines_are_adapted_each_for_itself() -> None:
    lines = [line_row(1, msg_id=None, colour="faded"), line_row(2, msg_id=None)]
    _, first, second = adapted("sales", sale_row(enabled=None, lines=lines))
    assert "colour" in first["legacy"]["M"]
    assert "legacy" not in second
    wrong = sale_row(lines=[line_row(1), line_row(2, colour="none", unit_price=None)])
    assert refusals("sales", wrong) == [
        ("lines[2].colour", "no-colour"),
        ("lines[2].unit_price", "required"),
    ]


def test_what_cannot_be_carried_is_refused_where_it_is() -> None:
    wrong = sale_row(colour="\ud800", lines=[line_row(1), line_row(2, colour="\ud800")])
    assert refusals("sales", wrong) == [
        ("colour", "invalid-text"),
        ("lines[2].colour", "invalid-text"),
    ]


@pytest.mark.parametrize("lines", [None, "x", [None]])
def test_a_record_without_its_lines_is_refused_as_ever(lines: object) -> None:
    assert refusals("sales", sale_row(lines=lines)) == [("lines", "required")]


@pytest.mark.parametrize("layout", OURS)
@pytest.mark.parametrize("kind", ["buyer", "producer"])
def test_a_party_of_the_configuration_stands_in_where_a_sale_names_none(
    layout: str, kind: str
) -> None:
    chosen = rules(layout=layout, placeholders={kind: Placeholder(900, "Nobody", "CHE")})
    row = {**sale_row(status="paid", sale_date=None), f"{kind}_id": None, kind: None}
    row["sale_date"] = "2024-03-05" if layout == "s9" else 20240305
    item = transform_of("sales", chosen)(row, chosen)[0]
    assert item[f"{kind}Name"] == {"S": "Nobody"}
    assert item[f"{kind}Country"] == {"S": "CH"}
    same = {**row, f"{kind}_id": 900, kind: {"name": "Nobody", "country": "CH"}}
    assert transform_of("sales", chosen)(same, chosen)[0][f"{kind}Id"] == item[f"{kind}Id"]
    doubt = item["legacy"]["M"]["doubts"]["M"][f"{kind}_id"]["S"]
    assert (
        doubt == f"placeholder-party: S9 names no {kind}: {kind} 900 of the configuration stands in"
    )


def test_layout_s9_carries_nothing_but_its_doubts() -> None:
    chosen = rules(placeholders={"buyer": Placeholder(900, "Nobody", "CH")})
    row = sale_row(buyer=None, buyer_id=None, loyalty="gold", lines=[line_row(loyalty="gold")])
    header, line = transform_of("sales", chosen)(row, chosen)
    assert header["legacy"]["M"].keys() == {"doubts"}
    assert "legacy" not in line


@pytest.mark.parametrize("layout", OURS)
def test_nobody_stands_in_for_a_party_that_is_named_but_not_there(layout: str) -> None:
    chosen = rules(layout=layout, placeholders={"buyer": Placeholder(900, "Nobody", "CH")})
    row = sale_row(status="paid", buyer=None, buyer_id=4)
    row["sale_date"] = "2024-03-05" if layout == "s9" else 20240305
    with pytest.raises(RejectedRecord) as rejected:
        transform_of("sales", chosen)(row, chosen)
    assert [(r.field, r.rule) for r in rejected.value.rejections] == [("buyer_id", "unknown-party")]


def test_a_sale_without_a_producer_says_what_can_be_done() -> None:
    with pytest.raises(RejectedRecord) as rejected:
        sale_to_items(sale_row(producer=None, producer_id=None), rules())
    (rejection,) = rejected.value.rejections
    assert (rejection.field, rejection.rule) == ("producer_id", "missing-party")
    assert "transformation.missingParty, placeholderProducer" in rejection.reason
