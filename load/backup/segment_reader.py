"""What a process does that takes part in a backup: it reads segments of the scan, and writes parts.

Each segment has a thread, which mostly waits for its next page: while one page is being dealt with,
those of other segments are on their way. How many of them that takes shows by itself
(utils/dynamodb/scan_flow.py), and is told to the process that hands the segments out. The pages
themselves are dealt with one after the other, or the threads would only get into each other's way.
A part is written and read back by the process that has read its items; what it says of that is put
down by the process that has asked.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from load.backup.folder import BackupPart
from load.backup.key_index import Digests
from load.backup.page import Entry, Page, PageReader
from load.backup.part import Packing, PartBuilder
from load.backup.records_in_change import OF_RECORDS, Meanwhile, Records
from load.writing.rate_limiter import Answered, RateLimiter
from utils.config import MigrationConfig, TargetConfig
from utils.dynamodb import scan_flow
from utils.dynamodb.backoff import RetryPolicy
from utils.dynamodb.client import DynamoDB
from utils.dynamodb.reached import Tables
from utils.dynamodb.retrying import ask
from utils.dynamodb.scan_flow import PageFlow
from utils.dynamodb.table_reader import PAGE_ITEMS, Way, require_progress
from utils.error_handler import BackOff, MigrationError, Throttled
from utils.files.encryption import recipients
from utils.interrupt import Interrupted, StopFlag
from utils.processes.actors import Packed, Threads, packed
from utils.telemetry.troubles import Troubles, take_troubles

_SAY_EVERY = 0.05


@dataclass
class Segment:
    """A segment of the scan: `next_key` is where its next part begins, None for the start."""

    number: int
    next_key: dict[str, Any] | None = None
    done: bool = False
    parts: int = 0


@dataclass(frozen=True)
class ReaderOrders:
    """All that a reader has to know, in a form that goes to another process. The scan has so many
    `segments`; `known` are the keys of records that are to be read again anyway. `bound` are the
    tables that have been reached (utils/dynamodb/reached.py)."""

    folder: Path
    table: str
    digests: Digests
    segments: int
    meanwhile: Meanwhile
    known: tuple[str, ...]
    target: TargetConfig
    migration: MigrationConfig
    compress: bool
    recipients: tuple[str, ...]
    rate: float | None = None
    bound: Tables = field(default_factory=dict)

    def packing(self) -> Packing:
        """How this process stores parts, with a witness of its own."""
        public = recipients(self.recipients, "backup.recipient")
        return Packing.of(compress=self.compress, recipients=public)


@dataclass(frozen=True)
class ReadRate:
    """From now on so many read units a second; None: as many as anybody wants."""

    units: float | None


class StopReading:
    """Write down what has been read, and end."""


@dataclass(frozen=True)
class Closed:
    """A segment has come to where it now is; `part` has what was read since it was before, but for
    the `recent` records."""

    segment: Segment
    part: BackupPart | None
    recent: tuple[str, ...]


@dataclass
class ReaderReport:
    """What has happened since the last report: how many items have come and were accepted, what of
    them is written down, whether DynamoDB throttled and why, what had to be tried again, how many
    segments are not being read any more, the error of one that could not be, and how many at once
    keep the reader busy."""

    items: int = 0
    accepted: Answered = field(default_factory=Answered)
    closed: list[Closed] = field(default_factory=list)
    throttled: str = ""
    troubles: Troubles | None = None
    left: int = 0
    failed: Packed | None = None
    at_once: int = scan_flow.FIRST


class SegmentReader:
    """Reads the segments that it is told, all of them at once; see
    utils.processes.actors.Actor."""

    def __init__(
        self,
        orders: ReaderOrders,
        reply: Callable[[ReaderReport], object],
        *,
        stop: StopFlag | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`stop` is the operator's, in the process that he has started."""
        self._orders = orders
        self._reply = reply
        self._clock = clock
        self._operator = stop or StopFlag()
        self._stop = StopFlag()
        self._wire = DynamoDB(orders.target)
        self._retry = RetryPolicy.of(orders.migration, self._stop.sleep)
        self._limiter = RateLimiter(orders.rate, throttled=self._throttled, sleep=self._stop.sleep)
        self._packing = orders.packing()
        self._of_records = orders.digests.key_names == OF_RECORDS
        self._pages = PageReader(orders.digests, orders.meanwhile if self._of_records else None)
        self._at_work = threading.Lock()  # held by who deals with a page
        self._flow = PageFlow(scan_flow.MOST, PAGE_ITEMS)
        self._speaking = threading.Lock()
        self._report = ReaderReport()
        self._said_at = 0.0
        self._threads = Threads("backup")

    def receive(self, message: Segment | ReadRate | StopReading) -> None:
        """Take note of a segment, of a rate, or of the end."""
        if isinstance(message, ReadRate):
            self._limiter.change(message.units)
        elif isinstance(message, StopReading):
            self._stop.request()
        else:
            self._threads.start(self._live, message)

    def close(self) -> None:
        """Wait for the threads, which have said that they end."""
        self._threads.join()

    def _live(self, segment: Segment) -> None:
        """The life of a thread."""
        failed: Packed | None = None
        try:
            self._read(segment)
        except Interrupted:
            pass
        except Exception as error:
            failed = packed(error)
            self._stop.request()
        with self._speaking:
            self._report.left += 1
            self._report.failed = self._report.failed or failed
            self._say()

    def _read(self, segment: Segment) -> None:
        """Read a segment to its end, part by part. What ends it before ends it after what has been
        read is written down."""
        after = segment.next_key
        records: Records[Entry] = Records(self._orders.known)
        way = Way(self._wire, "Scan")
        while not segment.done:
            begun, recent = segment.next_key, list[str]()
            builder, end = PartBuilder(self._packing), False
            next_key = begun
            try:
                while not (end or builder.full):
                    self._leave_if_asked()
                    page = self._page(segment.number, after)
                    end = page.after is None
                    recent += self._take(records, builder, page, end=end)
                    if page.after is not None:
                        way.goes_on(page.after)
                        after = dict(page.after)
                        next_key = self._goes_on_at(records, after) or begun
                    self._count(len(page.entries))
            except (Interrupted, MigrationError):
                if builder.items:
                    recent += records.unfinished()
                    self._close(segment, builder, after, recent, end=False)
                raise
            self._close(segment, builder, next_key, recent, end=end)

    def _leave_if_asked(self) -> None:
        if self._stop.requested or self._operator.requested:
            raise Interrupted

    def _take(
        self, records: Records[Entry], builder: PartBuilder, page: Page, *, end: bool
    ) -> Sequence[str]:
        """Take a page into a part; returns the records that are to be read again."""
        recent: Sequence[str] = ()
        with self._at_work:
            entries = page.entries
            if self._of_records:
                entries, recent = records.take(entries, end=end)
            builder.add(entries)
        return recent

    def _goes_on_at(self, records: Records[Entry], after: dict[str, Any]) -> dict[str, Any] | None:
        """Where a resumed backup continues that has only what was taken in, if the next page begins
        at `after`; None: where the part has begun."""
        if not records.is_within:
            return after
        return self._pages.key_of(records.settled) if records.settled else None

    def _page(self, segment: int, start: Mapping[str, Any] | None) -> Page:
        request: dict[str, Any] = {
            "TableName": self._orders.table,
            "ConsistentRead": True,
            "Limit": self._flow.items,
            "Segment": segment,
            "TotalSegments": self._orders.segments,
            "ReturnConsumedCapacity": "TOTAL",
        }
        if start:
            request["ExclusiveStartKey"] = start
        self._limiter.acquire(0.0)

        def parse(body: bytes) -> Page:
            self._flow.came(in_vain=not self._at_work.locked())
            with self._at_work:
                page = self._pages.read(request, body)
            require_progress(start, page.last_key, page.ends_at)
            return page

        tell = partial(self._slow_down, self._flow.cuts)
        began = self._clock()
        page = ask(self._wire, self._retry, "Scan", request, parse, tell=tell)
        self._limiter.settle(0.0, page.units, seconds=self._clock() - began)
        return page

    def _slow_down(self, cuts: int, problem: BackOff) -> None:
        if isinstance(problem, Throttled):
            self._flow.throttled(cuts)
            self._limiter.slow_down(str(problem))

    def _throttled(self, reason: str) -> None:
        with self._speaking:
            self._report.throttled = reason
            self._say()

    def _close(
        self,
        segment: Segment,
        builder: PartBuilder,
        next_key: dict[str, Any] | None,
        recent: Sequence[str],
        *,
        end: bool,
    ) -> None:
        """Write a part, and then say that it is there."""
        part = None
        if builder.items:
            name = part_name(segment.number, segment.parts, self._packing)
            path = self._orders.folder / name
            part = builder.write(path, keys_of(path))
            segment.parts += 1
        segment.next_key, segment.done = next_key, end
        now = Segment(segment.number, next_key, end, segment.parts)
        with self._speaking:
            self._report.closed.append(Closed(now, part, tuple(recent)))
            self._say()

    def _count(self, items: int) -> None:
        with self._speaking:
            self._report.items += items
            if self._clock() - self._said_at >= _SAY_EVERY:
                self._say()

    def _say(self) -> None:
        self._report.accepted = self._limiter.take_accepted()
        self._report.troubles = take_troubles()
        self._report.at_once = self._flow.number
        report, self._report = self._report, ReaderReport()
        self._said_at = self._clock()
        self._reply(report)


def part_name(segment: int, number: int, packing: Packing) -> str:
    """The name of the file of a segment's part."""
    return f"items-{segment:02}-{number:04}{packing.ending}"


def keys_of(part: Path) -> Path:
    """The file of a part's records of the key index, while there is no index yet."""
    return part.with_name("keys-" + part.name.partition("-")[2].partition(".")[0])
