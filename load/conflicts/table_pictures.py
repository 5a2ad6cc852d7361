"""Pictures of a table: what it held before a run's first write, and before the load at hand.

A picture is a backup's key index (load/backup/key_index.py). Where no backup is made, the survey
reads the table as a backup does and keeps the index only.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from hashlib import blake2b
from pathlib import Path

from load.backup.before_load import first_backup, last_backup
from load.backup.engine import back_up, new_name
from load.backup.folder import BackupFolder
from load.backup.key_index import DIGEST, KeyEntry, KeyIndex
from utils.dynamodb.item_content import Item, content_of
from utils.files.closing import Closes
from utils.files.storage import storage_errors
from utils.run.run import Run


@dataclass(frozen=True)
class Pictures:
    """The first picture of a table in a run and the last: one and the same in a first load."""

    first: BackupFolder
    last: BackupFolder

    @classmethod
    def take(cls, run: Run, table: str, known: dict[str, str]) -> Pictures:
        """The pictures for a load that is about to begin. `known` names those that the survey has
        taken itself, as a load's state keeps them, and learns of a new one."""
        last = last_backup(run, table)
        if last is None:
            last = _own_picture(run, table)
            known.setdefault("first", last.path.name)
            known["last"] = last.path.name
        else:
            known.pop("last", None)
        return cls(_first(run, table, known) or last, last)

    @classmethod
    def of_load(cls, run: Run, table: str, known: dict[str, str]) -> Pictures | None:
        """The pictures with which a load was planned; None when it was planned without."""
        if "last" in known:
            last: BackupFolder | None = BackupFolder.open(_directory(run) / known["last"])
        else:
            last = last_backup(run, table)
        return None if last is None else cls(_first(run, table, known) or last, last)


def _first(run: Run, table: str, known: dict[str, str]) -> BackupFolder | None:
    found = first_backup(run, table)
    if found is None and "first" in known:
        found = BackupFolder.open(_directory(run) / known["first"])
    return found


def _directory(run: Run) -> Path:
    return run.workspace.undo / "pictures"


def _own_picture(run: Run, table: str) -> BackupFolder:
    """Read the table as a backup does, and keep the key index of it."""
    backup = replace(run.config.backup, directory=str(_directory(run)), recipient=None)
    config = replace(run.config, backup=backup)
    folder = back_up(replace(run, config=config), table, new_name(config, table))
    with storage_errors(folder.path):
        for part in folder.entry.parts:
            (folder.path / part.file).unlink()
    return folder


@dataclass(frozen=True)
class Was:
    """What the last picture has of a record: its `entries`, None where it has to be asked for each.
    Without an index everything is as it was."""

    index: KeyIndex | None = None
    entries: Mapping[bytes, KeyEntry] | None = None
    salt: bytes = b""

    def has(self, item: Item, text: bytes) -> bool:
        """Whether an item of the table, `text` in JSON with sorted names, has the content that it
        had."""
        index, entries = self.index, self.entries
        if index is None:
            return True
        entry = index.find(item) if entries is None else entries.get(index.key_of(item))
        return entry is not None and is_in(entry, content_of(item, text), self.salt)


class Memory(Closes):
    """Open pictures, to be asked about items; safe to share between threads. A context manager.

    Without pictures everything is as it was, and was there before the run: a table that was known
    to be empty.
    """

    def __init__(self, pictures: Pictures | None) -> None:
        self._stack = ExitStack()
        self._last: KeyIndex | None = None
        self._first: KeyIndex | None = None
        if pictures is None:
            return
        self.salt = pictures.last.digests.salt
        self.before_salt = pictures.first.digests.salt
        self._last = self._first = self._stack.enter_context(pictures.last.keys())
        if pictures.first.path != pictures.last.path:
            self._first = self._stack.enter_context(pictures.first.keys())

    def close(self) -> None:
        self._stack.close()

    @property
    def last(self) -> KeyIndex:
        """The last picture; there must be one."""
        assert self._last is not None
        return self._last

    def record(self, item: Item) -> Was:
        """What there was under the partition key of `item` when the load was planned."""
        last = self._last
        return Was() if last is None else Was(last, last.under(item), self.salt)

    def before(self, item: Item, now: KeyEntry | None) -> KeyEntry | None:
        """What was there before the run under the key of `item`; `now` is what the last picture
        has of it."""
        if self._first is None or self._first is self._last:
            return now
        return self._first.find(item)

    def was_before_the_run(self, item: Item) -> bool:
        """Whether there was something under the key of `item` before the run's first write."""
        return self._first is None or self._first.find(item) is not None


def is_in(entry: KeyEntry, text: bytes, salt: bytes) -> bool:
    """Whether the content of which `text` is the canonical form is that of an entry."""
    return blake2b(text, digest_size=DIGEST, key=salt).digest() == entry.digest
