"""The engine that backs up one table: a parallel Scan, part by part, that goes on where it was.

Records that were being changed while the scan came past them are read again when it is over, so
that each has what belongs together (load/backup_records.py).

The folder has .partial at the end of its name until the backup is complete. In it, progress.json
has for each segment of the scan where the next part begins, and every part that is done: a part
is read back before it counts, and what comes after it is read again by whoever goes on.
"""

from __future__ import annotations

import secrets
import stat
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import orjson

from load.backup_folder import (
    KEYS,
    BackupEntry,
    BackupFolder,
    Part,
    write_description,
)
from load.backup_keys import FORM, Digests, merge
from load.backup_part import Packing, PartBuilder
from load.backup_records import OF_RECORDS, Meanwhile, Records
from load.table_description import TableFacts, describe_for_backup
from load.throttle import Governor
from utils.answers import check, consumed, require_keys
from utils.artifacts import sha256_of, utc_now
from utils.clean import remove_of_backup
from utils.config import Config
from utils.dynamodb import DynamoDB
from utils.encryption import recipients
from utils.error_handler import BackOff, MigrationError, Throttled
from utils.figures import counted
from utils.interrupt import Interrupted
from utils.item_content import digest, is_usual
from utils.logger import get_logger
from utils.progress import Task
from utils.requests import ask
from utils.retry import RetryPolicy
from utils.session import AtWork
from utils.shapes import fits
from utils.table_reader import TableReader, Way, require_progress
from utils.tables import PARTITION_KEY, is_mark
from utils.workspace import (
    PARTIAL_SUFFIX,
    make_directory,
    publish,
    require_plain,
    storage_errors,
    write_atomically,
)

PROGRESS = "progress.json"
# DynamoDB ends a page after 1 MB, which is fewer items; it bounds the memory for others.
_PAGE_ITEMS = 2_500
_SEGMENTS = 8  # more do not read faster in one process, and each holds a page and a part
_YOUNG = timedelta(hours=24)
# How often, and seconds apart, a record is looked at that was being changed; how many at once.
_LOOKS, _PAUSE, _AT_ONCE = 5, 2.0, 100


@dataclass
class Segment:
    """A segment of the scan: `next_key` is where its next part begins, None for the start."""

    number: int
    next_key: dict[str, Any] | None = None
    done: bool = False
    parts: int = 0


@dataclass
class ScanProgress:
    """progress.json. With other `options` or another `table_id` what is there is of no use.
    `recent` are the records (JSON of their partition keys) that are to be read again."""

    table_id: str
    options: dict[str, Any]
    salt: str
    started_at: str
    segments: list[Segment]
    parts: list[Part] = field(default_factory=list)
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
            parts = [Part(**each) for each in saved.pop("parts")]
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
    """The name of the latest backup of `table` that was cut short and can be gone on with."""
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


def back_up(work: AtWork, table: str, name: str) -> BackupFolder:
    """Back up a table under `name`, or go on with the backup of that name that was cut short.

    Returns the complete backup, every byte of which has been read back. Raises Interrupted when
    a stop is asked for, TargetError when the table cannot be read, StorageError when the backup
    cannot be written; calling it again goes on.
    """
    done = Path(work.config.backups) / name
    if done.exists():
        return BackupFolder.open(done)
    make_directory(done.parent)
    folder = done.with_name(name + PARTIAL_SUFFIX)
    require_plain(folder, stat.S_ISDIR)
    make_directory(folder)
    return _TableBackup(work, table, folder).run(done)


class _TableBackup:
    """One backup of one table."""

    def __init__(self, work: AtWork, table: str, folder: Path) -> None:
        config = work.config
        self._work = work
        self._table = table
        self._folder = folder
        self._wire = DynamoDB(config.target)
        self._retry = RetryPolicy.of(config.migration, work.stop.sleep)
        self._throttle = Governor(
            config.backup.max_read_units,
            sleep=work.stop.sleep,
            what="reading {} read units",
        )
        public = config.backup.recipient
        self._recipients = (public,) if isinstance(public, str) else public or ()
        self._packing = Packing.of(
            compress=config.backup.compress,
            recipients=recipients(public, "backup.recipient"),
        )
        self._lock = threading.Lock()
        self._halt = threading.Event()

    def run(self, done: Path) -> BackupFolder:
        """Scan what is left to scan, and complete the backup."""
        facts = describe_for_backup(self._wire, self._retry, self._table)
        self._key_names = facts.key_names
        self._progress = self._take_up(facts)
        self._meanwhile = Meanwhile.of(self._work, self._progress.started_at)
        self._digests = Digests(facts.key_names, bytes.fromhex(self._progress.salt))
        with self._work.progress.task("backup", self._table, facts.about) as task:
            task.advance(self._progress.items)
            self._scan(task)
            self._read_again(task)
        return self._complete(done, facts)

    def _take_up(self, facts: TableFacts) -> ScanProgress:
        """What was done already, if it is of the same table, stored in the same way, and young
        enough to make one piece with the rest."""
        backup, workers = self._work.config.backup, self._work.config.migration.scans
        options = {
            "compress": backup.compress,
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
        segments = [Segment(number) for number in range(min(workers, _SEGMENTS))]
        return ScanProgress(facts.table_id, options, secrets.token_hex(16), utc_now(), segments)

    def _scan(self, task: Task) -> None:
        """Read all segments at once. What ends one ends all, each after saving its part."""
        open_segments = [each for each in self._progress.segments if not each.done]
        if not open_segments:
            return
        with ThreadPoolExecutor(len(open_segments), thread_name_prefix="backup") as pool:
            futures = [pool.submit(self._guarded, each, task) for each in open_segments]
        errors = [error for future in futures if (error := future.exception())]
        real = [error for error in errors if not isinstance(error, Interrupted)]
        if errors:
            raise (real or errors)[0]

    def _guarded(self, segment: Segment, task: Task) -> None:
        try:
            self._read_segment(segment, task)
        except BaseException:
            self._halt.set()
            raise

    def _read_segment(self, segment: Segment, task: Task) -> None:
        next_key = segment.next_key
        after = next_key
        records = Records(self._meanwhile, self._progress.recent)
        way = Way(self._wire, "Scan")
        while not segment.done:
            builder = PartBuilder(self._packing, self._digests)
            end = False
            try:
                while not (end or builder.full):
                    if self._halt.is_set() or self._work.stop.requested:
                        raise Interrupted
                    page = self._page(segment.number, after)
                    items = [item for item in page.items if not is_mark(item)]
                    end = page.after is None
                    if self._key_names == OF_RECORDS:
                        items, recent = records.take(items, usual=page.usual, end=end)
                        builder.add(items, usual=records.usual)
                        self._note(recent)
                    else:
                        builder.add(items, usual=page.usual)
                    if page.after is not None:
                        way.goes_on(page.after)
                        after = dict(page.after)
                        next_key = records.goes_on_at(after) or segment.next_key
                    task.advance(len(items))
            except (Interrupted, MigrationError):
                if builder.items:
                    self._note(records.unfinished())
                    self._close(segment, builder, after, end=False)
                raise
            self._close(segment, builder, next_key, end=end)

    def _page(self, segment: int, start: Mapping[str, Any] | None) -> _Page:
        request: dict[str, Any] = {
            "TableName": self._table,
            "ConsistentRead": True,
            "Limit": _PAGE_ITEMS,
            "Segment": segment,
            "TotalSegments": len(self._progress.segments),
            "ReturnConsumedCapacity": "TOTAL",
        }
        if start:
            request["ExclusiveStartKey"] = start
        self._throttle.acquire(0.0)

        def parse(body: bytes) -> _Page:
            page = _page_of(request, body, self._key_names)
            require_progress(start, page.last_key, page.ends_at)
            return page

        page = ask(self._wire, self._retry, "Scan", request, parse, tell=self._slow_down)
        self._throttle.settle(0.0, page.units)
        return page

    def _note(self, recent: Sequence[str]) -> None:
        """Take note of records that are to be read again."""
        if recent:
            with self._lock:
                self._progress.recent += recent

    def _read_again(self, task: Task) -> None:
        """Read the records again that were being changed, until two looks, a pause apart, find the
        same. Those that never come to rest are taken as they are."""
        due = sorted(set(self._progress.recent))
        if not due:
            return
        writing = _Writing(self._folder, self._packing, self._digests, len(self._progress.segments))
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
                "%s: %s being changed all the time while the backup was taken; what it has of that "
                "need not fit together",
                self._table,
                counted(len(due), "record was", "records were"),
            )
        self._progress.parts += writing.finish()
        self._progress.recent = []
        self._progress.save(self._folder)

    def _records(self, records: Sequence[str]) -> Iterator[tuple[str, list[dict[str, Any]]]]:
        """The items of records, some read at once."""
        with ThreadPoolExecutor(_SEGMENTS, thread_name_prefix="backup") as pool:
            for first in range(0, len(records), _AT_ONCE):
                some = records[first : first + _AT_ONCE]
                yield from zip(some, pool.map(self._record, some), strict=True)

    def _record(self, record: str) -> list[dict[str, Any]]:
        """The items of a record (JSON of its partition key)."""
        if self._work.stop.requested:
            raise Interrupted
        request = {
            "TableName": self._table,
            "ConsistentRead": True,
            "Limit": _PAGE_ITEMS,
            "KeyConditionExpression": f"{PARTITION_KEY} = :k",
            "ExpressionAttributeValues": {":k": orjson.loads(record)},
            "ReturnConsumedCapacity": "TOTAL",
        }
        found: list[dict[str, Any]] = []
        self._throttle.acquire(0.0)
        reader = TableReader(self._wire, self._retry)
        for answer in reader.pages("Query", request, keys=OF_RECORDS, to_the_end=True):
            self._throttle.settle(0.0, consumed("Query", answer))
            found += answer["Items"]
            self._throttle.acquire(0.0)
        return found

    def _slow_down(self, problem: BackOff) -> None:
        if isinstance(problem, Throttled):
            self._throttle.slow_down(str(problem))

    def _close(
        self, segment: Segment, builder: PartBuilder, next_key: dict[str, Any] | None, *, end: bool
    ) -> None:
        """Write a part, and then that it is there."""
        part = None
        if builder.items:
            name = f"items-{segment.number:02}-{segment.parts:04}{self._packing.ending}"
            path = self._folder / name
            part = builder.write(path, _keys_of(path))
        with self._lock:
            if part:
                self._progress.parts.append(part)
                segment.parts += 1
            segment.next_key, segment.done = next_key, end
            self._progress.save(self._folder)

    def _complete(self, done: Path, facts: TableFacts) -> BackupFolder:
        """Put the key index together, look at every stored byte once more, and publish."""
        progress, folder = self._progress, self._folder
        progress.parts.sort(key=lambda part: part.file)
        pieces = [_keys_of(folder / part.file) for part in progress.parts]
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
            compressed=self._packing.compress,
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
        with storage_errors(folder):
            publish(folder, done)
        return BackupFolder.open(done)


@dataclass(frozen=True)
class _Page:
    """A page of a Scan; `usual` says whether its items are in canonical form but for the order."""

    items: list[dict[str, Any]]
    usual: bool
    units: float
    last_key: Mapping[str, Any] | None
    ends_at: Mapping[str, Any] | None

    @property
    def after(self) -> Mapping[str, Any] | None:
        """Where the next page begins; None when there is none (see TableReader.scan)."""
        return self.ends_at or self.last_key


def _page_of(request: Mapping[str, Any], body: bytes, names: tuple[str, ...]) -> _Page:
    answer = check("Scan", request, body)
    items = answer["Items"]
    require_keys("Scan", items, names)
    ends_at = {name: items[-1][name] for name in names} if items else None
    last_key = answer.get("LastEvaluatedKey")
    return _Page(items, is_usual(body), consumed("Scan", answer), last_key, ends_at)


class _Writing:
    """Writes the parts of what is read after the scan, under the number of a further segment."""

    def __init__(self, folder: Path, packing: Packing, digests: Digests, number: int) -> None:
        self._folder, self._packing, self._digests = folder, packing, digests
        self._number = number
        self._parts: list[Part] = []
        self._builder = PartBuilder(packing, digests)

    def add(self, items: list[dict[str, Any]]) -> None:
        self._builder.add(items, usual=False)
        if self._builder.full:
            self._write()

    def finish(self) -> list[Part]:
        """The parts, all of them written."""
        if self._builder.items:
            self._write()
        return self._parts

    def _write(self) -> None:
        name = f"items-{self._number:02}-{len(self._parts):04}{self._packing.ending}"
        path = self._folder / name
        self._parts.append(self._builder.write(path, _keys_of(path)))
        self._builder = PartBuilder(self._packing, self._digests)


def _moment(away: timedelta) -> str:
    """The moment that is `away` from now, as `utc_now` writes it."""
    return (datetime.now(timezone.utc) + away).strftime("%Y-%m-%dT%H:%M:%SZ")


def _keys_of(part: Path) -> Path:
    """The file of a part's records of the key index, while there is no index yet."""
    return part.with_name("keys-" + part.name.partition("-")[2].partition(".")[0])
