"""Apache Spark as the fleet: a job for the parts of a step, a task for one or a few of them.

Written for what pyspark 3.5 and 4.1 share. Spark brings what a fleet has to have: machines that
come and go, tasks that are tried again, twins of slow ones, a cluster manager that somebody else
runs. Pieces and parts are read and written by the tool's own functions in Spark's Python workers.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import Any

from pyspark import SparkContext

from utils.config import EngineConfig
from utils.dynamodb.backoff import Attempts, RetryPolicy
from utils.error_handler import BackOff
from utils.files.closing import Closes
from utils.fleet.fleet import Part, Result
from utils.fleet.spark_application import open_application
from utils.fleet.spark_jobs import Job, arriving
from utils.fleet.task import Outcome, Task
from utils.logger import get_logger
from utils.processes.actors import undisturbed
from utils.processes.pieces_runner import Piece, ThisProcess
from utils.processes.pool import WORTH_IT
from utils.wording.figures import counted

_PIECES_A_CORE, _TASKS_A_CORE = 8, 2  # of a job: pieces are small, and tasks cost something


class SparkFleet:
    """A Spark application of this run's own: started with the first work, or the one that
    spark-submit has started. Its JVM's log is written to `log`."""

    def __init__(self, engine: EngineConfig, policy: RetryPolicy, log: Path) -> None:
        self._engine = engine
        self._policy = policy
        self._log = log
        self._context: SparkContext | None = None
        self._lock = threading.Lock()

    def start(self) -> None:
        """See Fleet."""
        self._started()

    def _started(self) -> SparkContext:
        with self._lock:
            if self._context is None:
                self._context = open_application(self._engine, self._log)
            return self._context

    def close(self) -> None:
        """See Fleet."""
        with self._lock:
            context, self._context = self._context, None
        if context is not None:
            with suppress(Exception):  # it may be gone already
                context.stop()

    @property
    def at_once(self) -> int:
        """As many as Spark has cores, by its own word."""
        return int(self._started().defaultParallelism)

    def shares(self, pieces: int) -> bool:
        """See PiecesRunner."""
        return pieces >= WORTH_IT

    def expect(self, pieces: int) -> None:
        """See PiecesRunner; Spark's machines are there."""

    def get_ready(self, function: Callable[[Any], object]) -> None:
        """See PiecesRunner; Spark's machines are there."""

    def in_order(
        self,
        function: Callable[[Piece], Result],
        pieces: Iterable[Piece],
        *,
        pause: Callable[[], object] | None = None,
        at_most: int | None = None,
    ) -> Generator[Result, None, None]:
        """See PiecesRunner. A few pieces for every core are one job, and while its results are
        taken here, the next one is at work."""
        rest = iter(pieces)
        first = list(islice(rest, WORTH_IT))
        if not self.shares(len(first)):
            yield from ThisProcess().in_order(function, chain(first, rest))
            return
        waves = _waves(chain(first, rest), _PIECES_A_CORE * (at_most or self.at_once))
        work = partial(undisturbed, function)
        ahead: _Wave | None = _Wave(self, work, next(waves), at_most)
        try:
            while ahead is not None:
                wave, some = ahead, next(waves, [])
                ahead = _Wave(self, work, some, at_most) if some else None
                try:
                    yield from wave.results(pause)
                finally:
                    wave.close()
        finally:
            if ahead is not None:
                ahead.close()

    def each(
        self,
        function: Callable[[Part], Result],
        parts: Sequence[Part],
        *,
        at_most: int | None = None,
        pause: Callable[[], object] | None = None,
    ) -> Generator[tuple[int, Result], None, None]:
        """See Fleet."""
        left = dict(enumerate(parts))
        attempts = Attempts(self._policy)
        while left:
            before, lost = len(left), None
            for outcome in self._outcomes(function, left, at_most, pause):
                if outcome.place not in left:
                    continue  # told twice
                error = outcome.raised()
                if error is None:
                    del left[outcome.place]
                    yield outcome.place, outcome.value
                lost = error or lost
            if not left:
                return
            if len(left) < before:
                attempts = Attempts(self._policy)
            if not attempts.fail():
                raise lost or BackOff(
                    "PartsLost", f"nothing was heard of {counted(len(left), 'part')}"
                )
            get_logger().warning("Trying %s again: %s", counted(len(left), "part"), lost)
            attempts.wait()

    def _outcomes(
        self,
        function: Callable[[Part], Result],
        parts: Mapping[int, Part],
        at_most: int | None,
        pause: Callable[[], object] | None,
    ) -> Generator[Outcome, None, None]:
        """What becomes of parts when each is tried once: in one job, of which Spark has as many
        tasks at work as there is room for; where fewer are to be, in a job for each."""
        if at_most is None or at_most >= len(parts):
            return arriving(iter([self.job(function, parts)]), 1, pause)
        jobs = (self.job(function, {place: part}) for place, part in list(parts.items()))
        return arriving(jobs, at_most, pause)

    def begun(self, function: Callable[[Part], object], parts: Sequence[Part]) -> Job:
        """See Fleet."""
        return self.job(function, dict(enumerate(parts)))

    @property
    def addresses(self) -> tuple[str, str]:
        """See Fleet: those by which Spark's own machines call its driver."""
        conf = self._started().getConf()
        host = str(conf.get("spark.driver.host"))
        return str(conf.get("spark.driver.bindAddress", host)), host

    def job(
        self, function: Callable[[Any], Any], parts: Mapping[int, Any], tasks: int | None = None
    ) -> Job:
        """A job for parts at their places, which has begun: a task for each, or so many `tasks`
        which do one after the other."""
        tasks = min(tasks or len(parts), len(parts))
        return Job(self._started(), Task.of(function), list(parts.items()), tasks)


class _Wave(Closes):
    """A few pieces for every core, which are at work from the beginning."""

    def __init__(
        self,
        fleet: SparkFleet,
        work: Callable[[Any], Any],
        pieces: Sequence[Any],
        at_most: int | None,
    ) -> None:
        self._fleet, self._work, self._pieces, self._at_most = fleet, work, pieces, at_most
        tasks = at_most or _TASKS_A_CORE * fleet.at_once
        self._job = fleet.job(work, dict(enumerate(pieces)), tasks)

    def results(self, pause: Callable[[], object] | None) -> Iterator[Any]:
        """What became of the pieces, in their order."""
        found: dict[int, Any] = {}
        for outcome in arriving(iter([self._job]), 1, pause):
            if outcome.raised() is None:
                found[outcome.place] = outcome.value
        missing = [place for place in range(len(self._pieces)) if place not in found]
        again = self._fleet.each(
            self._work,
            [self._pieces[place] for place in missing],
            at_most=self._at_most,
            pause=pause,
        )
        with closing(again):
            found.update((missing[at], value) for at, value in again)
        for place in range(len(self._pieces)):
            yield found.pop(place)

    def close(self) -> None:
        self._job.close()


def _waves(pieces: Iterable[Any], size: int) -> Iterator[list[Any]]:
    rest = iter(pieces)
    while some := list(islice(rest, size)):
        yield some
