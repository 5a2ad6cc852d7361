"""What a rule has noted about a record, as a finding: where in S9 that is, and what is there.

Only what is found is described: of a record without a finding nothing is parsed for this.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from utils.entities import shape_of
from utils.files.findings import Cause, Finding
from utils.findings.sentences import in_words_of_s9
from utils.findings.shown_values import schema_of, shown, stored
from utils.findings.source_names import Origin, SourceNames, TableNames
from validate.rules.catalogue import Note, severity_of

_CARRIED, _INDEX_KEY = "legacy", "GSI"


def described(
    legacy_id: str, note: Note, names: SourceNames, *, strict: bool, items: Items
) -> Finding:
    """The finding that a note becomes; `items` are those of the record, where they are at
    hand.

    A value that the item has copied of a party comes from there: the cause has the party's id in
    the target in the place of S9's key (validate/gate/references.py puts that in).
    """
    entity, origin = names.entity, names.of_attribute(note.field)
    item = items.at(origin.number)
    if note.field.startswith(_INDEX_KEY):
        origin = names.of_attribute(_repeated(item, note.field, names))
    own_key = stored(item.get("legacyId")) if origin.number else legacy_id
    return Finding(
        entity,
        legacy_id,
        note.field,
        note.rule,
        severity_of(note.rule, strict=strict),
        in_words_of_s9(note.message, (origin.attribute,), origin.column),
        origin.table,
        origin.column,
        "" if _copied(entity, origin) else str(own_key or ""),
        _value(entity, item, note, origin),
        _cause(entity, item, note, origin),
    )


def without_repeats(findings: list[Finding]) -> list[Finding]:
    """The findings of a record without those of index keys that only repeat what was found of the
    attribute itself."""
    told = {
        (each.rule, each.column)
        for each in findings
        if each.column and not each.field.startswith(_INDEX_KEY)
    }
    return [
        each
        for each in findings
        if not (each.field.startswith(_INDEX_KEY) and (each.rule, each.column) in told)
    ]


def _repeated(item: dict[str, Any], key: str, names: SourceNames) -> str:
    """The attribute whose value an index key repeats, alone or behind a prefix."""
    text = stored(item.get(key))
    if not isinstance(text, str):
        return key
    prefix = text.partition("#")[0]
    for name in names.parts.get("", TableNames()).attributes:
        value = stored(item.get(name))
        if isinstance(value, str) and value and text in (value, f"{prefix}#{value}"):
            return name
    return key


class Items:
    """The items of a record that are looked at, each parsed once."""

    def __init__(self, record: Sequence[bytes] = ()) -> None:
        self._record = record
        self._number = -1
        self._item: dict[str, Any] = {}

    def at(self, number: int) -> dict[str, Any]:
        """The item of a line of the record; an empty one where there is none."""
        if number != self._number:
            self._number, self._item = number, _item(self._record, number)
        return self._item


def _item(record: Sequence[bytes], number: int) -> dict[str, Any]:
    if number >= len(record):
        return {}
    try:
        item = orjson.loads(record[number])["Item"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return {}
    return item if isinstance(item, dict) else {}


def _value(entity: str, item: dict[str, Any], note: Note, origin: Origin) -> str:
    part = "" if _copied(entity, origin) else origin.part
    schema = schema_of(entity, part)
    if origin.attribute:
        return shown(stored(item.get(origin.attribute)), schema, origin.attribute)
    if f"{_CARRIED}." in note.field:
        carried = stored(item.get(_CARRIED))
        of_column = carried.get(origin.canonical) if isinstance(carried, dict) else None
        return shown(stored(of_column), schema, "")
    return ""


def _copied(entity: str, origin: Origin) -> bool:
    """Whether a column is one of a party that the record copies."""
    children = shape_of(entity).children
    return bool(origin.part) and not (children and origin.part == children.name)


def _cause(entity: str, item: dict[str, Any], note: Note, origin: Origin) -> Cause | None:
    if not _copied(entity, origin):
        return None
    for reference in shape_of(entity).references:
        if shape_of(reference.entity).singular == origin.part:
            identifier = stored(item.get(reference.attribute))
            return Cause(reference.entity, str(identifier or ""), "copied", note.rule)
    return None
