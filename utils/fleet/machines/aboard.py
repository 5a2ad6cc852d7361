"""What a machine of a fleet runs first: sent as it is (pickled by value), so that it needs nothing
but Python. It makes sure that the tool can be imported there, and then does a task of the tool's.
A machine that lacks packages says which, all at once, where an import would stop at the first.
"""

from __future__ import annotations

import pickle
import socket
import sys
from collections.abc import Iterable, Mapping, Sequence
from importlib.util import find_spec
from itertools import chain
from typing import Any

# Only the standard library may be imported here.

LACKING = "lacks packages of this tool"


class Aboard:
    """A pickled task, which tells `told` (an accumulator) what it has done as soon as it ends, and
    not when all have ended. `packages` are the names under which they are imported, by those under
    which they are installed."""

    def __init__(self, task: bytes, told: Any, packages: Mapping[str, str]) -> None:
        self._task, self._told, self._packages = task, told, packages

    def __call__(self, dealt: Iterable[Sequence[tuple[int, Any]]]) -> None:
        if "utils" not in sys.modules:
            missing = [name for name, module in self._packages.items() if find_spec(module) is None]
            if missing:
                who = f"{socket.gethostname()}: {sys.executable}"
                raise RuntimeError(f"{who} {LACKING}: {', '.join(missing)}.")
        self._told.add(list(pickle.loads(self._task)(chain.from_iterable(dealt))))


class Arrivals:
    """How what tasks tell is put together: pyspark's AccumulatorParam, whose names these are."""

    def zero(self, value: list[Any]) -> list[Any]:
        del value
        return []

    def addInPlace(self, known: list[Any], more: list[Any]) -> list[Any]:  # noqa: N802
        known.extend(more)
        return known
