"""What an operator types with AWS's own command line to correct a table."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

import orjson

from utils.config import TargetConfig
from utils.dynamodb.table_spec import Index


def key_schema(partition_key: str, sort_key: str) -> list[dict[str, str]]:
    """A key schema as DynamoDB writes it."""
    return [
        {"AttributeName": partition_key, "KeyType": "HASH"},
        {"AttributeName": sort_key, "KeyType": "RANGE"},
    ]


def create_index(target: TargetConfig, table: Mapping[str, Any], index: Index) -> str:
    """The command that makes an index of a table (as DescribeTable has it)."""
    made: dict[str, Any] = {
        "IndexName": index.name,
        "KeySchema": key_schema(index.partition_key, index.sort_key),
        "Projection": {"ProjectionType": "ALL"},
    }
    units = table.get("ProvisionedThroughput") or {}
    if units.get("WriteCapacityUnits"):
        names = ("ReadCapacityUnits", "WriteCapacityUnits")
        made["ProvisionedThroughput"] = {name: units[name] for name in names}
    keys = [f"AttributeName={key},AttributeType=S" for key in (index.partition_key, index.sort_key)]
    definitions = ["--attribute-definitions", *keys]
    return _update(target, str(table["TableName"]), [{"Create": made}], definitions)


def delete_index(target: TargetConfig, table: str, index: str) -> str:
    """The command that deletes an index."""
    return _update(target, table, [{"Delete": {"IndexName": index}}], [])


def delete_table(target: TargetConfig, table: str) -> str:
    """The command that deletes a table."""
    return command(target, "dynamodb", "delete-table", "--table-name", table)


def _update(target: TargetConfig, table: str, changes: list[Any], further: list[str]) -> str:
    updates = ["--global-secondary-index-updates", orjson.dumps(changes).decode()]
    return command(target, "dynamodb", "update-table", "--table-name", table, *further, *updates)


def command(target: TargetConfig, *words: str) -> str:
    """A command line of AWS's, for the place that the target is."""
    options = ["--region", target.region]
    if target.endpoint_url:
        options += ["--endpoint-url", target.endpoint_url]
    if target.profile:
        options += ["--profile", target.profile]
    return shlex.join(["aws", *words, *options])
