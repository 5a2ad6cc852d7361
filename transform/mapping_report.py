"""data/reports/mapping_report.json: what becomes of every column that was read, and which rows of
S9's tables were not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

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
    }
    path = run.workspace.report("mapping")
    write_atomically(path, orjson.dumps(document, option=orjson.OPT_INDENT_2) + b"\n")


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
