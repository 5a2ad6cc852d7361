"""How a run is summed up on the screen: the ledger as a table, and the last line."""

from __future__ import annotations

from typing import Any

from utils.config import ENTITY_NAMES, PHASE_NAMES
from utils.error_handler import ExitCode
from utils.invocation import for_real
from utils.run import Run
from utils.screen import table


def after_run(run: Run, code: ExitCode) -> str:
    """The ledger, where the reports are, and the last line: what happened, what to type next."""
    return _closing(run, _last_line(run, code))


def after_rehearsal(run: Run, code: ExitCode) -> str:
    """The same for a dry run."""
    if code in (ExitCode.FAILED, ExitCode.VALIDATION_FAILED):
        return _closing(run, _last_line(run, code))
    held = ", without the records in quarantine" if code is ExitCode.QUARANTINED else ""
    return _closing(
        run,
        f"Rehearsed: nothing was written to the target. It can be done{held}: {for_real('--full')}",
    )


def after_phase(run: Run, code: ExitCode, phase: str) -> str:
    """The same for a phase by hand."""
    stopped = (ExitCode.FAILED, ExitCode.VALIDATION_FAILED, ExitCode.VERIFICATION_FAILED)
    if code in stopped or phase == "verify":
        return _closing(run, _last_line(run, code))
    after = PHASE_NAMES[PHASE_NAMES.index(phase) + 1]
    return _closing(
        run, f"Phase {phase} is done; the next is {after}: {run.command(f'--phase {after}')}"
    )


def _closing(run: Run, last_line: str) -> str:
    return f"\n{summary(run)}\n\nReports are in {run.workspace.reports}\n{last_line}"


def _last_line(run: Run, code: ExitCode) -> str:
    again = run.command("--full")
    retry = run.command("retry-quarantine")
    kept = sum(
        entry.result.get("kept", 0) for entry in run.manifest.phases.get("load", {}).values()
    )
    stays = f" ({kept:,} items stay as the tables have them)" if kept else ""
    lines = {
        ExitCode.FAILED: f"Not everything was migrated: {run.manifest.stopped}. Mend the cause, "
        f"then go on: {run.command('--resume')}",
        ExitCode.DONE: f"Done: every record arrived{stays}.",
        ExitCode.QUARANTINED: f"Done: every record arrived{stays} but those in "
        f"{run.workspace.root / 'quarantine'}; mend them in S9, then: {retry}",
        ExitCode.VALIDATION_FAILED: "Stopped before anything was written: validation found "
        f"errors (see validation_report.json). Mend them in S9 and run again: {again}; or set "
        "migration.continueOnError, which puts these records into quarantine",
        ExitCode.VERIFICATION_FAILED: "The target differs from what was sent (see "
        f"verification_report.json). Load again: {run.command('--phase load')}",
    }
    return lines[code]


def summary(run: Run) -> str:
    """One row an entity: the stations of the ledger."""
    header = [
        "",
        "in S9",
        "extracted",
        "quarantined",
        "transformed",
        "warnings",
        "loaded items",
        "in target",
    ]
    return table(header, [[name.capitalize(), *stations(run, name)] for name in ENTITY_NAMES])


def stations(run: Run, entity: str) -> list[int | None]:
    """The figures of one entity, None where the run has not been."""
    manifest = run.manifest

    def result(phase: str) -> dict[str, Any]:
        entry = manifest.phase(phase, entity)
        return entry.result if entry else {}

    def records(kind: str) -> int | None:
        entry = manifest.artifacts.get(f"{kind}/{entity}.json")
        return entry.records if entry else None

    return [
        result("extract").get("source", {}).get("records"),
        records("extracted"),
        records("quarantine"),
        records("transformed"),
        result("validate").get("warnings"),
        result("load").get("items"),
        result("verify").get("items"),
    ]
