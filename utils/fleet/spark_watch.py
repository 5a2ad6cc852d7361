"""What Spark says of its machines and tasks while a run works, as events."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from py4j.protocol import Py4JError
from pyspark import SparkContext

from utils.error_handler import MigrationError
from utils.files.storage import Closes
from utils.fleet.spark_jobs import java_is_there
from utils.telemetry.events import FleetAtWork, FleetGone, Step
from utils.telemetry.tasks import Tasks

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
