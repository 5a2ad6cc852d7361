"""What of a row or an item may be shown: what is personal is masked, as in the logs.

Which attributes are personal is declared once, by their schemas (utils/schemas): whatever is a free
text. With `--show-personal-data` nothing is masked (utils/wording/masking.py).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from utils.entities import shape_of
from utils.findings.shown_values import schema_of, shown, stored
from utils.findings.source_names import SourceNames
from utils.item_schemas import LEGACY, declared
from utils.wording.figures import counted
from utils.wording.masking import mask

Shown = Mapping[str, str]
"""What a row or an item holds, by the name of the column or attribute."""

_LONGEST_NUMBER = 6  # digits that a number of unknown meaning may have
# An id of ours, alone or as a key: a mask would make two of them out of one.
_OUR_ID = re.compile(
    r"(?:[A-Z]+#)?(?:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|[A-Z]+-?[0-9]{1,19})"
    r"|METADATA|SALE|STATUS#[a-z]+|COUNTRY#[A-Z]{2}"
)
_IDS = re.compile(r"PK|SK|GSI[0-9]PK|[a-z]+Id")


def shown_value(value: object, schema: str, attribute: str) -> str:
    """What may be shown of a value that is, or becomes, this attribute of an item of a schema;
    `attribute` is "" for what has no place in the target."""
    if isinstance(value, (dict, list)):
        return f"({counted(len(value), 'value')})"
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return _number(str(value), schema, attribute)
    if attribute in _BY and value in _ours:
        return str(value)
    if isinstance(value, str) and _IDS.fullmatch(attribute) and _OUR_ID.fullmatch(value):
        return value
    return shown(value, schema, attribute)


def _number(text: str, schema: str, attribute: str) -> str:
    """A number may be a telephone's."""
    known = declared(schema).get(attribute) if schema else None
    if known is None:
        is_open = sum(map(str.isdigit, text)) <= _LONGEST_NUMBER
    else:
        is_open = shown("0", schema, attribute) == "0"
    return text if is_open else mask(text)


_BY = frozenset({"createdBy", "updatedBy"})
_ours: set[str] = set()


def show_user(name: str) -> None:
    """This user is the migration itself: the name may be shown."""
    _ours.add(name)


def shown_item(item: Mapping[str, Any], schema: str) -> Shown:
    """An item's attributes, as they may be shown, in its order; what S9 had and has no place of its
    own is named and not shown."""
    found: dict[str, str] = {}
    for name, value in item.items():
        if name == LEGACY and isinstance(value, dict):
            found[name] = f"({counted(len(value.get('M', {})), 'value')})"
        else:
            found[name] = shown_value(stored(value), schema, name)
    return found


def shown_row(row: Mapping[str, Any], names: SourceNames, part: str = "") -> Shown:
    """The columns of an extracted row, or of one of its children (`part`), under their names in S9;
    what is empty is left out."""
    found: dict[str, str] = {}
    for column, value in row.items():
        if value is None or (not part and _is_part(column, names)):
            continue
        origin = names.of_column(f"{part}[1].{column}" if part else column)
        schema = schema_of(names.entity, part)
        found[origin.column or column] = shown_value(value, schema, origin.attribute)
    return found


def _is_part(column: str, names: SourceNames) -> bool:
    shape = shape_of(names.entity)
    copied = {shape_of(name).singular for name in shape.needs}
    return column in copied or bool(shape.children and column == shape.children.name)
