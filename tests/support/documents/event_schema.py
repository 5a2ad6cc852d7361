"""The JSON Schema of a line of data/events.jsonl, made of the declarations of the kinds of events.

`python -m tests.support.documents.doc_blocks` writes it beside those of the reports; a test
compares them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

from tests.support.places import ROOT
from utils.config import json_name
from utils.telemetry.events import KINDS, Count, Event, Step

FILE = ROOT / "utils" / "reports" / "schemas" / "events.json"
_HEAD = {
    "run": {"description": 'the run, "" where there is none yet', "type": "string"},
    "number": {"description": "rises by one with each event", "type": "integer", "minimum": 1},
    "at": {"description": "when it was told (UTC)", "type": "string", "format": "date-time"},
}
_TYPES: Mapping[Any, dict[str, Any]] = {
    str: {"type": "string"},
    int: {"type": "integer"},
    float: {"type": "number"},
    bool: {"type": "boolean"},
}


def event_schema() -> dict[str, Any]:
    """What a line of data/events.jsonl is: one of the kinds."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "https://sale-module.invalid/schemas/reports/events.json",
        "title": "Events",
        "description": "A line of data/events.jsonl: an event of one of these kinds.",
        "files": ["events.jsonl"],
        "properties": {},
        "oneOf": [_kind(kind) for kind in KINDS],
    }


def _kind(kind: type[Event]) -> dict[str, Any]:
    properties = {**_HEAD, "event": {"const": kind.kind()}, **_fields(kind)}
    return {
        "title": kind.kind(),
        "description": about(kind),
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def about(kind: type[Event]) -> str:
    """What a kind says, in one line."""
    return " ".join((kind.__doc__ or "").split())


def _fields(kind: type[Any]) -> dict[str, Any]:
    hints, properties = get_type_hints(kind), dict[str, Any]()
    for each in fields(kind):
        hint = hints[each.name]
        if hint in (Step, Count):
            properties |= _fields(hint)
        else:
            name = "step" if kind is Step and each.name == "name" else json_name(each.name)
            properties[name] = _type(hint)
    return properties


def _type(hint: Any) -> dict[str, Any]:
    if hint in _TYPES:
        return dict(_TYPES[hint])
    origin, inner = get_origin(hint), get_args(hint)
    if origin is UnionType:
        (known,) = (each for each in inner if each is not type(None))
        return {"type": [_TYPES[known]["type"], "null"]}
    if origin is tuple:
        return {"type": "array", "items": _type(inner[0])}
    assert issubclass(origin, Mapping), hint
    return {"type": "object", "additionalProperties": _type(inner[1])}


def text() -> str:
    """The file."""
    return json.dumps(event_schema(), indent=2, ensure_ascii=False) + "\n"
