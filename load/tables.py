"""The target's tables: are they there, with the right keys and indexes; if asked, create them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from utils.config import TargetConfig
from utils.dynamodb import ResourceBusy, ResourceMissing
from utils.error_handler import TargetError
from utils.invocation import again
from utils.logger import get_logger
from utils.requests import control
from utils.tables import PARTITION_KEY, SORT_KEY, TableSpec

_POLL_SECONDS = 1.0
_ACTIVE_WITHIN = 600.0


def prepare_tables(
    target: TargetConfig,
    specs: Sequence[TableSpec],
    *,
    create: bool,
    sleep: Callable[[float], None] = time.sleep,
) -> list[str]:
    """Check every table, create those that are missing if `create`; returns their names.

    Without `create` the missing tables are returned all the same when `target.createTables`
    would make them. Raises TargetError that lists everything that is wrong, and changes nothing
    in that case.
    """
    found = {spec.entity: describe(target, target.table(spec.entity)) for spec in specs}
    missing = [spec for spec in specs if found[spec.entity] is None]
    problems = [
        problem
        for spec in specs
        for problem in _problems(target.table(spec.entity), spec, found[spec.entity])
    ]
    if missing and not target.creates_tables:
        problems += [f"table {target.table(spec.entity)} is missing" for spec in missing]
    if problems:
        where = target.endpoint_url or f"DynamoDB in {target.region}"
        raise TargetError(
            f"the target at {where} is not ready:" + "".join(f"\n  - {p}" for p in problems),
            remedy="mend the tables, correct the table names of `target`, or set "
            "target.createTables for those that are missing",
        )
    if create:
        for spec in missing:
            _create(target, spec)
        for spec in specs:
            wait_until_active(target, target.table(spec.entity), sleep)
    return [target.table(spec.entity) for spec in missing]


def describe(target: TargetConfig, name: str) -> Mapping[str, Any] | None:
    """What DescribeTable says of a table, None when there is no such table."""
    try:
        table: dict[str, Any] = control(target, "DescribeTable", {"TableName": name})["Table"]
    except ResourceMissing:
        return None
    return table


def _problems(name: str, spec: TableSpec, table: Mapping[str, Any] | None) -> list[str]:
    if table is None:
        return []
    problems = []
    wanted = key_schema(PARTITION_KEY, SORT_KEY)
    if table["KeySchema"] != wanted:
        problems.append(f"table {name} has the key {_shown(table['KeySchema'])}, not PK, SK")
    types = {a["AttributeName"]: a["AttributeType"] for a in table["AttributeDefinitions"]}
    problems += [
        f"table {name}: key attribute {key} has type {types[key]}, not S"
        for key in spec.key_attributes
        if types.get(key, "S") != "S"
    ]
    present = {i["IndexName"]: i for i in table.get("GlobalSecondaryIndexes", [])}
    for index in spec.indexes:
        keys = key_schema(index.partition_key, index.sort_key)
        if index.name not in present:
            problems.append(f"table {name} lacks the index {index.name} ({_shown(keys)})")
        elif present[index.name]["KeySchema"] != keys:
            actual = _shown(present[index.name]["KeySchema"])
            problems.append(
                f"index {index.name} of {name} has the key {actual}, not {_shown(keys)}"
            )
        elif present[index.name]["Projection"]["ProjectionType"] != "ALL":
            problems.append(f"index {index.name} of {name} does not project ALL attributes")
    return problems


def key_schema(partition_key: str, sort_key: str) -> list[dict[str, str]]:
    """A key schema as DynamoDB writes it."""
    return [
        {"AttributeName": partition_key, "KeyType": "HASH"},
        {"AttributeName": sort_key, "KeyType": "RANGE"},
    ]


def _shown(schema: Sequence[Mapping[str, str]]) -> str:
    return ", ".join(part["AttributeName"] for part in schema)


def _create(target: TargetConfig, spec: TableSpec) -> None:
    name = target.table(spec.entity)
    get_logger().info("Creating table %s with %d indexes", name, len(spec.indexes))
    request: dict[str, Any] = {
        "TableName": name,
        "KeySchema": key_schema(PARTITION_KEY, SORT_KEY),
        "AttributeDefinitions": [
            {"AttributeName": key, "AttributeType": "S"} for key in spec.key_attributes
        ],
        "BillingMode": "PAY_PER_REQUEST",
        "GlobalSecondaryIndexes": [
            {
                "IndexName": index.name,
                "KeySchema": key_schema(index.partition_key, index.sort_key),
                "Projection": {"ProjectionType": "ALL"},
            }
            for index in spec.indexes
        ],
    }
    with suppress(ResourceBusy):  # somebody has created it meanwhile
        control(target, "CreateTable", request)


def wait_until_active(target: TargetConfig, name: str, sleep: Callable[[float], None]) -> None:
    """Wait until a table and its indexes can be used. Raises TargetError when they never can."""
    for _ in range(int(_ACTIVE_WITHIN / _POLL_SECONDS)):
        table = describe(target, name)
        indexes = table.get("GlobalSecondaryIndexes", []) if table else []
        states = [table["TableStatus"] if table else "", *(i["IndexStatus"] for i in indexes)]
        if set(states) <= {"ACTIVE", "UPDATING"}:
            return
        sleep(_POLL_SECONDS)
    raise TargetError(
        f"table {name} is not ACTIVE after {_ACTIVE_WITHIN:.0f} s",
        remedy=f"look at it in the AWS console; when it is ACTIVE, go on: {again()}",
    )
