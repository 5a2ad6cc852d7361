"""What a repair has done, in sentences (utils/cli/closings.py has the words): they stand above the
last line of the verification after it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from utils.cli.closings import said
from utils.run.run import Run
from utils.wording.figures import counted
from utils.wording.invocation import command, in_earnest

# Why a record is left, in words, with what makes it right.
_WHY = {
    "changed": "on which the application has worked, and which stay its own",
    "inUse": "that another record names",
    "changedInSource": "that S9 has changed since the load: load them with a new run",
    "keptByLoad": "that the load has kept as they were",
    "inQuarantine": "that are in quarantine",
    "refused": "that DynamoDB does not take",
    "tooManyAttributes": "with more attributes than a condition can compare",
}


class Done(Protocol):
    """What a repair has done or would do (load/repair/report.py)."""

    @property
    def records(self) -> int: ...
    @property
    def left(self) -> Mapping[str, int]: ...
    def items(self, what: str) -> int: ...


def notes_on(run: Run, done: Done | None, *, writes: bool) -> list[str]:
    """What is to be said of a repair; None: there was nothing to repair."""
    if done is None:
        return [said("nothing-to-repair")]
    report = run.workspace.report("repair" if writes else "repair_plan")
    figures = {
        "records": done.records,
        "created": done.items("created"),
        "replaced": done.items("replaced"),
        "taken": done.items("takenAway"),
        "report": report.name,
    }
    if not writes:
        notes = [said("repair-foreseen", **figures, repair=in_earnest())]
    elif done.records:
        notes = [said("repaired", **figures, undo=command("rollback --repair"))]
    else:
        notes = [said("repaired-nothing", **figures)]
    if done.left:
        why = "; ".join(
            f"{counted(count, 'record')} {_WHY[reason]}"
            for reason, count in sorted(done.left.items())
        )
        notes.append(said("repair-left", why=why, report=report.name))
    return notes
