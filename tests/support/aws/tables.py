"""Tables as a load needs them, and others."""

from __future__ import annotations

from typing import Any

from mypy_boto3_dynamodb import DynamoDBClient

from load.entities import TABLES
from load.target.tables import prepare_tables
from tests.conftest import TableNames
from tests.support.operators.operator import Operator
from utils.config import TargetConfig


def create(dynamodb: DynamoDBClient, name: str, entity: str, **changes: Any) -> None:
    """A table as it should be, but for what is changed."""
    spec = TABLES[entity]
    request: dict[str, Any] = {
        "TableName": name,
        "BillingMode": "PAY_PER_REQUEST",
        "KeySchema": schema("PK", "SK"),
        "AttributeDefinitions": strings(*spec.key_attributes),
        "GlobalSecondaryIndexes": [
            {
                "IndexName": index.name,
                "KeySchema": schema(index.partition_key, index.sort_key),
                "Projection": {"ProjectionType": "ALL"},
            }
            for index in spec.indexes
        ],
        **changes,
    }
    dynamodb.create_table(**request)


def schema(partition: str, sort: str) -> list[dict[str, str]]:
    return [
        {"AttributeName": partition, "KeyType": "HASH"},
        {"AttributeName": sort, "KeyType": "RANGE"},
    ]


def strings(*names: str) -> list[dict[str, str]]:
    return [{"AttributeName": name, "AttributeType": "S"} for name in names]


def create_good_tables(operator: Operator, tables: TableNames) -> None:
    target = TargetConfig(
        sales_table=tables.sales,
        buyers_table=tables.buyers,
        producers_table=tables.producers,
        endpoint=operator.config["target"]["endpoint"],
        use_local_stack=True,
    )
    prepare_tables(target, list(TABLES.values()), create=True)
