"""The backups of a run: no load starts before its table is backed up and read back.

The manifest lists them under `backups`, for each table the backups of this run from first to
last: {"name", "complete", "at", "items", "sha256", "pointInTimeRecovery"?, "native"?}, or
{"name": "", "complete": true, "at"} for a load without one. The first is from before the run's
first write to the table. A resumed load keeps the backup that there is; one that starts over takes
another.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from load.backup.aws_recovery import secure
from load.backup.engine import back_up, is_stale, new_name
from load.backup.folder import BackupFolder
from load.load_settings import settings
from load.load_state import LoadState
from utils.error_handler import ArtifactError
from utils.files.artifacts import utc_now
from utils.logger import IN_THE_FILES, get_logger
from utils.run.run import Run
from utils.wording.figures import counted


def back_up_before_load(run: Run, entities: Sequence[str]) -> None:
    """Back up the tables of `entities`, each once, unless the settings say no.

    Raises what `back_up` and `secure` raise, and ArtifactError when a load is to go on without
    the backup that it was begun with.
    """
    tables = list(dict.fromkeys(map(run.config.target.table, entities)))
    if not tables:
        return
    if not (run.config.migration.backup_before_load and run.config.backup.enabled):
        _go_without(run, tables)
        return
    anew = {run.config.target.table(name) for name in entities if begun_anew(run, name)}
    for table in tables:
        known = run.manifest.backups.setdefault(table, [])
        goes_on = run.resuming and table not in anew
        if goes_on and known and known[-1]["complete"] and known[-1]["name"]:
            _open(run, known[-1]).check_presence()
        else:
            _back_up(run, table, known)


def begun_anew(run: Run, entity: str) -> bool:
    """Whether this run has loaded something already, and does not resume that load: what is
    in the table now is in no backup then."""
    state = LoadState.load(run.workspace.load_state(entity))
    return (
        state is not None
        and state.run_id == run.manifest.baseline
        and not state.is_of(run, entity, settings(run, entity))
    )


def first_backup(run: Run, table: str) -> BackupFolder | None:
    """The backup from before this run's first write to a table, None when there is none.

    Raises ArtifactError when it is recorded and no longer there, or not what is recorded.
    """
    return _at(run, table, 0)


def last_backup(run: Run, table: str) -> BackupFolder | None:
    """The backup from before this run's latest load of a table that was begun anew, None when
    there is none. Raises as `first_backup` does."""
    return _at(run, table, -1)


def _at(run: Run, table: str, place: int) -> BackupFolder | None:
    known = [entry for entry in run.manifest.backups.get(table, ()) if entry["complete"]]
    return _open(run, known[place]) if known and known[place]["name"] else None


def _go_without(run: Run, tables: Sequence[str]) -> None:
    get_logger().warning(
        "No backup of %s (migration.backupBeforeLoad or backup.enabled is off): there will be no "
        "backup of what this load replaces",
        ", ".join(tables),
    )
    for table in tables:
        known = run.manifest.backups.setdefault(table, [])
        known.append({"name": "", "complete": True, "at": utc_now()})
    run.save()


def _back_up(run: Run, table: str, known: list[dict[str, Any]]) -> None:
    """Begin a backup, or resume the one that was cut short; what is recorded is durable."""
    if not known or known[-1]["complete"]:
        known.append({"name": new_name(run.config, table), "complete": False})
        run.save()
    elif is_stale(run.config, known[-1]["name"]):
        known[-1]["name"] = new_name(run.config, table)
        run.save()
    entry = known[-1]
    folder = back_up(run, table, entry["name"])
    entry.update(secure(run.config, table, entry["name"], run.stop.sleep))
    entry.update(at=utc_now(), items=folder.entry.items, sha256=folder.sha256, complete=True)
    run.save()
    items = counted(entry["items"], "item")
    get_logger().info("Backed up %s of %s in %s", items, table, folder.path, extra=IN_THE_FILES)


def _open(run: Run, entry: dict[str, Any]) -> BackupFolder:
    path = Path(run.config.backups) / entry["name"]
    remedy = (
        "put it back; or, to load without a backup to return to, set migration.backupBeforeLoad "
        f"to false: {run.command('--resume')}"
    )
    if not path.is_dir():
        raise ArtifactError(f"the backup {path} of this run is missing", remedy=remedy)
    folder = BackupFolder.open(path)
    if folder.sha256 != entry["sha256"]:
        raise ArtifactError(f"{path} is not the backup that this run made", remedy=remedy)
    return folder
