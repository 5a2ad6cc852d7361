"""The check of a chunk: whole records in, findings and facts out."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from tests.support.records.items import (
    Item,
    as_lines,
    identifier,
    line,
    numbers,
    party,
    sale,
    sale_record,
    texts,
)
from utils.files.artifacts import split_records
from utils.item_schemas import KINDS, schema
from validate.gate.record_checks import Policy, check_chunk
from validate.rules.dynamodb_limits import limit_notes
from validate.rules.record_facts import Facts, NumberedSale
from validate.rules.schema_check import decider

SAMPLES = {
    "buyer": party("buyer", 1),
    "producer": party("producer", 1),
    "sale": sale(1, lines=1),
    "sale_line": line(1, 1),
}


def test_lines_are_split_into_records() -> None:
    records = [as_lines(sale_record(number, lines=number)) for number in (1, 2, 0, 3)]
    lines = [text for record in records for text in record]
    assert [list(record) for record in split_records(lines)] == records
    assert list(split_records([])) == []


def test_sound_records_leave_only_facts() -> None:
    outcome = check_chunk(as_lines([*sale_record(7), *sale_record(8, lines=0)]), "sales", Policy())
    assert [finding.rule for _, finding in outcome.findings] == ["no-lines"]
    assert outcome.facts[0] == Facts(
        legacy_id="7",
        items=3,
        key=f"SALE#{identifier('sale', 7)}",
        references=(
            ("buyerId", identifier("buyer", 1)),
            ("producerId", identifier("producer", 2)),
        ),
        shared=(("duplicate-sale-number", "2024/7"),),
        numbering=NumberedSale(7, "2024-03-04", 2024, is_numbered=True, is_in_index=True),
    )


def test_facts_of_a_party_are_its_code_and_vat_number() -> None:
    items = [
        party("buyer", 1, vatNumber="IT 00743110157"),
        party("buyer", 2, code=None),
    ]
    outcome = check_chunk(as_lines(items), "buyers", Policy())
    assert [facts.shared for facts in outcome.facts] == [
        (("duplicate-code", "C00001"), ("duplicate-vat-number", "IT00743110157")),
        (),
    ]


@pytest.mark.parametrize("change", [{"docType": {"S": "proforma"}}, {"status": {"S": "cancelled"}}])
def test_a_sale_outside_the_numbering_shares_no_number(change: dict[str, Any]) -> None:
    items = sale_record(7, **change)
    for name in ("GSI4PK", "GSI4SK"):
        del items[0][name]
    (facts,) = check_chunk(as_lines(items), "sales", Policy()).facts
    assert facts.key
    assert facts.shared == ()


def test_a_record_with_errors_takes_no_part_in_comparisons() -> None:
    bad = sale_record(7)
    bad[1].update(numbers(netAmount="32.630"))
    outcome = check_chunk(as_lines([*bad, *sale_record(8)]), "sales", Policy())
    assert outcome.facts[0] == Facts("7", 3)
    assert outcome.facts[1].key
    assert [number for number, _ in outcome.findings] == [0]


def test_findings_name_the_record_the_line_and_the_attribute() -> None:
    items = sale_record(7)
    items[2].update(numbers(netAmount="32.630"))
    ((_, finding),) = check_chunk(as_lines(items), "sales", Policy()).findings
    assert (finding.entity, finding.legacy_id) == ("sales", "7")
    assert finding.field == "lines[2].netAmount"


def test_every_fault_of_a_record_is_told() -> None:
    items = sale_record(7)
    items[0].update(texts(currency="euro"), ttl={"N": "1"})
    items[1].update(numbers(netAmount="32.630"))
    items[2].pop("discount")
    outcome = check_chunk(as_lines(items), "sales", Policy())
    assert {finding.field for _, finding in outcome.findings} == {
        "currency",
        "ttl",
        "lines[1].netAmount",
        "lines[2].discount",
    }


@pytest.mark.parametrize(
    "text",
    [b"\n", b"{}\n", b"null\n", b'{"Item":null}\n', b'{"Item":{}}\n', b'{"Item":[1]}\n', b"{\n"],
)
@pytest.mark.parametrize("entity", ["buyers", "producers", "sales"])
def test_a_line_that_is_no_item_is_an_error_and_no_crash(entity: str, text: bytes) -> None:
    outcome = check_chunk([text], entity, Policy())
    assert {finding.rule for _, finding in outcome.findings} == {"not-an-item"}
    assert outcome.facts == [Facts("", 1)]


def test_lines_without_their_sale_are_an_error() -> None:
    outcome = check_chunk(as_lines([line(1, 1), line(1, 2)]), "sales", Policy())
    assert {finding.severity for _, finding in outcome.findings} == {"error"}
    assert [facts.key for facts in outcome.facts] == [""]


def test_outcome_and_policy_cross_process_boundaries() -> None:
    items = sale_record(7)
    items[1].update(numbers(quantity="251"))
    outcome = check_chunk(as_lines(items), "sales", pickle.loads(pickle.dumps(Policy())))
    assert outcome.findings
    assert pickle.loads(pickle.dumps(outcome)) == outcome


def test_chunks_may_be_cut_between_any_records() -> None:
    records = [as_lines(sale_record(number)) for number in range(1, 6)]
    records[2] = as_lines(sale_record(3, lines=0))
    whole = check_chunk([text for record in records for text in record], "sales", Policy())
    parts = [check_chunk(record, "sales", Policy()) for record in records]
    assert whole.facts == [part.facts[0] for part in parts]
    assert [f for _, f in whole.findings] == [f for part in parts for _, f in part.findings]


PERSONAL = {
    "companyName": "GIUSEPPE GARIBALDI\x07",
    "address": "Via Marsala 999\x07",
    "vatNumber": "IT99999999998",
    "fiscalCode": "GRBGPP07L04Z110X",
    "province": "Caprera",
    "email": "garibaldi@caprera",
    "pec": "anita@pec.it; menotti@pec.it",
    "phone": "0789-727162" * 9,
    "bankDetails": "IT60X0542811101000000123457",
}


@pytest.mark.parametrize(("name", "value"), PERSONAL.items())
def test_no_message_quotes_a_personal_value(name: str, value: str) -> None:
    outcome = check_chunk(as_lines([party("buyer", 1, **{name: value})]), "buyers", Policy())
    assert outcome.findings
    for _, finding in outcome.findings:
        assert name in finding.message
        assert value[3:9] not in finding.message


def longest(kind: str) -> Item:
    """An item with every attribute as long as its schema lets it be."""
    values = schema("values")["$defs"]
    item = dict(SAMPLES[kind])
    for name, declared in schema(kind)["properties"].items():
        reference = declared.get("$ref", "").rpartition("/")[2]
        length = declared.get("properties", {}).get("S", {}).get("maxLength")
        if length and "enum" not in declared["properties"]["S"]:
            item[name] = {"S": "🏭" * length}
        elif reference == "amount":
            item[name] = {"N": "-" + "9" * 18 + "." + "9" * 20}
        elif reference in ("integer", "count", "position"):
            item[name] = {"N": "9" * 15}
        elif reference in values and values[reference]["properties"].get("N"):
            item[name] = {"N": "99." + "9" * 20}
    return item


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_schema_takes_dynamodb_takes_but_for_the_size(kind: str) -> None:
    """The clean path asks only for the length of the line of JSON: this is why it may."""
    item = longest(kind)
    keys = ("PK", "SK", *(key for key in item if key.startswith("GSI")))
    assert decider(kind)(item)
    assert limit_notes(item, keys) == []


def test_a_value_of_another_type_than_its_tag_is_a_finding_and_no_crash() -> None:
    outcome = check_chunk(as_lines([party("buyer", 1) | {"city": {"S": 1}}]), "buyers", Policy())
    assert [(found.field, found.rule) for _, found in outcome.findings] == [
        ("city", "attribute-type")
    ]
