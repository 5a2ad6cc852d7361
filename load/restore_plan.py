"""What a restore would change: a backup and a table, compared item by item.

Both sides become entries (key, digest of the content) in buckets on disk, a bucket is compared in
memory. An item of the backup is known by its place in it, and one bit says whether it is to be
written; so the plan of millions of items is small.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import IO, Any

import orjson

from load.backup_folder import BackupFolder
from utils.closing import Closes
from utils.dynamodb import DynamoDB
from utils.encryption import Identity
from utils.interrupt import Interrupted
from utils.item_content import content, digest, is_usual, normal_item
from utils.progress import Task
from utils.retry import RetryPolicy
from utils.session import AtWork
from utils.spill import Buckets
from utils.table_reader import TableReader, items_page
from utils.tables import is_mark
from utils.workspace import open_private, temporary_directory

Key = dict[str, Any]
Entry = tuple[bytes, bytes]

_SHOWN = 5
_BACKUP, _TABLE = b"B", b"T"
_SIDE, _DIGEST = slice(0, 1), slice(1, 33)


@dataclass
class Change:
    """So many items, and the keys of the first few."""

    count: int = 0
    first: list[str] = field(default_factory=list)

    def add(self, key: bytes) -> None:
        self.count += 1
        if len(self.first) < _SHOWN:
            values = [next(iter(value.values())) for value in orjson.loads(key)]
            self.first.append(" ".join(map(str, values)))


class Plan(Closes):
    """What makes a table what the backup says. A context manager: the keys of the items to be
    deleted are in a file, and gone with it."""

    def __init__(self, scratch: Path, items: int, key_names: tuple[str, ...]) -> None:
        self.to_add, self.to_replace, self.to_delete = Change(), Change(), Change()
        self.same = 0
        self._bits = bytearray(items // 8 + 1)
        self._names = key_names
        self._path = temporary_directory(scratch) / "deletes"
        self._deletes: IO[bytes] = open_private(self._path, "wb")

    def close(self) -> None:
        self._deletes.close()
        self._path.unlink(missing_ok=True)
        self._path.parent.rmdir()

    @property
    def nothing_to_do(self) -> bool:
        return not (self.to_add.count or self.to_replace.count or self.to_delete.count)

    @property
    def found(self) -> int:
        """How many items the table has."""
        return self.same + self.to_replace.count + self.to_delete.count

    def compare(self, entries: Iterable[Entry]) -> None:
        """Take in all the entries of some keys."""
        wanted: dict[bytes, bytes] = {}
        found: dict[bytes, bytes] = {}
        for key, value in entries:
            (wanted if value[_SIDE] == _BACKUP else found)[key] = value
        for key, value in sorted(wanted.items()):
            there = found.pop(key, None)
            if there is not None and there[_DIGEST] == value[_DIGEST]:
                self.same += 1
                continue
            (self.to_add if there is None else self.to_replace).add(key)
            place = int(value[33:])
            self._bits[place // 8] |= 1 << place % 8
        for key in sorted(found):
            self.to_delete.add(key)
            self._deletes.write(key + b"\n")

    def lines(self, items: Iterable[bytes]) -> Iterator[bytes]:
        """Of the backup's lines, in their order, those to be written."""
        for place, line in enumerate(items):
            if self._bits[place // 8] >> place % 8 & 1:
                yield line

    def deletes(self) -> Iterator[bytes]:
        """Lines `{"Item":{…}}` with the keys of the items to be deleted."""
        self._deletes.flush()
        with self._path.open("rb") as handle:
            for line in handle:
                item = dict(zip(self._names, orjson.loads(line), strict=True))
                yield orjson.dumps({"Item": item})


@dataclass(frozen=True)
class _TablePage:
    entries: list[Entry]
    last_key: Mapping[str, Any] | None
    ends_at: Mapping[str, Any] | None


def make_plan(
    work: AtWork,
    folder: BackupFolder,
    identities: tuple[Identity, ...],
    table: str | None,
) -> Plan:
    """Compare a backup with a table (None: one that is still to be made).

    Every line of the backup is read. Raises ArtifactError when it is damaged or `identities` do
    not open it, TargetError when the table cannot be read, Interrupted when a stop is asked for.
    """
    names = folder.entry.key_names
    scratch = work.workspace.scratch
    shown = table or folder.entry.table
    with (
        Buckets(scratch) as buckets,
        work.progress.task("compare", shown, folder.entry.items) as task,
    ):
        buckets.add(_stoppable(work, _of_backup(folder, identities, names)))
        if table:
            _add_table(work, table, names, buckets, task)
        plan = Plan(scratch, folder.entry.items, names)
        for bucket in buckets:
            plan.compare(bucket)
    return plan


def _add_table(
    work: AtWork, table: str, names: tuple[str, ...], buckets: Buckets, task: Task
) -> None:
    retry = RetryPolicy.of(work.config.migration, work.stop.sleep)
    reader = TableReader(DynamoDB(work.config.target), retry)
    segments = work.config.migration.workers
    pages = reader.scan(
        table, partial(_read_page, names=names), segments=range(segments), of=segments
    )
    for page in pages:
        if work.stop.requested:
            raise Interrupted
        buckets.add(page.entries)
        task.advance(len(page.entries))


def _stoppable(work: AtWork, entries: Iterable[Entry]) -> Iterator[Entry]:
    for entry in entries:
        if work.stop.requested:
            raise Interrupted
        yield entry


def _of_backup(
    folder: BackupFolder, identities: tuple[Identity, ...], names: tuple[str, ...]
) -> Iterator[Entry]:
    for place, line in enumerate(folder.items(identities)):
        item = orjson.loads(line)["Item"]
        key, text = _entry(item, names, usual=is_usual(line))
        yield key, _BACKUP + text + b"%d" % place


def _read_page(body: bytes, *, names: tuple[str, ...]) -> _TablePage:
    page = items_page(body, names=names)
    usual = is_usual(body)
    entries = []
    for item in page.items:
        if is_mark(item):
            continue
        key, text = _entry(item, names, usual=usual)
        entries.append((key, _TABLE + text))
    return _TablePage(entries, page.last_key, page.ends_at)


def _entry(item: dict[str, Any], names: tuple[str, ...], *, usual: bool) -> Entry:
    text = content(item if usual else normal_item(item))
    return orjson.dumps([item[name] for name in names]), digest(text)
