"""The table that leads from source columns to target attributes, and the loop that follows it.

An entity declares what becomes of each column; the loop is written once (twice: where an item is
written by the hundred thousand, transform/items/attribute_text.py follows the same table).
Attribute values may be shared between items (constants, cached numbers and dates): nobody may
change one in place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from transform.rejections import Rejections, Unconvertible

Row = dict[str, Any]
"""A source record as the extracted line holds it."""

AttributeValue = dict[str, Any]
"""One value in DynamoDB JSON: {"S": …}, {"N": …} or {"BOOL": …}."""

Item = dict[str, AttributeValue]
"""One item in DynamoDB JSON."""

Converter = Callable[[object], "AttributeValue | None"]
"""Turns a column's value into an attribute's; None when there is nothing in it (NULL, blank).

Raises Unconvertible for a value that has no counterpart.
"""


class Attribute(NamedTuple):
    """One attribute of an item and where it comes from.

    `default` stands in for a value that is not there; without one, an attribute that is `required`
    refuses the record and any other is absent. `repeats` says that its values come back from
    record to record, so that what becomes of them is worth remembering.
    """

    name: str
    column: str
    convert: Converter
    default: AttributeValue | None = None
    required: bool = False
    repeats: bool = False


ColumnTargets = Mapping[str, str]
"""The attribute that a canonical column becomes, or several with commas between them."""

EMPTY: AttributeValue = {"S": ""}
METADATA: AttributeValue = {"S": "METADATA"}


def targets_of(attributes: Iterable[Attribute]) -> dict[str, str]:
    """What the columns of attributes become."""
    targets: dict[str, str] = {}
    for each in attributes:
        others = targets.get(each.column)
        targets[each.column] = f"{others},{each.name}" if others else each.name
    return targets


def fill(
    item: Item,
    row: Row,
    attributes: Iterable[Attribute],
    rejections: Rejections,
    path: str = "",
) -> None:
    """Put `attributes` into `item`, in their order, as converted from `row`.

    `path` stands before the columns' names in rejections, when `row` is a part of the record.
    """
    get = row.get
    for name, column, convert, default, required, repeats in attributes:
        value = get(column)
        if value is not None:
            if repeats and isinstance(value, (list, dict)):  # a JSON column
                rejections.add(
                    path + column, "invalid-value", f"{column} holds more than one value"
                )
                continue
            try:
                converted = convert(value)
            except Unconvertible as problem:
                rejections.add_value(path + column, problem)
                continue
            if converted is not None:
                item[name] = converted
                continue
        if default is not None:
            item[name] = default
        elif required:
            rejections.add_missing(path + column)


def single(row: Row, attributes: tuple[Attribute], rejections: Rejections) -> AttributeValue:
    """Return the value of one attribute; EMPTY when absent or refused (then it is noted)."""
    item: Item = {}
    fill(item, row, attributes, rejections)
    return item.get(attributes[0].name, EMPTY)
