"""Reports as their schemas allow them, with less in them than a whole migration leaves: what may be
missing is missing, what may be null is null, what may be empty is empty."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from utils.pages.report.page import write_page
from utils.reports.report_schemas import report_of, schema

_RATE = 0.3


def pages_that_fail(data: Path, work: Path, seed: int, cases: int) -> Iterator[str]:
    """What is wrong with the pages of so many copies of a data directory, each with less in its
    reports; they are made in `work`, which is not there."""
    for number in range(cases):
        chance = random.Random(f"{seed} {number}")
        shutil.copytree(data, work)
        for directory in (work, work / "dry-run"):
            _lessen(directory / "reports", chance)
            if "is not shown here" in write_page(directory, None).read_text("utf-8"):
                yield f"reports {seed} {number}: {directory.name}"
        shutil.rmtree(work)


def _lessen(reports: Path, chance: random.Random) -> None:
    for path in sorted(reports.glob("*.json")):
        name = report_of(path.name)
        if name is None:
            continue
        document = lessened(orjson.loads(path.read_bytes()), schema(name), chance)
        path.write_bytes(orjson.dumps(document))
        if chance.random() < 0.1:
            path.unlink()


def lessened(value: Any, of: dict[str, Any], chance: random.Random) -> Any:
    """A document of the same schema, by chance with less in it."""
    if _may_be_null(of) and chance.random() < _RATE:
        return None
    if isinstance(value, dict):
        return _less_of_object(value, alternative(of, value), chance)
    if isinstance(value, list):
        if not of.get("minItems") and chance.random() < _RATE:
            return []
        return [lessened(each, of.get("items", {}), chance) for each in value]
    return value


def _less_of_object(value: dict[str, Any], of: dict[str, Any], chance: random.Random) -> Any:
    required, known = set(of.get("required", ())), of.get("properties", {})
    further = of.get("additionalProperties")
    made = {}
    for name, inner in value.items():
        is_free = name not in known and isinstance(further, dict) and not of.get("minProperties")
        if (is_free or (name in known and name not in required)) and chance.random() < _RATE:
            continue
        own = known.get(name) or (further if isinstance(further, dict) else {})
        made[name] = lessened(inner, own, chance)
    return made


def _may_be_null(of: dict[str, Any]) -> bool:
    kinds = of.get("type", ())
    if "null" in ([kinds] if isinstance(kinds, str) else kinds):
        return True
    if None in of.get("enum", ()):
        return True
    return any(_may_be_null(each) for each in (*of.get("oneOf", ()), *of.get("anyOf", ())))


def alternative(of: dict[str, Any], value: dict[str, Any]) -> dict[str, Any]:
    """The one of several shapes that a value has."""
    for each in (*of.get("oneOf", ()), *of.get("anyOf", ())):
        if set(each.get("required", ())) <= value.keys() <= set(each.get("properties", value)):
            found: dict[str, Any] = each
            return found
    return of
