"""The readers that share a backup's scan: one in this process, which starts at once, and for large
tables one in each further process."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import replace
from functools import partial

from load.backup.segment_reader import (
    Closed,
    ReaderOrders,
    ReaderReport,
    ReadRate,
    Segment,
    SegmentReader,
    StopReading,
)
from load.sending.actor_group import ActorGroup, shares
from load.writing.adaptive_rate import AdaptiveRate
from utils.dynamodb import scan_flow
from utils.dynamodb.reached import bind_process
from utils.error_handler import MigrationError
from utils.files.elsewhere import require_here
from utils.processes.actors import Reply, leave_little_garbage, little_garbage, unpacked
from utils.processes.pool import Conversation
from utils.run.session import AtWork
from utils.telemetry.tasks import Task

WORTH_IT = 5_000  # items that have come before another process is started
# Segments that a process reads at once at the most: each holds a page, and a part as it is stored.
_AT_ONCE = 8
_FEW, _MANY = 4, 16  # segments for each process
_LEAST, _MOST = 8, 256
_LARGE = 50_000  # items in a table


def segments_for(about: int, processes: int, workers: int | None) -> int:
    """In how many segments a table of `about` so many items is read: enough for all processes to
    come to their end together, and few in a small one, because each takes two requests."""
    number = (_MANY if about >= _LARGE else _FEW) * processes
    number = min(max(number, _LEAST), _MOST)
    return number if workers is None else min(number, workers)


def read_all(
    work: AtWork,
    orders: ReaderOrders,
    segments: Iterable[Segment],
    adaptive: AdaptiveRate,
    settle: Callable[[Closed], object],
    task: Task,
) -> None:
    """Read segments to their end. `settle` is told of everything that is written down.

    Raises what a reader could not deal with, MigrationError when its process was killed, and
    Interrupted when a stop is asked for; all readers have come to rest then, each after writing
    down what it had read, and `settle` knows of it.
    """
    orders = replace(orders, rate=adaptive.rate())
    make = partial(SegmentReader, orders, stop=work.stop)
    with little_garbage(), work.workers.at_files.conversing([make]) as talk:
        _ReaderPool(work, orders, talk, segments, adaptive, settle, task).read_all()


class _ReaderPool:
    """Keeps the readers in work and within the rate, all of them together."""

    def __init__(
        self,
        work: AtWork,
        orders: ReaderOrders,
        talk: Conversation,
        segments: Iterable[Segment],
        adaptive: AdaptiveRate,
        settle: Callable[[Closed], object],
        task: Task,
    ) -> None:
        self._work = work
        self._orders = orders
        self._talk = talk
        self._due = deque(segments)
        self._adaptive = adaptive
        self._settle = settle
        self._task = task
        ceiling = work.config.migration.workers
        self._count = min(
            work.workers.at_files.at_once, orders.segments, ceiling or orders.segments
        )
        self._most = self._at_once(ceiling)
        self._group = ActorGroup(talk, [0], orders.rate)  # who has which segments
        self._wanted = {0: scan_flow.FIRST}  # segments at once, to keep a reader busy
        self._read = 0

    def _at_once(self, ceiling: int | None) -> list[int]:
        """How many segments each process reads at once at the most: none takes what others are to
        read. A rate that is kept to does not come of many at once."""
        if self._work.config.backup.max_read_units is not None:
            ceiling = min(ceiling or _AT_ONCE, _AT_ONCE)
        most = min(_AT_ONCE, -(-self._orders.segments // self._count))
        if ceiling is None:
            return [most] * self._count
        return [min(share, most) for share in shares(ceiling, self._count)]

    def read_all(self) -> None:
        try:
            while self._due or any(self._group.in_hand.values()):
                self._work.stop.leave_if_asked()
                self._give()
                self._hear()
                self._group.share_out(self._adaptive.rate(), ReadRate)
        except BaseException:
            self._wind_up()
            raise

    def _give(self) -> None:
        """Hand out segments to who has too few of them; call for others if that is worth it."""
        in_hand = self._group.in_hand
        for reader in in_hand:
            most = min(self._wanted[reader], self._most[reader])
            while self._due and in_hand[reader] < most:
                # What becomes of it is known once that is written down, not before.
                self._group.give(reader, replace(self._due.popleft()))
        if self._due and self._read >= WORTH_IT and len(in_hand) < self._count:
            rate = self._adaptive.rate()
            orders = replace(self._orders, rate=None if rate is None else rate / self._count)
            for _ in range(1, self._count):
                reader = self._talk.join(partial(_in_a_process, orders))
                self._group.join(reader, orders.rate)
                self._wanted[reader] = scan_flow.FIRST
            self._give()

    def _hear(self) -> None:
        """What the readers have done meanwhile, if anything. Raises what one could not deal with,
        and MigrationError when its process was killed."""
        said, failed = self._group.hear()
        for reader, report in said:
            self._take(reader, report)
            if report.failed:
                failed.append(unpacked(report.failed))
        if failed:
            raise failed[0]

    def _take(self, reader: int, said: ReaderReport) -> None:
        if reader in self._group.in_hand:
            self._group.in_hand[reader] -= said.left
        self._wanted[reader] = said.at_once
        self._read += said.items
        self._task.heard(said.troubles)
        self._task.advance(said.items, read_units=said.accepted.units)
        self._adaptive.accepted(said.accepted.units)
        if said.throttled:
            self._adaptive.throttled(said.throttled)
        for closed in said.closed:
            self._settle(closed)

    def _wind_up(self) -> None:
        """Let the readers write down what they have read, and take note of it."""
        self._group.tell_all(StopReading())
        while any(self._group.in_hand.values()):
            with suppress(MigrationError):  # one has ended it all already
                self._hear()


def _in_a_process(orders: ReaderOrders, reply: Reply) -> SegmentReader:
    """The reader of a process of its own."""
    require_here()
    bind_process(orders.target, orders.bound)
    reader = SegmentReader(orders, reply)
    leave_little_garbage()
    reply(ReaderReport())  # it is there
    return reader
