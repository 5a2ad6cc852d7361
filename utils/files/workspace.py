"""The data directory: every path below it is named here, once, and nowhere else.

Directories are 0700 and files 0600 whatever the umask, because the files hold personal and
commercial data.
"""

from __future__ import annotations

import errno
import os
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from utils.error_handler import StorageError
from utils.wording.invocation import again

PARTIAL_SUFFIX = ".partial"
_DIRECTORIES = (
    "extracted",
    "transformed",
    "quarantine",
    "reports",
    "undo",
    "backups",
    ".scratch",
)
# What a file system answers that cannot make a rename durable by itself, as some network ones do.
_NO_SYNC = {errno.EINVAL, errno.EBADF, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP}


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
    def lock(self) -> Path:
        return self.root / ".lock"

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
        """What a validation under way has found so far."""
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

    def transformed(self, entity: str) -> Path:
        return self.root / "transformed" / f"{entity}.json"

    def quarantine(self, entity: str) -> Path:
        return self.root / "quarantine" / f"{entity}.json"

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

    @property
    def earlier(self) -> Path:
        """The same of an earlier run's load, until another has written."""
        return self.undo / "earlier"

    def report(self, name: str) -> Path:
        return self.reports / f"{name}_report.json"

    def set_aside(self, *names: str) -> None:
        """These reports are of what was before: they stand under another name from now on, and
        never beside what is done now as if they were of it."""
        for name in names:
            path = self.report(name)
            with storage_errors(path):
                if path.exists() or path.is_symlink():
                    path.replace(path.with_name(f"earlier_{path.name}"))

    @property
    def log(self) -> Path:
        return self.reports / "migration.log"

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
        for path in (self.manifest, self.checkpoint, self.lock, self.mask_key, self.mark):
            require_plain(path, stat.S_ISREG)
        for name in _DIRECTORIES:
            require_plain(self.root / name, stat.S_ISDIR)
        for name in ("extracted", "transformed", "quarantine", "reports"):
            make_directory(self.root / name)


def make_directory(path: Path) -> None:
    """Create `path` and its parents; what is made, and the directory itself, is 0700 whatever the
    umask."""
    with storage_errors(path):
        for directory in reversed((path, *path.parents)):
            if not directory.exists():
                directory.mkdir(exist_ok=True)
                directory.chmod(0o700)
        path.chmod(0o700)


def temporary_directory(parent: Path) -> Path:
    """A new directory below `parent` (which is made if need be); 0700 whatever the umask."""
    make_directory(parent)
    with storage_errors(parent):
        made = Path(tempfile.mkdtemp(dir=parent))
        made.chmod(0o700)
        return made


def open_private(path: Path, mode: str, *, buffering: int = 1 << 20) -> IO[bytes]:
    """Open a binary file that only its owner can read (0600 whatever the umask).

    `mode` is "wb" (new or emptied), "ab" (append) or "r+b" (go on in a file that exists);
    `buffering` is in bytes. Raises StorageError; also for what is no plain file: nothing is
    written through a link, and no pipe is waited for.
    """
    flags = {
        "wb": os.O_WRONLY | os.O_CREAT | os.O_TRUNC,
        "ab": os.O_WRONLY | os.O_CREAT | os.O_APPEND,
        "r+b": os.O_RDWR,
    }[mode]
    with storage_errors(path):
        return os.fdopen(open_plain(path, flags), mode, buffering=buffering)


def open_plain(path: Path, flags: int) -> int:
    """Open a plain file, made private; returns its descriptor. Raises OSError, StorageError for
    what is no plain file."""
    try:
        descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o600)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.EISDIR, errno.ENXIO):
            require_plain(path, stat.S_ISREG)
        raise
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise _in_the_way(path)
        os.fchmod(descriptor, 0o600)  # whatever the umask
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def require_plain(path: Path, is_kind: Callable[[int], bool] = stat.S_ISREG) -> None:
    """Raise StorageError when `path` is there, and a link or not what it must be: of `is_kind`,
    one of stat's S_IS…"""
    with storage_errors(path):
        try:
            mode = path.lstat().st_mode
        except FileNotFoundError:
            return
    if not is_kind(mode):
        raise _in_the_way(path)


def _in_the_way(path: Path) -> StorageError:
    kinds = {stat.S_IFLNK: "a symbolic link", stat.S_IFDIR: "a directory", stat.S_IFREG: "a file"}
    kind = kinds.get(stat.S_IFMT(path.lstat().st_mode), "something special")
    return StorageError(
        f"{path} is {kind}, and the tool has something of its own there",
        remedy="move it away (nothing in a data directory is read or written through a link); to "
        "have the files elsewhere, set data.directory or backup.directory",
    )


def write_temporary(directory: Path, data: bytes) -> Path:
    """Write a new file below `directory`, under a name of its own; returns its path. Raises
    StorageError."""
    with storage_errors(directory):
        handle, name = tempfile.mkstemp(dir=directory)
        os.fchmod(handle, 0o600)  # whatever the umask
        with os.fdopen(handle, "wb") as file:
            file.write(data)
    return Path(name)


def write_atomically(path: Path, data: bytes) -> None:
    """Replace `path` by `data`: temporary file, fsync, rename, fsync of the directory."""
    temporary = path.with_name(path.name + ".tmp")
    with storage_errors(path):
        with open_private(temporary, "wb") as handle:
            handle.write(data)
            handle.flush()
            os.fsync(handle.fileno())
        publish(temporary, path)


def publish(temporary: Path, path: Path) -> None:
    """Rename a finished, synced file to its final name and make the rename durable (where the file
    system can: the others are taken at their word, as databases do)."""
    temporary.replace(path)
    descriptor = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NO_SYNC:
            raise
    finally:
        os.close(descriptor)


@contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Turn what the file system refuses about `path` into a StorageError with a remedy."""
    try:
        yield
    except OSError as error:
        raise _storage_error(path, error) from error


def _storage_error(path: Path, error: OSError) -> StorageError:
    if error.errno in (errno.EMFILE, errno.ENFILE):
        return StorageError(
            f"too many files are open to use {path}",
            remedy="allow this process more open files (`ulimit -n 4096`), or set "
            f"migration.processes to 1; then: {again()}",
        )
    if error.errno == errno.EFBIG:
        return StorageError(
            f"{path} has become larger than this process or its disk allows",
            remedy="allow larger files (`ulimit -f unlimited`), or point data.directory at another "
            f"disk; then: {again()}",
        )
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StorageError(
            f"no space left on the disk while writing {path}",
            remedy="free some space, or move data.directory to a larger disk, then go on: "
            f"{again()} (what was complete is kept)",
        )
    return StorageError(
        f"cannot write {path}: {error.strerror}",
        remedy="check that data.directory exists on a writable disk and belongs to this user",
    )
