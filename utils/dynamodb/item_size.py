"""The size of an item as DynamoDB counts it, which is what an item may have of, and what a write
unit, a read unit and storage are measured by.

Source: "DynamoDB item sizes and formats" in the Amazon DynamoDB Developer Guide.
"""

from __future__ import annotations

import json
import re
from base64 import b64decode
from collections.abc import Mapping
from typing import Any

AttributeValue = Mapping[str, Any]

WRITE_UNIT_BYTES = 1024
READ_UNIT_BYTES = 4096
_MAX_NUMBER_BYTES = 21
_CONTAINER_BYTES = 3
_NUMBER = re.compile(r"([+-]?)([0-9]*)(?:\.([0-9]*))?(?:[eE]([+-]?[0-9]+))?")

# How much longer the JSON of an attribute is than its size, but for its name and value:
# "":{"S":""} and "":{"N":""} around them, "":{"BOOL":true} for the one byte of a flag.
_AROUND_TEXT = len('"":{"S":""}')
_AROUND_TRUE, _AROUND_FALSE = len('"":{"BOOL":true}') - 1, len('"":{"BOOL":false}') - 1
_BRACES = len("{}")
_TEXT, _TRUE, _FALSE = b'{"S":"', b'{"BOOL":true}', b'{"BOOL":false}'
_NUMBERS = re.compile(rb'\{"N":"([0-9.-]*)"')  # without an exponent
# The size of a number depends on where its zeros are, not on its other digits.
_SHAPE = bytes.maketrans(b"23456789", b"11111111")
_MOST_SHAPES = 1 << 16


def item_size(item: Mapping[str, AttributeValue]) -> int:
    """The size in bytes of an item (parsed DynamoDB JSON) as DynamoDB counts it.

    The UTF-8 bytes of the attribute names and the sizes of the values: a String its UTF-8 bytes, a
    Number one byte for two significant digits and one more (AWS says "approximately"; it stores
    pairs of digits that start at the decimal point, a byte for the exponent and one for a minus
    sign, which is what is counted here), a flag or NULL 1, a list or map 3 and 1 for each element.
    An item that is not DynamoDB JSON raises KeyError or ValueError.
    """
    return sum(len(name.encode()) + value_size(value) for name, value in item.items())


def value_size(value: AttributeValue) -> int:
    """The size of a value without the name of its attribute. Raises as `item_size` does."""
    ((tag, content),) = value.items()
    if tag == "S":
        return len(content.encode())
    if tag == "N":
        return number_size(content)
    if tag in ("BOOL", "NULL"):
        return 1
    if tag == "M":
        return _CONTAINER_BYTES + item_size(content) + len(content)
    if tag == "L":
        return _CONTAINER_BYTES + sum(map(value_size, content)) + len(content)
    return _set_or_binary_size(tag, content)


def _set_or_binary_size(tag: str, content: Any) -> int:
    if tag == "B":
        return len(b64decode(content))
    if tag in ("SS", "NS", "BS"):
        return sum(value_size({tag[0]: element}) for element in content)
    raise KeyError(tag)


def number_size(text: str) -> int:
    """Bytes of a number: pairs of digits counted from the decimal point, exponent, minus sign."""
    negative, digits, exponent = parse_number(text)
    if not digits:
        return 1
    # A pair may not straddle the decimal point: 12.5 is the pairs 12 and 50, 1.25 are 01 and 25.
    trailing = exponent % 2
    pairs = -(-(len(digits) + trailing) // 2)
    return min(pairs + 1 + negative, _MAX_NUMBER_BYTES)


def parse_number(text: str) -> tuple[bool, str, int]:
    """(negative, significant digits, exponent of the last of them); no digits means zero. Raises
    ValueError."""
    match = _NUMBER.fullmatch(text)
    if match is None or not (match[2] or match[3]):
        raise ValueError("not a number")
    fraction = match[3] or ""
    digits = (match[2] + fraction).lstrip("0")
    significant = digits.rstrip("0")
    exponent = int(match[4] or 0) - len(fraction) + len(digits) - len(significant)
    return match[1] == "-", significant, exponent


class _LongerBy(dict[bytes, int]):
    """By how many bytes the digits of a number of a shape are more than its size."""

    def __missing__(self, shape: bytes) -> int:
        if len(self) >= _MOST_SHAPES:
            self.clear()
        longer = self[shape] = len(shape) - number_size(shape.decode())
        return longer


_longer_by = _LongerBy()


def shapes_of(data: bytes) -> bytes:
    """Data with every digit but 0 made a 1: what `flat_size` looks at."""
    return data.translate(_SHAPE)


def flat_size(text: bytes) -> int | None:
    r"""The size of an item from its JSON (`{…}`, written without a space) as `shapes_of` gives it;
    None where it has more than Strings, Numbers and flags, or an escape, and has to be parsed.

    Without a backslash every quotation mark opens or closes a string, so that `{"` is in no text
    and opens a value, or the item.
    """
    if b"\\" in text:
        return None
    numbers = _NUMBERS.findall(text)
    true, false = text.count(_TRUE), text.count(_FALSE)
    texts = text.count(_TEXT) + len(numbers)
    attributes = texts + true + false
    if text.count(b'{"') != attributes + 1:
        return None
    around = _AROUND_TEXT * texts + _AROUND_TRUE * true + _AROUND_FALSE * false
    commas = attributes - 1
    return len(text) - _BRACES - commas - around - sum(map(_longer_by.__getitem__, numbers))


def size_of_text(text: bytes) -> int:
    """The size of an item from its JSON."""
    size = flat_size(shapes_of(text))
    return item_size(json.loads(text)) if size is None else size
