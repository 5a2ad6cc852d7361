"""The embedded AWS charges units as DynamoDB documents them; the figures are counted by hand."""

from __future__ import annotations

from typing import Any

import pytest
from mypy_boto3_dynamodb import DynamoDBClient

from tests.conftest import TableNames
from tests.support.records.transformed import TABLES, create_table, sale

HEAD, *LINES = sale(3, lines=3)  # a unit each; the head is in four indexes
INDEX = TABLES["sales"].index_of("GSI1PK").name
KEY = {"PK": HEAD["PK"], "SK": HEAD["SK"]}
LARGE: dict[str, Any] = {**HEAD, "notes": {"S": "x" * 3_000}}  # four units
MOVED: dict[str, Any] = {**LARGE, "GSI1PK": {"S": "STATUS#paid"}, "status": {"S": "cancelled"}}


@pytest.fixture
def table(dynamodb: DynamoDBClient, tables: TableNames) -> str:
    create_table(dynamodb, tables.sales, TABLES["sales"])
    return tables.sales


def test_a_write_is_charged_by_size_in_the_table_and_the_indexes_that_it_changes(
    dynamodb: DynamoDBClient, table: str
) -> None:
    def put(item: Any) -> float:
        answer = dynamodb.put_item(TableName=table, Item=item, ReturnConsumedCapacity="TOTAL")
        return answer["ConsumedCapacity"]["CapacityUnits"]

    def batch() -> float:
        requests: Any = [{"PutRequest": {"Item": item}} for item in (HEAD, *LINES)]
        answer = dynamodb.batch_write_item(
            RequestItems={table: requests}, ReturnConsumedCapacity="TOTAL"
        )
        return answer["ConsumedCapacity"][0]["CapacityUnits"]

    assert batch() == 4 + 4
    assert batch() == 4  # no entry of an index is another one now
    assert put(LARGE) == 4 + 4 * 4
    assert put(MOVED) == 4 + 3 * 4 + 2 * 4  # an entry is taken out of one place, put into another
    assert put(HEAD) == 4 + 3 * 4 + (4 + 1)  # the larger of before and after

    def transact() -> float:
        answer = dynamodb.transact_write_items(
            TransactItems=[
                {"Put": {"TableName": table, "Item": LINES[0]}},
                {"Delete": {"TableName": table, "Key": KEY}},
            ],
            ReturnConsumedCapacity="TOTAL",
        )
        return answer["ConsumedCapacity"][0]["CapacityUnits"]

    assert transact() == 2 * (1 + 1 + 4)
    gone = dynamodb.delete_item(TableName=table, Key=KEY, ReturnConsumedCapacity="TOTAL")
    assert gone["ConsumedCapacity"]["CapacityUnits"] == 1


def test_what_is_wrong_with_a_request_is_said_all_the_same(
    dynamodb: DynamoDBClient, table: str
) -> None:
    with pytest.raises(dynamodb.exceptions.ClientError, match="Missing the key SK"):
        dynamodb.put_item(TableName=table, Item={"PK": {"S": "a"}}, ReturnConsumedCapacity="TOTAL")
    with pytest.raises(dynamodb.exceptions.ResourceNotFoundException):
        dynamodb.delete_item(TableName=f"{table}-2", Key=KEY, ReturnConsumedCapacity="TOTAL")


def test_a_read_is_charged_by_the_size_of_all_that_is_read(
    dynamodb: DynamoDBClient, table: str
) -> None:
    large: Any = [{**HEAD, "PK": {"S": f"SALE#{n}"}, "notes": {"S": "x" * 9_000}} for n in range(3)]
    for item in (*large, *LINES):
        dynamodb.put_item(TableName=table, Item=item)
    total: Any = {"TableName": table, "ReturnConsumedCapacity": "TOTAL"}
    narrow: Any = {"ProjectionExpression": "PK, SK"}
    none: Any = {
        "FilterExpression": "#name = :none",
        "ExpressionAttributeNames": {"#name": "PK"},
        "ExpressionAttributeValues": {":none": {"S": "nobody"}},
    }

    def taken(answer: Any) -> float:
        units: float = answer["ConsumedCapacity"]["CapacityUnits"]
        return units

    whole = taken(dynamodb.scan(**total, ConsistentRead=True))
    assert whole == 8  # three of 9.6 KB and three lines: 30 KB
    assert taken(dynamodb.scan(**total)) == 4
    assert taken(dynamodb.scan(**total, ConsistentRead=True, **narrow)) == 8
    assert taken(dynamodb.scan(**total, ConsistentRead=True, **none)) == 8
    assert taken(dynamodb.scan(**total, IndexName=INDEX)) == 4  # not the lines
    key = {name: large[0][name] for name in ("PK", "SK")}
    assert taken(dynamodb.get_item(**total, Key=key)) == 1.5
    assert taken(dynamodb.get_item(**total, Key=key, ConsistentRead=True)) == 3
    assert taken(dynamodb.get_item(**total, Key={**key, "SK": {"S": "none"}})) == 0.5
    found = dynamodb.query(
        **total,
        IndexName=INDEX,
        KeyConditionExpression="GSI1PK = :status",
        FilterExpression="#name = :one",
        ExpressionAttributeNames={"#name": "PK"},
        ExpressionAttributeValues={":status": HEAD["GSI1PK"], ":one": {"S": "SALE#1"}},
    )
    assert (found["Count"], taken(found)) == (1, 4)
