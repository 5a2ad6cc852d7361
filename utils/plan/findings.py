"""What the gate has found, as obstacles: a rule of an entity at a time, causes before what follows
from them (utils/findings/findings_table.py has that order)."""

from __future__ import annotations

from collections.abc import Iterator

from utils.entities import shape_of
from utils.error_handler import ExitCode
from utils.files.findings import Finding
from utils.findings.findings_table import rules_found
from utils.findings.findings_text import example
from utils.plan.verdict import Obstacle, Stage
from utils.run.run import Run
from utils.wording.figures import counted
from utils.wording.invocation import again, for_real


def obstacles_of_findings(run: Run) -> Iterator[Obstacle]:
    """The errors of data/reports/findings_report.json: records that are to be mended in S9."""
    passed = run.config.migration.continue_on_error
    for rank, group in enumerate(rules_found(run)):
        if group.severity != "error":
            continue
        shape = shape_of(group.entity)
        which = counted(group.records, shape.singular, shape.name)
        shown = Finding.of_json(group.example)
        left_out = shown.cause is not None and shown.cause.why == "not-selected"
        yield Obstacle(
            Stage.HELD_BACK if passed else Stage.VALIDATE,
            f"{which}: {group.rule}; for example {example(shown)}",
            _remedy(passed=passed, follows=group.consequence, left_out=left_out),
            ExitCode.QUARANTINED if passed else ExitCode.VALIDATION_FAILED,
            rank=rank,
            count=group.records,
        )


def _remedy(*, passed: bool, follows: bool, left_out: bool) -> str:
    if follows:
        return "goes away when the records that these name are mended"
    if left_out:
        return (
            "change the setting that is named, so that what these name is migrated as well; or "
            f"mend them in S9; then look again: {again()}"
        )
    if passed:
        return (
            f"mend them in S9, then look again: {again()}; or load without them, and mend them "
            f"afterwards: {for_real('retry-quarantine')}"
        )
    return (
        f"mend them in S9, then look again: {again()}; or set migration.continueOnError, which "
        "leaves them in quarantine and loads the others"
    )
