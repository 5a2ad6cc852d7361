"""Where the files of a run are: here, or at the first machine, which is asked to do there what has
to be done with them.

A process of a fleet need not see the run's files (utils/fleet/witness.py). What it does with them
are a few small functions: a range is read, a run of lines is written. Marked by `at_the_files`,
these are called as any other, and are done where the files are.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, Protocol, TypeVar

from utils.error_handler import StorageError
from utils.wording.invocation import again

Given = ParamSpec("Given")
Result = TypeVar("Result")


class Ask(Protocol):
    """Has a function done where the files are, with these arguments: all of them survive pickling.
    Raises what it raises, and BackOff when nobody answers."""

    def __call__(
        self, function: Callable[..., Any], given: tuple[Any, ...], named: dict[str, Any]
    ) -> Any: ...


class _Elsewhere:
    ask: Ask | None = None  # None: they are here


def bind(ask: Ask | None) -> None:
    """From now on this process finds the files by asking; None: they are here."""
    _Elsewhere.ask = ask


def are_here() -> bool:
    """Whether this process sees the files itself."""
    return _Elsewhere.ask is None


def require_here() -> None:
    """Raise StorageError where this process does not see the files, for a step that has to."""
    if not are_here():
        raise StorageError(
            f"{socket.gethostname()}, a machine of the fleet, does not see the files of "
            "data.directory, as the others do",
            remedy="put data.directory on a file system that all machines of the fleet have, under "
            "the same path, and may write to (NFS, Amazon EFS or FSx), or on one that this machine "
            f"has alone; then: {again()}",
        )


def at_the_files(function: Callable[Given, Result]) -> Callable[Given, Result]:
    """A function of a module or a class that is done where the files are."""

    @wraps(function)
    def done_there(*given: Given.args, **named: Given.kwargs) -> Result:
        if _Elsewhere.ask is None:
            return function(*given, **named)
        found: Result = _Elsewhere.ask(done_there, given, named)
        return found

    return done_there
