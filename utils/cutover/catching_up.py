"""What a sync says for the cut-over: how long it took, and how much it has found."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson

from utils.config import Config
from utils.cutover.ways import CaughtUp
from utils.error_handler import ExitCode
from utils.files.artifacts import sha256_of
from utils.files.storage import storage_errors
from utils.files.workspace import Workspace
from utils.run.manifest import Manifest
from utils.run.run import Run

_PASS = "comparing pass"
_LOG = "S9's log"
_CHANGES, _TAKEN_AWAY = ("new", "changed"), ("deleted", "softDeleted")
_REPORTS = ("sync", "load", "removed", "conflicts", "validation", "mapping")


def caught_up(run: Run, code: ExitCode, seconds: float) -> CaughtUp:
    """What a pass has done, by its reports. Raises StorageError."""
    files, manifest = run.workspace, run.manifest
    return _found(_PASS, files, files, manifest, code, seconds)


def followed(run: Run, code: ExitCode, seconds: float, changes: int, fence: str) -> CaughtUp:
    """What following S9's log has done, up to the mark `fence` in it: with so many records. Raises
    StorageError."""
    files, manifest = run.workspace, run.manifest
    found = _found(_LOG, files, files, manifest, code, seconds)
    return replace(found, changes=changes, fence=fence)


def foreseen(config: Config, code: ExitCode, seconds: float) -> CaughtUp:
    """What a pass would do, as a rehearsal has found. Raises StorageError and ArtifactError."""
    files = Workspace(Path(config.data.directory))
    manifest = Manifest.load(files.dry_run / "manifest.json") or Manifest.new()
    return _found(f"{_PASS}, rehearsed", Workspace(files.dry_run), files, manifest, code, seconds)


def _found(
    how: str, made: Workspace, files: Workspace, manifest: Manifest, code: ExitCode, seconds: float
) -> CaughtUp:
    """`made` is where the reports are, `files` the data directory by which they are named."""
    paths = [path for path in map(made.report, _REPORTS) if path.is_file()]
    with storage_errors(made.reports):
        reports = {files.name_of(path): sha256_of(path) for path in paths}
    moment = str(manifest.snapshot.get("takenAt", ""))
    return CaughtUp(how, manifest.run_id, moment, seconds, _changes(made), code, reports)


def _changes(made: Workspace) -> int:
    """How many records were brought over, or taken away; 0 where the pass has not come so far.
    What is kept as it is, is so in every pass."""
    path = made.report("sync")
    with storage_errors(path):
        document: dict[str, Any] = orjson.loads(path.read_bytes()) if path.is_file() else {}
    entities = document.get("entities", {}).values()
    written = sum(int(each[name]) for each in entities for name in _CHANGES)
    away = [each["takenAway"] or {} for each in entities]
    return written + sum(int(each.get(name, 0)) for each in away for name in _TAKEN_AWAY)
