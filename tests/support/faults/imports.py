"""What an import that is killed must leave: the same as one that nobody has disturbed."""

from __future__ import annotations

from typing import Any

from mypy_boto3_dynamodb import DynamoDBClient

from tests.conftest import TableNames
from tests.support.faults.sabotage import (
    SabotagedOperator,
    assert_nothing_is_left_over,
    moments,
    told,
)
from tests.support.operators.operator import ENTITIES, Operator, scan_all

MANY: dict[str, Any] = {
    "load.s3_import.cutting.OBJECT_BYTES": 40_000,
    "load.s3_import.import_table._FIRST_POLL": 0.02,
    "load.s3_import.uploading._AT_ONCE": 1,
}
ALL_SETTINGS = {
    "newTables": {
        "pointInTimeRecovery": True,
        "stream": "KEYS_ONLY",
        "timeToLive": {"sales": "ttl"},
        "tags": {"team": "migration"},
    }
}


def sabotaged(operator: Operator, **changes: Any) -> SabotagedOperator:
    tool = SabotagedOperator.like(operator)
    tool.plan["set"] = {**tool.plan["set"], **MANY, **changes}
    tool.plan.pop("rows")  # which is of the pieces of files that processes share
    return tool


def result(tool: Operator, dynamodb: DynamoDBClient, tables: TableNames) -> Any:
    """What is left of a migration, as far as it is the same whatever happened on the way."""
    assert tool.report("verification")["passed"]
    assert_nothing_is_left_over(tool)
    reports = told(tool)
    for name in ENTITIES:
        own = tool.report("load")["entities"][name]["import"]
        same = "table", "processedItems", "importedItems", "errors", "objects", "settings"
        reports["load"][name].update({key: own[key] for key in same})
    return tool.files(), scan_all(dynamodb, tables), reports, settings_of(dynamodb, tables.sales)


def settings_of(dynamodb: DynamoDBClient, name: str) -> Any:
    table = dynamodb.describe_table(TableName=name)["Table"]
    living = dynamodb.describe_time_to_live(TableName=name)["TimeToLiveDescription"]
    tags = dynamodb.list_tags_of_resource(ResourceArn=table["TableArn"])["Tags"]
    return table.get("StreamSpecification"), living, tags


def of_load(happened: list[str]) -> list[int]:
    """The moments of a run from the upload on, up to the removal of the objects: a step by its name
    is no place of its own."""
    first = happened.index("validate sales begin")
    return [moment for moment in moments(happened) if moment > first]
