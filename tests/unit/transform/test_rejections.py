"""Rejections: all of a record's mistakes at once, and across process boundaries."""

from __future__ import annotations

import pickle

import pytest

from tests.support.records.rows import rules
from transform.rejections import RejectedRecord, Rejections, Unconvertible


def three_mistakes() -> RejectedRecord:
    found = Rejections()
    found.add("status", "unknown-status", "status 'x' is not known")
    found.at_line(2, 34)
    found.add_value("quantity", Unconvertible("invalid-number", "'x' is not a decimal number"))
    found.at_record()
    found.add_missing("sale_date")
    with pytest.raises(RejectedRecord) as rejected:
        found.raise_if_any()
    return rejected.value


def test_every_mistake_is_reported_with_its_place() -> None:
    assert [(r.field, r.rule, r.reason) for r in three_mistakes().rejections] == [
        ("status", "unknown-status", "status 'x' is not known"),
        ("lines[2].quantity", "invalid-number", "line 34: 'x' is not a decimal number"),
        ("sale_date", "required", "sale_date is missing, and the Sale Module needs it"),
    ]


def test_without_a_mistake_nothing_is_raised() -> None:
    found = Rejections()
    found.raise_if_any()
    assert len(found) == 0


def test_a_rejected_record_crosses_processes_whole() -> None:
    rejected = three_mistakes()
    again = pickle.loads(pickle.dumps(rejected))
    assert [str(r) for r in again.rejections] == [str(r) for r in rejected.rejections]
    assert str(again) == str(rejected)


def test_rules_cross_processes_and_key_a_cache() -> None:
    ours = rules(status_mapping={"spedito": "invoiced"})
    again = pickle.loads(pickle.dumps(ours))
    assert again == ours
    assert hash(again) == hash(ours)
    assert rules() != ours
