"""DynamoDB's own limits: what it refuses, whatever the Sale Module thinks of it.

Sources, all in the Amazon DynamoDB Developer Guide: "DynamoDB item sizes and formats" for sizes
(utils/dynamodb/item_size.py), "Constraints in Amazon DynamoDB" for keys, numbers and nesting.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from utils.dynamodb.item_size import item_size, parse_number
from validate.rules.catalogue import Note

MAX_ITEM_BYTES = 400 * 1024
MAX_PARTITION_KEY_BYTES = 2_048
MAX_SORT_KEY_BYTES = 1_024
MAX_DIGITS = 38
MAX_DEPTH = 32
_MIN_EXPONENT, _MAX_EXPONENT = -130, 125


def limit_notes(item: Mapping[str, Any], keys: Sequence[str]) -> list[Note]:
    """What DynamoDB would refuse about an item; `keys` are the key attributes of table and indexes.

    Index keys may be absent, the table's own (PK, SK) may not.
    """
    notes = [*_key_notes(item, keys)]
    for name, value in item.items():
        notes += _value_notes(name, value, depth=1)
    if not notes and (size := _size_if_any(item)) > MAX_ITEM_BYTES:
        text = f"the item has {size:,} bytes, DynamoDB takes {MAX_ITEM_BYTES:,}"
        notes.append(Note("", "dynamodb-item-size", text))
    return notes


def _size_if_any(item: Mapping[str, Any]) -> int:
    """The size of an item; 0 for what is no DynamoDB JSON ({"S": 1}), which its schema refuses."""
    try:
        return item_size(item)
    except (AttributeError, KeyError, TypeError, ValueError):
        return 0


def _key_notes(item: Mapping[str, Any], keys: Sequence[str]) -> Iterator[Note]:
    for name in keys:
        if name not in item:
            if name in ("PK", "SK"):
                yield Note(name, "dynamodb-key", f"{name} is missing, and it is the table's key")
            continue
        limit = MAX_PARTITION_KEY_BYTES if name.endswith("PK") else MAX_SORT_KEY_BYTES
        value = item[name]
        text = value.get("S") if isinstance(value, dict) else None
        if not isinstance(text, str):
            yield Note(name, "dynamodb-key", f"{name} is a key and must be a String (S)")
        elif not text:
            yield Note(name, "dynamodb-key", f"{name} is a key and must not be empty")
        elif (size := len(text.encode())) > limit:
            message = f"{name} has {size:,} bytes, as a key it may have {limit:,}"
            yield Note(name, "dynamodb-key", message)


def _value_notes(name: str, value: Any, depth: int) -> Iterator[Note]:
    if depth > MAX_DEPTH:
        text = f"{name} is nested deeper than {MAX_DEPTH} levels"
        yield Note(name, "dynamodb-nesting", text)
        return
    if not isinstance(value, dict) or len(value) != 1:
        yield Note(name, "not-an-item", f"{name} is not a value in DynamoDB JSON")
        return
    ((tag, content),) = value.items()
    if tag == "N":
        yield from _number_notes(name, content)
    elif tag in ("SS", "NS", "BS") and not content:
        yield Note(name, "dynamodb-set", f"{name} is an empty set: leave it out instead")
    elif tag in ("M", "L"):
        elements = content.values() if isinstance(content, dict) else content
        for element in elements:
            yield from _value_notes(name, element, depth + 1)
    elif tag not in ("S", "B", "BOOL", "NULL", "SS", "NS", "BS"):
        yield Note(name, "not-an-item", f"{name} has the type {tag}, which DynamoDB does not know")


def _number_notes(name: str, text: Any) -> Iterator[Note]:
    try:
        _, digits, exponent = parse_number(text)
    except (TypeError, ValueError):
        yield Note(name, "dynamodb-number", f"{name} is not a number")
        return
    leading = exponent + len(digits) - 1
    if len(digits) > MAX_DIGITS:
        message = f"{name} has {len(digits)} significant digits, DynamoDB keeps {MAX_DIGITS}"
        yield Note(name, "dynamodb-number", message)
    elif digits and not _MIN_EXPONENT <= leading <= _MAX_EXPONENT:
        message = f"{name} is outside 1E{_MIN_EXPONENT} to 9.99E{_MAX_EXPONENT}"
        yield Note(name, "dynamodb-number", message)
