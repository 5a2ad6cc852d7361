"""pyspark's daemon with a saboteur inside: the process that Spark's Python workers are forked from.

Spark is told of it by `spark.python.daemon.module` (tests/support/fleet/sabotage.py). FLEET_PLAN in
the environment says what goes wrong:

    set     settings of modules, by their full names
    tasks   a directory: a file "told" gets a line for each part that is begun ("read_part 3")
    kills   a list: {"function": "read_part", "when": "before", "place": 3} kills the worker
            (SIGKILL) before, or "after", the function has done that part, or any; {"request":
            "BatchWriteItem", "after": 3} when it is about to make its third request of that kind.
            With "who": "driver" it is the command that is killed, with "jvm" Spark's process that
            the worker is of. "times" (once, unless said): how often, of all workers together
    blind   a directory of which the workers see nothing, as on a machine that has no such one
    rest    seconds that every part takes longer, by functions
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import time
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from tests.support.fleet.blindness import blind_to

PLAN = "FLEET_PLAN"
_OF_THE_KILL = {"who", "times"}  # all else tells the moment


def name_of(function: Any) -> str:
    """What a task's function is called, whatever it was given with."""
    while isinstance(function, partial):
        inner = function.args[0] if function.args and callable(function.args[0]) else None
        function = inner if function.func.__name__ == "undisturbed" and inner else function.func
    return str(getattr(function, "__name__", type(function).__name__))


def parent_of(process: int) -> int:
    status = Path(f"/proc/{process}/stat").read_text(encoding="utf-8")
    return int(status.rpartition(")")[2].split()[1])


class Saboteur:
    """Looks at what a worker does, and kills whom the plan says."""

    def __init__(self, plan: dict[str, Any]) -> None:
        self._plan = plan
        self._notes = Path(plan["tasks"])
        self._requests: dict[str, int] = {}

    def happens(self, **moment: Any) -> None:
        """Take note of a moment; it may be the last one."""
        for number, kill in enumerate(self._plan.get("kills", [])):
            due = {name: value for name, value in kill.items() if name not in _OF_THE_KILL}
            if all(moment.get(name) == value for name, value in due.items()):
                self._kill(number, kill)

    def _kill(self, number: int, kill: dict[str, Any]) -> None:
        for time_ in range(kill.get("times", 1)):
            with suppress(FileExistsError):
                (self._notes / f"killed-{number}-{time_}").touch(exist_ok=False)
                break
        else:
            return
        process, who = os.getpid(), kill.get("who", "worker")
        for _ in range({"worker": 0, "jvm": 2, "driver": 3}[who]):
            process = parent_of(process)
        os.kill(process, signal.SIGKILL)

    def begins(self, name: str, place: Any) -> None:
        with (self._notes / "told").open("a", encoding="utf-8") as notes:
            notes.write(f"{name} {place}\n")
        self.happens(function=name, place=place, when="before")
        time.sleep(self._plan.get("rest", {}).get(name, 0.0))

    def ends(self, name: str, place: Any) -> None:
        self.happens(function=name, place=place, when="after")

    def asks(self, operation: str) -> None:
        self._requests[operation] = self._requests.get(operation, 0) + 1
        self.happens(request=operation, after=self._requests[operation])


def prepare(plan: dict[str, Any]) -> None:
    """Change the settings, and put the saboteur in its places."""
    from utils.dynamodb.client import DynamoDB
    from utils.fleet.machines.task import Task

    for name, value in plan.get("set", {}).items():
        module, _, attribute = name.rpartition(".")
        assert hasattr(importlib.import_module(module), attribute), name
        setattr(importlib.import_module(module), attribute, value)
    if "blind" in plan:
        blind_to(plan["blind"])
    saboteur = Saboteur(plan)
    done, call, call_all = Task._done, DynamoDB.call, DynamoDB.call_all

    def watched(self: Task, function: Any, place: int, part: Any) -> Any:
        name, number = name_of(function), part[0] if isinstance(part, tuple) else place
        saboteur.begins(name, number)
        outcome = done(self, function, place, part)
        saboteur.ends(name, number)
        return outcome

    def one(self: DynamoDB, operation: str, body: bytes) -> bytes:
        saboteur.asks(operation)
        return call(self, operation, body)

    def some(self: DynamoDB, requests: Any) -> Any:
        for operation, _ in requests:
            saboteur.asks(operation)
        return call_all(self, requests)

    Task._done = watched  # type: ignore[method-assign]
    DynamoDB.call = one  # type: ignore[method-assign]
    DynamoDB.call_all = some  # type: ignore[method-assign]


if __name__ == "__main__":
    prepare(json.loads(os.environ[PLAN]))
    from pyspark import daemon

    daemon.manager()
