"""Every backup in a directory, and whether each is whole."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from load.backup.folder import BackupEntry, BackupFolder
from utils.error_handler import ArtifactError
from utils.files.storage import PARTIAL_SUFFIX
from utils.telemetry.tasks import Tasks
from utils.wording.figures import counted


@dataclass(frozen=True)
class Listed:
    """A backup, or what is left of one: `entry` is None when nothing can be said of it, and
    `problem` says what is wrong, "" for nothing."""

    name: str
    entry: BackupEntry | None
    problem: str

    @property
    def state(self) -> str:
        """When it was read back and found whole, or that it is not."""
        if self.name.endswith(PARTIAL_SUFFIX):
            return "UNFINISHED"
        if self.problem or self.entry is None:
            return "BROKEN"
        return self.entry.verified_at

    def row(self) -> list[object]:
        """The backup in a line of a table; None for what is not known."""
        if self.entry is None:
            return [self.name, None, None, None, None, None, self.state]
        return [
            self.name,
            self.entry.completed_at,
            self.entry.table,
            self.entry.items,
            size_in_words(self.entry.stored_bytes),
            "yes" if self.entry.encrypted else "no",
            self.state,
        ]


def listed(directory: Path, *, thorough: bool, progress: Tasks | None = None) -> list[Listed]:
    """The backups in a directory, oldest first of each table; `thorough`: every stored byte is
    read, which `progress` is told of, else only that the files are there in their full length."""
    folders = sorted(path for path in directory.glob("*-*-*") if path.is_dir())
    found = []
    tasks = progress or Tasks()
    with tasks.task("backups", "", len(folders), unit="backups", step="reading") as task:
        for path in folders:
            found.append(_look(path, thorough=thorough))
            task.advance()
    return found


def _look(path: Path, *, thorough: bool) -> Listed:
    try:
        folder = BackupFolder.open(path)
    except ArtifactError as error:
        return Listed(path.name, None, error.message)
    try:
        if thorough:
            folder.check()
        else:
            folder.check_presence()
    except ArtifactError as error:
        return Listed(path.name, folder.entry, error.message)
    return Listed(path.name, folder.entry, "")


def size_in_words(size: int) -> str:
    """A number of bytes for people: 12.3 MB."""
    value, units = float(size), ["bytes", "KB", "MB", "GB", "TB"]
    while value >= 1000 and len(units) > 1:
        value /= 1000
        units.pop(0)
    return f"{value:.1f} {units[0]}" if units[0] != "bytes" else counted(size, "byte")
