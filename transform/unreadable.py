"""Extracted lines that cannot be parsed: a text in them is not valid in the database's encoding.

S9 hands such a text out as the bytes that it is (extract/postgresql/copy_stream.py), so that it
costs its own record only. For the quarantine the bytes are written as \\xHH, so that the record can
be read.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import orjson

from transform.refusals import PHASE, row_key
from utils.entities import shape_of
from utils.files.extracted_rows import ROW_KEY
from utils.files.findings import Finding
from utils.files.quarantine import Refusal
from utils.findings.source_names import SourceNames

RULE = "invalid-text"
_BYTE = re.compile("[\udc80-\udcff]")


def refusal_of_unreadable(line: bytes, names: SourceNames) -> Refusal:
    """The refusal of a record that is no valid JSON; every column at fault is named."""
    entity = names.entity
    text = line.decode("utf-8", "surrogateescape")
    try:
        row = json.loads(text)
    except (ValueError, RecursionError):
        row = None
    if not isinstance(row, dict):
        return _of_no_row(entity, line, text)
    legacy_id = str(row.get("first_id"))
    fields = list(_fields(row, "")) or [""]
    findings = tuple(_finding(legacy_id, field, row, names) for field in fields)
    items = shape_of(entity).items_in(row)
    return Refusal(entity, legacy_id, PHASE, findings, items, orjson.dumps(_legible(row)))


def _finding(legacy_id: str, field: str, row: dict[str, Any], names: SourceNames) -> Finding:
    origin = names.of_column(field)
    reason = (
        f"{origin.column or field or 'the record'} holds bytes that are not valid text in the "
        "database's encoding"
    )
    key = row_key(origin, row, legacy_id)
    return Finding(
        names.entity, legacy_id, field, RULE, "error", reason, origin.table, origin.column, key
    )


def _of_no_row(entity: str, line: bytes, text: str) -> Refusal:
    key = ROW_KEY.search(line)
    legacy_id = key[1].decode() if key else ""
    reason = "the record is not a JSON object that can be read"
    record = orjson.dumps({"first_id": legacy_id, "text": _legible(text)})
    finding = Finding(entity, legacy_id, "", RULE, "error", reason)
    return Refusal(entity, legacy_id, PHASE, (finding,), 1, record)


def _fields(value: Any, path: str) -> Iterator[str]:
    """The paths of the texts that hold such bytes; `lines[n]`, n counting from 1."""
    if isinstance(value, str):
        if _BYTE.search(value):
            yield path
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield from _fields(inner, f"{path}.{name}" if path else name)
    elif isinstance(value, list):
        for position, inner in enumerate(value, start=1):
            yield from _fields(inner, f"{path}[{position}]")


def _legible(value: Any) -> Any:
    """The value with every such byte as \\xHH."""
    if isinstance(value, str):
        return _BYTE.sub(lambda found: f"\\x{ord(found[0]) - 0xDC00:02x}", value)
    if isinstance(value, dict):
        return {_legible(name): _legible(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_legible(inner) for inner in value]
    return value
