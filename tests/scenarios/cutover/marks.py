"""What the tables say of the switch."""

from __future__ import annotations

from mypy_boto3_dynamodb import DynamoDBClient

from tests.conftest import TableNames

MARK = {"PK": {"S": "MIGRATION#LOCK"}, "SK": {"S": "LOCK"}}


def marks(dynamodb: DynamoDBClient, tables: TableNames) -> list[object]:
    """Of each table when it was switched to, as far as it knows."""
    names = (tables.sales, tables.buyers, tables.producers)
    items = [dynamodb.get_item(TableName=name, Key=MARK).get("Item", {}) for name in names]
    return [item.get("switchedAt", {}).get("S") for item in items]
