"""migrate.py with a saboteur inside: run as `python at_work.py '{…}' --full …`.

The first argument says what goes wrong:

    set    settings of modules that no operator can change, by their full names
    rows   how many bytes are read of a file at once, so that small files have many chunks
    pace   seconds of rest after every step of a phase, so that there is time for what happens
    kill   {"after": n} kills the process (SIGKILL) at the n-th event from its start;
           {"phase", "entity", "after": n} at the n-th event in a phase and entity;
           with "what": only events of that name count
    hold   the same words, for an event at which the process stands still for as long as there is
           the file "gate", which it makes; "times" (once, unless said): how often, after as many
           events each
    s3     requests to S3 are events as well
    note   a file that gets the name of every event, one a line

Connections to S9 have little room for what nobody has asked for yet: what comes later is still with
the server when something happens to it, however much the system's network would hold.

Processes that share the work get the settings and the rows; the saboteur is in the one that was
started. An event is something after which the world is different for the run that resumes: a file
synced, renamed, removed, a step of a phase, a request sent or answered.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg2
import pymysql

ROOT = Path(__file__).resolve().parents[3]
PLAN = "AT_WORK_PLAN"
RECEIVED = 1 << 16  # bytes; left to itself, Linux may take tens of megabytes


class Moment:
    """The event of which the plan says that something happens at it."""

    def __init__(self, wanted: dict[str, Any]) -> None:
        self._wanted = wanted
        self._left = wanted.get("after", 0)
        self._times = wanted.get("times", 1)

    def has_come(self, place: tuple[str, str], name: str) -> bool:
        """Count an event; whether it is the one."""
        anywhere = "phase" not in self._wanted
        here = (self._wanted.get("phase"), self._wanted.get("entity")) == place
        counts = self._wanted.get("what", name) == name
        if not self._left or not counts or not (anywhere or here):
            return False
        self._left -= 1
        if self._left:
            return False
        self._times -= 1
        self._left = self._wanted["after"] if self._times else 0
        return True


class Saboteur:
    """Counts events, and kills or holds the process when it is time."""

    def __init__(self, plan: dict[str, Any]) -> None:
        self._kill = Moment(plan.get("kill", {}))
        self._hold = Moment(plan.get("hold", {}))
        self._gate = Path(plan.get("hold", {}).get("gate", ""))
        self._note = plan.get("note")
        self._pace = plan.get("pace", 0.0)
        self._place = ("", "")

    def enters(self, phase: str, entity: str) -> None:
        self._place = (phase, entity)
        self.happens("begin")

    def steps(self) -> None:
        self.happens("step")
        time.sleep(self._pace)

    def happens(self, name: str) -> None:
        """Take note of an event; it may be the last one."""
        if self._note:
            with Path(self._note).open("a", encoding="utf-8") as notes:
                notes.write(f"{' '.join(self._place)} {name}\n")
        if self._hold.has_come(self._place, name):
            self._gate.touch()
            while self._gate.exists():
                time.sleep(0.01)
        if self._kill.has_come(self._place, name):
            os.kill(os.getpid(), signal.SIGKILL)


def watched(function: Callable[..., Any], name: str, saboteur: Saboteur) -> Callable[..., Any]:
    """`function`, with an event before and after it."""

    def call(*arguments: Any, **options: Any) -> Any:
        saboteur.happens(f"before {name}")
        result = function(*arguments, **options)
        saboteur.happens(f"after {name}")
        return result

    return call


def narrow(connect: Callable[..., Any]) -> Callable[..., Any]:
    """`connect` to a database, with a small buffer for what arrives."""

    def call(*arguments: Any, **options: Any) -> Any:
        opened = connect(*arguments, **options)
        number = opened.fileno() if hasattr(opened, "fileno") else opened._sock.fileno()
        with socket.socket(fileno=os.dup(number)) as same:
            same.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVED)
        return opened

    return call


def adjust(plan: dict[str, Any]) -> None:
    """Change the settings and the rows that the plan says."""
    from utils.files import pieces

    for name, value in plan.get("set", {}).items():
        module, _, attribute = name.rpartition(".")
        assert hasattr(importlib.import_module(module), attribute), name
        setattr(importlib.import_module(module), attribute, value)
    assert pieces.places.__kwdefaults__ is not None
    if "rows" in plan:
        pieces.places.__kwdefaults__["target"] = plan["rows"]


def prepare(plan: dict[str, Any]) -> None:
    """Change what the plan says, and put the saboteur in its places."""
    from utils import checkpoint
    from utils.dynamodb import client as dynamodb
    from utils.telemetry import tasks

    adjust(plan)
    saboteur = Saboteur(plan)
    begin, reached = tasks.Tasks.task, checkpoint.Tracker.reached

    def task(self: Any, phase: str, entity: str, total: int | None, **rest: Any) -> Any:
        if not rest.get("step"):
            saboteur.enters(phase, entity)
        return begin(self, phase, entity, total, **rest)

    def step(self: Any, *arguments: Any) -> None:
        reached(self, *arguments)
        saboteur.steps()

    psycopg2.connect = narrow(psycopg2.connect)
    pymysql.connect = narrow(pymysql.connect)  # type: ignore[assignment]
    tasks.Tasks.task = task  # type: ignore[method-assign]
    checkpoint.Tracker.reached = step  # type: ignore[method-assign,assignment]
    os.fsync = watched(os.fsync, "fsync", saboteur)
    os.replace = watched(os.replace, "rename", saboteur)
    for name in ("replace", "unlink"):
        setattr(Path, name, watched(getattr(Path, name), name, saboteur))
    dynamodb.DynamoDB.call = watched(  # type: ignore[method-assign]
        dynamodb.DynamoDB.call, "request", saboteur
    )
    if plan.get("s3"):
        from utils.s3.file_bucket import FileBucket

        for name in ("upload", "write", "put_bytes", "remove", "remove_versions"):
            setattr(FileBucket, name, watched(getattr(FileBucket, name), f"S3 {name}", saboteur))


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    os.environ[PLAN] = sys.argv.pop(1)
    prepare(json.loads(os.environ[PLAN]))
    from migrate import cli

    cli(prog_name="python migrate.py")
elif PLAN in os.environ:  # a process that shares the work
    adjust(json.loads(os.environ[PLAN]))
