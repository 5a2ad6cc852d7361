"""What only the first process of a run does, asked for by the others that share its work.

Whoever finds something out that must be the same for a whole run (how AWS is reached, with which
credentials) asks here: in the first process the function is called; in every other one the question
goes over a connection to the first, where a thread of its own answers, whatever else is going on.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import Any, TypeVar

from utils.processes.actors import serve
from utils.processes.questions import answer_all, opened, question
from utils.wording import invocation, masking

Result = TypeVar("Result")


class _Line:
    """The connection to the first process; one question at a time."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._lock = threading.Lock()

    def ask(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
        with self._lock:
            self._connection.send_bytes(question(function, arguments, {}))
            answer = self._connection.recv_bytes()
        return opened(answer)


_lines: list[_Line] = []  # in the first process there is none


def in_the_first(function: Callable[..., Result], *arguments: Any) -> Result:
    """What `function`, a module's own, returns or raises in the first process."""
    if _lines:
        result: Result = _lines[0].ask(function, arguments)
        return result
    return function(*arguments)


def is_the_first() -> bool:
    """Whether this is the process that the others ask."""
    return not _lines


def live(
    line: Connection,
    connection: Connection,
    masks: masking.MaskState,
    called: invocation.Invocation,
) -> None:
    """The life of a process that is not the first: an actor's (utils/processes/actors.py)."""
    _lines.append(_Line(line))
    serve(connection, masks, called)


def answering() -> Connection:
    """The end of a new connection that goes to another process, whose questions are answered from
    now on until it is gone."""
    here, there = Pipe()
    threading.Thread(target=answer_all, args=(here,), name="answers", daemon=True).start()
    return there
