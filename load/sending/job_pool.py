"""Jobs that mostly wait for DynamoDB, done by several processes, in each by some threads.

A process that is short of jobs is given more, so that all are done at the same time; in each there
are as many under way as it takes (load/sending/in_flight.py). What became of the jobs is taken note
of here in their order, so that it does not depend on who did which.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Generic, Protocol, TypeVar

from load.sending.actor_group import ActorGroup, Talk
from load.sending.in_flight import FIRST, MOST, InFlight
from load.writing.conditional_writer import ConditionalWriter, Reach
from load.writing.rate_limiter import Answered
from utils.config import MigrationConfig, TargetConfig
from utils.dynamodb.client import DynamoDB
from utils.dynamodb.reached import Tables, bind_process, bound_to
from utils.dynamodb.table_spec import TableSpec
from utils.files.elsewhere import require_here
from utils.interrupt import StopFlag
from utils.processes.actors import (
    Packed,
    Threads,
    leave_little_garbage,
    little_garbage,
    packed,
    unpacked,
)
from utils.run.session import AtWork
from utils.telemetry.troubles import Troubles, take_troubles

WORTH_IT = 2 << 20  # bytes of records below which no process is started
_WIDEST = 64  # requests that a job has under way at once
_JOBS = 4  # jobs under way in a process, at the most
_AHEAD = 2  # jobs that a process has, for each one that is under way
_WINDOW = 64  # jobs of each process that may be done before one that was to be done earlier

Job = TypeVar("Job")
Result = TypeVar("Result")
Job_contra = TypeVar("Job_contra", contravariant=True)
Result_co = TypeVar("Result_co", covariant=True)


@dataclass(frozen=True)
class Share:
    """What one of some `processes` may have under way: so many jobs, each with so many requests at
    once."""

    jobs: int = _JOBS
    width: int = _WIDEST
    processes: int = 1

    @classmethod
    def of(cls, workers: int | None, processes: int, *, wide: bool = True) -> Share:
        """A share where `workers` requests are all that may be under way (None: as many as it
        takes); of a job that is not `wide`, one at a time."""
        if not wide:
            return cls(max(1, (workers or MOST) // processes), 1, processes)
        if workers is None:
            return cls(processes=processes)
        mine = max(1, workers // processes)
        width = min(mine, _WIDEST)
        return cls(mine // width, width, processes)

    def writer(
        self, work: Reach, spec: TableSpec, stop: StopFlag, *, table: str | None = None
    ) -> ConditionalWriter:
        """What writes on condition in a process, within its share. The table is that of the entity
        of `spec`, or `table`."""
        wire = DynamoDB(work.target, at_once=self.width)
        mine = _Mine(work.target, self.in_rate(work.migration))
        return ConditionalWriter(mine, spec, stop, wire, table=table)

    def in_rate(self, migration: MigrationConfig) -> MigrationConfig:
        """The settings of each process: they keep to `maxWriteUnits` together."""
        if migration.max_write_units is None:
            return migration
        units = max(1, migration.max_write_units // self.processes)
        return replace(migration, max_write_units=units)


@dataclass(frozen=True)
class _Mine:
    """Where and how patiently a process writes; see load.writing.conditional_writer.Reach."""

    target: TargetConfig
    migration: MigrationConfig


class Work(Protocol[Job_contra, Result_co]):
    """What is done. Goes to other processes, so that it must survive pickling."""

    def opened(
        self, stop: StopFlag, share: Share
    ) -> AbstractContextManager[Callable[[Job_contra], Result_co]]:
        """What does a job in this process, in whatever thread; it waits for nothing any more once
        `stop` is set."""


class JobPool(Generic[Job, Result]):
    """Does jobs, at most `migration.workers` requests at once, and fewer where more do not do more.

    `settle` gets the results, one after the other, in the order of the jobs.
    """

    def __init__(
        self,
        at_work: AtWork,
        work: Work[Job, Result],
        settle: Callable[[Job, Result], object],
        *,
        size: int,
        wide: bool = True,
    ) -> None:
        """Other processes take part in no less than WORTH_IT bytes of records, of which there are
        about `size`. Of a job that is not `wide` one request is under way at a time."""
        self._at_work = at_work
        self._work = work
        self._settle = settle
        most = at_work.config.migration.workers
        self._workers = at_work.workers.at_files
        count = min(self._workers.at_once, most or self._workers.at_once)
        self._count = 1 if size < WORTH_IT else count
        self._share = Share.of(most, self._count, wide=wide)
        self._target = at_work.config.target

    def do_all(self, jobs: Iterable[Job]) -> None:
        """Do every job. Raises what a job or `settle` raises, MigrationError when a process is
        killed, and Interrupted when a stop is asked for: nothing is under way any more then, and
        what has been done without a gap is settled."""
        makes = [partial(JobRunner, self._work, self._share)]
        bound = bound_to(self._target)
        others = partial(in_a_process, self._work, self._share, self._target, bound)
        makes += [others] * (self._count - 1)
        with little_garbage(), self._workers.conversing(makes) as talk:
            sharing = _Sharing(talk, self._count, iter(jobs), self._settle, self._at_work)
            sharing.do_all()


@dataclass(frozen=True)
class _JobDone:
    """What became of the job with a number, how many jobs its process is to have, and what it had
    to try again."""

    number: int
    wants: int
    troubles: Troubles | None
    result: Any = None
    failed: Packed | None = None


class _Ended:
    """A process has done all that it was told, and will not do more."""


class _NoMore:
    """There are no more jobs."""


class _Stop:
    """Finish what is under way, and begin nothing."""


class _Sharing(Generic[Job, Result]):
    """The jobs in the hands of some processes."""

    def __init__(
        self,
        talk: Talk,
        count: int,
        jobs: Iterator[Job],
        settle: Callable[[Job, Result], object],
        at_work: AtWork,
    ) -> None:
        self._group = ActorGroup(talk, range(count))
        self._jobs = jobs
        self._settle = settle
        self._stop = at_work.stop
        self._progress = at_work.progress
        self._wants = dict.fromkeys(range(count), _AHEAD * FIRST)
        self._window = _WINDOW * count
        self._given: deque[Job] = deque()  # and not settled
        self._settled = 0
        self._done: dict[int, _JobDone] = {}
        self._exhausted = self._has_gap = False

    def do_all(self) -> None:
        try:
            self._give()
            while self._given:
                self._stop.leave_if_asked()
                self._hear()
                self._settle_all()
                self._give()
            self._group.tell_all(_NoMore())
            while self._group.in_hand:
                self._hear()
        except BaseException:
            self._wind_up()
            raise

    def _give(self) -> None:
        """Hand jobs to who has too few of them, one after the other."""
        in_hand = self._group.in_hand
        short = deque(in_hand)
        while short and not self._exhausted and len(self._given) < self._window:
            actor = short.popleft()
            if in_hand[actor] >= self._wants[actor]:
                continue
            try:
                job = next(self._jobs)
            except StopIteration:
                self._exhausted = True
                return
            self._group.give(actor, (self._settled + len(self._given), job))
            self._given.append(job)
            short.append(actor)

    def _hear(self) -> None:
        """What has been done meanwhile. Raises MigrationError when a process was killed."""
        said, failed = self._group.hear()
        for actor, done in said:
            if isinstance(done, _Ended):
                self._group.leave(actor)
            else:
                self._done[done.number] = done
                self._progress.heard(done.troubles)
                self._wants[actor] = done.wants
                if actor in self._group.in_hand:
                    self._group.in_hand[actor] -= 1
        if failed:
            raise failed[0]

    def _settle_all(self) -> None:
        """Take note of what has been done without a gap. Raises what a job has raised."""
        while (done := self._done.get(self._settled)) is not None:
            self._has_gap = True  # unless all goes well
            if done.failed is not None:
                raise unpacked(done.failed)
            self._settle(self._given[0], done.result)
            self._given.popleft()
            self._done.pop(self._settled)
            self._settled += 1
            self._has_gap = False

    def _wind_up(self) -> None:
        """Let what is under way end, and take note of it as far as there is no gap."""
        self._group.tell_all(_Stop())
        while self._group.in_hand:
            with suppress(Exception):  # one has ended it all already
                self._hear()
        if not self._has_gap:
            with suppress(Exception):
                self._settle_all()


class JobRunner(Generic[Job, Result]):
    """The threads that do jobs in one process; see utils.processes.actors.Actor."""

    def __init__(
        self,
        work: Work[Job, Result],
        share: Share,
        reply: Callable[[object], object],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._reply = reply
        self._clock = clock
        self._stop = StopFlag()
        self._stack = ExitStack()
        self._do = self._stack.enter_context(work.opened(self._stop, share))
        self._flight = InFlight(share.jobs, clock=clock)
        self._jobs: deque[tuple[int, Job]] = deque()
        self._threads = Threads("jobs")
        self._at_work = 0  # threads
        self._no_more = False
        self._changed = threading.Condition()

    def receive(self, message: tuple[int, Job] | _NoMore | _Stop) -> None:
        """Take note of a job, or of the end."""
        with self._changed:
            if isinstance(message, tuple):
                self._jobs.append(message)
                self._enough_threads()
                return
            if isinstance(message, _Stop):
                self._stop.request()
                self._jobs.clear()
            self._no_more = True
            self._changed.notify_all()
            if not self._at_work:
                self._end()

    def close(self) -> None:
        """Wait for the threads, which have said that they end."""
        self._threads.join()

    def _enough_threads(self) -> None:
        self._changed.notify()
        if self._jobs and self._at_work < self._flight.number:
            self._at_work += 1
            self._threads.start(self._live)

    def _live(self) -> None:
        """The life of a thread."""
        while (taken := self._take()) is not None:
            number, job = taken
            began = self._clock()
            try:
                done, failed = self._do(job), None
            except Exception as error:
                done, failed = None, packed(error)
            seconds = self._clock() - began
            with self._changed:
                self._flight.heard(Answered() if failed else Answered(1.0, 1, seconds))
                self._flight.decide()
                self._enough_threads()
                wants = _AHEAD * self._flight.number
            self._reply(_JobDone(number, wants, take_troubles(), done, failed))

    def _take(self) -> tuple[int, Job] | None:
        """The next job; None when this thread is to end."""
        with self._changed:
            while self._at_work <= self._flight.number:
                if self._jobs:
                    return self._jobs.popleft()
                if self._no_more:
                    break
                self._changed.wait()
            self._at_work -= 1
            if self._no_more and not self._jobs and not self._at_work:
                self._end()
            return None

    def _end(self) -> None:
        self._stack.close()
        self._reply(_Ended())


def in_a_process(
    work: Work[Job, Result],
    share: Share,
    target: TargetConfig,
    bound: Tables,
    reply: Callable[[object], object],
) -> JobRunner[Job, Result]:
    """The hands of a process of its own, bound to the tables that this one has reached
    (utils/dynamodb/reached.py)."""
    require_here()
    if bound:
        bind_process(target, bound)
    runner = JobRunner(work, share, reply)
    leave_little_garbage()
    return runner
