"""What a table is, as DynamoDB describes it: kept with a backup, and a table made from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from utils.dynamodb import DynamoDB
from utils.error_handler import TargetError
from utils.requests import ask
from utils.retry import RetryPolicy


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
    request = orjson.dumps({"TableName": table})
    description: dict[str, Any] = ask(wire, retry, "DescribeTable", request)["Table"]
    arn = orjson.dumps({"ResourceArn": description.get("TableArn", "")})
    live = _if_allowed(wire, retry, "DescribeTimeToLive", request)
    tags = _if_allowed(wire, retry, "ListTagsOfResource", arn)
    return TableFacts(
        description,
        live.get("TimeToLiveDescription") if live else None,
        tags.get("Tags", []) if tags else None,
    )


def _if_allowed(
    wire: DynamoDB, retry: RetryPolicy, operation: str, body: bytes
) -> dict[str, Any] | None:
    try:
        answer: dict[str, Any] = ask(wire, retry, operation, body)
    except TargetError:  # denied, or unknown to this service: the backup is whole without
        return None
    return answer
