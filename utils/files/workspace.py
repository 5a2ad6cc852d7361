"""The data directory: every path below it is named here, once, and nowhere else.

How they are written is utils/files/storage.py's.
"""

from __future__ import annotations

import stat
from dataclasses import dataclass
from pathlib import Path

from utils.files.storage import make_directory, require_plain, storage_errors

_DIRECTORIES = (
    "extracted",
    "transformed",
    "quarantine",
    "reports",
    "differences",
    "from-source",
    "undo",
    "import",
    "sync",
    "backups",
    ".scratch",
)


@dataclass(frozen=True)
class Workspace:
    """The layout of one migration's files under `root`."""

    root: Path

    @property
    def manifest(self) -> Path:
        return self.root / "manifest.json"

    @property
    def checkpoint(self) -> Path:
        return self.root / ".checkpoint.json"

    @property
    def events(self) -> Path:
        """What the commands that have worked here have told (utils/telemetry/event_file.py)."""
        return self.root / "events.jsonl"

    @property
    def lock(self) -> Path:
        return self.root / ".lock"

    @property
    def cutover(self) -> Path:
        """How far the cut-over has come, and who owns the data (utils/cutover/state.py)."""
        return self.root / "cutover.json"

    @property
    def mask_key(self) -> Path:
        """What makes the masks of this directory's reports and logs its own."""
        return self.root / ".mask-key"

    @property
    def mark(self) -> Path:
        """That the tool has made this directory for itself, and may empty it
        (utils/run/own_directories.py)."""
        return self.root / ".made-for"

    @property
    def reports(self) -> Path:
        return self.root / "reports"

    @property
    def scratch(self) -> Path:
        """Where phases spill what does not fit in memory; emptied by whoever used it."""
        return self.root / ".scratch"

    def journal(self, entity: str) -> Path:
        """Where a validation under way has what it has found so far."""
        return self.root / f".journal-{entity}"

    def unnumbered(self, entity: str) -> Path:
        """A transform under way, before the numbering of its years is decided."""
        return self.root / f".unnumbered-{entity}"

    @property
    def dry_run(self) -> Path:
        """The root of the rehearsal's own workspace."""
        return self.root / "dry-run"

    def extracted(self, entity: str) -> Path:
        return self.root / "extracted" / f"{entity}.json"

    def source_sums(self, entity: str) -> Path:
        """What S9 itself adds up of an entity (utils/sums/source_sums.py)."""
        return self.root / "extracted" / f"{entity}.sums.json"

    def transformed(self, entity: str) -> Path:
        return self.root / "transformed" / f"{entity}.json"

    def quarantine(self, entity: str) -> Path:
        return self.root / "quarantine" / f"{entity}.json"

    def differences(self, entity: str) -> Path:
        """Every record that the last verification found otherwise than S9 has it
        (utils/differences.py)."""
        return self.root / "differences" / f"{entity}.json"

    @property
    def from_source(self) -> Path:
        """The root of the workspace in which S9 is read once more, to verify the target by it."""
        return self.root / "from-source"

    @property
    def undo(self) -> Path:
        """What a rollback needs to know of the last load."""
        return self.root / "undo"

    def plan(self, entity: str) -> Path:
        """How each line of a transformed file stands with the table (utils/files/line_marks.py)."""
        return self.undo / f"{entity}.plan"

    def before(self, entity: str) -> Path:
        """What the load has replaced (load/conflicts/replaced_items.py)."""
        return self.undo / f"{entity}.before"

    def load_state(self, entity: str) -> Path:
        """How far the load of an entity may have come (load/load_state.py)."""
        return self.undo / f"{entity}.json"

    def loaded(self, entity: str) -> Path:
        """The transformed file as it was loaded (load/undoable_loads.py)."""
        return self.undo / f"{entity}.loaded"

    def removed(self, entity: str) -> Path:
        """What we last wrote of the records that are to be migrated no more, whole."""
        return self.undo / f"{entity}.removed"

    def staying(self, entity: str) -> Path:
        """Those of them that are in the table all the same, as we last wrote them."""
        return self.undo / f"{entity}.staying"

    def changes(self, entity: str) -> Path:
        """What a sync has found to be new or different (load/sync/planning.py)."""
        return self.undo / f"{entity}.changes"

    @property
    def last_pass(self) -> Path:
        """What phases have kept for the next pass of a sync (utils/earlier/kept.py)."""
        return self.root / "sync"

    @property
    def following(self) -> Path:
        """How far the log of S9 is followed (utils/run/following.py)."""
        return self.root / "sync" / "following.json"

    def requests(self, entity: str) -> Path:
        """When and in which request what was written (load/history/request_log.py)."""
        return self.undo / f"{entity}.requests"

    def import_state(self, entity: str) -> Path:
        """How far the import of an entity's table has come (load/s3_import/import_state.py)."""
        return self.root / "import" / f"{entity}.json"

    def import_objects(self, entity: str) -> Path:
        """What of its file is in S3 (load/s3_import/object_log.py)."""
        return self.root / "import" / f"{entity}.objects"

    @property
    def repair_state(self) -> Path:
        """How far the last repair has come (load/undoable_repairs.py)."""
        return self.undo / "repair.json"

    def repair_steps(self, entity: str) -> Path:
        """What the last repair has done to an entity (load/conflicts/repair_journal.py)."""
        return self.undo / f"{entity}.steps"

    @property
    def earlier(self) -> Path:
        """The same of an earlier run's load, until another has written."""
        return self.undo / "earlier"

    @property
    def plan_report(self) -> Path:
        """What a rehearsal foretells."""
        return self.reports / "plan.json"

    @property
    def report_page(self) -> Path:
        """What people look at (utils/pages/report)."""
        return self.reports / "report.html"

    @property
    def plan_page(self) -> Path:
        """The same of a rehearsal."""
        return self.reports / "plan.html"

    def report(self, name: str) -> Path:
        return self.reports / f"{name}_report.json"

    @property
    def findings(self) -> Path:
        """The findings as a table (utils/findings/findings_table.py)."""
        return self.reports / "findings.csv"

    @property
    def reconciliation(self) -> Path:
        """What S9 and the target add up to, as a table (validate/reconciliation)."""
        return self.reports / "reconciliation.csv"

    @property
    def drift(self) -> Path:
        """In what S9 and the target differ, as a table (validate/drift)."""
        return self.reports / "drift.csv"

    @property
    def validation_findings(self) -> Path:
        """Every finding that a validation has to tell of, one a line."""
        return self.reports / "validation_findings.jsonl"

    def set_aside(self, *names: str) -> None:
        """These reports are of what was before: they stand under another name from now on, and
        never beside what is done now as if they were of it."""
        beside = {
            "findings": self.findings,
            "validation": self.validation_findings,
            "reconciliation": self.reconciliation,
        }
        paths = [self.report(name) for name in names]
        _set_aside(*paths, *(beside[name] for name in names if name in beside))

    def set_pages_aside(self) -> None:
        """The same of what people look at, which is made when a command ends."""
        _set_aside(self.report_page, self.plan_page)

    def evidence(self, run_id: str, number: int, suffix: str) -> Path:
        """An archive of a run (utils/evidence), the first, or one further `number`."""
        further = f"-{number}" if number > 1 else ""
        return self.root / "evidence" / f"evidence-{run_id}{further}{suffix}"

    @property
    def log(self) -> Path:
        return self.reports / "migration.log"

    @property
    def engine_log(self) -> Path:
        """What Spark's JVM writes, where that is the engine."""
        return self.reports / "spark.log"

    @property
    def error_log(self) -> Path:
        return self.reports / "migration_errors.log"

    def name_of(self, path: Path) -> str:
        """The name of a file in the manifest: its path relative to the root, with slashes."""
        return path.relative_to(self.root).as_posix()

    def prepare(self) -> None:
        """Create the directories; raise StorageError when that is not possible, or when something
        else is where the tool has its files. The root may be a link, nothing below it."""
        make_directory(self.root)
        for path in (
            self.manifest,
            self.checkpoint,
            self.events,
            self.cutover,
            self.lock,
            self.mask_key,
            self.mark,
        ):
            require_plain(path, stat.S_ISREG)
        for name in _DIRECTORIES:
            require_plain(self.root / name, stat.S_ISDIR)
        for name in ("extracted", "transformed", "quarantine", "reports"):
            make_directory(self.root / name)


def _set_aside(*paths: Path) -> None:
    for path in paths:
        with storage_errors(path):
            if path.exists() or path.is_symlink():
                path.replace(path.with_name(f"earlier_{path.name}"))
