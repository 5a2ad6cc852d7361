"""The gate before the load: every record is asked for its schema, DynamoDB's limits, agreement
within itself, the records that it names, duplicates, and the business rules.

Parties come before sales, because a refused party refuses the sales that name it. Without
`migration.continueOnError` nothing is changed, whatever is found; with it refused records move to
quarantine, and what remains may be loaded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from logging import ERROR, INFO, WARNING
from pathlib import Path
from typing import Any

from utils.earlier.kept import Keeping
from utils.entities import ENTITY_NAMES, dependents_of, shape_of
from utils.files.artifacts import utc_now
from utils.files.spill import Scratch
from utils.findings.findings_text import said_of
from utils.logger import get_logger
from utils.run.manifest import PhaseEntry
from utils.run.run import COMPLETE, FAILED, Run, settings_digest
from utils.wording.figures import counted
from validate.gate.entity_gate import EntityGate
from validate.gate.parts import Hands, remove_parts
from validate.gate.references import Keys, KeysPass, MigratedRecords
from validate.gate.removal import PHASE
from validate.gate.validation_report import EntityCount, ValidationReport


@dataclass(frozen=True)
class ValidationResult:
    """The gate's verdict. `passed`: what the transformed files now hold may be loaded.

    The counts are of findings, those of records in quarantine among them; `quarantined` counts the
    records that this validation has moved there.
    """

    passed: bool
    error_count: int
    warning_count: int
    quarantined: int
    report: Path


def settings(run: Run) -> str:
    """The digest of every setting that shapes the verdict."""
    return settings_digest(run.config.validation, run.config.migration.continue_on_error)


def validate(
    run: Run,
    entities: Sequence[str] = ENTITY_NAMES,
    *,
    keeps: bool = False,
    builds_on_last: bool = False,
) -> ValidationResult:
    """Check the transformed files of `entities` and write data/reports/validation_report.json.

    What a record names is looked up among the transformed records, also those of entities that
    are not asked for. What has passed is kept for the next pass, if it `keeps` it; what has passed
    the last one, if that is to be built upon, is not asked again what is its own. Raises
    ArtifactError when a file is not what the transform wrote.
    """
    asked = [name for name in ENTITY_NAMES if name in entities]
    run.settle()
    _forget(run, asked)
    migrated = MigratedRecords()
    moved: dict[str, int] = {}
    further: dict[str, Mapping[str, Any]] = {}
    with ValidationReport(run.workspace) as report, Scratch(run.workspace.scratch) as scratch:
        for entity in asked:
            if run.config.validation.validate_references:
                others = [name for name in shape_of(entity).needs if name not in asked]
                _read_others(run, migrated, others, scratch)
            keeping = Keeping(run, PHASE, entity, settings(run)) if keeps else None
            gate = EntityGate(run, entity, migrated, report, keeping, builds_on_last=builds_on_last)
            moved[entity] = gate.check()
            if gate.held:
                further[entity] = {"heldNumbers": gate.held}
            if moved[entity]:
                _forget(run, dependents_of(entity))  # what was said of them leaned on these records
            run.leave(PHASE, entity)
        passed = run.config.migration.continue_on_error or not report.error_count
        path = report.write(run, passed=passed)
        # Not before: where there is a verdict, a resumed run does not ask for a report once more.
        counts = {entity: (report.of(entity), moved[entity]) for entity in asked}
        _record(run, counts, further)
        for entity in asked:
            remove_parts(run, entity)
        result = ValidationResult(
            passed, report.error_count, report.warning_count, sum(moved.values()), path
        )
        found = said_of(report.table.rules(), run.workspace.findings)
    _tell(result, found)
    return result


def _forget(run: Run, entities: Sequence[str]) -> None:
    """No old verdict may outlive a validation that is interrupted."""
    for entity in entities:
        run.manifest.forget(PHASE, entity)
    run.save()


def _read_others(
    run: Run, migrated: MigratedRecords, entities: Sequence[str], scratch: Path
) -> None:
    for entity in entities:
        if migrated.knows(entity):
            continue
        path = run.workspace.transformed(entity)
        hands = Hands(run, run.artifact(path, written_by="transform"))
        with run.progress.task(PHASE, entity, None, step="reading keys"):
            parts = list(enumerate(hands.parts()))
            found = dict(hands.each(KeysPass(path, entity, scratch), parts))
            migrated.add(entity, (Keys(found[number]) for number, _ in parts))
        migrated.read_refused(entity, run.workspace.quarantine(entity))


def _record(
    run: Run,
    counts: Mapping[str, tuple[EntityCount, int]],
    further: Mapping[str, Mapping[str, Any]],
) -> None:
    """Record the verdict on each entity, from its counts and how many of its records have been
    moved to quarantine, and what `further` there is to say of it. Only one that lets the entity
    pass names the file, because the load asks for just that."""
    for entity, (count, moved) in counts.items():
        failed = count.errors and not run.config.migration.continue_on_error
        entry = PhaseEntry(
            status=FAILED if failed else COMPLETE,
            at=utc_now(),
            inputs={} if failed else run.sha_of(run.workspace.transformed(entity)),
            settings=settings(run),
            result={
                "errors": count.errors,
                "warnings": count.warnings,
                "quarantined": moved,
                **further.get(entity, {}),
            },
        )
        run.manifest.record(PHASE, entity, entry)
    run.save()


def _tell(result: ValidationResult, found: str) -> None:
    """What was found, and what has become of the records that have errors."""
    if found:
        level = INFO if not result.error_count else WARNING if result.passed else ERROR
        for line in found.splitlines():
            get_logger().log(level, "%s", line)
    if result.quarantined:
        get_logger().warning(
            "%s moved to quarantine; the reasons are there and in %s",
            counted(result.quarantined, "record with errors was", "records with errors were"),
            result.report,
        )
