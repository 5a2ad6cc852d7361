"""data/reports/mapping_report.json: what becomes of every column that was read, which rows of S9's
tables were not, and how often each default and each repair was applied."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from transform.census.tally import Mapped, Tally
from transform.census.times import times_of
from transform.engine import rules_of
from transform.items.attributes import ColumnTargets
from transform.layout import layout_of
from transform.row_to_texts import column_targets
from transform.rules import TransformRules
from utils.files.storage import write_atomically
from utils.run.run import Run


def write_mapping_report(run: Run) -> None:
    """Write the report from what the extract has recognised and what the layout makes of it."""
    name = run.config.source.layout
    rules = rules_of(run)
    extracts = run.manifest.phases.get("extract", {})
    document = {
        **run.report_head(),
        "layout": name,
        "tables": {
            entity: entry.result["table"]
            for entity, entry in extracts.items()
            if "table" in entry.result
        },
        "entities": {
            entity: _tables(rules, entry.result["columns"])
            for entity, entry in extracts.items()
            if "columns" in entry.result
        },
        "applied": {
            entity: _applied(run, entity, entry.result["applied"])
            for entity, entry in run.manifest.phases.get("transform", {}).items()
            if "applied" in entry.result
        },
    }
    path = run.workspace.report("mapping")
    write_atomically(path, orjson.dumps(document, option=orjson.OPT_INDENT_2) + b"\n")


def _applied(run: Run, entity: str, counted: Mapping[str, Any]) -> dict[str, Any]:
    """How often each default and repair was applied to an entity's records, what became of S9's
    statuses and users, and what is suspicious about its times."""
    tally = Tally.of_json(counted)
    extracted = run.manifest.phase("extract", entity)
    read_at = str(extracted.result.get("snapshot", "")) if extracted else ""
    return {
        "defaults": dict(tally.defaults.most_common()),
        "repairs": dict(tally.repairs.most_common()),
        "statuses": _by_word(tally.statuses),
        "users": _by_word(tally.users),
        "times": times_of(tally, run.config.source.timezone, read_at),
    }


def _by_word(counts: Mapped) -> dict[str, dict[str, Any]]:
    """For each word of S9's what it became, if that is one thing, and how often it is there."""
    found: dict[str, dict[str, Any]] = {}
    for (word, target), count in counts.most_common():
        known = found.setdefault(word, {"to": target or None, "count": 0})
        known["count"] += count
        if known["to"] != (target or None):
            known["to"] = None
    return found


def _tables(rules: TransformRules, tables: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    carries = layout_of(rules.layout).carries
    return {
        table: _columns(column_targets(columns["rows"], rules), carries, columns)
        for table, columns in tables.items()
    }


def _columns(places: ColumnTargets, carries: bool, found: Mapping[str, Any]) -> dict[str, Any]:
    """Of one table: what each column becomes, and the lists that an operator looks for."""
    becomes = {
        column: places.get(name) or (f"legacy.{name}" if carries else None)
        for column, name in found["read"].items()
    }
    without = [column for column, name in found["read"].items() if name not in places]
    return {
        "columns": becomes,
        "legacy" if carries else "onlyInExtracted": without,
        "unknown": found["unmapped"],
        "missing": found["missing"],
        **{name: found[name] for name in ("several", "approximate") if found.get(name)},
    }
