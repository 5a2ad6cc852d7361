"""The mapping in a few lines, for the plan of a dry run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from utils.run.run import Run
from utils.wording.figures import counted

_MOST = 6  # of anything that is listed


def mapping_text(run: Run) -> str:
    """What an operator should know of the mapping before anything is written: columns without a
    place, defaults, repairs, statuses, users, doubtful times; from mapping_report.json, "" without
    it. The plan of `--dry-run` shows it (migrate.py); plan.json has the report's `applied`."""
    path = run.workspace.report("mapping")
    if not path.exists():
        return ""
    return "\n".join(_lines(orjson.loads(path.read_bytes())))


def _lines(report: Mapping[str, Any]) -> Iterator[str]:
    tables = {table: found for each in report["entities"].values() for table, found in each.items()}
    columns = sum(len(found["columns"]) for found in tables.values())
    lost = _of_tables(tables, "onlyInExtracted")
    head = f"Mapping: {counted(columns, 'column')} of {counted(len(tables), 'table')}"
    where = "without a place in the target (data/extracted has them)"
    yield head + (f"; {len(lost):,} {where}: {_some(lost)}" if lost else "")
    if unknown := _of_tables(tables, "unknown"):
        yield f"  columns that nobody knows: {_some(unknown)}"
    applied: Mapping[str, Mapping[str, Any]] = report.get("applied", {})
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
    statuses = [
        f"{word} ({each['count']:,}) becomes {each['to']}"
        if each["to"]
        else f"{word} ({each['count']:,}) is not known"
        for word, each in applied["statuses"].items()
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


def _of_tables(tables: Mapping[str, Any], word: str) -> list[str]:
    return [
        f"{table}.{column}" for table, found in tables.items() for column in found.get(word, ())
    ]


def _some(names: list[str]) -> str:
    rest = len(names) - _MOST
    return ", ".join(names[:_MOST]) + (f" and {rest:,} more" if rest > 0 else "")
