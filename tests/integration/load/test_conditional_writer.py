"""What conditional writes cost: as much as DynamoDB says, and where it says nothing, no more than
what it charges."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from mypy_boto3_dynamodb import DynamoDBClient

from load.load_sales import TABLE
from load.writing.conditional_writer import ConditionalWriter
from load.writing.conditions import ABSENT
from tests.conftest import REGION, TableNames
from utils.config import Config, TargetConfig
from utils.embedded.aws import EmbeddedAws
from utils.interrupt import StopFlag

KEYS = {"PK": {"S": "SALE#1"}, "SK": {"S": "LINE#1"}}
SALE = {"PK": {"S": "SALE#1"}, "SK": {"S": "METADATA"}, "GSI1PK": {"S": "STATUS#paid"}}


@pytest.fixture
def writer(aws: EmbeddedAws, dynamodb: DynamoDBClient, tables: TableNames) -> ConditionalWriter:
    dynamodb.create_table(
        TableName=tables.sales,
        KeySchema=[
            {"AttributeName": "PK", "KeyType": "HASH"},
            {"AttributeName": "SK", "KeyType": "RANGE"},
        ],
        AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in ("PK", "SK")],
        BillingMode="PAY_PER_REQUEST",
    )
    target = TargetConfig(
        region=REGION, use_local_stack=True, endpoint=aws.endpoint_url, sales_table=tables.sales
    )
    return ConditionalWriter(Config(target=target), TABLE, StopFlag())


@pytest.mark.parametrize("item", [KEYS, SALE], ids=["in no index", "in an index"])
@pytest.mark.parametrize("kilobytes", [0, 3])
def test_a_condition_that_does_not_hold_costs_what_the_item_takes_in_the_table(
    writer: ConditionalWriter, item: dict[str, Any], kilobytes: int
) -> None:
    text = orjson.dumps({**item, "notes": {"S": "x" * 1024 * kilobytes}})
    assert writer.put(text, ABSENT).done
    before = writer.units
    assert not writer.put(text, ABSENT).done
    assert writer.units - before == 1 + kilobytes
    assert writer.requests == 2
