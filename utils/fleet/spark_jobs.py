"""A job of Spark's: parts, each with its place, that tasks do and tell of."""

from __future__ import annotations

import pickle
import re
import sys
import threading
import uuid
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import islice
from typing import Any

from py4j.protocol import Py4JJavaError, Py4JNetworkError
from pyspark import SparkContext, cloudpickle

from utils.error_handler import MigrationError
from utils.files.storage import Closes
from utils.fleet.machines import aboard
from utils.fleet.machines.task import Outcome, Task
from utils.prerequisites import PACKAGES
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
    """One Spark job, which runs in a thread of its own, with a task for each of `dealt`: parts that
    it does one after the other. A context manager: left before its end, it is cancelled."""

    def __init__(
        self, context: SparkContext, task: Task, dealt: Sequence[Sequence[tuple[int, Any]]]
    ) -> None:
        self._context = context
        self._group = f"migration-{uuid.uuid4().hex[:12]}"
        with java_is_there():
            self._told = context.accumulator([], aboard.Arrivals())
            self._parts = context.parallelize(dealt, len(dealt))
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
    """What is asked of Spark's own process meanwhile raises MigrationError when there is none, or
    when Spark has stopped in it."""
    try:
        yield
    except (Py4JJavaError, Py4JNetworkError, ConnectionError) as error:
        raise _given_up(error) from error


def cause_of(error: BaseException) -> str:
    """The line of what Spark says in which the cause is."""
    said = [line for line in scrub(str(error)).splitlines() if line.strip()]
    causes = [line.strip() for line in said if "Error: " in line or "Exception: " in line]
    return (causes or said or [type(error).__name__])[-1].lstrip(": ")[:300]
