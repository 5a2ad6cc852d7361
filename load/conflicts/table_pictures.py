"""Pictures of a table: what it held before a run's first write, and before the load at hand.

A picture is a backup's key index (load/backup/key_index.py). Where no backup is made, the survey
reads the table as a backup does and keeps the index only. A sync (load/sync) looks at the records
that it is about to change, and its picture is one of these alone.
"""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from hashlib import blake2b
from pathlib import Path

import orjson

from load.backup.before_load import first_backup, last_backup
from load.backup.engine import back_up, new_name
from load.backup.folder import KEYS, BackupEntry, BackupFolder, write_description
from load.backup.key_index import DIGEST, FORM, Digests, KeyEntry, KeyIndex, merge
from utils.dynamodb.item_content import Item, content_of, updated_at
from utils.dynamodb.table_spec import PARTITION_KEY, SORT_KEY
from utils.files.artifacts import sha256_of, utc_now
from utils.files.storage import (
    Closes,
    make_directory,
    open_private,
    partial_of,
    publish,
    storage_errors,
)
from utils.run.run import Run

_PART = "part"  # in a load's state, the name of a picture of some records
_UNSORTED = "unsorted.bin"


@dataclass(frozen=True)
class Pictures:
    """The first picture of a table in a run and the last: one and the same in a first load. One of
    a part of the table (`is_whole` false) has of some records everything, and of others nothing."""

    first: BackupFolder
    last: BackupFolder
    is_whole: bool = True

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
        if _PART in known:
            part = BackupFolder.open(_directory(run) / known[_PART])
            return cls(part, part, is_whole=False)
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


class PartOfTable(Closes):
    """A picture of some records of an entity in a table that is being made: of all items that `add`
    is given, and nothing else. A context manager."""

    def __init__(self, run: Run, table: str, entity: str) -> None:
        self._run, self._table = run, table
        self._name = f"{table}-{entity}-{run.manifest.run_id}"
        self._folder = partial_of(_directory(run) / self._name)
        self._digests = Digests((PARTITION_KEY, SORT_KEY), secrets.token_bytes(DIGEST))
        self._items = 0
        shutil.rmtree(self._folder, ignore_errors=True)
        make_directory(self._folder)
        with storage_errors(self._folder):
            self._records = open_private(self._folder / _UNSORTED, "wb")

    def close(self) -> None:
        self._records.close()

    def add(self, items: Iterable[Item]) -> None:
        """Take everything that there is of a record."""
        for item in items:
            key = [orjson.dumps(item[name]) for name in self._digests.key_names]
            text, migrated = content_of(item), "legacyId" in item
            record = self._digests.record(key, text, updated_at(item).encode(), migrated=migrated)
            with storage_errors(self._folder):
                self._records.write(record)
            self._items += 1

    def complete(self, known: dict[str, str]) -> None:
        """Publish the picture; `known`, as a load's state keeps it, learns of it."""
        self._records.close()
        keys, unsorted = self._folder / KEYS, self._folder / _UNSORTED
        merge([unsorted], keys, self._folder / "sorting")
        unsorted.unlink()
        write_description(self._folder, self._entry(sha256_of(keys)))
        done = _directory(self._run) / self._name
        shutil.rmtree(done, ignore_errors=True)
        publish(done)
        known.clear()
        known[_PART] = self._name

    def _entry(self, keys_sha256: str) -> BackupEntry:
        now, target = utc_now(), self._run.config.target
        schema = zip(self._digests.key_names, ("HASH", "RANGE"), strict=True)
        keys = [{"AttributeName": name, "KeyType": kind} for name, kind in schema]
        return BackupEntry(
            name=self._name,
            table=self._table,
            endpoint=target.endpoint_url or "",
            region=target.region,
            started_at=now,
            completed_at=now,
            verified_at=now,
            continued=0,
            items=self._items,
            bytes=0,
            stored_bytes=0,
            compressed=False,
            recipients=(),
            salt=self._digests.salt.hex(),
            keys_sha256=keys_sha256,
            table_description={"KeySchema": keys},
            time_to_live=None,
            tags=None,
            parts=(),
            keys_form=FORM,
        )


def picture_of_nothing(run: Run, table: str, entity: str) -> dict[str, str]:
    """A picture, first and last, of a table that was not there before the load; returns what a
    load's state keeps of it."""
    known: dict[str, str] = {}
    with PartOfTable(run, table, entity) as picture:
        picture.complete(known)
    return {"first": known[_PART], "last": known[_PART]}


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
        self.is_whole = pictures is None or pictures.is_whole
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
        """Whether there was something under the key of `item` before the run's first write; in
        doubt there was."""
        return not self.is_whole or self._first is None or self._first.find(item) is not None


def is_in(entry: KeyEntry, text: bytes, salt: bytes) -> bool:
    """Whether the content of which `text` is the canonical form is that of an entry."""
    return blake2b(text, digest_size=DIGEST, key=salt).digest() == entry.digest
