"""A job of Spark's: parts, each with its place, that tasks do and tell of."""

from __future__ import annotations

import pickle
import re
import sys
import threading
import uuid
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from typing import Any

from py4j.protocol import Py4JError, Py4JNetworkError
from pyspark import SparkContext, cloudpickle

from utils.error_handler import MigrationError
from utils.files.closing import Closes
from utils.fleet import aboard
from utils.fleet.task import Outcome, Task
from utils.prerequisites import PACKAGES
from utils.telemetry.events import FleetAtWork, FleetGone, Step
from utils.telemetry.tasks import Tasks
from utils.wording.invocation import again
from utils.wording.masking import scrub

LOOK_EVERY = 0.1  # seconds
_WHO = re.compile(r"\(([\w.:-]+) executor \w+\)")
_LACKING = re.compile(rf"([\w.-]+): (\S+) {aboard.LACKING}: ([\w., -]+)\.")
_OTHER_PYTHON = re.compile(
    r"Python in worker has different version:? \(?'?([\d., ]+?)'?\)? than that in driver"
)
_NO_PYTHON = re.compile(r'Cannot run program "([^"]+)"')
_THE_SAME = "give every machine the same minor version of Python"
_NAMED = "PYSPARK_PYTHON (with spark-submit also spark.pyspark.python)"
cloudpickle.register_pickle_by_value(aboard)


class Job(Closes):
    """One Spark job, which runs in a thread of its own. A context manager: left before its end, it
    is cancelled."""

    def __init__(
        self, context: SparkContext, task: Task, parts: Sequence[tuple[int, Any]], tasks: int
    ) -> None:
        self._context = context
        self._group = f"migration-{uuid.uuid4().hex[:12]}"
        with java_is_there():
            self._told = context.accumulator([], aboard.Arrivals())
            self._parts = context.parallelize(parts, tasks)
        self._task = aboard.Aboard(pickle.dumps(task), self._told, PACKAGES)
        self._failed: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="spark job", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._context.setJobGroup(self._group, "parts of a migration", interruptOnCancel=True)
            self._parts.foreachPartition(self._task)
        except BaseException as error:
            self._failed = error

    @property
    def is_over(self) -> bool:
        """Whether all tasks have ended, or Spark has given up."""
        return not self._thread.is_alive()

    def news(self) -> list[Outcome]:
        """What has become of parts since it was asked last; some may come twice. Raises
        MigrationError when Spark has given up."""
        is_over = self.is_over
        told: list[Outcome] = self._told.value
        now = told[:]
        del told[: len(now)]  # pyspark keeps the list for as long as it lives
        if is_over and not now and self._failed is not None:
            raise _given_up(self._failed) from self._failed
        return now

    def wait(self, seconds: float) -> None:
        """Wait for its end, at most for so long."""
        self._thread.join(seconds)

    def close(self) -> None:
        """End what is still running, and wait until it is."""
        with suppress(Exception):  # the cluster may be gone
            while self._thread.is_alive():
                self._context.cancelJobGroup(self._group)
                self._thread.join(LOOK_EVERY)


def arriving(
    jobs: Iterator[Job], at_most: int, pause: Callable[[], object] | None
) -> Generator[Outcome, None, None]:
    """What becomes of the parts of jobs, of which `at_most` so many run at the same time, as it
    becomes known. `pause` is called meanwhile; what it raises ends them. Raises MigrationError
    when Spark has given up."""
    running = list(islice(jobs, at_most))
    try:
        while running:
            running[0].wait(LOOK_EVERY)
            if pause is not None:
                pause()
            for job in list(running):
                is_over = job.is_over
                yield from job.news()
                if is_over:
                    yield from job.news()  # raises what has ended it
                    running.remove(job)
                    running += islice(jobs, 1)
    finally:
        for job in running:
            job.close()


class GivenUp(MigrationError):
    """Spark has tried a task as often as it may, or cannot try any."""


def _given_up(error: BaseException) -> MigrationError:
    """What Spark says when it has tried a task as often as it may, or is no more itself."""
    if isinstance(error, (Py4JNetworkError, ConnectionError)):
        return MigrationError(
            "Spark's own process on this machine (Java) has ended",
            remedy="see spark.log in data/reports: it may have lost its memory "
            f"(spark.driver.memory, and what the system allows); then: {again()}",
        )
    if cannot := unable(str(error)):
        return GivenUp(str(cannot), remedy=cannot.remedy)
    return GivenUp(
        f"Spark has given up on a step: {cause_of(error)}",
        remedy="see spark.log in data/reports, and the logs of the executors: they may have lost "
        "their memory (spark.executor.memory, spark.executor.memoryOverhead), their machines, or "
        f"the way to data.directory, which all of them must have; then: {again()}",
    )


def unable(said: str) -> MigrationError | None:
    """Why a machine cannot run the tool, from what Spark says of its task; None when it is
    something else."""
    found = _WHO.search(said)
    who = found[1] if found else "a machine"
    if other := _OTHER_PYTHON.search(said):
        here = ".".join(map(str, sys.version_info[:2]))
        there = other[1].replace(", ", ".")
        return MigrationError(
            f"{who}, of the fleet, has Python {there}, and this machine has {here}",
            remedy=f"{_THE_SAME}: let {_NAMED} name Python "
            f"{here} with the packages of requirements.txt on all of them; then: {again()}",
        )
    if lacking := _LACKING.search(said):
        return MigrationError(
            f"{lacking[1]}, a machine of the fleet, lacks packages that this needs: its "
            f"{lacking[2]} is without {lacking[3]}",
            remedy=f"install requirements.txt there, for the Python that {_NAMED} names; on "
            "AWS Glue by --additional-python-modules, on EMR Serverless by spark.archives, as "
            f"`package` writes it; then: {again()}",
        )
    if python := _NO_PYTHON.search(said):
        return MigrationError(
            f"{who}, of the fleet, has no {python[1]}, the Python of this machine",
            remedy=f"{_THE_SAME}, and let {_NAMED} say where it is there; then: {again()}",
        )
    return None


@contextmanager
def java_is_there() -> Iterator[None]:
    """What is asked of Spark's own process meanwhile raises MigrationError when there is none."""
    try:
        yield
    except (Py4JNetworkError, ConnectionError) as error:
        raise _given_up(error) from error


def cause_of(error: BaseException) -> str:
    """The line of what Spark says in which the cause is."""
    said = [line for line in scrub(str(error)).splitlines() if line.strip()]
    causes = [line.strip() for line in said if "Error: " in line or "Exception: " in line]
    return (causes or said or [type(error).__name__])[-1].lstrip(": ")[:300]


# -- what Spark says of its machines and tasks while a run works --------------------------------

_EVERY = 2.0  # seconds between two looks
_AHEAD = 16  # numbers of stages that Spark may not have used


@dataclass(frozen=True)
class _Tried:
    """How many tasks have ended, and how many were lost."""

    ended: int = 0
    lost: int = 0


@dataclass(frozen=True)
class _Seen:
    """How the machines stand, and what has become of all tasks so far, by the step they are of."""

    machines: int
    executors: int
    cores: int
    tasks: int
    tried: Mapping[Step, _Tried]


class SparkWatch(Closes):
    """Looks at a Spark application from time to time, in a thread of its own, and tells `tasks`
    what has changed. A context manager; who knows that something is over has it `look` at once."""

    def __init__(self, context: SparkContext, tasks: Tasks) -> None:
        self._context = context
        self._tasks = tasks
        self._stages = _Stages(context)
        self._guard = threading.Lock()
        self._last: _Seen | None = None
        self._over = threading.Event()
        self._is_closed = False
        self.look()
        threading.Thread(target=self._keep_looking, name="spark watch", daemon=True).start()

    def look(self) -> None:
        """Tell how it is now, if it is not as it was told last. That Spark has ended, or its own
        process, is told by who works there."""
        with suppress(MigrationError, Py4JError), java_is_there(), self._guard:
            if self._is_closed:
                return
            step = self._tasks.step_at_work
            seen = self._seen(step)
            last, self._last = self._last, seen
            if seen != last:
                self._tell(seen, last.tried if last else {}, step)

    def _tell(self, seen: _Seen, before: Mapping[Step, _Tried], step: Step) -> None:
        """An event for each step of which tasks have ended or were lost, or else one for how the
        machines stand."""
        since = {
            each: _Tried(now.ended - before[each].ended, now.lost - before[each].lost)
            if each in before
            else now
            for each, now in seen.tried.items()
            if now != before.get(each)
        }
        for each, tried in (since or {step: _Tried()}).items():
            self._tasks.events.emit(
                FleetAtWork(
                    step=each,
                    software=f"Spark {self._context.version}",
                    master=self._context.master,
                    machines=seen.machines,
                    executors=seen.executors,
                    cores=seen.cores,
                    tasks=seen.tasks,
                    ended=tried.ended,
                    lost=tried.lost,
                )
            )

    def close(self) -> None:
        """It is over: tell what has changed since, and that the machines go."""
        self._over.set()
        self.look()
        with self._guard:
            self._is_closed = True
        if self._last is not None:
            self._tasks.events.emit(FleetGone(step=self._tasks.step_at_work))

    def _keep_looking(self) -> None:
        while not self._over.wait(_EVERY):
            self.look()

    def _seen(self, step: Step) -> _Seen:
        hosts = executors_of(self._context)
        tasks, tried = self._stages.look(step)
        return _Seen(len(set(hosts)), len(hosts), room(self._context), tasks, tried)


@dataclass
class _Stage:
    """One of a step's, as it was last."""

    step: Step
    tried: _Tried = _Tried()


class _Stages:
    """The stages of an application, each of which is a job of ours: how many of their tasks are at
    work, have ended, and were lost. One that is over is not asked for again."""

    def __init__(self, context: SparkContext) -> None:
        self._tracker = context.statusTracker()
        self._next = 0
        self._open: dict[int, _Stage] = {}
        self._over: dict[Step, _Tried] = {}

    def look(self, step: Step) -> tuple[int, dict[Step, _Tried]]:
        """How many tasks are at work now, and what has become of all of them; a stage that is seen
        for the first time is of `step`."""
        active = set(self._tracker.getActiveStageIds())
        for number in range(self._next, self._next + _AHEAD):
            if self._tracker.getStageInfo(number) is not None:
                self._open[number] = _Stage(step)
                self._next = number + 1
        tasks = 0
        for number, stage in list(self._open.items()):
            info = self._tracker.getStageInfo(number)
            if info is not None:  # else Spark has forgotten it
                stage.tried = _Tried(info.numCompletedTasks, info.numFailedTasks)
                tasks += info.numActiveTasks if number in active else 0
            if info is None or number not in active:
                self._over = _sums([self._open.pop(number)], self._over)
        return tasks, _sums(self._open.values(), self._over)


def _sums(stages: Iterable[_Stage], before: Mapping[Step, _Tried]) -> dict[Step, _Tried]:
    """What has become of tasks, with those of more stages; a step of which none has ended yet is
    not there."""
    sums = dict(before)
    for stage in stages:
        known, more = sums.get(stage.step, _Tried()), stage.tried
        if more != _Tried():
            sums[stage.step] = _Tried(known.ended + more.ended, known.lost + more.lost)
    return sums


def executors_of(context: SparkContext) -> list[str]:
    """The host of each executor that is there now; where the driver does the work, its own."""
    spark: Any = context._jsc.sc()
    infos = [(info.host(), info.port()) for info in spark.statusTracker().getExecutorInfos()]
    if spark.isLocal():
        return [host for host, _ in infos][:1] or ["localhost"]
    own = spark.env().blockManager().blockManagerId()
    return [host for host, port in infos if (host, port) != (own.host(), own.port())]


def room(context: SparkContext) -> int:
    """How many tasks Spark can have at work now, as it counts for stages whose tasks need each
    other; `defaultParallelism` is a setting, and need not be that. Raises MigrationError."""
    with java_is_there():
        spark: Any = context._jsc.sc()
        profile = spark.resourceProfileManager().defaultResourceProfile()
        return max(1, int(spark.maxNumConcurrentTasks(profile)))
