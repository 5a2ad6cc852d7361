"""The tables as DynamoDB describes them: keys, and indexes that are there, ACTIVE and right."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from utils.config import TargetConfig
from utils.dynamodb.retrying import control
from utils.dynamodb.table_spec import PARTITION_KEY, SORT_KEY, Index, TableSpec
from validate.indexes.table_state import IndexState, TableState


def describe_table(target: TargetConfig, spec: TableSpec) -> TableState:
    """The state of one entity's table; raises TargetError when it is missing or out of reach."""
    name = target.table(spec.entity)
    return judge_table(name, spec, control(target, "DescribeTable", {"TableName": name})["Table"])


def judge_table(name: str, spec: TableSpec, table: Mapping[str, Any]) -> TableState:
    """Judge a table's description as DescribeTable answers it."""
    types = {a["AttributeName"]: a["AttributeType"] for a in table["AttributeDefinitions"]}
    present = {index["IndexName"]: index for index in table.get("GlobalSecondaryIndexes", [])}
    states = {index.name: _judge(index, present.get(index.name), types) for index in spec.indexes}
    key_schema = _has_keys(table, PARTITION_KEY, SORT_KEY, types)
    problems = [] if key_schema else [f"the key of {name} is not PK, SK (both String)"]
    for index in spec.indexes:
        problems += _problems(index, states[index.name], name)
    return TableState(name, key_schema, states, tuple(problems), table.get("ItemCount", 0))


def _judge(index: Index, found: Mapping[str, Any] | None, types: Mapping[str, str]) -> IndexState:
    if found is None:
        return IndexState(exists=False, active=False, key_schema=False, projects_all=False)
    return IndexState(
        exists=True,
        active=found.get("IndexStatus") == "ACTIVE",
        key_schema=_has_keys(found, index.partition_key, index.sort_key, types),
        projects_all=found["Projection"].get("ProjectionType") == "ALL",
    )


def _has_keys(
    found: Mapping[str, Any], partition_key: str, sort_key: str, types: Mapping[str, str]
) -> bool:
    schema = {part["KeyType"]: part["AttributeName"] for part in found["KeySchema"]}
    return (
        schema == {"HASH": partition_key, "RANGE": sort_key}
        and types.get(partition_key) == types.get(sort_key) == "S"
    )


def _problems(index: Index, state: IndexState, table: str) -> list[str]:
    if not state.exists:
        return [f"the index {index.name} of {table} is missing"]
    problems = []
    if not state.active:
        problems.append(f"the index {index.name} of {table} is not ACTIVE")
    if not state.key_schema:
        problems.append(
            f"the key of the index {index.name} of {table} is not {index.partition_key}, "
            f"{index.sort_key} (both String)"
        )
    if not state.projects_all:
        problems.append(f"the index {index.name} of {table} does not project ALL attributes")
    return problems
