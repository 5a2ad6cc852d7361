"""Apache Spark as the fleet: a job for the parts of a step, a task for one or a few of them.

Written for what pyspark 3.5 and 4.1 share. Spark brings what a fleet has to have: machines that
come and go, tasks that are tried again, twins of slow ones, a cluster manager that somebody else
runs. Pieces and parts are read and written by the tool's own functions in Spark's Python workers.
"""

from __future__ import annotations

import secrets
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotYet
from contextlib import closing, suppress
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import Any

from pyspark import SparkContext

from utils.config import EngineConfig
from utils.dynamodb.backoff import Attempts, RetryPolicy
from utils.error_handler import BackOff, MigrationError
from utils.files.elsewhere import are_here
from utils.files.storage import Closes
from utils.fleet.fleet import Beside, Part, Result, Underway, dealt
from utils.fleet.machines.file_service import FileService, FirstMachineSilent
from utils.fleet.machines.task import Outcome, Task
from utils.fleet.machines.witness import Witness
from utils.fleet.spark_application import bring_code, open_application
from utils.fleet.spark_jobs import (
    LOOK_EVERY,
    GivenUp,
    Job,
    arriving,
    cause_of,
    java_is_there,
    unable,
)
from utils.fleet.spark_watch import SparkWatch, room
from utils.logger import get_logger
from utils.processes.actors import undisturbed
from utils.processes.pieces_runner import Piece, ThisProcess
from utils.processes.pool import WORTH_IT
from utils.telemetry.tasks import Tasks
from utils.telemetry.troubles import Troubles
from utils.wording.figures import counted
from utils.wording.invocation import again

PATIENCE, TOLD_AFTER = 300.0, 15.0  # seconds in which a machine must have taken up work
_MOMENT = 0.05
_PYTHON = "{}.{}".format(*sys.version_info)
# Of a job: it costs as much as some ten pieces, and its results are held here until their turn.
_PIECES_A_CORE, _TASKS_A_CORE, _MOST_PIECES = 32, 4, 512


class SparkFleet:
    """A Spark application of this run's own: started with the first work, or the one that
    spark-submit has started. Its JVM's log is written to `log`; in `scratch`, which all machines
    are to see, something is left by which they do. `tasks` are told how the machines stand."""

    def __init__(
        self,
        engine: EngineConfig,
        policy: RetryPolicy,
        log: Path,
        scratch: Path,
        tasks: Tasks | None = None,
    ) -> None:
        self._engine = engine
        self._policy = policy
        self._log = log
        self._scratch = scratch
        self._code = scratch.resolve() / f"fleet-{secrets.token_hex(6)}.zip"
        self._tasks = tasks or Tasks()
        self._context: SparkContext | None = None
        self._witness: Witness | None = None
        self._files: FileService | None = None
        self._sees_files = True
        self._watch: SparkWatch | None = None
        self._lock = threading.Lock()

    def start(self) -> None:
        """See Fleet."""
        self._started()

    def _started(self) -> SparkContext:
        with self._lock:
            if self._context is None:
                self._witness = Witness.left_in(self._scratch)
                self._context = self._open()
                try:
                    with java_is_there():  # which may have stopped already
                        bring_code(self._context, self._code)
                    self._files = FileService(_addresses(self._context))
                    self._witness = self._witness.asking(self._files.at)
                    self._look_at_machines(self._context, self._witness)
                except GivenUp as error:
                    raise self._no_work(error) from error
                self._watch = SparkWatch(self._context, self._tasks)
            return self._context

    def _open(self) -> SparkContext:
        """Start Spark, in a thread of its own: what it waits for may never come, and Ctrl-C does.
        Raises MigrationError, and Interrupted when a stop is asked for."""
        starting: Future[SparkContext] = Future()

        def start() -> None:
            try:
                starting.set_result(open_application(self._engine, self._log))
            except BaseException as error:
                starting.set_exception(error)

        threading.Thread(target=start, name="spark start", daemon=True).start()
        while True:
            with suppress(NotYet):
                return starting.result(LOOK_EVERY)
            self._policy.sleep(0.0)

    def _look_at_machines(self, context: SparkContext, witness: Witness) -> None:
        """Wait until there is a machine that works; raises MigrationError when there is none, or
        when it cannot run the tool, or neither sees the run's files nor reaches this machine."""
        began, told = time.monotonic(), False

        def pause() -> None:
            nonlocal told
            self._policy.sleep(0.0)
            waited = time.monotonic() - began
            if waited > TOLD_AFTER and not told:
                told = True
                get_logger().warning("Waiting for Spark to have cores for this run")
            if waited > PATIENCE:
                raise _no_machines(context.master)

        task = Task.of(_is_there, witness)
        cores = range(room(context))
        job = Job(context, task, [[each] for each in enumerate(cores)])
        for outcome in arriving(iter([job]), 1, pause):
            lost = outcome.raised()
            if lost is not None:
                raise _told(lost)
            self._sees_files = self._sees_files and outcome.value
        if not self._sees_files:
            get_logger().info(
                "Not all machines of the fleet see data.directory: they read and write its files "
                "through this one"
            )

    def _no_work(self, error: GivenUp) -> MigrationError:
        return unable(str(error.__cause__ or error)) or MigrationError(
            f"Spark has started at {self._engine.master or 'its master'}, but cannot do any work: "
            f"{cause_of(error.__cause__ or error)}",
            remedy=f"see {self._log}; check that this machine and the cluster reach each other, "
            "and that each of its machines has a Python (PYSPARK_PYTHON) of the same version as "
            f"this one ({_PYTHON}) with the packages of requirements.txt; then: {again()}",
        )

    def close(self) -> None:
        """See Fleet."""
        with self._lock:
            context, self._context = self._context, None
            witness, self._witness = self._witness, None
            files, self._files = self._files, None
            watch, self._watch = self._watch, None
        if watch is not None:
            watch.close()
        if context is not None:
            with suppress(Exception):  # it may be gone already
                context.stop()
        if files is not None:
            files.close()
        if witness is not None:
            witness.remove()
        self._code.unlink(missing_ok=True)

    @property
    def at_once(self) -> int:
        """As many as Spark's machines have room for now."""
        return room(self._started())

    @property
    def sees_files(self) -> bool:
        """See Fleet."""
        self._started()
        return self._sees_files

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
        size = min(_PIECES_A_CORE * (at_most or self.at_once), _MOST_PIECES)
        waves = _waves(chain(first, rest), size)
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
            self.look()
            if not left:
                return
            if len(left) < before:
                attempts = Attempts(self._policy)
            reason = lost.reason if isinstance(lost, BackOff) else "PartsLost"
            self._tasks.heard(Troubles(retried=Counter({reason: len(left)})))
            if not attempts.fail():
                silence = f"nothing was heard of {counted(len(left), 'part')}"
                raise _told(lost or BackOff("PartsLost", silence))
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

    def begun(self, function: Callable[[Part], object], parts: Sequence[Part]) -> Underway:
        """See Fleet."""
        return _Begun(self, self.job(function, dict(enumerate(parts))))

    def beside(self, function: Callable[[Part], Result], parts: Sequence[Part]) -> Beside[Result]:
        """See Fleet."""
        return _Wave(self, function, parts, None)

    @property
    def addresses(self) -> tuple[str, str]:
        """See Fleet: those by which Spark's own machines call its driver."""
        return _addresses(self._started())

    def look(self) -> None:
        """Something is over: tell how the machines stand."""
        if self._watch is not None:
            self._watch.look()

    def job(
        self, function: Callable[[Any], Any], parts: Mapping[int, Any], tasks: int | None = None
    ) -> Job:
        """A job for parts at their places, which has begun: a task for each, or so many `tasks`
        which do one after the other."""
        context, dealt_out = self._started(), dealt(list(parts.items()), tasks or len(parts))
        assert self._witness is not None
        return Job(context, Task.of(function, self._witness), dealt_out)


class _Begun(Closes):
    """A job that nobody waits for; how the machines stand is told when it is over."""

    def __init__(self, fleet: SparkFleet, job: Job) -> None:
        self._fleet, self._job = fleet, job

    def wait(self, seconds: float) -> None:
        """See Underway."""
        self._job.wait(seconds)
        self._fleet.look()

    def close(self) -> None:
        """See Underway."""
        self._job.close()
        self._fleet.look()


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
        room = fleet.at_once
        tasks = at_most if at_most is not None and at_most < room else _TASKS_A_CORE * room
        self._job = fleet.job(work, dict(enumerate(pieces)), tasks)

    def results(self, pause: Callable[[], object] | None) -> Iterator[Any]:
        """What became of the pieces, in their order."""
        found: dict[int, Any] = {}
        for outcome in arriving(iter([self._job]), 1, pause):
            if outcome.raised() is None:
                found[outcome.place] = outcome.value
        self._fleet.look()
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


def _addresses(context: SparkContext) -> tuple[str, str]:
    with java_is_there():
        conf = context.getConf()
    host = str(conf.get("spark.driver.host"))
    return str(conf.get("spark.driver.bindAddress", host)), host


def _is_there(_: int) -> bool:
    """What a core has to do that is only looked at: a moment, so that others have some to do. It
    says whether it sees the run's files."""
    time.sleep(_MOMENT)
    return are_here()


def _told(lost: Exception) -> Exception:
    """What a part was lost by in the end, as an operator hears of it."""
    if not isinstance(lost, FirstMachineSilent):
        return lost
    return MigrationError(
        f"{lost.machine}, a machine of the fleet, does not see the files of data.directory, and "
        f"cannot read them through this machine either: {lost.detail}",
        remedy="let the machines of the fleet reach this one (spark.driver.host; a security group "
        "that lets its own members in), or put data.directory on a file system that all of them "
        f"have; then: {again()}",
    )


def _no_machines(master: str) -> MigrationError:
    return MigrationError(
        f"Spark has started at {master}, but within {counted(int(PATIENCE), 'second')} none of its "
        "machines has taken up any work",
        remedy="see that the cluster has workers with free cores and memory "
        "(spark.executor.memory, spark.cores.max), and that they reach this machine "
        f"(spark.driver.host); then: {again()}",
    )


def _waves(pieces: Iterable[Any], size: int) -> Iterator[list[Any]]:
    rest = iter(pieces)
    while some := list(islice(rest, size)):
        yield some
