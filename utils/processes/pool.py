"""Processes that share a phase's work, so that all of the machine's cores are used.

Pure work on pieces of a file (utils/processes/pieces_runner.py) comes back in the order of the
pieces: what a phase writes is the same for any number of processes. Work that has a state
(connections) is an actor's, one in each process, with which the phase converses. Little work is
done by the process that asks, because a new one costs a quarter of a second.
"""

from __future__ import annotations

import os
import pickle
import queue
import signal
import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import chain, islice
from multiprocessing import get_context, resource_tracker
from multiprocessing.connection import Connection, wait
from typing import Any, Protocol

from utils.config import MOST_IN_FLIGHT
from utils.error_handler import MigrationError
from utils.files.storage import Closes
from utils.processes.actors import (
    Actor,
    Applied,
    Importing,
    Packed,
    Reply,
    unpacked,
)
from utils.processes.first_process import answering, live
from utils.processes.pieces_runner import Piece, Result, ThisProcess
from utils.wording import invocation, masking

_IN_HAND = 2  # pieces that a process has: the one it works on and the next
_PAUSE_EVERY = 0.1  # seconds
WORTH_IT = 4  # pieces below which no process is started


def available_cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class ProcessLost(MigrationError):
    """A process that shares the work has ended, and nobody has asked it to."""


class Process(Protocol):
    """Where an actor lives."""

    @property
    def exitcode(self) -> int | None:
        """With which code it has ended; None while it lives, or where that is not known."""

    def join(self, timeout: float | None = None) -> None:
        """Wait for its end."""

    def kill(self) -> None:
        """End it, whatever it is doing."""


@dataclass
class Worker:
    """A process that others live in, and the way to it."""

    process: Process
    connection: Connection
    in_hand: int = 0

    def send(self, message: object) -> None:
        try:
            self.connection.send_bytes(pickle.dumps(message, pickle.HIGHEST_PROTOCOL))
        except (BrokenPipeError, ConnectionResetError) as error:
            raise self.killed() from error

    def receive(self) -> Any:
        """What the actor says next; raises what it could not deal with."""
        try:
            good, value = pickle.loads(self.connection.recv_bytes())
        except (EOFError, OSError) as error:
            raise self.killed() from error
        return value if good else _raise(value)

    def killed(self) -> ProcessLost:
        self.process.join(1)
        return ProcessLost(
            f"one of the processes that share the work ended (code {self.process.exitcode})",
            remedy="if the machine ran out of memory, free some or set migration.processes to 1; "
            f"then run: {invocation.again()}",
        )


@dataclass
class Workers(Closes):
    """A context manager around up to `count` processes, started when there is work for them.

    The processes ignore Ctrl-C, which is this process's to act on, and end when it ends, however
    that comes about. `imports` names modules that work to come needs; see `expect`.
    """

    count: int
    imports: Sequence[str] = ()
    _started: list[Worker] = field(default_factory=list)

    def close(self) -> None:
        """End the processes, whatever they are doing."""
        for worker in self._started:
            worker.connection.close()
            worker.process.kill()
            worker.process.join()
        self._started = []

    @property
    def at_once(self) -> int:
        """As many as there are processes."""
        return self.count

    @property
    def at_files(self) -> Workers:
        """Those that see the run's files themselves, for work that has to."""
        return self

    @property
    def most_in_flight(self) -> int:
        """The most requests that all of them together have in flight at once."""
        return MOST_IN_FLIGHT

    def shares(self, pieces: int) -> bool:
        """Whether so many pieces are shared out to processes."""
        return self.at_once > 1 and pieces >= WORTH_IT

    def expect(self, pieces: int) -> None:
        """About so many pieces of work are to come. If they will be shared out, the processes start
        now and import `imports`, while this one waits for somebody else; without `imports` it is
        not known what work that is."""
        if self.imports and self.shares(pieces) and not self._started:
            self._start(self.at_once)
            for worker in self._started:
                worker.send(("actor", partial(Importing, self.imports)))

    def get_ready(self, function: Callable[[Any], object]) -> None:
        """Start the processes for work that is to come: they import what `function` needs while
        this one does something else. Work that is not shared out does not need them."""
        self._start(self.at_once)
        for worker in self._started:
            worker.send(("actor", partial(Applied, function)))

    def in_order(
        self,
        function: Callable[[Piece], Result],
        pieces: Iterable[Piece],
        *,
        pause: Callable[[], object] | None = None,
        at_most: int | None = None,
    ) -> Generator[Result, None, None]:
        """As PiecesRunner says, by all processes, or `at_most` so many of them. `function` is
        pickled once for each process and lives there until the last piece is done."""
        rest = iter(pieces)
        first = list(islice(rest, WORTH_IT))
        if not self.shares(len(first)):
            yield from ThisProcess().in_order(function, chain(first, rest))
            return
        finished = False
        try:
            self.get_ready(function)
            yield from self._spread(self._started[:at_most], chain(first, rest), pause)
            finished = True
        finally:
            if not finished:  # pieces are still in the processes' hands
                self.close()

    def _spread(
        self, workers: list[Worker], pieces: Iterator[Any], pause: Callable[[], object] | None
    ) -> Iterator[Any]:
        results: dict[int, tuple[bool, Any]] = {}
        sent = done = 0
        for piece in pieces:
            worker = min(workers, key=lambda each: each.in_hand)
            worker.send(("message", (sent, piece)))
            worker.in_hand += 1
            sent += 1
            while done in results:
                yield _opened(results.pop(done))
                done += 1
            if sent - done >= len(workers) * _IN_HAND:
                self._receive(results, pause)
        while done < sent:
            if done not in results:
                self._receive(results, pause)
            else:
                yield _opened(results.pop(done))
                done += 1

    def _receive(
        self, results: dict[int, tuple[bool, Any]], pause: Callable[[], object] | None
    ) -> None:
        """Wait for what at least one process has done."""
        busy = {worker.connection: worker for worker in self._started if worker.in_hand}
        while not (arrived := wait(list(busy), _PAUSE_EVERY if pause else None)):
            if pause:
                pause()
        for ready in arrived:
            worker = busy[ready]  # type: ignore[index]
            number, good, value = worker.receive()
            worker.in_hand -= 1
            results[number] = good, value

    @contextmanager
    def conversing(self, makes: Sequence[Callable[[Reply], Actor]]) -> Iterator[Conversation]:
        """Have an actor of each of `makes`, for as long as this lasts: the first one lives in
        this process, where it is at work at once, each of the others in one of its own.

        There must not be more of them than processes. Leaving the context by an exception ends
        the processes, whatever they are doing.
        """
        finished = False
        inbox = _Inbox()
        try:
            here = makes[0](inbox.put)
            chosen: list[Worker] = []
            talk = Conversation(here, inbox, chosen, self._nth)
            self._start(len(makes) - 1)
            for make in makes[1:]:
                talk.join(make)
            yield talk
            here.close()
            for worker in chosen:
                worker.send(("close", None))
            finished = True
        finally:
            inbox.close()
            if not finished:
                self.close()

    def _nth(self, number: int) -> Worker:
        """The process with a number, from 0; started if need be."""
        self._start(number + 1)
        return self._started[number]

    def _start(self, count: int) -> None:
        spawn = get_context("spawn")  # no inherited lock, connection or thread
        # The first process would bring it along, and it unblocks the signals.
        resource_tracker.ensure_running()
        # A process that is being born must not die of a Ctrl-C: it inherits the blocked signals.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM))
        try:
            while len(self._started) < count:
                here, there = spawn.Pipe()
                line = answering()
                process = spawn.Process(
                    target=live,
                    args=(line, there, masking.state(), invocation.state()),
                    daemon=True,
                )
                try:
                    process.start()
                except OSError as error:
                    raise _no_process(error) from error
                finally:
                    line.close()
                    there.close()
                self._started.append(Worker(process, here))
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _no_process(error: OSError) -> MigrationError:
    return MigrationError(
        f"no more processes can be started ({error.strerror})",
        remedy="allow this user more processes (`ulimit -u`) and files (`ulimit -n`), or set "
        f"migration.processes to 1; then: {invocation.again()}",
    )


class _Inbox:
    """What an actor in this process says; something that can be waited for with connections."""

    def __init__(self) -> None:
        self._said: queue.SimpleQueue[object] = queue.SimpleQueue()
        self.bell, self._rope = os.pipe()
        os.set_blocking(self.bell, False)
        os.set_blocking(self._rope, False)
        self._closing = threading.Lock()
        self._is_closed = False

    def put(self, message: object) -> None:
        self._said.put(message)
        # Nobody may listen any more: whoever speaks last may be slower than who has heard it.
        with self._closing, suppress(BlockingIOError):  # it has been rung often enough
            if not self._is_closed:
                os.write(self._rope, b"!")

    def take(self) -> Iterator[Any]:
        with suppress(BlockingIOError):
            os.read(self.bell, 1 << 16)
        with suppress(queue.Empty):
            while True:
                yield self._said.get_nowait()

    def close(self) -> None:
        with self._closing:
            self._is_closed = True
            os.close(self.bell)
            os.close(self._rope)


class Conversation:
    """What is said to the actors, and what they say."""

    def __init__(
        self,
        here: Actor,
        inbox: _Inbox,
        workers: list[Worker],
        nth: Callable[[int], Worker],
    ) -> None:
        self._here = here
        self._inbox = inbox
        self._workers = workers
        self._nth = nth
        self._speaking: dict[Connection, int] = {}

    def join(self, make: Callable[[Reply], Actor]) -> int:
        """Have a further actor, in a process of its own; returns its number. Raises
        MigrationError when there can be no further process."""
        worker = self._nth(len(self._workers))
        worker.send(("actor", make))
        self._workers.append(worker)
        self._speaking[worker.connection] = len(self._workers)
        return len(self._workers)

    def tell(self, actor: int, message: object, /) -> None:
        """Say something to one actor. Raises MigrationError when its process was killed."""
        if actor:
            self._workers[actor - 1].send(("message", message))
        else:
            self._here.receive(message)

    def hear(self, seconds: float) -> list[tuple[int, Any]]:
        """Wait for at most so long; what actors have said meanwhile, with their numbers.

        The last word of an actor that could not go on, or was killed, is an exception.
        """
        said: list[tuple[int, Any]] = []
        for ready in wait([self._inbox.bell, *self._speaking], seconds):
            if ready == self._inbox.bell:
                said += [(0, message) for message in self._inbox.take()]
                continue
            actor = self._speaking[ready]  # type: ignore[index]
            try:
                said.append((actor, self._workers[actor - 1].receive()))
            except Exception as error:
                said.append((actor, error))
                del self._speaking[ready]  # type: ignore[arg-type]
        return said


def _opened(result: tuple[bool, Any]) -> Any:
    good, value = result
    return value if good else _raise(value)


def _raise(parts: Packed) -> Any:
    raise unpacked(parts)
