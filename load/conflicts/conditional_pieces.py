"""The work of the conditional load (load/conflicts/conditional_load.py) on pieces of a file, which
processes share: what must not go out in batches is written on condition, as it is marked in the
plan of the load."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock, local

from load.conflicts.policy import Authors
from load.conflicts.replaced_items import ReplacedItems
from load.conflicts.replacing import Planned, Replacing
from load.conflicts.table_pictures import Memory, Pictures
from load.history.request_log import Kind, RequestLog
from load.sending.job_pool import Share
from load.writing.batch_writer import RefusedItem
from load.writing.conditional_writer import ConditionalWriter, WriteResult
from load.writing.conditions import ABSENT
from utils.config import MigrationConfig, TargetConfig
from utils.dynamodb.client import RequestRefused
from utils.dynamodb.item_content import is_same
from utils.dynamodb.table_spec import TableSpec
from utils.files.artifacts import starts_record
from utils.files.line_marks import ADDED, CONDITIONAL, EDITED, NEW, REPLACED, LineMarks
from utils.files.pieces import ByteRange
from utils.interrupt import StopFlag

_TOGETHER = 500  # lines of a record that are made requests at once


@dataclass
class PieceWritten:
    """What became of a piece: the items that DynamoDB does not take, whether anything was written,
    and the conditional requests and write units since the last piece of this process."""

    refused: list[RefusedItem] = field(default_factory=list)
    wrote: bool = False
    requests: int = 0
    units: float = 0.0


@dataclass(frozen=True)
class ConditionalPieces:
    """What is written on condition of one entity: records that are replaced, and of the others the
    new lines in the ranges of bytes `again`, which may have been sent already.

    `moment` is the migration's own time, for rows without one. What was written is noted in
    `requests` (load/history/request_log.py), if there is such a file.
    """

    source: Path
    plan: Path
    before: Path
    target: TargetConfig
    migration: MigrationConfig
    spec: TableSpec
    pictures: Pictures | None
    authors: Authors
    moment: str
    again: Sequence[tuple[int, int]]
    requests: Path | None = None

    def is_due(self, plan: LineMarks, place: ByteRange) -> bool:
        """Whether there may be something to do in a piece of the file."""
        return self._is_again(place) or plan.has_any(CONDITIONAL, place)

    def _is_again(self, place: ByteRange) -> bool:
        return any(start < place.end and place.start < end for start, end in self.again)

    @contextmanager
    def opened(self, stop: StopFlag, share: Share) -> Iterator[Callable[[ByteRange], PieceWritten]]:
        """What does the work in this process; see load.sending.job_pool.Work."""
        writer = share.writer(self, self.spec, stop)
        with ExitStack() as stack:
            yield _Writing(
                self,
                stack.enter_context(LineMarks(self.plan)),
                stack.enter_context(RequestLog(self.requests)),
                writer,
                Replacing(
                    writer,
                    stack.enter_context(ReplacedItems(self.before)),
                    stack.enter_context(Memory(self.pictures)),
                    self.authors,
                    self.moment,
                ),
            ).write


class _Written(local):
    """What has been written in this thread lately: by the text of each item, how and in which
    request."""

    def __init__(self) -> None:
        self.by: dict[bytes, tuple[Kind, str]] = {}

    def note(self, items: Iterable[bytes], request_id: str, *, together: bool) -> None:
        kind = Kind.TRANSACTION if together else Kind.CONDITIONAL
        self.by |= dict.fromkeys(items, (kind, request_id))


class _Writing:
    """The work in one process; safe to share between threads."""

    def __init__(
        self,
        work: ConditionalPieces,
        plan: LineMarks,
        requests: RequestLog,
        writer: ConditionalWriter,
        replacing: Replacing,
    ) -> None:
        self._work = work
        self._plan = plan
        self._requests = requests
        self._written = _Written()
        writer.listener = self._written.note
        self._writer = writer
        self._replacing = replacing
        self._lock = Lock()
        self._told = (0, 0.0)

    def write(self, place: ByteRange) -> PieceWritten:
        """Write what is due of a piece; raises TargetError when DynamoDB cannot be used."""
        again: list[list[Planned]] = []
        replaced: list[list[Planned]] = []
        for located in self._plan.records_in(self._work.source, place):
            record = [Planned(*each) for each in located]
            if any(each.mark in CONDITIONAL for each in record):
                replaced.append(record)
            elif wanted := [each for each in record if self._is_again(each)]:
                again.append(wanted)
        done = PieceWritten()
        self._written.by.clear()
        self._write_again(again, done)
        self._replace(replaced, done)
        self._count(done)
        return done

    def _is_again(self, planned: Planned) -> bool:
        ranges = self._work.again
        return planned.mark == NEW and any(a <= planned.place < b for a, b in ranges)

    def _write_again(self, records: Sequence[Sequence[Planned]], done: PieceWritten) -> None:
        """Write items that may be there already. A sale is to be seen when it is whole: what opens
        records comes last, and not at all where DynamoDB does not take the rest."""
        heads = [each[0] for each in records if starts_record(each[0].line)]
        opening = {each.place for each in heads}
        tails = [each for record in records for each in record if each.place not in opening]
        self._put(tails, done)
        if done.refused:
            refused = {each.line for each in done.refused}
            spoilt = {
                record[0].place
                for record in records
                if any(each.line.rstrip(b"\n") in refused for each in record)
            }
            heads = [each for each in heads if each.place not in spoilt]
        self._put(heads, done)

    def _put(self, items: Sequence[Planned], done: PieceWritten) -> None:
        for first in range(0, len(items), _TOGETHER):
            some = items[first : first + _TOGETHER]
            outcomes = self._writer.put_all([(each.body, ABSENT) for each in some])
            marked = []
            for each, written in zip(some, outcomes, strict=True):
                if isinstance(written, RequestRefused):
                    done.refused.append(_refused(each, written))
                else:
                    marked.append((each, _mark_of(written, each)))
            self._mark(marked, done)

    def _replace(self, records: Sequence[Sequence[Planned]], done: PieceWritten) -> None:
        marked: list[tuple[Planned, int]] = []
        for record, marks in zip(records, self._replacing.replace_all(records), strict=True):
            if isinstance(marks, RequestRefused):
                done.refused.append(_refused(record[0], marks))
            else:
                marked += zip(record, marks, strict=True)
        self._mark(marked, done)

    def _mark(self, marked: Sequence[tuple[Planned, int]], done: PieceWritten) -> None:
        """Give lines their new marks. Nobody else marks anything in this piece."""
        self._plan.mark_some([(each.place, mark) for each, mark in marked if mark != each.mark])
        done.wrote |= any(mark in (ADDED, REPLACED) for _, mark in marked)
        for each, _ in marked:
            if wrote := self._written.by.pop(each.body, None):
                kind, request_id = wrote
                place = (each.place, each.place + len(each.line))
                self._requests.add(kind, (place,), request_id, opens=starts_record(each.line))
        self._requests.flush()

    def _count(self, done: PieceWritten) -> None:
        with self._lock:
            requests, units = self._told
            self._told = self._writer.requests, self._writer.units
            done.requests, done.units = self._told[0] - requests, self._told[1] - units


def _refused(planned: Planned, refusal: RequestRefused) -> RefusedItem:
    return RefusedItem(planned.line.rstrip(b"\n"), refusal.message)


def _mark_of(written: WriteResult, planned: Planned) -> int:
    """The new mark of an item that may have been there already. Nobody but the run makes items with
    these keys: it was sent, and changed since."""
    if written.done or is_same(written.found, planned.item):
        return ADDED
    return EDITED
