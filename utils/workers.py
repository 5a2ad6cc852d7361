"""Processes that do pure work on pieces of a file, so that all of the machine's cores are used.

What comes back is in the order of the pieces, whatever process did which: what a phase writes is
the same for any number of them. Little work is done by the process that asks, because a new one
costs a quarter of a second.
"""

from __future__ import annotations

import gc
import os
import pickle
import queue
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import chain, islice
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from types import TracebackType
from typing import Any, TypeVar

from utils import masking
from utils.error_handler import MigrationError

_IN_HAND = 2  # pieces that a process has: the one it works on and the next
_PAUSE_EVERY = 0.1  # seconds
_WORTH_IT = 4  # pieces below which no process is started

Piece = TypeVar("Piece")
Result = TypeVar("Result")


def available_cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass
class _Worker:
    process: BaseProcess
    connection: Connection
    in_hand: int = 0


@dataclass
class Workers:
    """A context manager around up to `count` processes, started when there is work for them.

    The processes ignore Ctrl-C, which is this process's to act on, and end when it ends, however
    that comes about.
    """

    count: int
    _started: list[_Worker] = field(default_factory=list)

    def __enter__(self) -> Workers:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the processes, whatever they are doing."""
        for worker in self._started:
            worker.connection.close()
            worker.process.kill()
            worker.process.join()
        self._started = []

    def shares(self, pieces: int) -> bool:
        """Whether so many pieces are shared out to processes."""
        return self.count > 1 and pieces >= _WORTH_IT

    def get_ready(self, function: Callable[[Any], object]) -> None:
        """Start the processes for work that is to come: they import what `function` needs while
        this one does something else. Work that is not shared out does not need them."""
        self._start()
        for worker in self._started:
            _send(worker, ("function", function))

    def in_order(
        self,
        function: Callable[[Piece], Result],
        pieces: Iterable[Piece],
        *,
        pause: Callable[[], object] | None = None,
    ) -> Iterator[Result]:
        """Yield `function(piece)` of every piece, in their order.

        `function` is pickled once for each process and lives there until the last piece is done;
        a few pieces at a time are taken from `pieces`. What `function` raises is raised here at
        the piece's turn. `pause` is called several times a second while processes are waited
        for; what it raises ends the work. Raises MigrationError when a process is killed.
        """
        rest = iter(pieces)
        first = list(islice(rest, _WORTH_IT))
        if not self.shares(len(first)):
            yield from (_undisturbed(function, piece) for piece in chain(first, rest))
            return
        finished = False
        try:
            self.get_ready(function)
            yield from self._spread(chain(first, rest), pause)
            finished = True
        finally:
            if not finished:  # pieces are still in the processes' hands
                self.close()

    def _spread(self, pieces: Iterator[Any], pause: Callable[[], object] | None) -> Iterator[Any]:
        results: dict[int, tuple[bool, Any]] = {}
        sent = done = 0
        for piece in pieces:
            worker = min(self._started, key=lambda each: each.in_hand)
            _send(worker, (sent, piece))
            worker.in_hand += 1
            sent += 1
            while done in results:
                yield _opened(results.pop(done))
                done += 1
            if sent - done >= self.count * _IN_HAND:
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
            try:
                number, good, value = pickle.loads(worker.connection.recv_bytes())
            except (EOFError, OSError) as error:
                raise _killed(worker) from error
            worker.in_hand -= 1
            results[number] = good, value

    def _start(self) -> None:
        spawn = get_context("spawn")  # no inherited lock, connection or thread
        # A process that is being born must not die of a Ctrl-C: it inherits the blocked signals.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM))
        try:
            while len(self._started) < self.count:
                here, there = spawn.Pipe()
                process = spawn.Process(target=_serve, args=(there, masking.state()), daemon=True)
                process.start()
                there.close()
                self._started.append(_Worker(process, here))
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _undisturbed(function: Callable[[Piece], Result], piece: Piece) -> Result:
    """Apply a function without the garbage collector, which would look through every row of the
    piece again and again and find nothing: rows are no cycles."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        return function(piece)
    finally:
        if was_on:
            gc.enable()


def _send(worker: _Worker, message: object) -> None:
    try:
        worker.connection.send_bytes(pickle.dumps(message, pickle.HIGHEST_PROTOCOL))
    except (BrokenPipeError, ConnectionResetError) as error:
        raise _killed(worker) from error


def _killed(worker: _Worker) -> MigrationError:
    worker.process.join(1)
    return MigrationError(
        f"one of the processes that share the work has ended (code {worker.process.exitcode})",
        remedy="if the machine ran out of memory, free some or set migration.processes to 1; "
        "then go on with --resume",
    )


def _opened(result: tuple[bool, Any]) -> Any:
    good, value = result
    if good:
        return value
    kind, args, state = value
    error = kind.__new__(kind)
    error.args = args
    error.__dict__.update(state)
    raise error


def _serve(connection: Connection, masks: masking.MaskState) -> None:
    """The life of a process: apply the function to the pieces as they come."""
    masking.restore(masks)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGINT, signal.SIGTERM))
    tasks: queue.SimpleQueue[tuple[Any, Any]] = queue.SimpleQueue()
    # Reading goes on while a result is being sent, or both sides would wait for each other; and
    # it notices at once when the process that asks is gone.
    threading.Thread(target=_listen, args=(connection, tasks), daemon=True).start()
    function: Callable[[Any], Any] | None = None
    while True:
        number, content = tasks.get()
        if number == "function":
            function = content
            continue
        assert function is not None
        try:
            answer = (number, True, _undisturbed(function, content))
        except Exception as error:
            answer = (number, False, (type(error), error.args, error.__dict__))
        with suppress(BrokenPipeError):
            connection.send_bytes(pickle.dumps(answer, pickle.HIGHEST_PROTOCOL))


def _listen(connection: Connection, tasks: queue.SimpleQueue[tuple[Any, Any]]) -> None:
    try:
        while True:
            tasks.put(pickle.loads(connection.recv_bytes()))
    except BaseException:
        os._exit(0)
