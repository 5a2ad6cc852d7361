"""Deleting what a migration has left on disk: only files that the tool has written, known by their
places and names, and never through a symbolic link.

The data directory itself may be a link (somebody has put it on a larger disk); nothing below it
may. What is not known is left, and told.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import orjson

from utils.entities import ENTITY_NAMES
from utils.error_handler import ArtifactError, ConfigurationError, ExitCode
from utils.files.parts import is_of_parts
from utils.files.storage import storage_errors
from utils.files.workspace import Workspace
from utils.ownership import ownership_of
from utils.run.manifest import Manifest
from utils.wording.figures import counted
from utils.wording.invocation import RESUME, again, command

_HALF = r"(\.partial|\.tmp)?"
_RECORDS = rf"({'|'.join(ENTITY_NAMES)})(\.sums)?\.json(\.age)?{_HALF}"
_REPORTS = (
    rf"([a-z_]+_(report|findings|reconciliation)|findings|reconciliation|drift|cutover_acceptance)"
    rf"\.[a-z]+{_HALF}|plan\.json{_HALF}|(earlier_)?(report|plan)\.html{_HALF}"
    rf"|migration(_errors)?\.log(\.\d{{1,2}})?|spark\.(log|properties){_HALF}"
)
_PART = rf"part-\d{{5,}}-[0-9a-f]{{12}}\.json{_HALF}"
_UNDO = (
    rf"({'|'.join(ENTITY_NAMES)})\.(plan|requests|json|kept"
    rf"|(loaded|removed|staying|before(-journal)?)(\.age)?"
    rf"|steps(-journal|\.earlier)?(\.age)?){_HALF}|repair\.json(\.earlier)?{_HALF}"
)
_IMPORT = rf"({'|'.join(ENTITY_NAMES)})\.(json|objects){_HALF}"
_LAST_PASS = rf"({'|'.join(ENTITY_NAMES)})\.(transform|validate)\.[a-z]+{_HALF}"
_BACKUP = r"(?P<table>[A-Za-z0-9_.-]{3,255})-\d{8}-\d{6}(-\d+)?(\.partial)?"
_BACKUP_FILES = (
    rf"((backup|progress)\.json|keys\.bin|SHA256SUMS|items-\d+-\d+\.json(\.gz)?(\.age)?"
    rf"|keys-\d+-\d+){_HALF}"
)
REPORTS_KIND, SCRATCH_KIND = "reports and logs", "checkpoints and scratch files"
_UNDO_KIND = "what a rollback needs"
_CUTOVER = rf"cutover\.json{_HALF}"
_CLEANED = "its data were deleted by `clean`"


@dataclass(frozen=True)
class Room:
    """Files of one kind: those in `directory` whose names match; with `deep`, everything below
    it, which nobody but the tool uses."""

    kind: str
    directory: Path
    names: str = ".*"
    deep: bool = False

    def files(self) -> Iterator[Path]:
        """The files there are; no links, and nothing behind a link."""
        if self.directory.is_symlink() or not self.directory.is_dir():
            return
        for path in sorted(self.directory.iterdir()):
            if path.is_symlink():
                continue
            if path.is_file() and re.fullmatch(self.names, path.name):
                yield path
            elif path.is_dir() and self.deep:
                yield from Room(self.kind, path, deep=True).files()


@dataclass(frozen=True)
class Wish:
    """What is to go: `keep_reports` spares the reports and logs; `all_backups` takes also the
    backups that are not of the last run."""

    keep_reports: bool = False
    all_backups: bool = False


@dataclass
class Found:
    """What would be deleted, by kind; and afterwards what was."""

    files: dict[str, list[Path]] = field(default_factory=dict)
    bytes: dict[str, int] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.files)

    def lines(self) -> list[str]:
        """One line a kind, for people."""
        return [
            f"{kind}: {counted(len(paths), 'file')}, {counted(self.bytes[kind], 'byte')}"
            for kind, paths in self.files.items()
        ]


def look(files: Workspace, backups: Path, wish: Wish) -> Found:
    """Find what a wish is about in a data directory and in the directory of its backups."""
    found = Found()
    for room in rooms(files, backups, wish):
        paths = list(room.files()) if is_reached_plainly(room, files.root, backups) else []
        if paths:
            found.files.setdefault(room.kind, []).extend(paths)
            size = sum(path.stat().st_size for path in paths)
            found.bytes[room.kind] = found.bytes.get(room.kind, 0) + size
    return found


def is_reached_plainly(room: Room, *roots: Path) -> bool:
    """Whether no link is on the way from the root that a room is below of."""
    way = [room.directory, *room.directory.parents]
    root = next(root for root in roots if root in way)
    return not any(path.is_symlink() for path in way[: way.index(root)])


def rooms(files: Workspace, backups: Path, wish: Wish) -> Iterator[Room]:
    """Every place where the tool leaves files that may go. Who owns the data after the switch is
    said by the cut-over's file, which therefore stays then, as the manifest does."""
    stays = _CUTOVER if _is_switched(files) else ""
    yield from (room for room in data_rooms(files, wish) if room.names != stays)
    for name, inner in nested(files).items():
        yield from (replace(room, kind=name) for room in data_rooms(inner, wish))
        yield from (replace(room, kind=name) for room in _backup_rooms(inner.root / "backups"))
        yield Room(name, inner.root, r"manifest\.json(\.tmp)?|\.lock")
    manifest = None if wish.all_backups else Manifest.load(files.manifest)
    taken = manifest.backups.values() if manifest else ()
    own = {entry["name"] for entries in taken for entry in entries}
    for room in _backup_rooms(backups):
        folder = room.directory.relative_to(backups).parts[0]
        if wish.all_backups or folder.removesuffix(".partial") in own:
            yield room


def _is_switched(files: Workspace) -> bool:
    """Whether the Sale Module owns the data, or nobody can tell any more."""
    try:
        return ownership_of(files).is_switched
    except ArtifactError:
        return True


def nested(files: Workspace) -> dict[str, Workspace]:
    """The data directories inside a data directory: of the rehearsal, of S9 read again, and of
    the demonstration."""
    inner = {
        "the last rehearsal": files.dry_run,
        "S9 as it was read again to verify": files.from_source,
        "the demonstration": files.root / "demo",
    }
    return {
        kind: Workspace(root)
        for kind, root in inner.items()
        if root.is_dir() and not root.is_symlink()
    }


def data_rooms(files: Workspace, wish: Wish) -> Iterator[Room]:
    """Where the files of a data directory are that may go, but for backups and what is in data
    directories of its own."""
    for kind in ("extracted", "transformed", "quarantine"):
        yield Room(f"{kind} records", files.root / kind, _RECORDS)
        yield from _parts_in(f"{kind} records", files.root / kind)
    yield Room(
        SCRATCH_KIND,
        files.root,
        rf"\.checkpoint\.json{_HALF}|\.(journal|unnumbered)-[a-z_]+{_HALF}"
        rf"|\.(mask-key|made-for){_HALF}",
    )
    for directory in (files.scratch, *map(files.journal, ENTITY_NAMES)):
        yield Room(SCRATCH_KIND, directory, deep=True)
    yield Room(SCRATCH_KIND, files.following.parent, rf"following\.json{_HALF}|{_LAST_PASS}")
    yield from _parts_in(SCRATCH_KIND, files.following.parent)
    yield from _undo_rooms(files.undo)
    yield Room("what an import needs", files.root / "import", _IMPORT)
    for earlier in sorted(files.earlier.glob("*")):
        yield from _undo_rooms(earlier)
    for picture in sorted((files.undo / "pictures").glob("*")):
        yield Room(_UNDO_KIND, picture, _BACKUP_FILES)
    if not wish.keep_reports:
        yield Room(REPORTS_KIND, files.reports, _REPORTS)
        yield Room(REPORTS_KIND, files.root / "differences", _RECORDS)
        yield Room(REPORTS_KIND, files.root, rf"events\.jsonl{_HALF}")
        yield Room(REPORTS_KIND, files.root, _CUTOVER)


def _undo_rooms(directory: Path) -> Iterator[Room]:
    yield Room(_UNDO_KIND, directory, _UNDO)
    yield from _parts_in(_UNDO_KIND, directory)


def _parts_in(kind: str, directory: Path) -> Iterator[Room]:
    """Where the parts of artifacts in a directory are."""
    if directory.is_dir() and not directory.is_symlink():
        for path in sorted(directory.iterdir()):
            if is_of_parts(path):
                yield Room(kind, path, _PART)


def _backup_rooms(backups: Path) -> Iterator[Room]:
    if backups.is_dir():
        for folder in sorted(backups.iterdir()):
            if re.fullmatch(_BACKUP, folder.name):
                yield Room("backups", folder, _BACKUP_FILES)
                if not folder.is_symlink():
                    yield Room("backups", folder / "sorting", r"\d{3}")


def delete(files: Workspace, backups: Path, found: Found) -> None:
    """Delete what was found, and the directories that are empty then; only after that does the
    manifest, which keeps what every later run of this migration needs, forget it. So whoever is
    killed in between finds the rest by it, typed again.

    Raises StorageError for what cannot be deleted.
    """
    _remove(files, (path for paths in found.files.values() for path in paths))
    _forget(files, backups)


def remove_known(files: Workspace) -> None:
    """Delete whatever the tool has in a directory that it has made for itself, but for the lock,
    which whoever calls this holds, and the mark. Raises StorageError."""
    backups = files.root / "backups"
    found = look(files, backups, Wish(all_backups=True))
    paths = [path for paths in found.files.values() for path in paths if path != files.mark]
    _remove(files, [*paths, *Room("", files.root, r"manifest\.json(\.tmp)?").files()])


def remove_of_backup(folder: Path, keep: Collection[str] = ()) -> None:
    """Delete the files of a backup in its folder, but for those named. Raises StorageError."""
    for room in (Room("", folder / "sorting", r"\d{3}"), Room("", folder, _BACKUP_FILES)):
        for path in room.files():
            if path.name not in keep:
                with storage_errors(path):
                    path.unlink(missing_ok=True)
    with suppress(OSError):  # there is none, or it holds something else
        (folder / "sorting").rmdir()


def _remove(files: Workspace, paths: Iterable[Path]) -> None:
    emptied: set[Path] = set()
    for path in paths:
        with storage_errors(path):
            path.unlink(missing_ok=True)
        emptied.update(parent for parent in path.parents if files.root in parent.parents)
        emptied.add(path.parent)
    for directory in sorted(emptied - {files.root}, reverse=True):  # the deeper ones first
        with suppress(OSError):  # it holds something else
            directory.rmdir()


def _forget(files: Workspace, backups: Path) -> None:
    manifest = Manifest.load(files.manifest)
    if manifest is None:
        return
    replace(
        manifest.successor(),
        run_id=manifest.run_id,
        created_at=manifest.created_at,
        reached=manifest.reached,  # the same run may load again, and then stays with its tables
        stopped=_CLEANED,
        baseline=manifest.baseline,
        made_for=manifest.made_for,
        backups={
            table: left
            for table, taken in manifest.backups.items()
            if (left := [entry for entry in taken if _is_there(backups / entry["name"])])
        },
    ).save(files.manifest)


def _is_there(backup: Path) -> bool:
    """Whether anything is left of a backup, be it complete or cut short."""
    partial = backup.with_name(backup.name + ".partial")
    return any(folder.is_dir() and any(folder.iterdir()) for folder in (backup, partial))


def require_ended(files: Workspace) -> None:
    """Raise ConfigurationError when something is unfinished that would need what is deleted: a
    run, or its rollback. A run that was undone needs nothing any more."""
    manifest = Manifest.load(files.manifest)
    ends = (None, ExitCode.FAILED, ExitCode.INTERRUPTED)
    if manifest is None or manifest.rolled_back == "done":
        return
    given_up = f"or give it up: {again('--unfinished')}"
    if manifest.rolled_back:
        raise ConfigurationError(
            f"the load of run {manifest.undoes} in {files.root} is being undone, and that was cut "
            "short: it could no longer be finished",
            remedy=f"finish it: {command('rollback')}; {given_up}",
        )
    if manifest.begun and manifest.outcome in ends:
        raise ConfigurationError(
            f"run {manifest.run_id} in {files.root} is not finished "
            f"({manifest.stopped or 'it was killed'}): it could no longer be resumed",
            remedy=f"resume it: {command(RESUME)}; {given_up}",
        )


def left_in(*directories: Path) -> list[str]:
    """What there is in directories, for people: each file, link or number of files of a folder."""
    lines: list[str] = []
    for root in dict.fromkeys(directories):
        for path in sorted(root.iterdir()) if root.is_dir() else ():
            if path.is_symlink():
                lines.append(f"{path} (a symbolic link: it is not followed)")
            elif path.is_file():
                lines.append(str(path))
            elif count := sum(1 for _ in _below(path)):
                lines.append(f"{path}/: {counted(count, 'file')}")
    return lines


def left_in_s3(files: Workspace) -> list[str]:
    """What imports have put into S3 and not taken away again, with what removes it: a line each.
    Of a state that cannot be read nothing is known."""
    lines = []
    for path in map(files.import_state, ENTITY_NAMES):
        with suppress(OSError, ValueError, KeyError, TypeError):
            state = orjson.loads(path.read_bytes())
            if not state["removed"]:
                place = shlex.quote(f"s3://{state['bucket']}/{state['prefix']}")
                lines.append(f"{place} (remove it: aws s3 rm --recursive {place})")
    return lines


def _below(directory: Path) -> Iterator[str]:
    for _, _, names in os.walk(directory):  # which follows no links
        yield from names
