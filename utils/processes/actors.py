"""Actors: objects that live in the processes of the pool and answer messages
(utils/processes/pool.py)."""

from __future__ import annotations

import gc
import os
import pickle
import queue
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from importlib import import_module
from multiprocessing.connection import Connection
from typing import Any, Protocol, TypeVar

from utils.error_handler import RemoteTraceback, traceback_of
from utils.wording import invocation, masking

END = "end"  # what a process is told when nobody needs it any more

Piece = TypeVar("Piece")
Result = TypeVar("Result")


class Actor(Protocol):
    """Lives in a process and is told things, one after the other."""

    def receive(self, message: Any) -> None:
        """Take note of what is said; must not wait for long."""

    def close(self) -> None:
        """Nothing more will be said."""


Reply = Callable[[object], None]  # what an actor says, from whatever thread


class Threads:
    """The threads of an actor, which come and go."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._threads: list[threading.Thread] = []

    def start(self, work: Callable[..., object], *arguments: object) -> None:
        """Have one more."""
        self._threads = [each for each in self._threads if each.is_alive()]
        thread = threading.Thread(target=work, args=arguments, name=self._name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def join(self) -> None:
        """Wait for those that there are, which have said that they end."""
        for thread in self._threads:
            thread.join()


Packed = tuple[type[Exception], tuple[Any, ...], dict[str, Any], str]


def packed(error: Exception) -> Packed:
    """An error as it crosses to another process, whatever its constructor takes."""
    place = masking.scrub(traceback_of(error))
    parts = type(error), error.args, error.__dict__, place
    try:
        pickle.dumps(parts)
    except Exception:
        return RuntimeError, (f"{type(error).__name__}: {error}",), {}, place
    return parts


def unpacked(parts: Packed) -> Exception:
    """The error that was `packed`."""
    kind, args, state, place = parts
    error = kind.__new__(kind)
    error.args = args
    error.__dict__.update(state)
    error.__cause__ = RemoteTraceback(place)
    return error


def undisturbed(function: Callable[[Piece], Result], piece: Piece) -> Result:
    """Apply a function without the garbage collector, which would look through every row of the
    piece again and again and find nothing: rows are no cycles."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        return function(piece)
    finally:
        if was_on:
            gc.enable()


_GARBAGE = 50_000  # objects after which the collector looks for cycles: items and requests are none


@contextmanager
def little_garbage() -> Iterator[None]:
    """While this lasts, the collector looks for cycles seldom."""
    before = gc.get_threshold()
    gc.set_threshold(_GARBAGE)
    try:
        yield
    finally:
        gc.set_threshold(*before)


def leave_little_garbage() -> None:
    """In a process of its own: what is there now stays, and of what comes little is garbage that is
    not free at once."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_GARBAGE)


class Applied:
    """The actor that applies a function to numbered pieces."""

    def __init__(self, function: Callable[[Any], Any], reply: Reply) -> None:
        self._function = function
        self._reply = reply

    def receive(self, message: tuple[int, Any]) -> None:
        number, piece = message
        try:
            self._reply((number, True, undisturbed(self._function, piece)))
        except Exception as error:
            self._reply((number, False, packed(error)))

    def close(self) -> None:
        return


class Importing:
    """The actor that imports what the next ones need, and has nothing else to do."""

    def __init__(self, modules: Sequence[str], _: Reply) -> None:
        for module in modules:
            import_module(module)

    def receive(self, message: Any) -> None:
        del message

    def close(self) -> None:
        return


def serve(connection: Connection, masks: masking.MaskState, called: invocation.Invocation) -> None:
    """The life of a process: one actor after another, told what there is to tell, until it is told
    that this is the end. When the process that asks is gone, so is this one, at once."""
    masking.restore(masks)
    invocation.restore(called)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGINT, signal.SIGTERM))
    tasks: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()
    # Reading goes on while a result is being sent, or both sides would wait for each other; and
    # it notices at once when the process that asks is gone.
    threading.Thread(target=_listen, args=(connection, tasks), daemon=True).start()
    speaking = threading.Lock()

    def say(good: bool, value: object) -> None:
        content = pickle.dumps((good, value), pickle.HIGHEST_PROTOCOL)
        with speaking, suppress(BrokenPipeError):
            connection.send_bytes(content)

    actor: Actor | None = None
    while True:
        kind, content = tasks.get()
        if kind == END:
            return
        try:
            if kind == "actor":
                actor = content(partial(say, True))
            elif actor is not None and kind == "message":
                actor.receive(content)
            elif actor is not None:
                actor.close()
                actor = None
        except Exception as error:
            say(False, packed(error))


def _listen(connection: Connection, tasks: queue.SimpleQueue[tuple[Any, Any]]) -> None:
    try:
        while True:
            said = pickle.loads(connection.recv_bytes())
            tasks.put(said)
            if said[0] == END:
                return
    except BaseException:
        os._exit(0)
