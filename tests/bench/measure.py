"""One measurement: a job in a fresh process, so that its memory is its own.

A job is a function of a Job that returns Figures. The parent runs it as
`python -m tests.bench.measure NAME JSON` and reads the figures from its last line.
"""

from __future__ import annotations

import gc
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from importlib import import_module

import orjson

from tests.bench import family
from tests.bench.family import cpu_seconds, peak_mb
from tests.support.places import ROOT

_JOBS_IN = tuple(
    f"tests.bench.jobs.{name}" for name in ("phases", "comparisons", "script", "start_up", "mysql")
)


@dataclass(frozen=True)
class Job:
    """What a measurement works on: the configuration of a migration, and whether a profile is
    wanted. `limit` bounds what is too slow to be done whole (items or sales); `processes` is how
    many share the work, 0 for as many as are configured."""

    config: str
    limit: int = 0
    profile: bool = False
    processes: int = 0


@dataclass(frozen=True)
class Figures:
    """What a measurement found: `items` in `seconds` of the clock and `cpu` of this process and of
    those that share its work (all their threads); `peak_mb` is the largest resident set that one
    of them ever had, `sum_mb` the largest of all together, `files` the most that one had open."""

    items: int
    seconds: float
    cpu: float
    peak_mb: float = 0.0
    profile: tuple[tuple[str, float], ...] = ()
    sum_mb: float = 0.0
    files: int = 0

    @property
    def rate(self) -> float:
        """Items a second of the clock."""
        return self.items / self.seconds

    @property
    def rate_per_core(self) -> float:
        """Items a second of CPU time: other processes hardly disturb it."""
        return self.items / self.cpu


class Watch:
    """Takes the time of what happens inside its contexts, added up."""

    def __init__(self) -> None:
        self._seconds = 0.0
        self._cpu = 0.0
        self._seen = family.Seen()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Measure the body. What is there before it is none of the garbage collector's business:
        a comparison that holds its input would be slowed by it."""
        gc.collect()
        gc.freeze()
        start, cpu = time.perf_counter(), cpu_seconds()
        try:
            with family.watched(self._seen):
                yield
        finally:
            self._seconds += time.perf_counter() - start
            self._cpu += cpu_seconds() - cpu

    def figures(self, items: int) -> Figures:
        """What has been measured, for so many items."""
        seen = self._seen
        return Figures(
            items,
            max(self._seconds, 1e-9),
            max(self._cpu, 1e-9),
            seen.peak_mb,
            sum_mb=seen.sum_mb,
            files=seen.files,
        )


def run_job(name: str, job: Job) -> Figures:
    """Run a job in a process of its own. Raises RuntimeError, with what it said, if it fails."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.measure", name, orjson.dumps(asdict(job)).decode()],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(f"{name}: {(done.stdout + done.stderr).decode()[-2000:]}")
    found = orjson.loads(done.stdout.splitlines()[-1])
    found["profile"] = tuple(map(tuple, found["profile"]))
    return Figures(**found)


def run_here(name: str, job: Job) -> Figures:
    """Run a job in this process: quicker, and its peak is that of everything before it."""
    run: Callable[[Job], Figures] = next(
        found
        for module in _JOBS_IN
        if (found := getattr(import_module(module), name, None)) is not None
    )
    figures = run(job)
    peak = max(figures.peak_mb, peak_mb())
    return replace(figures, peak_mb=peak, sum_mb=max(figures.sum_mb, peak))


def main(name: str, text: str) -> None:
    """Run the job and print its figures."""
    figures = run_here(name, Job(**orjson.loads(text)))
    print(orjson.dumps(asdict(figures)).decode())  # noqa: T201


if __name__ == "__main__":
    main(*sys.argv[1:])
