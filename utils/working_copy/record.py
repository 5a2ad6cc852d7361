"""What a working copy knows of itself: .working-copy.json says of which place in S3 it is the copy,
and what of that is known to be in it."""

from __future__ import annotations

import uuid
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import orjson

from utils.error_handler import ConfigurationError
from utils.files.known_files import FileStamp
from utils.files.storage import storage_errors, write_atomically
from utils.settings.typed_json import fits

RECORD = ".working-copy.json"
_VERSION = 1
_NOT_MINE = {RECORD, ".lock", "reports", "extracted", "transformed", "quarantine", ".push"}


@dataclass(frozen=True)
class Seen:
    """A file as it was when it had this SHA-256: what it looked like, or () where a later change
    could have been missed."""

    sha256: str
    stamp: list[int] = field(default_factory=list)


@dataclass
class Record:
    """The working copy `copy` of `place`; its index was of `generation` when the two were the same
    last. What is `whole` has every file of it. `files` are those that are known. While only looked
    at, `elsewhere` says which other machine is at work on the place."""

    root: Path
    place: str
    copy: str = field(default_factory=lambda: uuid.uuid4().hex)
    generation: int = 0
    whole: bool = False
    files: dict[str, Seen] = field(default_factory=dict)
    elsewhere: str = ""

    @classmethod
    def open(cls, root: Path, place: str) -> Record:
        """The record of a working copy, a new one where there is nothing. Raises ConfigurationError
        for a directory that is something else: of another place, or a migration's own."""
        known = read(root)
        if known is None:
            _require_empty(root, place)
            return cls(root, place)
        if known.place != place:
            raise ConfigurationError(
                f"{root} is the working copy of {known.place}, not of {place}",
                remedy="give this migration a data.workingCopy of its own, or correct "
                "data.directory",
            )
        return known

    def save(self) -> None:
        """Write it durably. Raises StorageError."""
        document = {"version": _VERSION, **asdict(replace(self, root=Path()))}
        del document["root"]
        write_atomically(self.root / RECORD, orjson.dumps(document))

    def knows(self, path: Path, name: str, sha256: str) -> bool:
        """Whether a file is known to have this SHA-256, without being read."""
        seen = self.files.get(name)
        return seen is not None and seen.sha256 == sha256 and seen.stamp == list(FileStamp.of(path))

    def note(self, name: str, sha256: str, stamp: FileStamp | None) -> None:
        """A file that looks like this has this SHA-256; None: it may look so, and have another."""
        self.files[name] = Seen(sha256, list(stamp or ()))


def read(root: Path) -> Record | None:
    """The record of a directory; None where it is no working copy. One that cannot be read says
    nothing of the files, which are got anew then. Raises ConfigurationError, StorageError."""
    path = root / RECORD
    if not path.is_file():
        return None
    with storage_errors(path):
        text = path.read_bytes()
    try:
        document = orjson.loads(text)
        if document.pop("version") != _VERSION:
            raise ValueError("version")
        files = {name: Seen(**seen) for name, seen in document.pop("files").items()}
        record = Record(root, **document, files=files)
        if not fits(record, Record):
            raise ValueError("type")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigurationError(
            f"{path} is damaged: it cannot be told which place in S3 is kept in {root}",
            remedy=f"move {root} away: its files are got from S3 again",
        ) from error
    return record


def _require_empty(root: Path, place: str) -> None:
    with storage_errors(root):
        found = [
            path
            for path in (root.iterdir() if root.is_dir() else ())
            if path.name not in _NOT_MINE or (path.is_dir() and any(path.iterdir()))
        ]
    if found:
        raise ConfigurationError(
            f"{root} is to be the working copy of {place}, and holds other files ({found[0].name})",
            remedy="name an empty directory, or one that is not there yet, as data.workingCopy",
        )


def require_no_working_copy(root: Path) -> None:
    """Raise ConfigurationError where a migration is to keep its files in the working copy of a
    place in S3: what it writes would not get there."""
    if (root / RECORD).is_file():
        known = read(root)
        place = known.place if known else "a place in S3"
        raise ConfigurationError(
            f"{root} is the working copy of {place}",
            remedy=f"set data.directory to {place}, or to another directory",
        )


def at_work_elsewhere(root: Path) -> str:
    """Where a directory is a working copy, and another machine was at work on its place when that
    was looked at: that in words, for the end of a sentence; "" otherwise."""
    known = read(root)
    if known is None or not known.elsewhere:
        return ""
    return f"is at work on {known.place} ({known.elsewhere})"
