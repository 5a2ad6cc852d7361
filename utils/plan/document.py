"""data/reports/plan.json: everything that a rehearsal has found, section by section."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from utils.config import ExtractionConfig
from utils.entities import ENTITY_NAMES
from utils.files.storage import write_atomically
from utils.plan.sample import Part
from utils.plan.verdict import Verdict, to_do_json
from utils.run.run import Run
from utils.run.standing import stations_of


@dataclass
class Plan:
    """A plan while it is made: the verdict, and the sections that there are so far, in the order in
    which they are shown. `part` is of which it speaks, None for all of S9."""

    verdict: Verdict = field(default_factory=Verdict)
    part: Part | None = None
    sections: dict[str, Any] = field(default_factory=dict)

    def document(self, run: Run) -> dict[str, Any]:
        """What plan.json says."""
        return {
            **run.report_head(),
            "exitCode": int(self.verdict.code),
            "verdict": self.verdict.as_json(),
            "onConflict": run.config.load.on_conflict,
            "limit": _limits(run.config.extraction),
            "extrapolated": self.part.as_json() if self.part else None,
            **self.sections,
            "toDo": to_do_json(self.verdict.to_do),
        }

    def write(self, run: Run) -> Path:
        """Write the plan; returns where it is."""
        path = run.workspace.plan_report
        text = orjson.dumps(self.document(run), option=orjson.OPT_INDENT_2)
        write_atomically(path, text + b"\n")
        return path


def _limits(extraction: ExtractionConfig) -> dict[str, int]:
    limits = {name: extraction.of(name).limit for name in ENTITY_NAMES}
    return {name: limit for name, limit in limits.items() if limit is not None}


def source_section(run: Run) -> dict[str, Mapping[str, Any]]:
    """What S9 has, and what has become of it on the way to the tables, by entity."""
    return {name: _of_entity(run, name) for name in ENTITY_NAMES}


def _of_entity(run: Run, entity: str) -> dict[str, Any]:
    at = stations_of(run.manifest, entity)
    return {
        "rows": at.rows,
        "notSelected": dict(at.not_selected),
        "extracted": at.extracted,
        "quarantined": at.quarantined,
        "transformed": at.transformed,
        "items": at.items,
        "bytes": at.bytes,
        "errors": at.errors,
        "warnings": at.warnings,
    }
