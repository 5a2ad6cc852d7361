"""What the gate has found, as obstacles: a rule of an entity at a time, causes before what follows
from them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import orjson

from utils.entities import ENTITY_NAMES, shape_of
from utils.error_handler import ExitCode
from utils.plan.verdict import Obstacle, Stage
from utils.run.run import Run
from utils.wording.figures import counted
from utils.wording.invocation import again, for_real

_FOLLOWS = "reference"  # of what is refused: it names a record that is


@dataclass
class _Group:
    """The findings of one rule in one entity."""

    entity: str
    rule: str
    records: set[str] = field(default_factory=set)
    example: dict[str, Any] = field(default_factory=dict)

    @property
    def rank(self) -> int:
        """Parties before sales, and the causes of each before what follows from them."""
        return (self.rule == _FOLLOWS) * len(ENTITY_NAMES) + ENTITY_NAMES.index(self.entity)


def obstacles_of_findings(run: Run) -> Iterator[Obstacle]:
    """The errors of data/reports/validation_report.json: records that are to be mended in S9."""
    path = run.workspace.report("validation")
    if not path.exists():
        return
    report = orjson.loads(path.read_bytes())
    for group in _groups(report["findings"]):
        shape = shape_of(group.entity)
        which = f"{shape.singular} {group.example['legacyId']}"
        meaning = report["meanings"].get(group.rule, "")
        more = f" ({meaning})" if meaning else ""
        what = (
            f"{counted(len(group.records), shape.singular, shape.name)}: {group.rule}{more}; "
            f"for example {which}: {group.example['field']}: {group.example['message']}"
        )
        yield Obstacle(
            Stage.HELD_BACK if report["passed"] else Stage.VALIDATE,
            what,
            _remedy(passed=report["passed"], follows=group.rule == _FOLLOWS),
            ExitCode.QUARANTINED if report["passed"] else ExitCode.VALIDATION_FAILED,
            rank=group.rank,
            count=len(group.records),
        )


def _groups(findings: list[dict[str, Any]]) -> list[_Group]:
    groups: dict[tuple[str, str], _Group] = {}
    for each in findings:
        if each["severity"] == "error":
            key = each["entity"], each["rule"]
            group = groups.setdefault(key, _Group(*key, example=each))
            group.records.add(each["legacyId"])
    return sorted(groups.values(), key=lambda group: (group.rank, -len(group.records)))


def _remedy(*, passed: bool, follows: bool) -> str:
    if follows:
        return "goes away when the records that these name are mended"
    if passed:
        return (
            f"mend them in S9, then look again: {again()}; or load without them, and mend them "
            f"afterwards: {for_real('retry-quarantine')}"
        )
    return (
        f"mend them in S9, then look again: {again()}; or set migration.continueOnError, which "
        "leaves them in quarantine and loads the others"
    )
