"""DynamoDB's own limits: what it refuses, whatever the Sale Module thinks of it.

Sources, all in the Amazon DynamoDB Developer Guide: "DynamoDB item sizes and formats" for sizes
and write units, "Constraints in Amazon DynamoDB" for keys, numbers and nesting.
"""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from validate.rules.catalogue import Note

MAX_ITEM_BYTES = 400 * 1024
MAX_PARTITION_KEY_BYTES = 2_048
MAX_SORT_KEY_BYTES = 1_024
MAX_DIGITS = 38
MAX_DEPTH = 32
_MIN_EXPONENT, _MAX_EXPONENT = -130, 125
_MAX_NUMBER_BYTES = 21
_CONTAINER_BYTES = 3

AttributeValue = Mapping[str, Any]
_NUMBER = re.compile(r"([+-]?)([0-9]*)(?:\.([0-9]*))?(?:[eE]([+-]?[0-9]+))?")


def item_size(item: Mapping[str, AttributeValue]) -> int:
    """The size in bytes of an item (parsed DynamoDB JSON) as DynamoDB counts it.

    The UTF-8 bytes of the attribute names and the sizes of the values: a String its UTF-8 bytes, a
    Number one byte for two significant digits and one more (AWS says "approximately"; it stores
    pairs of digits that start at the decimal point, a byte for the exponent and one for a minus
    sign, which is what is counted here), a flag or NULL 1, a list or map 3 and 1 for each element.
    An item that is not DynamoDB JSON raises KeyError or ValueError.
    """
    return sum(len(name.encode()) + _value_size(value) for name, value in item.items())


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


def _value_size(value: AttributeValue) -> int:
    ((tag, content),) = value.items()
    if tag == "S":
        return len(content.encode())
    if tag == "N":
        return _number_size(content)
    if tag in ("BOOL", "NULL"):
        return 1
    if tag == "M":
        return _CONTAINER_BYTES + item_size(content) + len(content)
    if tag == "L":
        return _CONTAINER_BYTES + sum(map(_value_size, content)) + len(content)
    return _set_or_binary_size(tag, content)


def _set_or_binary_size(tag: str, content: Any) -> int:
    if tag == "B":
        return len(b64decode(content))
    if tag in ("SS", "NS", "BS"):
        return sum(_value_size({tag[0]: element}) for element in content)
    raise KeyError(tag)


def _number_size(text: str) -> int:
    """Bytes of a number: pairs of digits counted from the decimal point, exponent, minus sign."""
    negative, digits, exponent = _parse_number(text)
    if not digits:
        return 1
    # A pair may not straddle the decimal point: 12.5 is the pairs 12 and 50, 1.25 are 01 and 25.
    trailing = exponent % 2
    pairs = -(-(len(digits) + trailing) // 2)
    return min(pairs + 1 + negative, _MAX_NUMBER_BYTES)


def _parse_number(text: str) -> tuple[bool, str, int]:
    """(negative, significant digits, exponent of the last of them); no digits means zero."""
    match = _NUMBER.fullmatch(text)
    if match is None or not (match[2] or match[3]):
        raise ValueError("not a number")
    fraction = match[3] or ""
    digits = (match[2] + fraction).lstrip("0")
    significant = digits.rstrip("0")
    exponent = int(match[4] or 0) - len(fraction) + len(digits) - len(significant)
    return match[1] == "-", significant, exponent


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
        _, digits, exponent = _parse_number(text)
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
