"""The shape of every report: utils/reports/schemas/*.json, one JSON Schema (draft 2020-12) each.

Programs may rely on them: a report has no field that its schema does not declare. `files` (which
JSON Schema does not ask for) names the files that are so; `{entity}` stands for the name of one. A
file that ends in .jsonl has one such document a line. What a command prints with --json has a
schema of the command's name and is in no file. What reports have in common is in common.json;
`schema` puts it where it is referred to, so that what it gives stands for itself. docs/reports.md
is made of the descriptions.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from typing import Any

import jsonschema_rs
import orjson

Schema = dict[str, Any]

_DIRECTORY = files("utils.reports") / "schemas"
_COMMON = "common"


@cache
def report_names() -> tuple[str, ...]:
    """The reports that are declared."""
    names = (file.name.partition(".")[0] for file in _DIRECTORY.iterdir())
    return tuple(sorted(name for name in names if name != _COMMON))


@cache
def schema(name: str) -> Schema:
    """The schema of a report, whole."""
    whole: Schema = _whole(_read(name), name)
    return whole


def report_of(file: str) -> str | None:
    """The report that a file of this name is (`load_report.json` is of `load`), also as it was set
    aside (`earlier_load_report.json`); None for a file that none declares."""
    plain = file.removeprefix("earlier_")
    for name in report_names():
        if any(re.fullmatch(_pattern(each), plain) for each in schema(name)["files"]):
            return name
    return None


def problems_of(name: str, content: bytes, *, lines: bool = False) -> list[str]:
    """What is in a report (or a file with one on each of its `lines`) that its schema does not
    allow: a sentence each, with the place."""
    documents = content.splitlines() if lines else [content]
    return [
        f"{'/'.join(map(str, problem.instance_path))}: {problem.message}"
        for document in documents
        for problem in _validator(name).iter_errors(orjson.loads(document))
    ]


@cache
def _validator(name: str) -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator(schema(name))


def _pattern(file: str) -> str:
    return "[a-z_]+".join(map(re.escape, file.split("{entity}")))


@cache
def _read(name: str) -> Schema:
    read: Schema = orjson.loads((_DIRECTORY / f"{name}.json").read_bytes())
    return read


def _whole(part: Any, name: str) -> Any:
    """A part of a schema with what it refers to in its place; its own words go before."""
    if isinstance(part, list):
        return [_whole(each, name) for each in part]
    if not isinstance(part, dict):
        return part
    rest = {key: _whole(value, name) for key, value in part.items() if key != "$ref"}
    if "$ref" not in part:
        return rest
    file, _, place = part["$ref"].partition("#/$defs/")
    file = file.removesuffix(".json") or name
    return {**_whole(_read(file)["$defs"][place], file), **rest}


def rows_of(name: str) -> Iterator[tuple[str, str]]:
    """The fields of a report that have something said of them, with their paths: `{entity}` stands
    for any name, `[]` for each of a list."""
    for field, own in schema(name)["properties"].items():
        if not _is_common(name, field):
            yield from _rows(field, own)


def _is_common(name: str, field: str) -> bool:
    """Whether a field is one with which every report opens."""
    reference = str(_read(name)["properties"][field].get("$ref", ""))
    return reference == f"{_COMMON}.json#/$defs/{field}"


def _rows(path: str, own: Schema) -> Iterator[tuple[str, str]]:
    if "description" in own:
        yield path, own["description"]
    for field, inner in own.get("properties", {}).items():
        yield from _rows(f"{path}.{field}", inner)
    if isinstance(further := own.get("additionalProperties"), dict):
        any_name = own.get("propertyNames", {}).get("title", "name")
        yield from _rows(f"{path}.{{{any_name}}}", further)
    for one in own.get("oneOf", ()):
        yield from _rows(path, one)
    if isinstance(each := own.get("items"), dict):
        yield from _rows(f"{path}[]", each)
