"""Each rule that looks at one record: a record that breaks it, and one that nearly does."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.records.broken import BROKEN, SOUND, Record, buyer, named, producer, put, sale
from tests.support.records.items import (
    as_lines,
    as_written,
)
from utils.entities import shape_of
from validate.fast import parties, sales
from validate.fast.parties import party_reader
from validate.fast.sales import facts_if_clean
from validate.gate import record_checks
from validate.gate.record_checks import Policy, check_chunk
from validate.rules.catalogue import RULES, Note, Rule
from validate.rules.checks import Check
from validate.rules.checks import Record as CheckedRecord

BETWEEN_RECORDS = {
    *("reference", "duplicate-code", "duplicate-vat-number", "duplicate-sale-number"),
    "numbering-order",
}


def lines_of(record: Record) -> list[bytes]:
    """The lines of a record, in the order in which the transform writes attributes."""
    return as_written(record[1])


def rules_found(record: Record) -> list[str]:
    outcome = check_chunk(lines_of(record), record[0], Policy())
    return [finding.rule for _, finding in outcome.findings]


# A record may break a rule of the schema and DynamoDB's limit behind it at once.
_COMPANIONS = {
    "dynamodb-key": {"attribute-length", "index-key"},
    "dynamodb-number": {"attribute-value"},
    "dynamodb-nesting": {"attribute-type"},
    "dynamodb-set": {"attribute-type"},
    "attribute-length": {"dynamodb-key"},
    "attribute-unknown": set(),
    "identity": {"index-key"},
}


@pytest.mark.parametrize(("rule", "record"), BROKEN, ids=named)
def test_a_record_that_breaks_a_rule_is_found_by_that_rule(rule: str, record: Record) -> None:
    found = set(rules_found(record))
    assert rule in found
    assert found <= {rule} | _COMPANIONS.get(rule, set())


@pytest.mark.parametrize(("rule", "record"), SOUND, ids=named)
def test_a_record_that_nearly_breaks_a_rule_is_not_found(rule: str, record: Record) -> None:
    assert rules_found(record) == []


def test_every_rule_for_one_record_is_tried() -> None:
    assert {rule for rule, _ in BROKEN} == set(RULES) - BETWEEN_RECORDS


@pytest.mark.parametrize(("rule", "record"), BROKEN, ids=named)
def test_the_severity_is_the_rules_own_and_error_in_strict_mode(rule: str, record: Record) -> None:
    entity, items = record
    for strict, expected in ((False, RULES[rule].severity), (True, "error")):
        outcome = check_chunk(as_lines(items), entity, Policy(strict=strict))
        severities = {f.severity for _, f in outcome.findings if f.rule == rule}
        assert severities == {expected}


@pytest.mark.parametrize(
    "record", [record for rule, record in BROKEN if RULES[rule].group == "business"]
)
def test_business_rules_can_be_left_out(record: Record) -> None:
    entity, items = record
    assert check_chunk(as_lines(items), entity, Policy(business=False)).findings == []


OF_SALES = [(rule, record) for rule, record in BROKEN if record[0] == "sales"]


@pytest.mark.parametrize(("rule", "record"), OF_SALES, ids=named)
def test_a_sale_that_breaks_a_rule_is_left_to_the_rule(rule: str, record: Record) -> None:
    assert facts_if_clean(lines_of(sale())) is not None
    assert facts_if_clean(lines_of(record)) is None, f"the quick way does not rule out {rule}"


OF_PARTIES = [(rule, record) for rule, record in BROKEN if record[0] != "sales"]


@pytest.mark.parametrize(("rule", "record"), OF_PARTIES, ids=named)
def test_a_party_that_breaks_a_rule_is_left_to_the_rule(rule: str, record: Record) -> None:
    is_clean = party_reader(shape_of(record[0]).schema)
    assert is_clean(lines_of(buyer() if record[0] == "buyers" else producer())) is not None
    assert is_clean(lines_of(record)) is None, f"the quick way does not rule out {rule}"


@pytest.mark.parametrize(
    ("ruled_out", "broken"), [(sales.RULED_OUT, OF_SALES), (parties.RULED_OUT, OF_PARTIES)]
)
def test_every_rule_that_is_ruled_out_quickly_is_tried(
    ruled_out: frozenset[str], broken: list[tuple[str, Record]]
) -> None:
    untried = {name for name in RULES if name in ruled_out} - {rule for rule, _ in broken}
    # Attributes and keys have the same checks in all kinds of items; doubts are in `legacy`.
    assert all(RULES[name].group in ("schema", "limits", "layout") for name in untried)
    assert RULES.keys() >= ruled_out


LATE = "delivered-late"


def late_notes(record: CheckedRecord) -> list[Note]:
    """A new rule about sales."""
    sold, delivered = (record.items[0].get(name) for name in ("saleDate", "deliveryDate"))
    late = sold and delivered and delivered["S"] > sold["S"]
    return [Note("deliveryDate", LATE, "it was delivered late")] if late else []


def judged(
    monkeypatch: pytest.MonkeyPatch, rule: Rule, checks: tuple[Check, ...], policy: Policy
) -> list[tuple[int, str]]:
    """What is found in two sales, the second of which was delivered late, with a new rule."""
    monkeypatch.setitem(RULES, LATE, rule)
    monkeypatch.setattr(record_checks, "SALE_CHECKS", checks)
    late = sale(put(0, deliveryDate={"S": "2024-05-01"}))
    outcome = check_chunk([*lines_of(sale()), *lines_of(late)], "sales", policy)
    assert [bool(facts.key) for facts in outcome.facts] == [True, rule.severity == "warning"]
    return [(number, finding.rule) for number, finding in outcome.findings]


@pytest.mark.parametrize("severity", ["error", "warning"])
def test_a_new_rule_is_asked_of_every_record(
    monkeypatch: pytest.MonkeyPatch, severity: Any
) -> None:
    """Also of sales that are beyond any doubt of the rules before it (trial F1)."""
    rule = Rule("consistency", severity, "a sale was delivered late")
    checks = (*record_checks.SALE_CHECKS, Check(frozenset({LATE}), late_notes))
    assert judged(monkeypatch, rule, checks, Policy()) == [(1, LATE)]


def test_a_new_business_rule_can_be_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    rule = Rule("business", "warning", "a sale was delivered late")
    checks = (*record_checks.SALE_CHECKS, Check(frozenset({LATE}), late_notes, business=True))
    assert judged(monkeypatch, rule, checks, Policy()) == [(1, LATE)]
    assert judged(monkeypatch, rule, checks, Policy(business=False)) == []


def test_a_new_rule_is_asked_also_where_a_check_bears_it_that_does_not_say_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    *others, texts = record_checks.SALE_CHECKS
    both = Check(texts.rules, lambda record: [*texts.ask(record), *late_notes(record)])
    checks = (*others, both)
    rule = Rule("business", "warning", "a sale was delivered late")
    assert judged(monkeypatch, rule, checks, Policy()) == [(1, LATE)]


@pytest.mark.parametrize("whole", [buyer, producer])
def test_a_new_rule_is_asked_of_every_party(monkeypatch: pytest.MonkeyPatch, whole: Any) -> None:
    """Also where it comes to the checks of a file whose rules are ruled out quickly."""
    entity, items = whole()
    kind = shape_of(entity).schema

    def notes(record: CheckedRecord) -> list[Note]:
        return [Note("phone", LATE, "no telephone")] if "phone" not in record.items[0] else []

    monkeypatch.setitem(RULES, LATE, Rule("business", "warning", "a party has no telephone"))
    checks = (*record_checks.PARTY_CHECKS[kind], Check(frozenset({LATE}), notes, business=True))
    monkeypatch.setitem(record_checks.PARTY_CHECKS, kind, checks)
    lines = as_written(items)
    assert party_reader(kind)(lines) is not None
    outcome = check_chunk(lines, entity, Policy())
    assert [finding.rule for _, finding in outcome.findings] == [LATE]
    assert check_chunk(lines, entity, Policy(business=False)).findings == []


def test_every_rule_is_borne_by_a_check() -> None:
    """Otherwise all sales are judged the slower way: name it in the CHECKS of its file."""
    assert RULES.keys() - record_checks.borne() == set()
