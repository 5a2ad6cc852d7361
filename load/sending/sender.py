"""A sender: what a process does that shares a load, and what it says of it.

It holds pieces of several lanes and takes whole records from them in turn, some batches at once,
many in flight. A sale is to be seen when it is whole: of what is taken together, the lines of sales
are sent before what opens the sales. Of each piece it acknowledges what has arrived without a gap.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path

from load.history.request_log import RequestLog
from load.sending.file_lanes import Piece
from load.sending.line_places import SentTogether
from load.writing.batch_writer import BatchWriter, Outcome
from load.writing.batches import batches, record_key, units_of, wholes
from load.writing.conditional_writer import ConditionalWriter
from load.writing.rate_limiter import Answered, RateLimiter
from utils.config import MigrationConfig, TargetConfig
from utils.dynamodb.backoff import RetryPolicy
from utils.dynamodb.client import DynamoDB
from utils.dynamodb.reached import Tables, bind_process
from utils.dynamodb.table_spec import TableSpec
from utils.files.artifacts import starts_record
from utils.files.line_marks import EDITED, NEW, LineMarks
from utils.files.pieces import ByteRange, lines_in
from utils.interrupt import Interrupted, StopFlag
from utils.processes.actors import Packed, Threads, leave_little_garbage, packed
from utils.telemetry.troubles import Troubles, take_troubles

SAY_EVERY = 0.05
# One partition takes 1,000 write units a second, hard (DynamoDB developer guide, "Partitions").
PARTITION_UNITS = 1000.0
# How many batches are taken together: enough for them to be full, few enough for all threads.
_LEAST, _MOST = 4, 12
_TOGETHER = 3  # batches that a thread sends at once: one for each would wait for the others


@dataclass(frozen=True)
class SenderOrders:
    """All that a sender has to know, in a form that goes to another process. Of the lines in
    `source` it sends those that `plan` (utils/files/line_marks.py) says go out in batches. `bound`
    are the tables that the run has reached (utils/dynamodb/reached.py). What was acknowledged is
    noted in `requests` (load/history/request_log.py), if there is such a file. At first so many
    batches are to be `in_flight`."""

    source: Path
    plan: Path
    target: TargetConfig
    migration: MigrationConfig
    spec: TableSpec
    skipped: frozenset[str]
    chosen: frozenset[str] | None
    rate: float | None
    in_flight: int = 1
    bound: Tables = field(default_factory=dict)
    requests: Path | None = None


@dataclass(frozen=True)
class WriteRate:
    """From now on so many write units a second; None: as many as anybody wants."""

    units: float | None


@dataclass(frozen=True)
class AcceptedElsewhere:
    """The other senders have had so many write units accepted."""

    units: float


@dataclass(frozen=True)
class Many:
    """From now on so many batches are to be in flight at once."""

    batches: int


class StopSending:
    """Finish what is in flight, and begin nothing."""


class NoMore:
    """There are no more pieces: end when the last is done."""


@dataclass
class Acknowledged:
    """The `size` bytes of a piece from its byte `place` on are in the table, but for what
    DynamoDB refuses."""

    number: int
    place: int
    size: int = 0
    outcome: Outcome = field(default_factory=Outcome)
    finished: bool = False


@dataclass
class SenderReport:
    """What has happened since the last report: what was accepted, whether DynamoDB throttled and
    why, what had to be tried again in this process, the error that has ended the work, and whether
    this is the last one. The last one says of pieces by number from which of their bytes on nothing
    has been tried."""

    acknowledged: dict[int, Acknowledged] = field(default_factory=dict)
    accepted: Answered = field(default_factory=Answered)
    throttled: str = ""
    troubles: Troubles | None = None
    failed: Packed | None = None
    untried: dict[int, int] = field(default_factory=dict)
    ended: bool = False

    def add(self, piece: _InHand, batch: _Batch, outcome: Outcome) -> None:
        """The next batch of a piece is done."""
        part = self.acknowledged.get(piece.number)
        if part is None:
            part = self.acknowledged[piece.number] = Acknowledged(piece.number, piece.done)
        part.size += batch.size
        part.outcome.add(outcome)
        part.finished = piece.finished
        piece.done += batch.size


@dataclass
class _Batch:
    """Lines of the file from byte `place` on, and the marks that say which of them are to be sent.
    `is_part`: more of the same batch follows."""

    place: int
    lines: list[bytes]
    marks: list[int]
    is_part: bool = False
    outcome: Outcome | None = None

    def __post_init__(self) -> None:
        new = [place for place, mark in enumerate(self.marks) if mark == NEW]
        self._new = new
        self.to_send = [self.lines[place] for place in new]
        self.size = sum(map(len, self.lines))

    def together(self) -> SentTogether:
        """What notes what becomes of it."""
        return SentTogether(self.place, self.lines, self._new, self.size)

    def cut(self, count: int) -> tuple[_Batch, _Batch] | None:
        """What comes before the line that is the `count`-th (from 0) to be sent, as far as these
        are whole records, and the rest; None when it is one record."""
        at = self._new[count]
        if any(map(starts_record, self.lines)):
            at = next((n for n in range(at, 0, -1) if starts_record(self.lines[n])), 0)
        if not at:
            return None
        first = _Batch(self.place, self.lines[:at], self.marks[:at], is_part=True)
        rest = self.place + first.size
        return first, _Batch(rest, self.lines[at:], self.marks[at:], is_part=self.is_part)

    def place_of(self, line: bytes) -> int:
        """The byte of the file at which a line (without its line break) begins."""
        place = self.place
        for each in self.lines:
            if each.rstrip(b"\n") == line:
                break
            place += len(each)
        return place


@dataclass
class _InHand:
    """A piece: batches that wait to be taken, and those that are not acknowledged, in order."""

    number: int
    waiting: deque[_Batch]
    in_flight: deque[_Batch] = field(default_factory=deque)
    done: int = 0
    not_before: float = 0.0
    last_key: str = ""

    @property
    def finished(self) -> bool:
        return not (self.waiting or self.in_flight)

    @property
    def tried(self) -> int:
        """How many of its bytes are in batches that have been taken."""
        return self.done + sum(each.size for each in self.in_flight)


def writer(orders: SenderOrders, limiter: RateLimiter, stop: StopFlag) -> BatchWriter:
    """The writer to an entity's table, which waits for nothing once `stop` is set."""
    if orders.bound:
        bind_process(orders.target, orders.bound)
    wire = DynamoDB(orders.target)
    return BatchWriter(
        wire,
        orders.target.table(orders.spec.entity),
        RetryPolicy.of(orders.migration, stop.sleep),
        limiter,
        indexes=len(orders.spec.indexes),
        doubtful=ConditionalWriter(orders, orders.spec, stop, wire),
    )


def in_a_process(orders: SenderOrders, reply: Callable[[object], None]) -> Sender:
    """A sender in a process of its own, where little is garbage that is not free at once. Its
    first report says no more than that it is there."""
    sender = Sender(orders, reply)
    leave_little_garbage()
    reply(SenderReport())
    return sender


class _Superfluous(Exception):
    """A thread is one too many."""


class Sender:
    """Sends the pieces that it is told, with threads of its own; see
    utils.processes.actors.Actor."""

    def __init__(
        self,
        orders: SenderOrders,
        reply: Callable[[SenderReport], object],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._orders = orders
        self._reply = reply
        self._clock = clock
        self._stop = StopFlag()
        self._limiter = RateLimiter(orders.rate, throttled=self._throttled, sleep=self._stop.sleep)
        self._writer = writer(orders, self._limiter, self._stop)
        self._skipped = set(orders.skipped)
        self._requests = RequestLog(orders.requests)
        self._pieces: deque[_InHand] = deque()
        self._no_more = False
        self._changed = threading.Condition()
        self._report = SenderReport()
        self._said_at = 0.0
        self._in_flight = self._wanted_threads = self._working = 0
        self._together = 1  # batches that each of them sends at once
        self._threads = Threads("load")
        self._has_begun = False
        with self._changed:
            self._want(orders.in_flight)

    def receive(
        self, message: Piece | WriteRate | AcceptedElsewhere | Many | StopSending | NoMore
    ) -> None:
        """Take note of a piece, of a rate, of how the others get on, of how many batches are to be
        in flight, or of the end."""
        if isinstance(message, WriteRate):
            self._limiter.change(message.units)
            with self._changed:
                self._want(self._in_flight)
            return
        if isinstance(message, Many):
            with self._changed:
                self._want(message.batches)
            return
        if isinstance(message, AcceptedElsewhere):
            self._limiter.elsewhere = message.units
            return
        piece = self._open(message) if isinstance(message, Piece) else None
        with self._changed:
            if piece is not None:
                self._pieces.append(piece)
            elif isinstance(message, StopSending):
                self._stop.request()
            else:
                self._no_more = True
            self._changed.notify_all()

    def close(self) -> None:
        """Wait for the threads, which have said that they end."""
        self._threads.join()
        self._requests.close()

    def _want(self, in_flight: int) -> None:
        """From now on so many batches are to be in flight: threads are started for that, or end
        with what they have in hand. When all have ended, the work has."""
        self._in_flight = in_flight
        self._wanted_threads = threads = max(1, in_flight // self._most_together())
        self._together = in_flight // threads
        if self._has_begun and not self._working:
            return
        self._has_begun = True
        while self._working < threads:
            self._working += 1
            self._threads.start(self._work)
        self._changed.notify_all()

    def _most_together(self) -> int:
        """How many batches a thread may send at once: one where something is to be waited for
        between them."""
        is_paced = self._limiter.most_at_once is not None or self._orders.migration.batch_delay
        return 1 if is_paced else _TOGETHER

    def _open(self, piece: Piece) -> _InHand:
        lines = lines_in(self._orders.source, ByteRange(piece.start, piece.end))
        with LineMarks(self._orders.plan) as plan:
            marks = iter(plan.marks(piece.start, lines))
        size = self._orders.migration.batch_size
        waiting: deque[_Batch] = deque()
        place = piece.start
        for group in wholes(lines, size, _LEAST * size, _MOST * size, alone=_TOGETHER * size):
            waiting.append(_Batch(place, group, list(islice(marks, len(group)))))
            place += waiting[-1].size
        return _InHand(piece.number, waiting)

    def _units(self, line: bytes) -> int:
        return units_of(line, len(self._orders.spec.indexes))

    def _work(self) -> None:
        """The life of a thread."""
        try:
            while taken := self._take():
                piece, batch = taken
                self._settle(piece, batch, self._send(batch))
        except _Superfluous:
            return
        except Interrupted:
            pass
        except Exception as error:
            self._fail(error)
        with self._changed:
            self._working -= 1
            if not self._working:
                self._requests.flush()
                self._report.untried = {piece.number: piece.tried for piece in self._pieces}
                self._report.ended = True
                self._say()

    def _take(self) -> tuple[_InHand, _Batch] | None:
        """The next batch to be sent; None when there is nothing more to do. Raises _Superfluous
        when there are more threads than are wanted: this one does not count any more."""
        with self._changed:
            while not self._stop.requested:
                if self._working > self._wanted_threads:
                    self._working -= 1
                    raise _Superfluous
                now = self._clock()
                ready = [piece for piece in self._pieces if piece.not_before <= now]
                if ready:
                    return self._next_of(ready[0], now)
                if self._no_more and not self._pieces:
                    return None
                wait = min((piece.not_before - now for piece in self._pieces), default=None)
                self._changed.wait(wait)
        return None

    def _next_of(self, piece: _InHand, now: float) -> tuple[_InHand, _Batch]:
        """Take a piece's next batch, or what of it may be sent at once; the piece goes behind the
        others, and rests where this batch and the one before it go to one partition."""
        batch = piece.waiting.popleft()
        count = self._writer.at_once(batch.to_send)
        if count < len(batch.to_send) and (parts := batch.cut(count)):
            batch, rest = parts
            piece.waiting.appendleft(rest)
        piece.in_flight.append(batch)
        self._pieces.remove(piece)
        if piece.waiting:
            self._pieces.append(piece)
        lines = batch.to_send
        if not lines:
            return piece, batch
        first, last = record_key(lines[0]), record_key(lines[-1])
        if first == last == piece.last_key:
            units = sum(map(self._units, lines))
            piece.not_before = now + units / PARTITION_UNITS
        piece.last_key = last
        return piece, batch

    def _send(self, batch: _Batch) -> Outcome:
        """Send what is taken together, what opens records last. Raises Interrupted in between when
        a stop is asked for."""
        together = batch.together()
        try:
            return self._send_noting(batch, together)
        finally:
            together.tell(self._requests)
            self._requests.flush_now_and_then()

    def _send_noting(self, batch: _Batch, together: SentTogether) -> Outcome:
        size = self._orders.migration.batch_size
        tails: list[bytes] = []
        heads: list[bytes] = []
        for line in batch.to_send:
            (heads if starts_record(line) else tails).append(line)
        outcome, before = Outcome(), ""
        waves = chain(self._waves(batches(tails, size)), self._waves(batches(heads, size)))
        for number, wave in enumerate(waves):
            if number and self._stop.requested:
                raise Interrupted
            wanted = list(map(self._wanted, wave))
            outcomes = self._writer.write_all(list(filter(None, wanted)))
            for lines, some in zip(wave, wanted, strict=True):
                opens = starts_record(lines[0])
                if not some:
                    together.note(len(lines), (), opens=opens)
                    continue
                done = next(outcomes)
                together.note(len(lines), done.answers, opens=opens)
                if done.refused:
                    self._refuse(done)
                if done.edited:
                    self._note_edited(batch, done)
                self._say_now_and_then()
                outcome.add(done)
                outcome.records += done.items if opens else 0
                if not batch.is_part:
                    self._stop.rest(self._orders.migration.batch_delay / 1000)
                key = record_key(some[0])
                if before == key == record_key(some[-1]):
                    self._stop.rest(sum(map(self._units, some)) / PARTITION_UNITS)
                before = key
        outcome.lines = len(batch.lines)
        return outcome

    def _waves(self, some: Iterable[list[bytes]]) -> Iterator[list[list[bytes]]]:
        """Batches that are sent together. One that only goes on with the record of the one before
        it has to wait for it."""
        wave: list[list[bytes]] = []
        before = ""
        for lines in some:
            key = record_key(lines[-1])
            if wave and (len(wave) >= self._together or before == record_key(lines[0]) == key):
                yield wave
                wave = []
            wave.append(lines)
            before = key
        if wave:
            yield wave

    def _wanted(self, lines: list[bytes]) -> list[bytes]:
        """Of lines, those of records that are chosen and not refused."""
        chosen = self._orders.chosen
        if chosen is not None:
            lines = [line for line in lines if record_key(line) in chosen]
        if self._skipped:
            lines = [line for line in lines if record_key(line) not in self._skipped]
        return lines

    def _refuse(self, outcome: Outcome) -> None:
        with self._changed:
            self._skipped.update(record_key(item.line) for item in outcome.refused)

    def _note_edited(self, batch: _Batch, outcome: Outcome) -> None:
        """The application has changed items since they were sent: they are its own now, durably."""
        with LineMarks(self._orders.plan) as plan:
            for line in outcome.edited:
                plan.mark(batch.place_of(line), EDITED)
            plan.sync()

    def _settle(self, piece: _InHand, batch: _Batch, outcome: Outcome) -> None:
        """A batch has been dealt with: acknowledge what is without a gap now."""
        with self._changed:
            batch.outcome = outcome
            first = piece.in_flight
            while first and (arrived := first[0].outcome) is not None:
                self._report.add(piece, first.popleft(), arrived)
            if piece.finished or self._clock() - self._said_at >= SAY_EVERY:
                self._say()

    def _say_now_and_then(self) -> None:
        if self._clock() - self._said_at >= SAY_EVERY:
            with self._changed:
                self._say()

    def _throttled(self, reason: str) -> None:
        with self._changed:
            self._report.throttled = reason
            self._say()

    def _fail(self, error: Exception) -> None:
        with self._changed:
            self._report.failed = packed(error)
            self._stop.request()
            self._changed.notify_all()

    def _say(self) -> None:
        self._report.accepted = self._limiter.take_accepted()
        self._report.troubles = take_troubles()
        report, self._report = self._report, SenderReport()
        self._said_at = self._clock()
        self._reply(report)
