"""What a table is, as DynamoDB describes it: kept with a backup, and a table made from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from utils.dynamodb.backoff import RetryPolicy
from utils.dynamodb.client import DynamoDB
from utils.dynamodb.retrying import ask
from utils.dynamodb.table_reader import Way
from utils.error_handler import TargetError


@dataclass(frozen=True)
class TableFacts:
    """DescribeTable's answer; time to live and tags where the credentials may ask for them."""

    description: dict[str, Any]
    time_to_live: dict[str, Any] | None = None
    tags: list[dict[str, str]] | None = None

    @property
    def about(self) -> int:
        """How many items there are, as DynamoDB counts them every six hours or so."""
        return int(self.description.get("ItemCount", 0))

    @property
    def table_id(self) -> str:
        """What tells this table from an earlier or later one of the same name."""
        made = self.description.get("CreationDateTime", "")
        return str(self.description.get("TableId") or made)

    @property
    def key_names(self) -> tuple[str, ...]:
        """The attributes of the key, partition key first."""
        return key_names(self.description)


def key_names(description: Mapping[str, Any]) -> tuple[str, ...]:
    """The attributes of the key in a table's description, partition key first."""
    ordered = sorted(description["KeySchema"], key=lambda part: str(part["KeyType"]))  # HASH, RANGE
    return tuple(part["AttributeName"] for part in ordered)


def describe_for_backup(wire: DynamoDB, retry: RetryPolicy, table: str) -> TableFacts:
    """Everything about a table. Raises TargetError when there is none, or out of reach."""
    request = {"TableName": table}
    description: dict[str, Any] = ask(wire, retry, "DescribeTable", request)["Table"]
    arn = {"ResourceArn": description["TableArn"]}
    live = _if_allowed(wire, retry, "DescribeTimeToLive", request)
    return TableFacts(
        description,
        live.get("TimeToLiveDescription") if live else None,
        _tags(wire, retry, arn),
    )


def _tags(wire: DynamoDB, retry: RetryPolicy, arn: dict[str, str]) -> list[dict[str, str]] | None:
    """All tags of a table, page after page; None where the credentials may not ask."""
    tags: list[dict[str, str]] = []
    request, way = arn, Way(wire, "ListTagsOfResource")
    while answer := _if_allowed(wire, retry, "ListTagsOfResource", request):
        tags += answer["Tags"]
        if "NextToken" not in answer:
            return tags
        further = {"NextToken": answer["NextToken"]}
        way.goes_on(further)
        request = {**arn, **further}
    return None


def _if_allowed(
    wire: DynamoDB, retry: RetryPolicy, operation: str, request: dict[str, str]
) -> dict[str, Any] | None:
    try:
        answer: dict[str, Any] = ask(wire, retry, operation, request)
    except TargetError:  # denied, or unknown to this service: the backup is whole without
        return None
    return answer


def misfits(wanted: Mapping[str, Any], found: Mapping[str, Any]) -> list[str]:
    """Why items of a table that was as `wanted` do not belong into the one that is as `found`.

    Keys and the indexes that there were must be the same; an index more does no harm unless it
    has another type for one of the same attributes.
    """
    types, other = _types(wanted), _types(found)
    problems = []
    if _keys(wanted, types) != _keys(found, other):
        problems.append(f"its key is {_keys(found, other)}, not {_keys(wanted, types)}")
    for kind in ("GlobalSecondaryIndexes", "LocalSecondaryIndexes"):
        present = {index["IndexName"]: index for index in found.get(kind) or []}
        for index in wanted.get(kind) or []:
            name = index["IndexName"]
            if name not in present:
                problems.append(f"it lacks the index {name}")
            elif _keys(present[name], other) != _keys(index, types):
                problems.append(
                    f"its index {name} has the key {_keys(present[name], other)}, not "
                    f"{_keys(index, types)}"
                )
    problems += [
        f"attribute {name} is a key of type {other[name]}, not {kind}"
        for name, kind in types.items()
        if other.get(name, kind) != kind
    ]
    return problems


def _types(description: Mapping[str, Any]) -> dict[str, str]:
    return {
        each["AttributeName"]: each["AttributeType"] for each in description["AttributeDefinitions"]
    }


def _keys(described: Mapping[str, Any], types: Mapping[str, str]) -> str:
    names = key_names(described)
    return ", ".join(f"{name} ({types.get(name, '?')})" for name in names)


def creation_request(description: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The CreateTable request that makes a table `name` with the same keys, indexes, billing and
    class as the one described."""
    on_demand = description.get("BillingModeSummary", {}).get("BillingMode") == "PAY_PER_REQUEST"
    request: dict[str, Any] = {
        "TableName": name,
        "KeySchema": description["KeySchema"],
        "AttributeDefinitions": description["AttributeDefinitions"],
        "BillingMode": "PAY_PER_REQUEST" if on_demand else "PROVISIONED",
        **({} if on_demand else _throughput(description)),
    }
    if indexes := description.get("GlobalSecondaryIndexes"):
        request["GlobalSecondaryIndexes"] = [
            {**_index(index), **({} if on_demand else _throughput(index))} for index in indexes
        ]
    if indexes := description.get("LocalSecondaryIndexes"):
        request["LocalSecondaryIndexes"] = list(map(_index, indexes))
    if kind := description.get("TableClassSummary", {}).get("TableClass"):
        request["TableClass"] = kind
    return request


def _index(described: Mapping[str, Any]) -> dict[str, Any]:
    return {name: described[name] for name in ("IndexName", "KeySchema", "Projection")}


def _throughput(described: Mapping[str, Any]) -> dict[str, Any]:
    units = described["ProvisionedThroughput"]
    names = ("ReadCapacityUnits", "WriteCapacityUnits")
    return {"ProvisionedThroughput": {name: units[name] for name in names}}
