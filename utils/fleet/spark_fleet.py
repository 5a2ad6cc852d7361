"""Apache Spark as the fleet: a job for the parts of a step, a task for one or a few of them.

Written for what pyspark 3.5 and 4.1 share. Spark brings what a fleet has to have: machines that
come and go, tasks that are tried again, twins of slow ones, a cluster manager that somebody else
runs. Parts are read and written by the tool's own functions in Spark's Python workers.
"""

from __future__ import annotations

import os
import sys
import threading
import uuid
from collections.abc import Callable, Generator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from py4j.protocol import Py4JError
from pyspark import SparkConf, SparkContext
from pyspark.errors import PySparkException

from utils.config import EngineConfig
from utils.dynamodb.backoff import Attempts, RetryPolicy
from utils.error_handler import BackOff, MigrationError
from utils.files.storage import write_atomically
from utils.fleet.fleet import Part, Result
from utils.fleet.task import AGAIN, DONE, Outcome, Task
from utils.logger import get_logger
from utils.processes.actors import unpacked
from utils.wording.invocation import again
from utils.wording.masking import scrub

_LOOK_EVERY = 0.1  # seconds
_ROOT = Path(__file__).resolve().parents[2]
_LOG_TO_FILE = """\
rootLogger.level = warn
rootLogger.appenderRef.file.ref = file
appender.file.type = File
appender.file.name = file
appender.file.fileName = {log}
appender.file.layout.type = PatternLayout
appender.file.layout.pattern = %d %p %c{{1}}: %m%n%ex
"""


class SparkFleet:
    """A Spark application of this run's own: started with the first work, or the one that
    spark-submit has started. Its JVM's log is written to `log`."""

    def __init__(self, engine: EngineConfig, policy: RetryPolicy, log: Path) -> None:
        self._engine = engine
        self._policy = policy
        self._log = log
        self._context: Any = None
        self._lock = threading.Lock()

    def start(self) -> None:
        """See Fleet."""
        with self._lock:
            if self._context is None:
                self._context = self._opened()

    def close(self) -> None:
        """See Fleet."""
        with self._lock:
            context, self._context = self._context, None
        if context is not None:
            with suppress(Exception):  # it may be gone already
                context.stop()

    def each(
        self,
        function: Callable[[Part], Result],
        parts: Sequence[Part],
        *,
        at_most: int | None = None,
        pause: Callable[[], object] | None = None,
    ) -> Generator[tuple[int, Result], None, None]:
        """See Fleet."""
        self.start()
        attempts = Attempts(self._policy)
        left = dict(enumerate(parts))
        while left:
            before, lost = len(left), None
            for outcome in self._job(Task.of(function), left, at_most, pause):
                if outcome.place not in left:
                    continue  # told twice
                if outcome.state == DONE:
                    del left[outcome.place]
                    yield outcome.place, outcome.value
                    continue
                assert outcome.error is not None
                error = unpacked(outcome.error)
                if outcome.state != AGAIN:
                    raise error
                lost = error
            if not left:
                return
            if len(left) < before:
                attempts = Attempts(self._policy)
            if not attempts.fail():
                raise lost or _lost_results(len(left))
            get_logger().warning("Trying %d parts again: %s", len(left), lost)
            attempts.wait()

    def _job(
        self,
        task: Task,
        parts: dict[int, Any],
        at_most: int | None,
        pause: Callable[[], object] | None,
    ) -> Generator[Outcome, None, None]:
        """What becomes of the parts in one Spark job, as it becomes known."""
        job = _Job(self._context, task, list(parts.items()), min(at_most or len(parts), len(parts)))
        try:
            yield from job.arriving(pause)
        except BaseException:
            job.cancel()
            raise
        yield from job.outcomes()

    def _opened(self) -> Any:
        # The workers are to be of the same Python, with the same packages.
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
        try:
            context = SparkContext(conf=self._conf())
        except (Py4JError, PySparkException, ValueError) as error:
            raise _no_spark(self._engine, self._log, str(error)) from error
        context.setLogLevel("WARN")
        get_logger().info(
            "Spark %s at %s, with %d tasks at once",
            context.version,
            context.master,
            context.defaultParallelism,
        )
        return context

    def _conf(self) -> SparkConf:
        conf = SparkConf()
        for name, value in (
            ("spark.app.name", "s9-migration"),
            ("spark.master", self._engine.master or "local[*]"),
            ("spark.ui.enabled", "false"),  # a page that anybody could look at
            ("spark.ui.showConsoleProgress", "false"),
            ("spark.executorEnv.PYTHONPATH", str(_ROOT)),
            ("spark.driver.extraJavaOptions", f"-Dlog4j2.configurationFile={self._logging()}"),
        ):
            conf.setIfMissing(name, value)
        if conf.get("spark.master", "").startswith("local"):
            conf.setIfMissing("spark.driver.host", "127.0.0.1")
            conf.setIfMissing("spark.driver.bindAddress", "127.0.0.1")
        return conf

    def _logging(self) -> Path:
        """Where Spark's JVM reads that it is to write its log to a file and not to the screen."""
        path = self._log.with_suffix(".properties")
        write_atomically(path, _LOG_TO_FILE.format(log=self._log).encode())
        return path


class _Job:
    """One Spark job, which runs in a thread of its own."""

    def __init__(
        self, context: Any, task: Task, parts: Sequence[tuple[int, Any]], tasks: int
    ) -> None:
        self._context = context
        self._group = f"migration-{uuid.uuid4().hex[:12]}"
        self._told = context.accumulator([], _Arrivals())
        self._parts = context.parallelize(parts, tasks)
        self._task = _Telling(task, self._told)
        self._end: list[Outcome] | BaseException = []
        self._thread = threading.Thread(target=self._run, name="spark job", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._context.setJobGroup(self._group, "parts of a migration", interruptOnCancel=True)
            self._end = self._parts.mapPartitions(self._task).collect()
        except BaseException as error:
            self._end = error

    def arriving(self, pause: Callable[[], object] | None) -> Generator[Outcome, None, None]:
        """What tasks tell when they end, until all of them have; at most everything."""
        told = 0
        while self._thread.is_alive():
            self._thread.join(_LOOK_EVERY)
            if pause is not None:
                pause()
            now: list[Outcome] = self._told.value
            yield from now[told : (told := len(now))]

    def outcomes(self) -> list[Outcome]:
        """What has become of the parts. Raises MigrationError when Spark has given up."""
        if isinstance(self._end, BaseException):
            raise _given_up(self._end) from self._end
        return self._end

    def cancel(self) -> None:
        """End what is still running, and wait until it is."""
        with suppress(Exception):  # the cluster may be gone
            while self._thread.is_alive():
                self._context.cancelJobGroup(self._group)
                self._thread.join(_LOOK_EVERY)


class _Telling:
    """A task that also tells what it has done as soon as it ends, and not when all have ended."""

    def __init__(self, task: Task, told: Any) -> None:
        self._task = task
        self._told = told

    def __call__(self, parts: Any) -> Any:
        outcomes = list(self._task(parts))
        self._told.add(outcomes)
        return outcomes


class _Arrivals:
    """How what tasks tell is put together: pyspark's AccumulatorParam, whose names these are."""

    def zero(self, value: list[Outcome]) -> list[Outcome]:
        del value
        return []

    def addInPlace(self, known: list[Outcome], more: list[Outcome]) -> list[Outcome]:  # noqa: N802
        known.extend(more)
        return known


def _no_spark(engine: EngineConfig, log: Path, said: str) -> MigrationError:
    first = scrub(said.strip().partition("\n")[0])
    return MigrationError(
        f"Spark could not be started with engine.master {engine.master or 'local[*]'}: {first}",
        remedy=f"see {log}; check engine.master, and that this machine and the cluster reach each "
        f"other; or set engine.type to local; then: {again()}",
    )


def _given_up(error: BaseException) -> MigrationError:
    """What Spark says when it has tried a task as often as it may."""
    said = [line for line in scrub(str(error)).splitlines() if line.strip()]
    causes = [line.strip() for line in said if "Error: " in line or "Exception: " in line]
    return MigrationError(
        f"Spark has given up on a step: {(causes or said or [type(error).__name__])[-1][:300]}",
        remedy="see spark.log in data/reports, and the logs of the executors: they may have lost "
        "their memory (spark.executor.memory, spark.executor.memoryOverhead), their machines, or "
        f"the way to data.directory, which all of them must have; then: {again()}",
    )


def _lost_results(parts: int) -> BackOff:
    return BackOff("PartsLost", f"of {parts} parts nothing was heard")
