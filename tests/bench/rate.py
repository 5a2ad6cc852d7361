"""`python -m tests.bench.rate`: what rate a load keeps to, as a table with a capacity sees it.

First `migration.maxWriteUnits` against a table that takes anything, then no limit against a table
that takes no more than a bucket of write units holds.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import orjson

from tests.bench.measure import Job, run_job
from tests.bench.scene import Scene, scene
from tests.bench.source import Size
from tests.support.places import ROOT

WINDOW = 10.0
FIRST = 5.0  # seconds, in which the limit is found
Taken = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Metered:
    """What a table saw that takes `units` a second, or of a load that keeps to them: the rate over
    all of `seconds`, and the lowest and highest over any ten seconds after the first five; and how
    many of its `requests` it `refused`, in part or whole."""

    units: int
    seconds: float
    rate: float
    lowest: float
    highest: float
    requests: int
    refused: int

    @classmethod
    def of(cls, units: int, taken: Taken, refused: int) -> Metered:
        """From what was taken at which second."""
        begin = taken[0][0]
        seconds = max(taken[-1][0] - begin, 1e-9)
        rate = sum(units for _, units in taken) / seconds
        lowest, highest = windows([each for each in taken if each[0] >= begin + FIRST])
        return cls(units, seconds, rate, lowest, highest, len(taken), refused)

    def row(self) -> str:
        """Markdown: a row of the tables about rates."""
        shares = [each / self.units for each in (self.rate, self.lowest, self.highest)]
        return (
            f"| {self.units:,} | {self.seconds:.0f} s | {shares[0]:.1%} "
            f"| {shares[1]:.1%} to {shares[2]:.1%} | {self.refused:,} of {self.requests:,} |"
        )


HEAD = (
    "| Over | Consumed | Any ten seconds after the first five | Refused, in part or whole |\n"
    "|---:|---:|---:|---:|---:|"
)


def main() -> None:
    """Measure both and tell."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.rate", description=__doc__)
    parser.add_argument("--sales", type=int, default=20_000, help="sales in S9 (three lines each)")
    parser.add_argument("--units", type=int, default=8_000, help="write units a second")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--delay", type=float, default=0.0, help="seconds to each answer")
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as directory,
        scene(Path(directory), Size(options.sales), Size(1)) as stage,
    ):
        configuration = stage.configuration("rate")
        for phase in ("extract", "transform", "validate"):
            run_job(phase, Job(configuration))
        stage.sink.delay(options.delay)
        for limit, capacity in ((options.units, 0), (None, options.units)):
            _configure(configuration, options.processes, limit)
            taken, refused = _measured(stage, configuration, capacity)
            _say(f"| {'The limit of the table' if capacity else '`maxWriteUnits`'} {HEAD}")
            _say(Metered.of(options.units, taken, refused).row())


def _configure(path: str, processes: int, limit: int | None) -> None:
    document = orjson.loads(Path(path).read_bytes())
    document["migration"] = {"processes": processes, "maxWriteUnits": limit}
    Path(path).write_bytes(orjson.dumps(document))


def _measured(stage: Scene, configuration: str, capacity: float) -> tuple[Taken, int]:
    stage.sink.clear()
    stage.sink.meter(capacity)
    load = ("--phase", "load", "--quiet", "--config", configuration)
    command = [sys.executable, "migrate.py", *load]
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    return stage.sink.metered()


def windows(taken: Taken) -> tuple[float, float]:
    """The lowest and the highest rate over any ten seconds between the first and the last."""
    rates = []
    end, units = 0, 0.0
    for start, (since, first) in enumerate(taken):
        while end < len(taken) and taken[end][0] < since + WINDOW:
            units += taken[end][1]
            end += 1
        if end == len(taken):
            break
        rates.append(units / WINDOW)
        units -= first
        assert start < end
    return (min(rates), max(rates)) if rates else (0.0, 0.0)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
