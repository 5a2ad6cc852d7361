"""`python -m tests.bench.fleet`: what an item costs on Spark, beside this machine's own processes.

Each phase is a command, done at two sizes, so that what a command costs before its first item (a
Java machine, Python workers) is told apart from what each item costs. CPU time is that of the
command and of everything that it has started; servers and engine share the machine.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from tests.bench.scene import PART, Scene, scene
from tests.bench.source import Size
from tests.support.fleet.daemon import PLAN
from tests.support.places import ROOT
from utils.entities import ENTITY_NAMES

PHASES = ("extract", "transform", "validate", "load", "verify")
_ORPHANS_END_IN, _LOOK_EVERY = 10.0, 0.05  # seconds
_ADOPTS_ORPHANS = 36  # PR_SET_CHILD_SUBREAPER: the workers of a JVM that has ended are ours


@dataclass(frozen=True)
class Engine:
    """An engine as it is configured."""

    name: str
    settings: dict[str, Any]
    processes: int = 1
    is_blind: bool = False


ENGINES = (
    Engine("local, 1 process", {"type": "local"}),
    Engine("Spark, 1 core", {"type": "spark", "master": "local[1,4]"}),
    Engine("local, 2 processes", {"type": "local"}, 2),
    Engine("Spark, 2 cores", {"type": "spark", "master": "local[2,4]"}),
    Engine("Spark, 2 cores, no files", {"type": "spark", "master": "local[2,4]"}, is_blind=True),
)


@dataclass(frozen=True)
class Cost:
    """What a command took for so many items: seconds of the clock and of CPU time, of which its
    own process has taken a part."""

    items: int
    seconds: float
    cpu: float
    own: float


@dataclass(frozen=True)
class Slope:
    """What each item costs beyond what a command costs anyhow: microseconds."""

    seconds: float
    cpu: float
    own: float
    start: float

    @classmethod
    def of(cls, small: Cost, big: Cost) -> Slope:
        """From the costs of two sizes; `start` is the seconds of the clock that none of the items
        have to do with."""
        items = big.items - small.items
        seconds, cpu = (big.seconds - small.seconds) / items, (big.cpu - small.cpu) / items
        own = (big.own - small.own) / items
        return cls(1e6 * seconds, 1e6 * cpu, 1e6 * own, small.seconds - seconds * small.items)


def main() -> None:
    """Measure each engine and tell."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.fleet", description=__doc__)
    parser.add_argument("--sales", type=int, default=60_000, help="sales in the larger S9")
    parser.add_argument("--small", type=int, default=12_000, help="sales in the smaller one")
    parser.add_argument("--engines", type=int, nargs="+", default=range(len(ENGINES)))
    options = parser.parse_args()
    ctypes.CDLL(None).prctl(_ADOPTS_ORPHANS, 1, 0, 0, 0)
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        print(  # noqa: T201
            "| engine | phase | µs of CPU an item | of the command's own process | µs of the clock "
            "| seconds to begin |"
        )
        print("|---|---|---:|---:|---:|---:|", flush=True)  # noqa: T201
        with scene(Path(directory), Size(options.sales), Size(options.small)) as stage:
            for engine in (ENGINES[number] for number in options.engines):
                for phase, slope in _measured(stage, engine):
                    print(  # noqa: T201
                        f"| {engine.name} | {phase} | {slope.cpu:.1f} | {slope.own:.1f} | "
                        f"{slope.seconds:.1f} | "
                        f"{slope.start:.1f} |",
                        flush=True,
                    )


def _measured(stage: Scene, engine: Engine) -> Iterator[tuple[str, Slope]]:
    small, big = (_costs(stage, engine, database) for database in (PART, ""))
    slopes = {phase: Slope.of(small[phase], big[phase]) for phase in PHASES}
    yield from slopes.items()
    every = slopes.values()
    yield (
        "all",
        Slope(
            sum(each.seconds for each in every),
            sum(each.cpu for each in every),
            sum(each.own for each in every),
            sum(each.start for each in every),
        ),
    )


def _costs(stage: Scene, engine: Engine, database: str) -> dict[str, Cost]:
    """What each phase takes on a database."""
    name = f"{engine.name.replace(' ', '-').replace(',', '')}-{database or 'whole'}"
    path = Path(stage.configuration(name, database=database))
    document = orjson.loads(path.read_bytes())
    document["engine"] = engine.settings
    tables = {f"{entity}Table": f"{name}-{entity}" for entity in ENTITY_NAMES}
    document["target"] |= tables  # new ones: what is there already is not sent
    document["migration"] = {**document.get("migration", {}), "processes": engine.processes}
    path.write_bytes(orjson.dumps(document))
    environment = _blind(path.parent / f"{name}-tasks", stage.data(name)) if engine.is_blind else {}
    taken = {phase: _command(path, phase, environment) for phase in PHASES}
    items = stage.items(name)
    return {phase: Cost(items, *spent) for phase, spent in taken.items()}


def _blind(directory: Path, data: Path) -> dict[str, str]:
    """An environment in which Spark's workers see nothing of a data directory."""
    directory.mkdir()
    conf = directory / "spark-defaults.conf"
    conf.write_text("spark.python.daemon.module tests.support.fleet.daemon\n", encoding="utf-8")
    plan = {"tasks": str(directory), "blind": str(data)}
    return {"SPARK_CONF_DIR": str(directory), PLAN: orjson.dumps(plan).decode()}


def _command(config: Path, phase: str, beside: dict[str, str]) -> tuple[float, float, float]:
    """Time a phase by hand: seconds of the clock, of CPU time, and of its own process's. `beside`
    goes into its environment. Raises RuntimeError when it does not end well."""
    spent = _Spent(_children(os.getpid()))
    words = ["--quiet", "--config", str(config), "--phase", phase]
    began = time.perf_counter()
    with tempfile.TemporaryFile() as output:
        running = subprocess.Popen(
            [sys.executable, "migrate.py", *words],
            cwd=ROOT,
            env=os.environ | beside,
            stdout=output,
            stderr=output,
        )
        while running.poll() is None:
            spent.look()
            time.sleep(_LOOK_EVERY)
        seconds = time.perf_counter() - began
        if running.returncode != 0:
            output.seek(0)
            raise RuntimeError(f"{phase}: {output.read().decode()[-2000:]}")
    spent.settle()
    return seconds, spent.seconds, spent.of(running.pid)


class _Spent:
    """CPU time of all that has been started since, looked at again and again: Spark's Python
    processes are waited for by nobody, so that nobody else is told what they have taken."""

    def __init__(self, before: frozenset[int]) -> None:
        self._before = before
        self._ticks: dict[int, int] = {}

    @property
    def seconds(self) -> float:
        """The sum of all."""
        return sum(self._ticks.values()) / os.sysconf("SC_CLK_TCK")

    def of(self, process: int) -> float:
        """That of one process."""
        return self._ticks.get(process, 0) / os.sysconf("SC_CLK_TCK")

    def look(self) -> bool:
        """Look at those that are there; whether there are any."""
        due = list(_children(os.getpid()) - self._before)
        for number in due:
            due += _children(number) - set(due)
            with suppress(OSError, IndexError):
                fields = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()
                self._ticks[number] = int(fields[11]) + int(fields[12])
        return bool(due)

    def settle(self) -> None:
        """Wait for those that the command has left, which are ours now, to end."""
        deadline = time.monotonic() + _ORPHANS_END_IN
        while self.look() and time.monotonic() < deadline:
            with suppress(ChildProcessError):
                while os.waitpid(-1, os.WNOHANG)[0]:
                    pass
            time.sleep(_LOOK_EVERY)


def _children(process: int) -> frozenset[int]:
    """The children of a process, by their numbers."""
    found: set[int] = set()
    with suppress(OSError):
        for each in Path(f"/proc/{process}/task").glob("*/children"):
            found.update(map(int, each.read_text().split()))
    return frozenset(found)


if __name__ == "__main__":
    main()
