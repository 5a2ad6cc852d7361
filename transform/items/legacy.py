"""The attribute `legacy`: what a row holds that has no place in the target, so nothing is lost.

It is a map from the column's name in S9 to its value: texts and exact decimals as String (freed of
what surrounds them, as everywhere), whole numbers as Number, flags as BOOL. NULL and blank columns
are absent, and so is an empty map. Under `doubts` it says which columns could be converted only in
a doubtful way, or not at all: "rule: sentence" for each. The gate makes warnings of these.
"""

from __future__ import annotations

from collections.abc import Container

import orjson

from transform.items.adapter_notes import Notes
from transform.items.attributes import AttributeValue, Item, Row
from transform.rejections import Rejections, Unconvertible
from transform.values.money import MAX_INTEGER
from transform.values.text import text
from utils.entities import PARTS

DOUBTS = "doubts"


def legacy_of(
    row: Row, known: Container[str], notes: Notes, rejections: Rejections
) -> AttributeValue | None:
    """Return the attribute `legacy` of a row, or None when there is nothing in it.

    Carried are the columns that are not `known`, and what the notes keep and doubt.
    """
    unknown = {name: row[name] for name in row if name not in known and name not in PARTS}
    carried: Item = {}
    for column, value in {**unknown, **notes.kept}.items():
        try:
            stored = _stored(value)
        except Unconvertible as problem:
            rejections.add_value(column, problem)
            continue
        if stored:
            carried[f"{column}_s9" if column == DOUBTS else column] = stored
    if notes.doubts:
        doubts = {column: {"S": sentence} for column, sentence in notes.doubts.items()}
        carried[DOUBTS] = {"M": doubts}
    return {"M": carried} if carried else None


def _stored(value: object) -> AttributeValue | None:
    if value is None or isinstance(value, str):
        return text(value)
    if isinstance(value, bool):
        return {"BOOL": value}
    if isinstance(value, int) and abs(value) <= MAX_INTEGER:
        return {"N": str(value)}
    return {"S": orjson.dumps(value).decode()}
