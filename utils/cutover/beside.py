"""A verification that leaves the migration's own reports, differences and manifest as they are."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from pathlib import Path

from utils.files.storage import make_directory
from utils.files.workspace import Workspace
from utils.run.run import Run


@dataclass(frozen=True)
class _Beside(Workspace):
    """The same files; what a verification writes is with S9 as it is read again, and goes with
    that."""

    @property
    def reports(self) -> Path:
        return self.from_source / "reports"

    def differences(self, entity: str) -> Path:
        return self.from_source / "differences" / f"{entity}.json"


def beside(run: Run) -> Run:
    """The same run, for a verification by S9 that is nobody's but the caller's."""
    files = _Beside(run.workspace.root)
    looking = Run(
        run.config,
        files,
        copy.deepcopy(run.manifest),
        run.progress,
        run.stop,
        known_files=run.known_files,
        keeps_manifest=False,
    )
    looking.workers = run.workers
    make_directory(files.reports)
    make_directory(files.differences("").parent)
    return looking
