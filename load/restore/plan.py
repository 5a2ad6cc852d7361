"""What a restore would change: a backup and a table, compared item by item.

Both sides become entries (key, digest of the content) in buckets on disk, a bucket is compared in
memory. An item of the backup is known by its place in it, and one bit says whether it is to be
written; so the plan of millions of items is small. What was seen in the table of each record that
is to be changed is kept beside it (load/restore/seen_records.py), to be compared with what is there
when it is written.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import orjson

from load.backup.folder import BackupFolder
from load.restore.seen_records import SeenItem, SeenRecord, SeenRecords
from utils.dynamodb.backoff import RetryPolicy
from utils.dynamodb.client import DynamoDB
from utils.dynamodb.item_content import content, digest, is_usual, normal_item
from utils.dynamodb.table_reader import TableReader, items_page
from utils.dynamodb.table_spec import PARTITION_KEY, SORT_KEY, is_mark
from utils.files.encryption import Identity
from utils.files.spill import Buckets
from utils.files.storage import Closes
from utils.run.session import AtWork
from utils.telemetry.tasks import Task

Key = dict[str, Any]
Entry = tuple[bytes, bytes]

_SHOWN = 5
_BACKUP, _TABLE = b"B", b"T"
_SIDE, _DIGEST = slice(0, 1), slice(1, 33)
_OF_RECORDS = (PARTITION_KEY, SORT_KEY)


@dataclass
class ChangeCount:
    """So many items, and the keys of the first few."""

    count: int = 0
    first: list[str] = field(default_factory=list)

    def add(self, key: bytes) -> None:
        self.count += 1
        if len(self.first) < _SHOWN:
            values = [next(iter(value.values())) for value in orjson.loads(key)]
            self.first.append(" ".join(map(str, values)))


class RestorePlan(Closes):
    """What makes a table what the backup says. A context manager: what it has of the records that
    are to be changed (`looks`) is in a file, and gone with it."""

    def __init__(self, looks: SeenRecords, items: int, key_names: tuple[str, ...]) -> None:
        self.to_add, self.to_replace, self.to_delete = ChangeCount(), ChangeCount(), ChangeCount()
        self.same = 0
        self.looks = looks
        self._bits = bytearray(items // 8 + 1)
        self._names = key_names

    def close(self) -> None:
        self.looks.close()

    @property
    def to_write(self) -> int:
        """How many items are to be changed."""
        return self.to_add.count + self.to_replace.count + self.to_delete.count

    @property
    def nothing_to_do(self) -> bool:
        return not self.to_write

    @property
    def found(self) -> int:
        """How many items the table has."""
        return self.same + self.to_replace.count + self.to_delete.count

    @property
    def of_records(self) -> bool:
        """Whether the items make records, as those of the Sale Module do."""
        return self._names == _OF_RECORDS

    def compare(self, entries: Iterable[Entry], *, remember: bool) -> None:
        """Take in all the entries of some records; `remember` what the table has of them."""
        records: dict[bytes, dict[bytes, SeenItem]] = {}
        places: dict[bytes, int] = {}
        for record, value in entries:
            place, _, key = value[_DIGEST.stop :].partition(b" ")
            seen = records.setdefault(record, {}).setdefault(key, SeenItem())
            digest_there = value[_DIGEST].decode()
            if value[_SIDE] == _BACKUP:
                seen.wanted, places[key] = digest_there, int(place)
            else:
                seen.found = digest_there
        looks = (SeenRecord(record, items) for record, items in sorted(records.items()))
        changed = [look for look in looks if self._take(look, places)]
        if remember:
            self.looks.add(changed)

    def _take(self, look: SeenRecord, places: Mapping[bytes, int]) -> bool:
        """Take in a record; whether there is something to be changed."""
        before = self.to_write
        for key, seen in sorted(look.items.items()):
            if not seen.differs:
                self.same += 1
            elif not seen.wanted:
                self.to_delete.add(key)
            else:
                (self.to_replace if seen.found else self.to_add).add(key)
                self._bits[places[key] // 8] |= 1 << places[key] % 8
        return self.to_write > before

    def lines(self, items: Iterable[bytes]) -> Iterator[bytes]:
        """Of the backup's lines, in their order, those to be written."""
        for place, line in enumerate(items):
            if self._bits[place // 8] >> place % 8 & 1:
                yield line

    def deletes(self) -> Iterator[bytes]:
        """Lines `{"Item":{…}}` with the keys of the items to be deleted."""
        for look in self.looks:
            for key, seen in look.items.items():
                if not seen.wanted:
                    item = dict(zip(self._names, orjson.loads(key), strict=True))
                    yield orjson.dumps({"Item": item})


@dataclass(frozen=True)
class _TablePage:
    entries: list[Entry]
    last_key: Mapping[str, Any] | None
    ends_at: Mapping[str, Any] | None
    units: float = 0.0


def make_plan(
    work: AtWork,
    folder: BackupFolder,
    identities: tuple[Identity, ...],
    table: str | None,
) -> RestorePlan:
    """Compare a backup with a table (None: one that is still to be made).

    Every line of the backup is read. Raises ArtifactError when it is damaged or `identities` do
    not open it, TargetError when the table cannot be read, Interrupted when a stop is asked for.
    """
    names = folder.entry.key_names
    scratch = work.workspace.scratch
    shown = table or folder.entry.table
    with (
        Buckets(scratch) as buckets,
        work.progress.task(
            "restore", shown, folder.entry.items, unit="items", step="comparing"
        ) as task,
    ):
        buckets.add(_stoppable(work, _of_backup(folder, identities, names)))
        found = _add_table(work, table, names, buckets, task) if table else 0
        plan = RestorePlan(SeenRecords(scratch), folder.entry.items, names)
        for bucket in buckets:
            plan.compare(bucket, remember=found > 0)
    return plan


def _add_table(
    work: AtWork, table: str, names: tuple[str, ...], buckets: Buckets, task: Task
) -> int:
    """Add what the table has; returns how many items that are."""
    found = 0
    retry = RetryPolicy.of(work.config.migration, work.stop.sleep)
    reader = TableReader(DynamoDB(work.config.target), retry)
    segments = work.config.migration.scans
    pages = reader.scan(
        table, partial(_read_page, names=names), segments=range(segments), of=segments
    )
    for page in pages:
        work.stop.leave_if_asked()
        buckets.add(page.entries)
        task.advance(len(page.entries))
        found += len(page.entries)
    return found


def _stoppable(work: AtWork, entries: Iterable[Entry]) -> Iterator[Entry]:
    for entry in entries:
        work.stop.leave_if_asked()
        yield entry


def _of_backup(
    folder: BackupFolder, identities: tuple[Identity, ...], names: tuple[str, ...]
) -> Iterator[Entry]:
    for place, line in enumerate(folder.items(identities)):
        item = orjson.loads(line)["Item"]
        yield _entry(item, names, _BACKUP, b"%d" % place, usual=is_usual(line))


def _read_page(body: bytes, *, names: tuple[str, ...]) -> _TablePage:
    page = items_page(body, names=names)
    usual = is_usual(body)
    entries = [
        _entry(item, names, _TABLE, b"", usual=usual) for item in page.items if not is_mark(item)
    ]
    return _TablePage(entries, page.last_key, page.ends_at)


def _entry(
    item: dict[str, Any], names: tuple[str, ...], side: bytes, place: bytes, *, usual: bool
) -> Entry:
    """An item under its record, or under its own key where items make no records."""
    text = content(item if usual else normal_item(item))
    key = orjson.dumps([item[name] for name in names])
    record = orjson.dumps([item[PARTITION_KEY]]) if names == _OF_RECORDS else key
    return record, side + digest(text) + place + b" " + key
