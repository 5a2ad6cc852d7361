"""What DynamoDB refuses, whatever the Sale Module thinks of it."""

from __future__ import annotations

from typing import Any

import pytest

from validate.rules.dynamodb_limits import MAX_ITEM_BYTES, limit_notes

KEYS = ("PK", "SK", "GSI1PK", "GSI1SK")
GOOD = {"PK": {"S": "BUYER#1"}, "SK": {"S": "METADATA"}}

NESTED: dict[str, Any] = {"S": "x"}
for _ in range(31):
    NESTED = {"L": [NESTED]}

BREACHES: list[tuple[str, dict[str, Any]]] = [
    ("dynamodb-key", {"SK": {"S": "METADATA"}}),
    ("dynamodb-key", {**GOOD, "PK": {"S": ""}}),
    ("dynamodb-key", {**GOOD, "PK": {"N": "1"}}),
    ("dynamodb-key", {**GOOD, "PK": {"S": "x" * 2049}}),
    ("dynamodb-key", {**GOOD, "SK": {"S": "è" * 513}}),
    ("dynamodb-key", {**GOOD, "GSI1PK": {"S": ""}}),
    ("dynamodb-key", {**GOOD, "GSI1SK": {"S": "x" * 1025}}),
    ("dynamodb-number", {**GOOD, "n": {"N": "1" * 39}}),
    ("dynamodb-number", {**GOOD, "n": {"N": "1.0000000000000000000000000000000000000001"}}),
    ("dynamodb-number", {**GOOD, "n": {"N": "1E126"}}),
    ("dynamodb-number", {**GOOD, "n": {"N": "1E-131"}}),
    ("dynamodb-number", {**GOOD, "n": {"N": "1,5"}}),
    ("dynamodb-number", {**GOOD, "n": {"N": ""}}),
    ("dynamodb-number", {**GOOD, "n": {"N": 5}}),
    ("dynamodb-number", {**GOOD, "n": {"L": [{"N": "x"}]}}),
    ("dynamodb-set", {**GOOD, "s": {"SS": []}}),
    ("dynamodb-nesting", {**GOOD, "l": {"L": [NESTED]}}),
    ("dynamodb-item-size", {**GOOD, "s": {"S": "x" * (MAX_ITEM_BYTES - 19)}}),
    ("not-an-item", {**GOOD, "s": {"X": "x"}}),
    ("not-an-item", {**GOOD, "s": {}}),
    ("not-an-item", {**GOOD, "s": "text"}),
]
WITHIN: list[dict[str, Any]] = [
    GOOD,
    {**GOOD, "PK": {"S": "x" * 2048}, "SK": {"S": "è" * 512}},
    {**GOOD, "GSI1PK": {"S": "x" * 2048}, "GSI1SK": {"S": "x" * 1024}},
    {**GOOD, "text": {"S": ""}, "l": {"L": []}, "m": {"M": {}}, "b": {"BOOL": False}},
    {**GOOD, "n": {"N": "9" * 38}},
    {**GOOD, "n": {"N": "0000" + "9" * 38 + "0000"}},
    {**GOOD, "n": {"N": "9.9999999999999999999999999999999999999E+125"}},
    {**GOOD, "n": {"N": "-1E-130"}},
    {**GOOD, "l": NESTED},
    {**GOOD, "s": {"S": "x" * (MAX_ITEM_BYTES - 20)}},
]


@pytest.mark.parametrize(("rule", "item"), BREACHES)
def test_what_dynamodb_refuses(rule: str, item: dict[str, Any]) -> None:
    assert {note.rule for note in limit_notes(item, KEYS)} == {rule}


@pytest.mark.parametrize("item", WITHIN)
def test_what_dynamodb_takes(item: dict[str, Any]) -> None:
    assert limit_notes(item, KEYS) == []
