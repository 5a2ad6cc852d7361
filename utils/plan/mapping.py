"""The mapping in a few lines, for the plan of a dry run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import orjson

from utils.run.run import Run
from utils.wording.figures import counted

_MOST = 6  # of anything that is listed


def mapping_section(run: Run) -> dict[str, Any]:
    """What plan.json says of the mapping: where every column of S9 goes, how often each default and
    repair was applied, statuses and users, times that look like another zone
    (data/reports/mapping_report.json); {} without that report."""
    path = run.workspace.report("mapping")
    report = orjson.loads(path.read_bytes()) if path.exists() else {}
    return {name: report[name] for name in ("entities", "applied") if name in report}


def mapping_text(section: Mapping[str, Any]) -> str:
    """What an operator should know of it before anything is written, in a few lines for the screen;
    "" where there is no such section."""
    return "\n".join(_lines(section)) if section else ""


def _lines(section: Mapping[str, Any]) -> Iterator[str]:
    entities: Mapping[str, Mapping[str, Any]] = section.get("entities", {})
    tables: dict[str, list[Mapping[str, Any]]] = {}
    for each in entities.values():
        for table, found in each.items():
            tables.setdefault(table, []).append(found)
    columns = sum(len(readings[0]["columns"]) for readings in tables.values())
    lost = _of_tables(tables, "onlyInExtracted")
    read = f"{counted(columns, 'column')} of {counted(len(tables), 'table')}"
    head = f"Mapping (all of it in mapping_report.json): {read}"
    where = "without a place in the target (data/extracted has them)"
    yield head + (f"; {len(lost):,} {where}: {_some(lost)}" if lost else "")
    if unknown := _of_tables(tables, "unknown"):
        yield f"  columns that nobody knows: {_some(unknown)}"
    applied: Mapping[str, Mapping[str, Any]] = section.get("applied", {})
    for word in ("defaults", "repairs"):
        counts = [
            (count, f"{name} of {entity}")
            for entity, each in applied.items()
            for name, count in each[word].items()
        ]
        if counts:
            counts.sort(key=lambda one: -one[0])
            yield f"  {word}: {_some([f'{name} ({count:,})' for count, name in counts])}"
    for entity, each in applied.items():
        yield from _of_entity(entity, each)


def _of_entity(entity: str, applied: Mapping[str, Any]) -> Iterator[str]:
    unknown_first = sorted(applied["statuses"].items(), key=lambda one: one[1]["to"] is not None)
    statuses = [
        f"{word} ({each['count']:,}) becomes {each['to']}"
        if each["to"]
        else f"{word} ({each['count']:,}) is not known"
        for word, each in unknown_first
    ]
    if statuses:
        yield f"  statuses of {entity}: {_some(statuses)}"
    if users := applied["users"]:
        targets: dict[str, int] = {}
        for each in users.values():
            targets[each["to"]] = targets.get(each["to"], 0) + 1
        said = [f"{counted(many, 'user')} of S9 to {target}" for target, many in targets.items()]
        yield f"  users of {entity}: {_some(said)}"
    for sentence in applied["times"]["suspicions"]:
        yield f"  times of {entity}: {sentence} (source.timezone)"


def _of_tables(tables: Mapping[str, Sequence[Mapping[str, Any]]], word: str) -> list[str]:
    """The columns that this is said of by all entities that are read from a table."""
    return [
        f"{table}.{name}"
        for table, readings in tables.items()
        for name in readings[0].get(word, ())
        if all(name in each.get(word, ()) for each in readings)
    ]


def _some(names: list[str]) -> str:
    rest = len(names) - _MOST
    return ", ".join(names[:_MOST]) + (f" and {rest:,} more" if rest > 0 else "")
