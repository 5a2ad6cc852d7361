"""Columns whose values are calculated with before they become attributes."""

from __future__ import annotations

from transform.items.attributes import Row
from transform.rejections import Rejections, Unconvertible
from transform.values.memo import remembered
from transform.values.money import Number, number, whole_number

remembered_number = remembered(number)
_ZERO = Number(0, 0, {"N": "0"})


def legacy_key(row: Row, column: str, rejections: Rejections) -> int | None:
    """Return the key in `column`; None when it is missing or no whole number (then it is noted).

    Keys become texts in the target, so any bigint will do.
    """
    value = row.get(column)
    if type(value) is int:
        return value
    try:
        key = whole_number(value)
    except Unconvertible as problem:
        rejections.add_value(column, problem)
        return None
    if key is None:
        rejections.add_missing(column)
    return key


def optional_number(row: Row, column: str, rejections: Rejections) -> Number | None:
    """Return the number in `column`; None if there is none or it is refused (then it is noted)."""
    value = row.get(column)
    if value is None:
        return None
    try:
        return remembered_number(value)
    except Unconvertible as problem:
        rejections.add_value(column, problem)
    except TypeError:
        rejections.add(column, "invalid-number", f"{column} holds more than one value")
    return None


def required_number(row: Row, column: str, rejections: Rejections) -> Number:
    """Return the number in `column`; 0 when it is missing or refused (then it is noted)."""
    before = len(rejections)
    found = optional_number(row, column, rejections)
    if found is not None:
        return found
    if len(rejections) == before:
        rejections.add_missing(column)
    return _ZERO
