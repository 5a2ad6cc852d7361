"""data/reports/validation_report.json: what the gate found, counted exactly, listed within reason.

The report lists at most a thousand findings of a rule for an entity, so that it stays a file that
opens; the counts are always whole, and `validation_findings.jsonl` beside it has every finding.
"""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from utils.config import Config
from utils.files.findings import Finding
from utils.files.storage import (
    Closes,
    open_private,
    partial_of,
    publish,
    storage_errors,
    write_atomically,
)
from utils.files.workspace import Workspace
from utils.findings.findings_table import FindingsTable
from utils.run.run import Run
from validate.rules.catalogue import RULES

LISTED_PER_RULE = 1_000


@dataclass
class EntityCount:
    """What was found in one entity. `records` and `items` are what the file held before.

    `quarantined` counts refused records by the phase that refused them.
    """

    records: int = 0
    items: int = 0
    errors: int = 0
    warnings: int = 0
    records_with_errors: int = 0
    quarantined: Counter[str] = field(default_factory=Counter)

    def as_json(self) -> dict[str, Any]:
        return {
            "records": self.records,
            "items": self.items,
            "errors": self.errors,
            "warnings": self.warnings,
            "recordsWithErrors": self.records_with_errors,
            "quarantined": dict(self.quarantined),
        }


class ValidationReport(Closes):
    """Gathers findings, in constant memory. A context manager: it holds the file of findings."""

    def __init__(self, workspace: Workspace) -> None:
        self.entities: dict[str, EntityCount] = {}
        self._workspace = workspace
        self._rules: Counter[tuple[str, str]] = Counter()
        self._listed: list[dict[str, Any]] = []
        self._all = workspace.validation_findings
        self._partial = partial_of(self._all)
        self._stream = open_private(self._partial, "wb")
        self.table = FindingsTable(workspace)

    def close(self) -> None:
        with suppress(OSError):  # a full disk has been told by whoever wrote
            self._stream.close()
        self._partial.unlink(missing_ok=True)
        self.table.close()

    def of(self, entity: str) -> EntityCount:
        """The counts of an entity; asking for them puts the entity into the report."""
        return self.entities.setdefault(entity, EntityCount())

    def add(self, finding: Finding, *, refused_by: str = "") -> None:
        """Count and list a finding; `refused_by`: the phase that has put its record into
        quarantine already."""
        count = self.of(finding.entity)
        if finding.severity == "error":
            count.errors += 1
        else:
            count.warnings += 1
        shown: dict[str, Any] = {**finding.as_json()}
        if refused_by:
            shown["quarantined"], shown["phase"] = True, refused_by
        with storage_errors(self._partial):
            self._stream.write(orjson.dumps(shown) + b"\n")
        self.table.add(finding, refused_by or "validate")
        rule = (finding.entity, finding.rule)
        self._rules[rule] += 1
        if self._rules[rule] <= LISTED_PER_RULE:
            self._listed.append(shown)

    @property
    def error_count(self) -> int:
        return sum(count.errors for count in self.entities.values())

    @property
    def warning_count(self) -> int:
        return sum(count.warnings for count in self.entities.values())

    def write(self, run: Run, *, passed: bool) -> Path:
        """Publish both files; returns the path of the report."""
        with storage_errors(self._all):
            self._stream.close()
            publish(self._all)
        self.table.publish(run)
        path = self._workspace.report("validation")
        document = {**run.report_head(), **self._document(run.config, passed)}
        write_atomically(path, orjson.dumps(document, option=orjson.OPT_INDENT_2) + b"\n")
        return path

    def _document(self, config: Config, passed: bool) -> dict[str, Any]:
        rules: Counter[str] = Counter()
        truncated: Counter[str] = Counter()
        for (_, rule), count in self._rules.items():
            rules[rule] += count
            truncated[rule] += max(0, count - LISTED_PER_RULE)
        return {
            "passed": passed,
            "strictMode": config.validation.strict_mode,
            "continueOnError": config.migration.continue_on_error,
            "errorCount": self.error_count,
            "warningCount": self.warning_count,
            "entities": {name: count.as_json() for name, count in self.entities.items()},
            "rules": dict(rules.most_common()),
            "meanings": {rule: RULES[rule].meaning for rule in rules if rule in RULES},
            "skipped": skipped(config),
            "truncated": {rule: count for rule, count in truncated.items() if count},
            "allFindings": self._all.name,
            "findings": self._listed,
        }


def skipped(config: Config) -> dict[str, str]:
    """The groups of rules that the configuration switches off, and by which setting."""
    chosen = config.validation
    groups = {
        "references": (chosen.validate_references, "validateReferences"),
        "duplicates": (chosen.check_duplicates, "checkDuplicates"),
        "business": (chosen.business_rules, "businessRules"),
    }
    return {
        group: f"validation.{setting} is false"
        for group, (asked, setting) in groups.items()
        if not asked
    }
