"""Questions of one process to another: a function that the other one is to call, and what it
returns or raises there. Both sides are this tool, and know that of each other."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any

from utils.processes.actors import packed, unpacked

_PROTOCOL = pickle.HIGHEST_PROTOCOL


def question(function: Callable[..., Any], given: Sequence[Any], named: Mapping[str, Any]) -> bytes:
    """To call a function of a module or a class with these arguments."""
    return pickle.dumps((function, given, named), _PROTOCOL)


def answer_all(asking: Connection) -> None:
    """Answer the questions that come, until whoever asks is gone."""
    with suppress(EOFError, OSError), asking:
        while True:
            asking.send_bytes(_answer(asking.recv_bytes()))


def _answer(asked: bytes) -> bytes:
    try:
        function, given, named = pickle.loads(asked)
        outcome = True, function(*given, **named)
    except Exception as error:
        outcome = False, packed(error)
    return pickle.dumps(outcome, _PROTOCOL)


def opened(answer: bytes) -> Any:
    """What the function has returned there. Raises what it has raised."""
    is_good, found = pickle.loads(answer)
    if not is_good:
        raise unpacked(found)
    return found
