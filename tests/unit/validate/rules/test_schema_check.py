"""The schemas accept what the Sale Module reads; deciding and explaining agree with each other."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.records.items import Item, line, numbers, party, sale, texts
from utils.item_schemas import KINDS, schema
from validate.rules.schema_check import decider, explain, record_decider

SAMPLES: dict[str, Item] = {
    "buyer": party("buyer", 1, currency="EUR", phone="0523 990/123", sdi="ABC1234"),
    "producer": party("producer", 2),
    "sale": sale(3, lines=2, docType={"S": "invoice"}, deliveryDate={"S": "2024-05-01"}),
    "sale_line": line(3, 1, notes={"S": "urgente"}),
}
# Readable ids, as transformation.generateIds false makes them.
READABLE_IDS = {
    "buyer": texts(PK="BUYER#BUYER1", buyerId="BUYER1"),
    "producer": texts(PK="PRODUCER#PRODUCER2", producerId="PRODUCER2"),
    "sale": texts(PK="SALE#SALE3", saleId="SALE3", buyerId="BUYER1", GSI2PK="BUYER#BUYER1"),
    "sale_line": texts(PK="SALE#SALE3", SK="LINE#LINE9", saleId="SALE3", lineId="LINE9"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_sound_item_conforms(kind: str) -> None:
    assert decider(kind)(SAMPLES[kind])
    assert explain(kind, SAMPLES[kind]) == []
    assert decider(kind)({**SAMPLES[kind], **READABLE_IDS[kind]})


@pytest.mark.parametrize("kind", KINDS)
def test_each_required_attribute_is_missed_by_name(kind: str) -> None:
    for name in schema(kind)["required"]:
        without = {key: value for key, value in SAMPLES[kind].items() if key != name}
        assert not decider(kind)(without)
        assert [(note.field, note.rule) for note in explain(kind, without)] == [
            (name, "attribute-missing")
        ]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["ttl", "deletedAt", "GSI5PK", "companyname"])
def test_no_item_has_attributes_that_the_sale_module_does_not_know(kind: str, name: str) -> None:
    item = {**SAMPLES[kind], name: {"S": "x"}}
    assert [(note.field, note.rule) for note in explain(kind, item)] == [
        (name, "attribute-unknown")
    ]


@pytest.mark.parametrize("number", range(1, 5))
def test_a_line_has_no_index_keys(number: int) -> None:
    for key in (f"GSI{number}PK", f"GSI{number}SK"):
        assert not decider("sale_line")({**SAMPLES["sale_line"], key: {"S": "SALE"}})


@pytest.mark.parametrize("kind", KINDS)
def test_every_attribute_has_a_title_and_every_value_a_description(kind: str) -> None:
    values = schema("values")["$defs"]
    for name, declared in schema(kind)["properties"].items():
        assert declared["title"], name
        ref = declared.get("$ref", "").rpartition("/")[2]
        kinds = (values[ref] if ref else declared)["properties"]
        assert all(value["description"] for value in kinds.values()), name


GOOD_NUMBERS = ["0", "1", "-1", "0.5", "-0.05", "25.5", "100000000000000000.00000000000000000001"]
BAD_NUMBERS = [
    *("", " 1", "1 ", "+1", "-0", "00", "01", "1.", ".5", "1.0", "25.50", "2.55E+1", "1e3", "NaN"),
    *("Infinity", "1,5", "0.0", "-0.0", "１", "1\n", "1" * 19, f"0.{'0' * 20}1"),
]
GOOD_DATES = ["2024-02-29", "0001-01-01", "9999-12-31"]
BAD_DATES = [
    *("2023-02-29", "2024-13-01", "2024-00-10", "2024-1-1", "20240101", "2024-01-01T00:00:00Z"),
    *("0000-01-01", "2024-01-32", "2024-01-01\n", "", "24-01-01", "２０２４-01-01"),
]
GOOD_TIMESTAMPS = ["2024-02-29T23:59:59.999Z", "0001-01-01T00:00:00.000Z"]
BAD_TIMESTAMPS = [
    *("2024-02-30T00:00:00.000Z", "2024-01-01T24:00:00.000Z", "2024-01-01T00:60:00.000Z"),
    *("2024-01-01T00:00:60.000Z", "2024-01-01T00:00:00Z", "2024-01-01T00:00:00.000"),
    *("2024-01-01T00:00:00.000+01:00", "2024-01-01 00:00:00.000Z", "2024-01-01T00:00:00.000000Z"),
]
GOOD_PERCENTS = ["0", "0.5", "9", "22", "99.99", "100"]
BAD_PERCENTS = ["-1", "-0.5", "100.1", "101", "1000", "022", "22.0"]
GOOD_COUNTS = ["0", "7", "999999999999999"]
BAD_COUNTS = ["-1", "1.5", "1e3", "9007199254740993"]

FORMS = [
    ("sale", "total", "N", GOOD_NUMBERS, BAD_NUMBERS),
    ("sale_line", "unitPrice", "N", GOOD_NUMBERS, BAD_NUMBERS),
    ("sale", "saleDate", "S", GOOD_DATES, BAD_DATES),
    ("sale", "GSI1SK", "S", GOOD_DATES, BAD_DATES),
    ("sale", "dnDate3", "S", GOOD_DATES, BAD_DATES),
    ("buyer", "createdAt", "S", GOOD_TIMESTAMPS, BAD_TIMESTAMPS),
    ("sale_line", "updatedAt", "S", GOOD_TIMESTAMPS, BAD_TIMESTAMPS),
    ("sale_line", "discount", "N", GOOD_PERCENTS, BAD_PERCENTS),
    ("sale", "ivaPercentage", "N", GOOD_PERCENTS, BAD_PERCENTS),
    ("producer", "revenuePercentage", "N", GOOD_PERCENTS, BAD_PERCENTS),
    ("sale", "linesCount", "N", GOOD_COUNTS, BAD_COUNTS),
    ("sale", "saleNumber", "N", ["0", "-3", "8542"], ["1.5", "", "9" * 16]),
    ("sale_line", "lineNumber", "N", ["1", "70"], ["0", "-1", "1.5", "01"]),
    ("sale", "pdfFontBase", "N", ["1", "9", "20"], ["0", "21", "1.5"]),
    ("sale", "currency", "S", ["EUR"], ["eur", "EURO", "€", ""]),
    ("buyer", "country", "S", ["IT"], ["ITA", "it", "", "I1"]),
    ("buyer", "sdi", "S", ["0000000", "ABC1234"], ["000000", "00000000", "ABC-123"]),
    ("buyer", "legacyId", "S", ["12", "-1"], ["", "12a", " 12", "BUYER12"]),
    ("buyer", "buyerId", "S", ["BUYER12"], ["12", "PRODUCER12", "BUYER"]),
    # Version 4, and a UUID in capitals: not what the transform derives.
    ("sale", "saleId", "S", ["SALE3"], ["4b177f28-7fd7-4265-9aff-b7e6a469eef6", "SALE"]),
    ("sale_line", "SK", "S", ["LINE#LINE9"], ["LINE#", "METADATA", "LINE9"]),
    ("sale", "SK", "S", ["METADATA"], ["METADATA ", "metadata", "LINE#LINE9"]),
    ("sale", "GSI1PK", "S", ["STATUS#draft"], ["STATUS#bozza", "draft", "STATUS#"]),
    ("sale", "GSI4PK", "S", ["SALE"], ["SALE#", "sale"]),
    ("buyer", "GSI2PK", "S", ["COUNTRY#IT"], ["COUNTRY#", "COUNTRY#ITA", "IT"]),
    ("sale", "status", "S", ["invoiced"], ["proforma", "", "Draft"]),
    ("sale", "docType", "S", ["proforma"], ["credit_note", ""]),
    ("producer", "quantity", "S", ["large"], ["grande", ""]),
    ("buyer", "sector", "S", ["oil_gas"], ["Oil & Gas"]),
]


@pytest.mark.parametrize(("kind", "name", "tag", "good", "bad"), FORMS)
def test_the_form_of_a_value(
    kind: str, name: str, tag: str, good: list[str], bad: list[str]
) -> None:
    for text in good:
        assert decider(kind)({**SAMPLES[kind], name: {tag: text}}), text
    for text in bad:
        item = {**SAMPLES[kind], name: {tag: text}}
        assert not decider(kind)(item), text
        assert [note.field for note in explain(kind, item)] == [name], text


LENGTHS = [
    *(("buyer", "companyName", 200), ("buyer", "address", 200), ("buyer", "city", 100)),
    *(("buyer", "industrialGroup", 200), ("buyer", "poBox", 50), ("buyer", "phone", 50)),
    *(("buyer", "website", 500), ("buyer", "bankDetails", 500), ("producer", "subName", 200)),
    *(("producer", "materials", 2000), ("producer", "products", 5000)),
    *(("producer", "maxLength", 500), ("sale", "notes", 1000), ("sale", "printedNote", 2000)),
    *(("sale", "referenceNumber", 500), ("sale", "poNumber", 100), ("sale", "dnNumber2", 100)),
    *(("sale", "paCupNumber", 50), ("sale", "coBankIban", 100)),
    *(("sale_line", "productDescription", 500), ("sale_line", "productCode", 100)),
]


@pytest.mark.parametrize(("kind", "name", "limit"), LENGTHS)
def test_lengths_are_counted_in_characters(kind: str, name: str, limit: int) -> None:
    assert decider(kind)({**SAMPLES[kind], name: {"S": "🏭" * limit}})
    too_long = {**SAMPLES[kind], name: {"S": "è" * (limit + 1)}}
    (note,) = explain(kind, too_long)
    assert (note.field, note.rule) == (name, "attribute-length")
    assert str(limit + 1) in note.message
    assert str(limit) in note.message


def test_a_personal_value_is_never_quoted() -> None:
    item = party("buyer", 1, companyName="MARIO ROSSI" * 30, phone="0523990123" * 6)
    item["fiscalCode"] = {"N": "RCCMNL83S18D969H"}
    messages = " ".join(note.message for note in explain("buyer", item))
    assert "companyName" in messages
    for secret in ("ROSSI", "0523", "RCCMNL"):
        assert secret not in messages


@pytest.mark.parametrize("item", [None, [], "text", 5, {}])
def test_what_is_no_item_is_explained_too(item: Any) -> None:
    for kind in KINDS:
        assert not decider(kind)(item)
        assert explain(kind, item)


def test_a_record_conforms_when_all_its_items_do() -> None:
    head, first, second = sale(3, lines=2), line(3, 1), line(3, 2)
    conforms = record_decider()
    assert conforms([head, first, second])
    assert conforms([head])
    assert not conforms([])
    assert not conforms([first, second])
    assert not conforms([head, first, {**second, **numbers(netAmount="1.0")}])
    assert not conforms([{**head, "ttl": {"N": "1"}}, first])


_VALUES = st.one_of(
    st.none(),
    st.text(max_size=5),
    st.fixed_dictionaries({"S": st.text(max_size=12)}),
    st.fixed_dictionaries({"S": st.sampled_from([*GOOD_DATES, *BAD_DATES, *BAD_TIMESTAMPS])}),
    st.fixed_dictionaries({"N": st.sampled_from([*GOOD_NUMBERS, *BAD_NUMBERS])}),
    st.fixed_dictionaries({"N": st.text("0123456789.-+eE", max_size=8)}),
    st.fixed_dictionaries({"BOOL": st.one_of(st.booleans(), st.none())}),
    st.fixed_dictionaries({"NULL": st.just(True)}),
    st.fixed_dictionaries({"S": st.text(max_size=2), "N": st.just("1")}),
)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(KINDS), st.data())
def test_an_item_is_explained_exactly_when_it_is_refused(kind: str, data: st.DataObject) -> None:
    item = copy.deepcopy(SAMPLES[kind])
    names = st.sampled_from([*schema(kind)["properties"], "ttl"])
    for name in data.draw(st.lists(names, min_size=1, max_size=3)):
        if data.draw(st.booleans()):
            item[name] = data.draw(_VALUES)
        else:
            item.pop(name, None)
    notes = explain(kind, item)
    assert bool(notes) is not decider(kind)(item)
    assert all(note.rule != "not-an-item" for note in notes)
