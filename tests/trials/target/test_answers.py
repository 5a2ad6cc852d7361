"""A3: an answer is believed only in the shape that answers of DynamoDB have."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.support.aws.answers import all_cases, chosen, play_all, the_stage
from utils.dynamodb.answer_shapes import NoAnswer, batch_written, check, error_of
from utils.embedded.aws import EmbeddedAws
from validate.compare.table_pages import read_table_page

KEY = {"PK": {"S": "SALE#1"}, "SK": {"S": "METADATA"}}
ITEM = {**KEY, "total": {"N": "1.5"}, "legacy": {"M": {"a": {"L": [{"NULL": True}]}}}}
UNITS = {"TableName": "Sales", "CapacityUnits": 1.0}
TABLE = {
    "TableName": "Sales",
    "TableStatus": "ACTIVE",
    "TableArn": "arn:aws:dynamodb:eu-west-1:123456789012:table/Sales",
    "TableId": "5c9d7d8e-0000-4000-8000-000000000000",
    "CreationDateTime": 1.7e9,
    "ItemCount": 0,
    "KeySchema": [{"AttributeName": "PK", "KeyType": "HASH"}],
    "AttributeDefinitions": [{"AttributeName": "PK", "AttributeType": "S"}],
}
ASKED: dict[str, dict[str, Any]] = {
    "Scan": {"TableName": "Sales", "ReturnConsumedCapacity": "TOTAL"},
    "GetItem": {"TableName": "Sales", "Key": KEY},
    "BatchGetItem": {"RequestItems": {"Sales": {"Keys": [KEY]}}},
    "PutItem": {"TableName": "Sales", "ReturnConsumedCapacity": "TOTAL"},
    "DescribeTable": {"TableName": "Sales"},
}
GOOD: dict[str, list[dict[str, Any]]] = {
    "Scan": [
        {"Items": [], "Count": 0, "ScannedCount": 0, "ConsumedCapacity": UNITS},
        {"Items": [ITEM], "Count": 1, "LastEvaluatedKey": KEY, "ConsumedCapacity": UNITS},
    ],
    "GetItem": [{"ConsumedCapacity": UNITS}, {"Item": ITEM, "ConsumedCapacity": UNITS}],
    "BatchGetItem": [
        {"Responses": {"Sales": []}, "UnprocessedKeys": {}},
        {"Responses": {"Sales": [ITEM]}, "UnprocessedKeys": {}},
        {"Responses": {}, "UnprocessedKeys": {"Sales": {"Keys": [KEY]}}},
    ],
    "PutItem": [{"ConsumedCapacity": UNITS}],
    "DescribeTable": [{"Table": TABLE}],
}
BAD: dict[str, list[Any]] = {
    "Scan": [
        {},
        [],
        None,
        {"Items": [], "ConsumedCapacity": UNITS},
        {"Count": 0, "ConsumedCapacity": UNITS},
        {"Items": [], "Count": 0},
        {"Items": [ITEM], "Count": 2, "ConsumedCapacity": UNITS},
        {"Items": [ITEM], "Count": True, "ConsumedCapacity": UNITS},
        {"Items": [{"PK": {"S": 1}}], "Count": 1, "ConsumedCapacity": UNITS},
        {"Items": [{"PK": None, "SK": {"S": "a"}}], "Count": 1, "ConsumedCapacity": UNITS},
        {"Items": [{**ITEM, "l": {"M": {"a": None}}}], "Count": 1, "ConsumedCapacity": UNITS},
        {"Items": [{**KEY, "a": [{"S": "x"}]}], "Count": 1, "ConsumedCapacity": UNITS},
        {"Items": [{"PK": {"T": "a"}}], "Count": 1, "ConsumedCapacity": UNITS},
        {"Items": [{"PK": {"BOOL": None}}], "Count": 1, "ConsumedCapacity": UNITS},
        {"Items": [{"PK": {"N": "many"}}], "Count": 1, "ConsumedCapacity": UNITS},
        {"Items": [{}], "Count": 1, "ConsumedCapacity": UNITS},
        {"Items": [ITEM], "Count": 1, "LastEvaluatedKey": None, "ConsumedCapacity": UNITS},
        {"Items": [ITEM], "Count": 1, "LastEvaluatedKey": {}, "ConsumedCapacity": UNITS},
        {
            "Items": [ITEM],
            "Count": 1,
            "LastEvaluatedKey": {"PK": {"BOOL": True}},
            "ConsumedCapacity": UNITS,
        },
    ],
    "GetItem": [{}, {"Item": {**ITEM, "PK": {"S": "SALE#2"}}, "ConsumedCapacity": UNITS}],
    "BatchGetItem": [
        {},
        {"Responses": {}, "UnprocessedKeys": {}},
        {"Responses": {"Sales": []}},
        {"Responses": {"Other": [ITEM], "Sales": []}, "UnprocessedKeys": {}},
        {"Responses": {"Sales": [ITEM, ITEM]}, "UnprocessedKeys": {}},
        {"Responses": {"Sales": [{**ITEM, "PK": {"S": "SALE#2"}}]}, "UnprocessedKeys": {}},
        {"Responses": {"Sales": [ITEM]}, "UnprocessedKeys": {"Sales": {"Keys": [KEY]}}},
    ],
    "PutItem": [{}, {"ConsumedCapacity": {}}],
    "DescribeTable": [
        {},
        {"Table": {**TABLE, "TableName": "Other"}},
        {"Table": {**TABLE, "KeySchema": []}},
        {"Table": {**TABLE, "AttributeDefinitions": [{"AttributeName": "PK"}]}},
        {"Table": {**TABLE, "GlobalSecondaryIndexes": None}},
    ],
}


@pytest.mark.parametrize(
    ("operation", "answer"), [(name, each) for name, answers in GOOD.items() for each in answers]
)
def test_an_answer_as_aws_gives_it_is_one(operation: str, answer: dict[str, Any]) -> None:
    for more in ({}, {"SomethingThatAwsAddsNextYear": {"really": None}}):
        whole = {**answer, **more}
        assert check(operation, ASKED[operation], orjson.dumps(whole)) == whole


@pytest.mark.parametrize(
    ("operation", "answer"), [(name, each) for name, answers in BAD.items() for each in answers]
)
def test_an_answer_of_another_shape_is_none(operation: str, answer: Any) -> None:
    with pytest.raises(NoAnswer):
        check(operation, ASKED[operation], orjson.dumps(answer))


@pytest.mark.parametrize("answer", BAD["Scan"])
@pytest.mark.parametrize("spaced", [False, True])
@pytest.mark.parametrize("as_written", [False, True])
def test_verification_believes_no_page_of_another_shape(
    answer: Any, *, spaced: bool, as_written: bool
) -> None:
    answer = {**answer, "ConsumedCapacity": UNITS} if isinstance(answer, dict) else answer
    if isinstance(answer, dict) and answer.get("Items") == [] and "Count" in answer:
        return  # verification does not ask for the units
    page = json.dumps(answer).encode() if spaced else orjson.dumps(answer)
    with pytest.raises(NoAnswer):
        read_table_page(page, "sales", as_written=as_written)


def test_what_is_not_said_to_be_unprocessed_is_not_taken_for_written() -> None:
    good = {"UnprocessedItems": {}, "ConsumedCapacity": [UNITS]}
    assert batch_written(orjson.dumps(good), "Sales") == (1.0, [])
    put = {"PutRequest": {"Item": ITEM}}
    left = {**good, "UnprocessedItems": {"Sales": [put]}}
    assert batch_written(orjson.dumps(left), "Sales") == (1.0, [put])
    bad: list[Any] = [
        {},
        {"UnprocessedItems": {}},
        {"ConsumedCapacity": [UNITS]},
        {**good, "UnprocessedItems": None},
        {**good, "UnprocessedItems": []},
        {**good, "UnprocessedItems": {"Other": [put]}},
        {**good, "UnprocessedItems": {"Sales": []}},
        {**good, "UnprocessedItems": {"Sales": [{"PutRequest": {}}]}},
        {**good, "ConsumedCapacity": []},
        {**good, "ConsumedCapacity": [{"TableName": "Other", "CapacityUnits": 1.0}]},
        {**good, "ConsumedCapacity": [{"TableName": "Sales", "CapacityUnits": "1.0"}]},
    ]
    for each in bad:
        with pytest.raises(NoAnswer):
            batch_written(orjson.dumps(each), "Sales")


def test_an_error_names_itself() -> None:
    assert error_of("Scan", b'{"__type":"ValidationException","message":""}')
    for body in (b"", b"{}", b"<html>", b"[]", b'{"__type":null}', b'{"__type":7}'):
        with pytest.raises(NoAnswer):
            error_of("Scan", body)


def test_whatever_is_answered_the_result_is_right_or_an_error_says_what_to_do(
    aws: EmbeddedAws, tmp_path: Path
) -> None:
    """A sample of the thousand of torture_answers.py, the same for everyone."""
    stage = the_stage(aws.endpoint_url, tmp_path)
    problems = play_all(stage, chosen(all_cases(stage), 12, seed=12))
    assert not problems, "\n".join(problems)
