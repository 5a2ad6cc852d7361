"""What becomes of a record that cannot be converted: a refusal that says where in S9 each of its
reasons is, what stands there, and which other record it comes from."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from transform.items.attributes import Row
from transform.rejections import RejectedRecord
from utils.entities import ENTITIES, Shape, shape_of
from utils.error_handler import Rejection
from utils.files.findings import Cause, Finding
from utils.files.quarantine import Refusal
from utils.findings.sentences import in_words_of_s9
from utils.findings.shown_values import schema_of, shown
from utils.findings.source_names import Origin, SourceNames

PHASE = "transform"
_BY_SINGULAR = {shape.singular: shape for shape in ENTITIES}
# Of a sale that names a party: what S9 lacks, or has several of.
_ABSENT = frozenset({"unknown-party"})
_OF_LINE = re.compile(r"(line \S+: )(.*)", re.S)

KeyOf = Callable[[str], str]
"""The partition key of the record with a key of S9."""


def refusal_of_rejected(
    row: Row, line: bytes, rejected: RejectedRecord, names: SourceNames, key_of: KeyOf
) -> Refusal:
    """The refusal of an extracted row (`line` is its text) that the transform has rejected."""
    entity = names.entity
    shape = shape_of(entity)
    legacy_id = str(row.get("first_id"))
    findings = tuple(
        _finding(shape, legacy_id, rejection, row, names) for rejection in rejected.rejections
    )
    record, items = line.rstrip(b"\n"), shape.items_in(row)
    return Refusal(entity, legacy_id, PHASE, findings, items, record, key_of(legacy_id))


def row_key(origin: Origin, row: Row, legacy_id: str) -> str:
    """S9's key of the row that a column of an extracted row is of: the record's (`legacy_id`), a
    line's, a copied party's."""
    if origin.number:
        return _text(_row_of(origin, row).get("id"))
    return _text(row.get(f"{origin.part}_id")) if origin.part else legacy_id


def _finding(
    shape: Shape, legacy_id: str, rejection: Rejection, row: Row, names: SourceNames
) -> Finding:
    origin = names.of_column(rejection.field)
    there = _row_of(origin, row)
    return Finding(
        shape.name,
        legacy_id,
        rejection.field,
        rejection.rule,
        "error",
        _in_words_of_s9(rejection.reason, origin),
        origin.table,
        origin.column,
        row_key(origin, row, legacy_id),
        shown(there.get(origin.canonical), schema_of(shape.name, origin.part), origin.attribute),
        _cause(rejection, origin, row),
    )


def _row_of(origin: Origin, row: Row) -> Row:
    """The row that a column is of: the record's, a line's, a copied party's."""
    part: Any = row.get(origin.part) if origin.part else row
    if origin.number:
        part = part[origin.number - 1] if isinstance(part, list) else None
    return part if isinstance(part, dict) else {}


def _cause(rejection: Rejection, origin: Origin, row: Row) -> Cause | None:
    """A value that was copied from a party is the party's; a party that is not there is lacking."""
    if origin.part in _BY_SINGULAR:
        party = _BY_SINGULAR[origin.part]
        key = _text(row.get(f"{origin.part}_id"))
        return Cause(party.name, key, "copied", rejection.rule)
    kind = origin.canonical.removesuffix("_id")
    if rejection.rule in _ABSENT and kind in _BY_SINGULAR:
        return Cause(_BY_SINGULAR[kind].name, _text(row.get(origin.canonical)), "absent")
    return None


def _in_words_of_s9(reason: str, origin: Origin) -> str:
    """A sentence that begins with the name of a column begins with the one that it has here."""
    before, sentence = "", reason
    if found := _OF_LINE.fullmatch(reason):
        before, sentence = found.groups()
    names = (origin.canonical, f"{origin.part}.{origin.canonical}")
    return before + in_words_of_s9(sentence, names, origin.column)


def _text(key: object) -> str:
    return "" if key is None else str(key)
