"""What a hostile S9 would write into every text that gets into a report.

The schema of a report says which texts the tool itself fixes (an `enum`, a date, a digest that a
link is made of); every other one, also where it is a name of a field, is replaced by one that wants
to run, to leave the page, to turn the direction, or to end the line.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from tests.support.documents.lessened import alternative
from utils.entities import ENTITY_NAMES
from utils.reports.report_schemas import report_of, schema

PAYLOADS = (
    "<script>window.hacked = 1</script>",
    "<img src=x onerror='window.hacked=1'>",
    '"><svg onload=window.hacked=1>',
    "</style></table><iframe src=http://example.invalid>",
    "{{ 7 * 7 }} {% include 'x' %} &lt;script&gt;",
    "\u202egnirts desrever \u2066 \x1b[31m\x07 two\r\nlines",
    "javascript:window.hacked=1",
    "' style='position:fixed;inset:0' class='state bad",
    "W" * 400,
)
_KEPT = {"runId", "at", "rules", "sha256", "kind", "run_id"}


def make_hostile(data: Path) -> int:
    """Rewrite the reports, the manifest and the events of a data directory; returns how many texts
    have been replaced."""
    counter = itertools.count()
    payloads = (f"{each} {number}" for number, each in enumerate(itertools.cycle(PAYLOADS)))
    for path in sorted((data / "reports").glob("*_report.json")):
        name = report_of(path.name)
        assert name is not None, path
        document = orjson.loads(path.read_bytes())
        path.write_bytes(orjson.dumps(_hostile(document, schema(name), payloads, counter)))
    findings = data / "reports" / "validation_findings.jsonl"
    lines = [
        orjson.dumps(_hostile(orjson.loads(line), schema("finding"), payloads, counter))
        for line in findings.read_bytes().splitlines()
    ]
    findings.write_bytes(b"\n".join(lines) + b"\n")
    _rewrite_manifest(data / "manifest.json", payloads, counter)
    return next(counter)


def _rewrite_manifest(path: Path, payloads: Iterator[str], counter: Iterator[int]) -> None:
    manifest = orjson.loads(path.read_bytes())
    for side in ("source", "target", "snapshot"):
        for name, value in manifest[side].items():
            if isinstance(value, str):
                next(counter)
                manifest[side][name] = next(payloads)
    for entity in ENTITY_NAMES:
        table = manifest["phases"]["extract"][entity]["result"]["table"]
        table["name"] = next(payloads)
        table["notSelected"] = {next(payloads): n for n in table["notSelected"].values()}
        next(counter)
    tables = manifest["reached"]["target"]
    manifest["reached"]["target"] = {
        next(payloads): {name: next(payloads) for name in of} for of in tables.values()
    }
    manifest["reached"]["source"] = {next(payloads): next(payloads) for _ in range(5)}
    path.write_bytes(orjson.dumps(manifest))


def _hostile(
    value: Any, of: dict[str, Any], payloads: Iterator[str], counter: Iterator[int], name: str = ""
) -> Any:
    if isinstance(value, dict):
        of = alternative(of, value)
        known, further = of.get("properties", {}), of.get("additionalProperties")
        made = {}
        for key, inner in value.items():
            own = known.get(key) or (further if isinstance(further, dict) else {})
            is_fixed = key in known or key in ENTITY_NAMES
            is_free = not is_fixed and "enum" not in of.get("propertyNames", {})
            new = next(payloads) if is_free else key
            made[new] = _hostile(inner, own, payloads, counter, key)
        return made
    if isinstance(value, list):
        return [_hostile(each, of.get("items", {}), payloads, counter, name) for each in value]
    if not isinstance(value, str) or name in _KEPT or value in ENTITY_NAMES:
        return value
    if {"enum", "const", "pattern", "format"} & of.keys() or "figure" in name:
        return value
    next(counter)
    return next(payloads)
