"""Directories that the tool has made for itself, and may therefore empty: those of a rehearsal, of
a demonstration, and of S9 as it was read again for a verification.

Such a directory is marked before anything else is put into it: data/dry-run/.made-for says what
for, with an id of its own, and which directory is meant by the numbers that the file system has for
it, so that a copy is not taken for it. The manifest says the same, and still does when `clean` has
taken the rest. Whatever is not marked is somebody's. What is deleted are files under names that
the tool gives, none of them through a link (utils/run/clean.py).
"""

from __future__ import annotations

import stat
import uuid
from contextlib import suppress
from typing import Any

import orjson

from utils.error_handler import ArtifactError, ConfigurationError
from utils.files.storage import require_plain, storage_errors, write_atomically
from utils.files.workspace import Workspace
from utils.run.clean import remove_known
from utils.run.lock import require_free
from utils.run.manifest import Manifest

REHEARSAL, DEMONSTRATION = "a rehearsal", "a demonstration"
SOURCE_AGAIN = "S9 as it was read again"
_OURS = {".lock", "extracted", "transformed", "quarantine", "reports", "undo", "backups"}


def require_ours(files: Workspace, kind: str) -> None:
    """Raise ConfigurationError unless the directory is one of `kind`, or empty, or not there yet;
    MigrationError when a run is at work there.

    Raises StorageError when a link is in the place of a directory that nobody has named.
    """
    if kind != DEMONSTRATION:
        require_plain(files.root, stat.S_ISDIR)
    require_free(files.lock)
    if _holds_something(files) and _marked_for(files) != kind:
        ways = {
            REHEARSAL: "move it away, or delete it: a rehearsal keeps its files there",
            SOURCE_AGAIN: "move it away, or delete it: a verification by S9 keeps its files there",
            DEMONSTRATION: "choose another --directory, or delete this one: the demonstration "
            "empties it first",
        }
        raise ConfigurationError(
            f"{files.root} holds something that does not belong to {kind}", remedy=ways[kind]
        )


def take(files: Workspace, kind: str) -> dict[str, Any]:
    """Mark a directory, which `require_ours` has let pass and whose lock is held, and delete what
    the tool has in it; returns the mark, for the manifest."""
    where = files.root.stat()
    mark = {"for": kind, "id": uuid.uuid4().hex, "device": where.st_dev, "inode": where.st_ino}
    write_atomically(files.mark, orjson.dumps(mark))
    remove_known(files)
    files.prepare()
    return mark


def require_unmarked(files: Workspace, *, touch: bool = True) -> None:
    """Raise ConfigurationError when a migration would have its files where they are deleted
    unasked. A mark that means nothing is removed, if that may `touch` the directory."""
    kind = _marked_for(files)
    if kind and _holds_something(files):
        raise ConfigurationError(
            f"{files.root} is the directory of {kind}, which the next one empties",
            remedy="give the migration its own data.directory",
        )
    if touch:
        with storage_errors(files.mark):
            files.mark.unlink(missing_ok=True)


def _holds_something(files: Workspace) -> bool:
    """Whether there is more than what the tool makes before it does anything."""
    if not files.root.is_dir():
        return files.root.exists()
    with storage_errors(files.root):
        return any(
            path.name not in _OURS or (path.is_dir() and any(path.iterdir()))
            for path in files.root.iterdir()
            if path != files.mark
        )


def _marked_for(files: Workspace) -> str:
    """What a directory has been made for; "" when it is not the tool's own."""
    return _meant(files, _mark_in_file(files)) or _meant(files, _mark_in_manifest(files))


def _meant(files: Workspace, mark: Any) -> str:
    if not isinstance(mark, dict) or not mark.get("id"):
        return ""
    with storage_errors(files.root):
        where = files.root.stat()
    same = (mark.get("device"), mark.get("inode")) == (where.st_dev, where.st_ino)
    return str(mark.get("for")) if same else ""


def _mark_in_file(files: Workspace) -> Any:
    if files.mark.is_symlink() or not files.mark.is_file():
        return None
    with storage_errors(files.mark), suppress(ValueError):
        return orjson.loads(files.mark.read_bytes())
    return None


def _mark_in_manifest(files: Workspace) -> Any:
    if files.manifest.is_symlink() or not files.manifest.is_file():
        return None
    with suppress(ArtifactError):
        manifest = Manifest.load(files.manifest)
        return manifest.made_for if manifest else None
    return None
