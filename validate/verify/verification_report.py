"""The outcome of a verification, and data/reports/verification_report.json."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from utils.files.storage import make_directory, write_atomically
from validate.compare.differences import KeyDifferences, LineDifferences, ReferenceFindings
from validate.compare_counts import Ledger
from validate.indexes.whole_indexes import WholeIndexes
from validate.patterns.pattern_result import NEXT_NUMBER, PatternResult
from validate.reconciliation.reconciliation import Reconciliation, totals_of


@dataclass(frozen=True)
class EntityResult:
    """Everything that was found about one entity."""

    entity: str
    ledger: Ledger
    keys: KeyDifferences
    indexes: WholeIndexes
    patterns: tuple[PatternResult, ...]
    reconciliation: Reconciliation | None = None

    @property
    def passed(self) -> bool:
        return not self.problems

    @property
    def problems(self) -> list[str]:
        """A sentence for each thing that is wrong."""
        found = [
            *self.ledger.problems,
            *self.keys.sentences(self.indexes.state.table),
            *self.indexes.problems,
            *(sentence for pattern in self.patterns for sentence in pattern.sentences()),
            *(self.reconciliation.problems if self.reconciliation else ()),
        ]
        return [f"{self.entity}: {sentence}" for sentence in found]


@dataclass(frozen=True)
class VerificationResult:
    """The outcome of the verify phase. `lines` are those of the entities that have lines (or other
    children), `references` those of all that name records, None when none of these was verified.
    `head` opens the report, `report` is its file. `read_units` are those that it took, by what was
    read (utils/dynamodb/read_units.py). `by_source`: S9 has been read again for it."""

    head: Mapping[str, Any]
    entities: Mapping[str, EntityResult]
    lines: Mapping[str, LineDifferences]
    references: ReferenceFindings | None
    report: Path
    read_units: Mapping[str, float]
    by_source: bool = False

    @property
    def passed(self) -> bool:
        return not self.problems

    def has_passed(self, entity: str) -> bool:
        """Whether all that was looked at of an entity is right."""
        return self.entities[entity].passed and not self._wrong_beside(entity)

    def _wrong_beside(self, entity: str) -> int:
        """How much of an entity is wrong beside its own items: its lines, and what it names."""
        lines = entity in self.lines and not self.lines[entity].passed
        return lines + bool(self.references and self.references.lost[entity])

    def figures(self, entity: str) -> dict[str, Any]:
        """What the end of the run is told of an entity (utils/cli/summary.py): how many items are
        of which kind, and how many things are wrong that are no matter of single items."""
        result = self.entities[entity]
        keys = result.keys
        apart = len(result.ledger.problems) + len(result.indexes.problems)
        apart += sum(bool(pattern.failures) for pattern in result.patterns)
        apart += self._wrong_beside(entity)
        apart += result.reconciliation.apart if result.reconciliation else 0
        wrong_numbers = any(each.name == NEXT_NUMBER and each.failures for each in result.patterns)
        return {
            "missing": keys.missing.count,
            "different": keys.different.count,
            "onlyInTarget": dict(keys.only_in_target),
            "changedSince": keys.changed.count,
            "changedInSource": keys.behind.count,
            "foreign": keys.foreign,
            "keptAbsent": keys.kept_absent,
            "otherProblems": apart,
            **({"wrongNumbers": 1} if wrong_numbers else {}),
        }

    @property
    def problems(self) -> list[str]:
        """A sentence for each thing that is wrong, for the screen; none when it passed."""
        return [
            *(problem for result in self.entities.values() for problem in result.problems),
            *(f"{name}: {s}" for name, lines in self.lines.items() for s in lines.sentences(name)),
            *(
                f"{name}: {s}"
                for name in self.entities
                if self.references
                for s in self.references.sentences(name)
            ),
        ]

    @property
    def problems_of_tables(self) -> list[str]:
        """Those of them that are no matter of single items."""
        single = {
            f"{name}: {sentence}"
            for name, each in self.entities.items()
            for sentence in each.keys.sentences(each.indexes.state.table)
        }
        return [problem for problem in self.problems if problem not in single]

    @property
    def totals(self) -> list[str]:
        """What is reconciled in money, a line for each entity."""
        found = (each.reconciliation for each in self.entities.values())
        return [totals_of(each) for each in found if each]

    def as_json(self) -> dict[str, Any]:
        results = self.entities.items()
        return {
            "passed": self.passed,
            "comparedWith": "source" if self.by_source else "files",
            **self.head,
            "problems": self.problems,
            "counts": {name: result.ledger.as_json() for name, result in results},
            "keys": {name: result.keys.as_json() for name, result in results},
            "references": self.references.as_json() if self.references else None,
            "lines": self._all_lines(),
            "indexes": {name: result.indexes.as_json() for name, result in results},
            "accessPatterns": [p.as_json() for _, result in results for p in result.patterns],
            "readUnits": {**self.read_units, "total": sum(self.read_units.values())},
        }

    def _all_lines(self) -> dict[str, Any] | None:
        if not self.lines:
            return None
        together = LineDifferences()
        for lines in self.lines.values():
            together.extend(lines)
        return together.as_json()

    def write(self) -> None:
        """Write the report to its file."""
        make_directory(self.report.parent)
        text = orjson.dumps(self.as_json(), option=orjson.OPT_INDENT_2)
        write_atomically(self.report, text + b"\n")
