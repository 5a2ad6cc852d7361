"""The engine that backs up one table: a parallel Scan, part by part, that can be resumed.

Records that changed while the scan read them are read again when it is over, so
that each has what belongs together (load/backup/records_in_change.py).

The folder has .partial at the end of its name until the backup is complete. In it, progress.json
has for each segment of the scan where the next part begins, and every part that is done: a part
is read back before it counts, and what comes after it is read again by a resumed backup.
"""

from __future__ import annotations

import secrets
import stat
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta, timezone
from functools import partial
from pathlib import Path
from typing import Any

import orjson

from load.backup.folder import (
    KEYS,
    BackupEntry,
    BackupFolder,
    BackupPart,
    write_description,
)
from load.backup.key_index import FORM, Digests, merge
from load.backup.page import PageReader
from load.backup.part import PartBuilder
from load.backup.reader_pool import read_all, segments_for
from load.backup.records_in_change import OF_RECORDS, Meanwhile
from load.backup.segment_reader import Closed, ReaderOrders, Segment, keys_of, part_name
from load.backup.table_description import TableFacts, describe_for_backup
from load.writing.adaptive_rate import AdaptiveLimiter, AdaptiveRate
from load.writing.rate_limiter import RateLimiter
from utils.config import Config
from utils.dynamodb.answer_shapes import consumed
from utils.dynamodb.backoff import RetryPolicy
from utils.dynamodb.client import DynamoDB
from utils.dynamodb.item_content import digest
from utils.dynamodb.reached import bound_to
from utils.dynamodb.table_reader import PAGE_ITEMS, TableReader
from utils.dynamodb.table_spec import PARTITION_KEY
from utils.files.artifacts import sha256_of, utc_now
from utils.files.storage import (
    PARTIAL_SUFFIX,
    make_directory,
    partial_of,
    publish,
    require_plain,
    write_atomically,
)
from utils.logger import get_logger
from utils.run.clean import remove_of_backup
from utils.run.session import AtWork
from utils.settings.typed_json import fits
from utils.telemetry.tasks import Task
from utils.wording.figures import counted

PROGRESS = "progress.json"
_READING = "reading {} read units"
_YOUNG = timedelta(hours=24)
# How often, and seconds apart, a record is looked at that was being changed; how many are taken
# together, and how many asked for at once.
_LOOKS, _PAUSE, _AT_ONCE, _QUERIES = 5, 2.0, 100, 8


@dataclass
class ScanProgress:
    """progress.json. With other `options` or another `table_id` what is there is of no use.
    `recent` are the records (JSON of their partition keys) that are to be read again."""

    table_id: str
    options: dict[str, Any]
    salt: str
    started_at: str
    segments: list[Segment]
    parts: list[BackupPart] = field(default_factory=list)
    continued: int = 0
    recent: list[str] = field(default_factory=list)

    @property
    def items(self) -> int:
        return sum(part.items for part in self.parts)

    def save(self, folder: Path) -> None:
        write_atomically(folder / PROGRESS, orjson.dumps(asdict(self)))

    @classmethod
    def load(cls, folder: Path) -> ScanProgress | None:
        """The progress in a folder; None when there is none that can be used."""
        try:
            saved = orjson.loads((folder / PROGRESS).read_bytes())
            segments = [Segment(**each) for each in saved.pop("segments")]
            parts = [BackupPart(**each) for each in saved.pop("parts")]
            progress = cls(**saved, segments=segments, parts=parts)
            return progress if fits(progress, ScanProgress) else None
        except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
            return None


def new_name(config: Config, table: str, now: Callable[[], float] = time.time) -> str:
    """The name of a backup of `table` that begins now: TABLE-YYYYMMDD-HHMMSS, not yet taken."""
    directory, moment = Path(config.backups), now()
    while True:
        name = f"{table}-{time.strftime('%Y%m%d-%H%M%S', time.gmtime(moment))}"
        if not any((directory / (name + end)).exists() for end in ("", PARTIAL_SUFFIX)):
            return name
        moment += 1


def unfinished(config: Config, table: str) -> str | None:
    """The name of the latest backup of `table` that was cut short and can be resumed."""
    found = [
        path.name.removesuffix(PARTIAL_SUFFIX)
        for path in Path(config.backups).glob(f"*{PARTIAL_SUFFIX}")
        if path.name.removesuffix(PARTIAL_SUFFIX).rpartition("-")[0].rpartition("-")[0] == table
    ]
    return max((name for name in found if not is_stale(config, name)), default=None)


def is_stale(config: Config, name: str) -> bool:
    """Whether what there is of a backup that was cut short is too old to make one piece with what
    would be read now."""
    saved = ScanProgress.load(Path(config.backups) / (name + PARTIAL_SUFFIX))
    return saved is not None and saved.started_at < _moment(-_YOUNG)


def back_up(work: AtWork, table: str, name: str, *, phase: str = "backup") -> BackupFolder:
    """Back up a table under `name`, or resume the backup of that name that was cut short; `phase`
    is what it is told as.

    Returns the complete backup, every byte of which has been read back. Raises Interrupted when
    a stop is asked for, TargetError when the table cannot be read, StorageError when the backup
    cannot be written; calling it again resumes.
    """
    done = Path(work.config.backups) / name
    if done.exists():
        return BackupFolder.open(done)
    make_directory(done.parent)
    folder = partial_of(done)
    require_plain(folder, stat.S_ISDIR)
    make_directory(folder)
    return _TableBackup(work, table, folder, phase).run(done)


class _TableBackup:
    """One backup of one table."""

    def __init__(self, work: AtWork, table: str, folder: Path, phase: str) -> None:
        config = work.config
        self._phase = phase
        self._work = work
        self._table = table
        self._folder = folder
        self._wire = DynamoDB(config.target)
        self._retry = RetryPolicy.of(config.migration, work.stop.sleep)
        public = config.backup.recipient
        self._recipients = (public,) if isinstance(public, str) else public or ()

    def run(self, done: Path) -> BackupFolder:
        """Scan what is left to scan, and complete the backup."""
        facts = describe_for_backup(self._wire, self._retry, self._table)
        self._progress = self._take_up(facts)
        orders = self._orders(facts)
        read = self._progress.items
        with self._work.progress.task(
            self._phase, self._table, facts.about, unit="items", done=read
        ) as task:
            self._scan(orders, task)
            self._read_again(orders, task)
            task.expect(task.count.done)  # what DynamoDB says of a table's size is hours old
        with self._work.progress.task(self._phase, self._table, None, step="completing"):
            return self._complete(done, facts)

    def _take_up(self, facts: TableFacts) -> ScanProgress:
        """What was done already, if it is of the same table, stored in the same way, and young
        enough to make one piece with the rest."""
        config = self._work.config
        options = {
            "compress": config.backup.compress,
            "recipients": list(self._recipients),
            "keysForm": FORM,
        }
        saved = ScanProgress.load(self._folder)
        fits = saved and (saved.table_id, saved.options) == (facts.table_id, options)
        if saved and fits and saved.started_at >= _moment(-_YOUNG):
            taken_up = replace(saved, continued=saved.continued + 1)
            taken_up.save(self._folder)
            return taken_up
        remove_of_backup(self._folder)
        number = segments_for(
            facts.about, self._work.workers.at_files.at_once, config.migration.workers
        )
        segments = [Segment(number) for number in range(number)]
        return ScanProgress(facts.table_id, options, secrets.token_hex(16), utc_now(), segments)

    def _orders(self, facts: TableFacts) -> ReaderOrders:
        config, progress = self._work.config, self._progress
        return ReaderOrders(
            folder=self._folder,
            table=self._table,
            digests=Digests(facts.key_names, bytes.fromhex(progress.salt)),
            segments=len(progress.segments),
            meanwhile=Meanwhile.of(self._work, progress.started_at),
            known=tuple(progress.recent),
            target=config.target,
            migration=config.migration,
            compress=config.backup.compress,
            recipients=tuple(self._recipients),
            bound=bound_to(config.target),
        )

    def _scan(self, orders: ReaderOrders, task: Task) -> None:
        """Read all segments. What ends one ends all, each after saving its part."""
        due = [each for each in self._progress.segments if not each.done]
        rate = AdaptiveRate(self._work.config.backup.max_read_units, what=_READING)
        if due:
            read_all(self._work, orders, due, rate, self._settle, task)

    def _settle(self, closed: Closed) -> None:
        """A part is there; that it is, is durable."""
        progress = self._progress
        if closed.part:
            progress.parts.append(closed.part)
        progress.recent += closed.recent
        progress.segments[closed.segment.number] = closed.segment
        progress.save(self._folder)

    def _read_again(self, orders: ReaderOrders, task: Task) -> None:
        """Read the records again that were being changed, until two looks, a pause apart, find the
        same. Those that never come to rest are taken as they are."""
        due = sorted(set(self._progress.recent))
        if not due:
            return
        writing = _Writing(orders)
        seen: dict[str, bytes] = {}
        for look in range(1, _LOOKS + 1):
            restless = []
            for record, items in self._records(due):
                found = digest(orjson.dumps(items, option=orjson.OPT_SORT_KEYS))
                rests = seen.get(record) == found
                if rests or look == _LOOKS:
                    writing.add(items)
                    task.advance(len(items))
                if not rests:
                    seen[record] = found
                    restless.append(record)
            due = restless
            if not due or look == _LOOKS:
                break
            self._work.stop.sleep(_PAUSE)
        if due:
            get_logger().warning(
                "%s: %s kept changing while the backup was taken; its items in the backup may "
                "not belong together",
                self._table,
                counted(len(due), "record"),
            )
        self._progress.parts += writing.finish()
        self._progress.recent = []
        self._progress.save(self._folder)

    def _records(self, records: Sequence[str]) -> Iterator[tuple[str, list[dict[str, Any]]]]:
        """The items of records, some read at once."""
        limiter = AdaptiveLimiter(
            self._work.config.backup.max_read_units, sleep=self._work.stop.sleep, what=_READING
        )
        with ThreadPoolExecutor(_QUERIES, thread_name_prefix="backup") as pool:
            for first in range(0, len(records), _AT_ONCE):
                some = records[first : first + _AT_ONCE]
                found = pool.map(partial(self._record, limiter), some)
                yield from zip(some, found, strict=True)

    def _record(self, limiter: RateLimiter, record: str) -> list[dict[str, Any]]:
        """The items of a record (JSON of its partition key)."""
        self._work.stop.leave_if_asked()
        request = {
            "TableName": self._table,
            "ConsistentRead": True,
            "Limit": PAGE_ITEMS,
            "KeyConditionExpression": f"{PARTITION_KEY} = :k",
            "ExpressionAttributeValues": {":k": orjson.loads(record)},
            "ReturnConsumedCapacity": "TOTAL",
        }
        found: list[dict[str, Any]] = []
        limiter.acquire(0.0)
        reader = TableReader(self._wire, self._retry)
        for answer in reader.pages("Query", request, keys=OF_RECORDS, to_the_end=True):
            limiter.settle(0.0, consumed("Query", answer))
            found += answer["Items"]
            limiter.acquire(0.0)
        return found

    def _complete(self, done: Path, facts: TableFacts) -> BackupFolder:
        """Put the key index together, look at every stored byte once more, and publish."""
        progress, folder = self._progress, self._folder
        progress.parts.sort(key=lambda part: part.file)
        pieces = [keys_of(folder / part.file) for part in progress.parts]
        merge(pieces, folder / KEYS, folder / "sorting")
        target = self._work.config.target
        now = utc_now()
        entry = BackupEntry(
            name=done.name,
            table=self._table,
            endpoint=target.endpoint_url or "AWS",
            region=target.region,
            started_at=progress.started_at,
            completed_at=now,
            verified_at=now,
            continued=progress.continued,
            items=progress.items,
            bytes=sum(part.bytes for part in progress.parts),
            stored_bytes=sum(part.stored_bytes for part in progress.parts),
            compressed=self._work.config.backup.compress,
            recipients=tuple(self._recipients),
            salt=progress.salt,
            keys_sha256=sha256_of(folder / KEYS),
            table_description=facts.description,
            time_to_live=facts.time_to_live,
            tags=facts.tags,
            parts=tuple(progress.parts),
            keys_form=FORM,
        )
        remove_of_backup(folder, {KEYS, *(part.file for part in progress.parts)})
        BackupFolder(folder, entry).check()
        write_description(folder, entry)
        publish(done)
        return BackupFolder.open(done)


class _Writing:
    """Writes the parts of what is read after the scan, under the number of a further segment."""

    def __init__(self, orders: ReaderOrders) -> None:
        self._folder, self._number = orders.folder, orders.segments
        self._packing = orders.packing()
        self._entry = PageReader(orders.digests, None).entry
        self._parts: list[BackupPart] = []
        self._builder = PartBuilder(self._packing)

    def add(self, items: Iterable[dict[str, Any]]) -> None:
        """Add the items of a record."""
        self._builder.add([self._entry(item) for item in items])
        if self._builder.full:
            self._write()

    def finish(self) -> list[BackupPart]:
        """The parts, all of them written."""
        if self._builder.items:
            self._write()
        return self._parts

    def _write(self) -> None:
        path = self._folder / part_name(self._number, len(self._parts), self._packing)
        self._parts.append(self._builder.write(path, keys_of(path)))
        self._builder = PartBuilder(self._packing)


def _moment(away: timedelta) -> str:
    """The moment that is `away` from now, as `utc_now` writes it."""
    return (datetime.now(timezone.utc) + away).strftime("%Y-%m-%dT%H:%M:%SZ")
