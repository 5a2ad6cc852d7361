"""data/reports/mapping_report.json: what becomes of every column that was read, and which rows of
S9's tables were not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from transform.items.column_targets import ColumnTargets
from transform.layout import Layout, layout_of
from utils.files.workspace import write_atomically
from utils.run.run import Run


def write_mapping_report(run: Run) -> None:
    """Write the report from what the extract has recognised and what the layout makes of it."""
    name = run.config.source.layout
    layout = layout_of(name)
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
            entity: _tables(layout, entry.result["columns"])
            for entity, entry in extracts.items()
            if "columns" in entry.result
        },
    }
    path = run.workspace.report("mapping")
    write_atomically(path, orjson.dumps(document, option=orjson.OPT_INDENT_2) + b"\n")


def _tables(layout: Layout, tables: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    return {
        table: _columns(layout.places(columns["rows"]), layout.carries, columns)
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
