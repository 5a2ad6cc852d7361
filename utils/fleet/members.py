"""Actors on the machines of a fleet: long-lived tasks that call here, and are told what to do.

Work that has a state (connections to DynamoDB, batches in flight, its share of a rate) is an
actor's, on a fleet as on one machine (utils/processes/pool.py): the conversation is the same, over
the network and with a key that only the tasks of this run have. While it lasts, the tasks hold
their cores; afterwards they end. A task that is lost is a process that is lost: whoever converses
decides what becomes of its work. What Spark starts in its place calls here and is left waiting.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from typing import Any

from utils.config import MOST_IN_FLIGHT
from utils.error_handler import MigrationError
from utils.files.storage import Closes
from utils.fleet.engines import Engine
from utils.fleet.machines.callers import Callers, FirstMachine
from utils.processes.actors import END, Actor, Reply, serve
from utils.processes.pool import Conversation, ProcessLost, Worker, Workers
from utils.wording import invocation, masking
from utils.wording.figures import counted

# Seconds in which a task must have called: longer than it takes Spark to believe that a machine is
# lost (spark.network.timeout), so that others are called instead.
_PATIENCE = 180.0
_LOOK_EVERY = 0.1
_ENDS_IN = 10.0
_IN_FLIGHT_EACH = 32  # requests of a core


class FleetMembers(Workers):
    """As many actors at once as the fleet has cores; see utils.processes.pool.Workers. Work that
    has to see the run's files is done by `here`, where not all machines do; also where the first
    process has to know of what is kept in them, to keep it in S3 (`stays_here`)."""

    def __init__(self, engine: Engine, here: Workers, *, stays_here: bool = False) -> None:
        super().__init__(0)
        self._stays_here = stays_here
        self._engine = engine
        self._here = here
        self._gathering: _Gathering | None = None

    @property
    def at_once(self) -> int:
        """As many as the fleet has cores."""
        fleet = self._engine.fleet
        assert fleet is not None
        return fleet.at_once

    @property
    def at_files(self) -> Workers:
        """See Workers."""
        fleet = self._engine.fleet
        assert fleet is not None
        return self if fleet.sees_files and not self._stays_here else self._here

    @property
    def most_in_flight(self) -> int:
        """What one machine has at the most, and more where there are many."""
        return max(MOST_IN_FLIGHT, _IN_FLIGHT_EACH * self.at_once)

    def expect(self, pieces: int) -> None:
        """They come when there is something to converse about."""

    @contextmanager
    def conversing(self, makes: Sequence[Callable[[Reply], Actor]]) -> Iterator[Conversation]:
        """See Workers; the tasks end with it, so that others may have their cores."""
        try:
            with super().conversing(makes) as talk:
                yield talk
            if self._gathering is not None:
                self._gathering.let_go()
        finally:
            self.close()

    def close(self) -> None:
        """End the tasks, whatever they are doing."""
        self._here.close()
        gathering, self._gathering = self._gathering, None
        if gathering is not None:
            gathering.close()
        super().close()

    def _start(self, count: int) -> None:
        while len(self._started) < count:
            if self._gathering is None:
                self._gathering = _Gathering(self._engine, self.at_once)
            self._started.append(self._gathering.next(len(self._started), count))


class _Gathering(Closes):
    """Tasks of the fleet that have been asked to call, and the place where they do."""

    def __init__(self, engine: Engine, number: int) -> None:
        fleet = engine.fleet
        assert fleet is not None
        self._is_over = False
        self._lock = threading.Lock()
        self._arrived: queue.SimpleQueue[Connection] = queue.SimpleQueue()
        self._there: list[Connection] = []
        self._look = partial(engine.policy.sleep, 0.0)
        self._callers = Callers(fleet.addresses, self._greet, backlog=number)
        self._tasks = fleet.begun(
            partial(live, first_machine=self._callers.first_machine), range(number)
        )

    def _greet(self, arrived: Connection) -> None:
        with self._lock:
            self._there.append(arrived)
            if self._is_over:
                _tell_the_end(arrived)
            else:
                self._arrived.put(arrived)

    def next(self, there: int, wanted: int) -> Worker:
        """The next one that has called. Raises MigrationError when none does, and Interrupted when
        a stop is asked for."""
        until = time.monotonic() + _PATIENCE
        while True:
            with suppress(queue.Empty):
                connection = self._arrived.get(timeout=_LOOK_EVERY)
                break
            self._look()
            if time.monotonic() > until:
                raise self._nobody(there, wanted)
        return _Task(_Member(connection), connection)

    def _nobody(self, there: int, wanted: int) -> MigrationError:
        return MigrationError(
            f"of {counted(wanted, 'task')} of the fleet that this step needs at the same time "
            f"{there} have called within {_PATIENCE:.0f} seconds",
            remedy="see that the cluster has its cores free, and that its machines reach this "
            "one (spark.driver.host); or have fewer take part: migration.workers; then: "
            f"{invocation.again()}",
        )

    def let_go(self) -> None:
        """Nobody is at work any more: let the tasks end."""
        with self._lock:
            self._is_over = True
            for connection in self._there:
                _tell_the_end(connection)
        self._tasks.wait(_ENDS_IN)

    def close(self) -> None:
        """End the tasks, be they at work; who calls later is told that there is nothing to do."""
        self._callers.close()
        with self._lock:
            self._is_over = True
            for connection in self._there:
                connection.close()
        self._tasks.close()


def _tell_the_end(connection: Connection) -> None:
    with suppress(OSError):  # it has hung up
        connection.send((END, None))


class _Task(Worker):
    """A task of the fleet, and the way to it."""

    def killed(self) -> ProcessLost:
        return ProcessLost(
            "one of the fleet's tasks that share the work was lost",
            remedy="see spark.log in data/reports, and the logs of the executors: their memory "
            "(spark.executor.memory, spark.executor.memoryOverhead), or their machines; then: "
            f"{invocation.again()}",
        )


@dataclass
class _Member:
    """A task of the fleet as a process: how it has ended is known to the fleet alone."""

    connection: Connection
    exitcode: int | None = None

    def join(self, timeout: float | None = None) -> None:
        """Nobody can wait for it."""

    def kill(self) -> None:
        """It ends when nobody is there any more."""
        self.connection.close()


def live(_: Any, first_machine: FirstMachine) -> None:
    """The life of a task: an actor's, until it is told that this is the end; none when nobody is
    there any more. How to word and mask it knows, as every task (utils/fleet/machines/task.py)."""
    with suppress(OSError):
        connection = first_machine.call()
        serve(connection, masking.state(), invocation.state())
