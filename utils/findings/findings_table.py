"""data/reports/findings.csv, all findings as a table that an office can work from, and
findings_report.json, how many there are of each rule with an example.

The table is for a spreadsheet in an office: utils/reports/spreadsheet.py.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import orjson

from utils.entities import ENTITY_NAMES
from utils.files.findings import Finding
from utils.files.quarantine import read_quarantine
from utils.files.storage import Closes, partial_of, publish, storage_errors, write_atomically
from utils.files.workspace import Workspace
from utils.findings.sentences import because
from utils.logger import get_logger
from utils.reports.spreadsheet import SEPARATOR, cell, spreadsheet
from utils.run.run import Run
from utils.wording.figures import counted

LOGGED_PER_RULE = 1_000
HEADINGS = (
    *("Severity", "Entity", "Record", "Table", "Key", "Column", "Value", "Rule"),
    *("What is wrong", "Because", "Found by"),
)


@dataclass(frozen=True)
class RuleCount:
    """How many findings an entity has of a rule, in how many `records`. `example` is the first of
    them as JSON; those that are a `consequence` go away with what another record has."""

    entity: str
    rule: str
    severity: str
    consequence: bool
    count: int
    records: int
    example: Mapping[str, Any]

    def as_json(self) -> dict[str, Any]:
        return {
            "entity": self.entity,
            "rule": self.rule,
            "severity": self.severity,
            "consequence": self.consequence,
            "count": self.count,
            "records": self.records,
            "example": self.example,
        }


_Kind = tuple[str, str, str, bool]


class FindingsTable(Closes):
    """Takes findings one after the other, in constant memory. A context manager: it holds the file
    of the table."""

    def __init__(self, workspace: Workspace, *, logs: bool = True) -> None:
        """`logs`: put errors into the log files too, as far as they bear it."""
        self._path = workspace.findings
        self._report = workspace.report("findings")
        self._logs = logs
        self._counts: Counter[_Kind] = Counter()
        self._records: Counter[_Kind] = Counter()
        self._last: dict[_Kind, str] = {}
        self._examples: dict[_Kind, Finding] = {}
        self._partial = partial_of(self._path)
        self._stream = spreadsheet(self._partial)
        self._writer = csv.writer(self._stream, delimiter=SEPARATOR)
        with storage_errors(self._partial):
            self._writer.writerow(HEADINGS)

    def close(self) -> None:
        with suppress(OSError):  # a full disk has been told by whoever wrote
            self._stream.close()
        self._partial.unlink(missing_ok=True)

    def add(self, finding: Finding, phase: str) -> None:
        """Take what `phase` has found."""
        with storage_errors(self._partial):
            self._writer.writerow(map(cell, _row(finding, phase)))
        kind = (finding.entity, finding.rule, finding.severity, _is_consequence(finding))
        self._counts[kind] += 1
        if self._last.get(kind) != finding.legacy_id:  # those of a record come together
            self._records[kind] += 1
            self._last[kind] = finding.legacy_id
        self._examples.setdefault(kind, finding)
        if self._logs and finding.severity == "error" and self._counts[kind] <= LOGGED_PER_RULE:
            _log(finding, phase)

    def rules(self) -> list[RuleCount]:
        """The counts: errors before warnings, causes before consequences, parties before sales."""
        found = [
            RuleCount(*kind, count, self._records[kind], self._examples[kind].as_json())
            for kind, count in self._counts.items()
        ]
        return sorted(found, key=_place)

    def publish(self, run: Run) -> None:
        """Put both files in their places."""
        with storage_errors(self._path):
            self._stream.close()
            publish(self._path)
        rules = self.rules()
        document = {
            **run.report_head(),
            "errors": sum(each.count for each in rules if each.severity == "error"),
            "warnings": sum(each.count for each in rules if each.severity != "error"),
            "allFindings": self._path.name,
            "rules": [each.as_json() for each in rules],
        }
        write_atomically(self._report, orjson.dumps(document, option=orjson.OPT_INDENT_2) + b"\n")
        if self._logs:
            self._log_the_rest(rules)

    def _log_the_rest(self, rules: Iterable[RuleCount]) -> None:
        for each in rules:
            if each.severity == "error" and each.count > LOGGED_PER_RULE:
                get_logger().error(
                    "%s: %s has %s in %s",
                    each.entity.capitalize(),
                    each.rule,
                    counted(each.count - LOGGED_PER_RULE, "further finding"),
                    self._path,
                    extra={"files_only": True},
                )


def rules_found(run: Run) -> list[RuleCount]:
    """The counts of findings_report.json, in their order; none where nothing was looked at."""
    path = run.workspace.report("findings")
    rules = orjson.loads(path.read_bytes())["rules"] if path.exists() else []
    return [RuleCount(**each) for each in rules]


def write_findings(run: Run) -> None:
    """Write both files once more, from what validation has listed and what is in quarantine since:
    the load refuses records too."""
    with FindingsTable(run.workspace, logs=False) as table:
        for finding, phase in _all_findings(run.workspace):
            table.add(finding, phase)
        table.publish(run)


def _all_findings(files: Workspace) -> Iterator[tuple[Finding, str]]:
    listed: set[tuple[str, str]] = set()
    path = files.validation_findings
    if path.exists():
        with storage_errors(path), path.open("rb") as handle:
            for line in handle:
                stored = orjson.loads(line)
                phase = stored.get("phase", "validate")
                listed.add((stored["entity"], phase))
                yield Finding.of_json(stored), phase
    for entity in ENTITY_NAMES:
        for refusal in read_quarantine(files.quarantine(entity)):
            if (entity, refusal.phase) not in listed:
                yield from ((finding, refusal.phase) for finding in refusal.findings)


def _row(finding: Finding, phase: str) -> tuple[str, ...]:
    return (
        finding.severity,
        finding.entity,
        finding.legacy_id,
        finding.table,
        finding.key,
        finding.column,
        finding.value,
        finding.rule,
        finding.message,
        because(finding.cause),
        phase,
    )


def _is_consequence(finding: Finding) -> bool:
    return finding.cause is not None and finding.cause.why in ("refused", "copied")


def _place(each: RuleCount) -> tuple[object, ...]:
    order = ENTITY_NAMES.index(each.entity) if each.entity in ENTITY_NAMES else 0
    return each.severity != "error", each.consequence, order, -each.count, each.rule


def _log(finding: Finding, phase: str) -> None:
    context = {name: text for name, text in finding.as_json().items() if isinstance(text, str)}
    context.pop("message")
    get_logger().error(
        "%s",
        finding.message,
        extra={
            "files_only": True,
            "context": {**context, "phase": phase, "because": because(finding.cause)},
        },
    )
