"""The Sale Module at work on the tables, as a test lets it: its edits, and what they leave."""

from __future__ import annotations

import copy
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mypy_boto3_dynamodb import DynamoDBClient

from tests.conftest import TableNames
from tests.support.operators.operator import scan_all

Key = tuple[str, str]
Tables = dict[str, dict[Key, dict[str, Any]]]
LATER = "2031-05-04T03:02:01.000Z"


@dataclass
class Application:
    """Edits tables through the API that DynamoDB has, and keeps what it left of each item.

    `left` has the items that it has touched as they are since, None for those that it deleted.
    """

    dynamodb: DynamoDBClient
    tables: TableNames
    left: dict[str, dict[Key, dict[str, Any] | None]] = field(
        default_factory=lambda: {"buyers": {}, "producers": {}, "sales": {}}
    )

    def table(self, entity: str) -> str:
        return str(getattr(self.tables, entity))

    def change(self, entity: str, item: Mapping[str, Any], **attributes: Any) -> None:
        """Set attributes (DynamoDB JSON), and who did it when, as the API does; a status is in an
        index key as well."""
        if "status" in attributes and "GSI1PK" not in attributes:
            attributes["GSI1PK"] = {"S": f"STATUS#{attributes['status']['S']}"}
        values = {
            "updatedAt": {"S": LATER},
            "updatedBy": {"S": "someone@example.com"},
            **attributes,
        }
        names = list(values)
        answer = self.dynamodb.update_item(
            TableName=self.table(entity),
            Key={"PK": item["PK"], "SK": item["SK"]},
            UpdateExpression="SET " + ", ".join(f"#{n} = :{n}" for n in range(len(names))),
            ExpressionAttributeNames={f"#{n}": name for n, name in enumerate(names)},
            ExpressionAttributeValues={f":{n}": values[name] for n, name in enumerate(names)},
            ReturnValues="ALL_NEW",
        )
        self._note(entity, item, dict(answer["Attributes"]))

    def delete(self, entity: str, item: Mapping[str, Any]) -> None:
        """Delete an item."""
        self.dynamodb.delete_item(
            TableName=self.table(entity), Key={"PK": item["PK"], "SK": item["SK"]}
        )
        self._note(entity, item, None)

    def put(self, entity: str, item: Mapping[str, Any]) -> dict[str, Any]:
        """Put an item as it is."""
        made = copy.deepcopy(dict(item))
        self.dynamodb.put_item(TableName=self.table(entity), Item=made)
        self._note(entity, made, made)
        return made

    def create(self, entity: str) -> dict[str, Any]:
        """Create an item of its own, with an id that is made up."""
        name = f"{entity[:-1].upper()}#{uuid.uuid4()}"
        return self.put(
            entity,
            {"PK": {"S": name}, "SK": {"S": "METADATA"}, "status": {"S": "active"}},
        )

    def on_top_of(self, tables: Tables) -> Tables:
        """Tables with this application's edits in them."""
        both = copy.deepcopy(tables)
        for entity, edits in self.left.items():
            for key, item in edits.items():
                both[entity].pop(key, None)
                if item is not None:
                    both[entity][key] = item
        return both

    def scan(self) -> Tables:
        """What is in the tables now."""
        return scan_all(self.dynamodb, self.tables)

    def _note(self, entity: str, item: Mapping[str, Any], left: dict[str, Any] | None) -> None:
        self.left[entity][item["PK"]["S"], item["SK"]["S"]] = left
