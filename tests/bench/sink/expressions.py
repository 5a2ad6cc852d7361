"""The few forms of DynamoDB's expressions that the verification asks the sink."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Item = Mapping[str, Mapping[str, Any]]
Condition = Callable[[Item], bool]

_AFTER_ALL = "\U0010ffff"
_KEY = re.compile(
    r"(#?\w+) = (:\w+)"
    r"(?: AND \w+ BETWEEN (?P<first>:\w+) AND (?P<last>:\w+)"
    r"| AND begins_with\(\w+, (?P<part>:\w+)\))?"
)
_COMPARISON = re.compile(r"(#?\w+) ([=>]) (:\w+)")
_CALL = re.compile(r"(attribute_not_exists|contains)\((\w+)(?:, (:\w+))?\)")


@dataclass(frozen=True)
class KeyRange:
    """What a Query asks for: a partition, and the sort keys from `first` to `last`."""

    attribute: str
    partition: str
    first: str
    last: str


def key_range(expression: str, request: Mapping[str, Any]) -> KeyRange:
    """Read a KeyConditionExpression. Raises ValueError for a form that the tool does not use."""
    found = _KEY.fullmatch(expression)
    if found is None:
        raise ValueError(expression)

    def value(name: str | None) -> str | None:
        return request["ExpressionAttributeValues"][name]["S"] if name else None

    attribute = request.get("ExpressionAttributeNames", {}).get(found[1], found[1])
    partition = value(found[2]) or ""
    if part := value(found["part"]):
        return KeyRange(attribute, partition, part, part + _AFTER_ALL)
    first, last = value(found["first"]), value(found["last"])
    return KeyRange(attribute, partition, first or "", last or _AFTER_ALL)


def condition(expression: str, request: Mapping[str, Any]) -> Condition:
    """Read a FilterExpression. Raises ValueError for a form that the tool does not use."""
    parts = [_part(part, request) for part in expression.split(" AND ")]
    return lambda item: all(holds(item) for holds in parts)


def _part(part: str, request: Mapping[str, Any]) -> Condition:
    values: Mapping[str, Any] = request.get("ExpressionAttributeValues", {})
    if call := _CALL.fullmatch(part):
        name = call[2]
        if call[1] == "attribute_not_exists":
            return lambda item: name not in item
        text = values[call[3]]["S"]
        return lambda item: text in _text(item, name)
    found = _COMPARISON.fullmatch(part)
    if found is None:
        raise ValueError(part)
    attribute = request.get("ExpressionAttributeNames", {}).get(found[1], found[1])
    value = values[found[3]]["S"]
    if found[2] == "=":
        return lambda item: _text(item, attribute) == value
    return lambda item: _text(item, attribute) > value


def _text(item: Item, attribute: str) -> str:
    text: str = item.get(attribute, {}).get("S", "")
    return text
