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
from pathlib import Path

import orjson

from tests.bench.measure import ROOT, Job, run_job
from tests.bench.scene import Scene, scene
from tests.bench.source import Size

WINDOW = 10.0
Taken = Sequence[tuple[float, float]]


def main() -> None:
    """Measure both and tell."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.rate", description=__doc__)
    parser.add_argument("--sales", type=int, default=20_000, help="sales in S9 (three lines each)")
    parser.add_argument("--units", type=int, default=8_000, help="write units a second")
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as directory,
        scene(Path(directory), Size(options.sales), Size(1)) as stage,
    ):
        configuration = stage.configuration("rate")
        for phase in ("extract", "transform", "validate"):
            run_job(phase, Job(configuration))
        for limit, capacity in ((options.units, 0), (None, options.units)):
            _configure(configuration, options.processes, limit)
            taken, refused = _measured(stage, configuration, capacity)
            _say(f"maxWriteUnits {limit}, the table's limit {capacity or 'none'}:")
            _say("  " + _told(taken, refused, options.units))


def _configure(path: str, processes: int, limit: int | None) -> None:
    document = orjson.loads(Path(path).read_bytes())
    document["migration"] = {"processes": processes, "maxWriteUnits": limit, "workers": 8}
    Path(path).write_bytes(orjson.dumps(document))


def _measured(stage: Scene, configuration: str, capacity: float) -> tuple[Taken, int]:
    stage.sink.clear()
    stage.sink.meter(capacity)
    load = ("--phase", "load", "--quiet", "--config", configuration)
    command = [sys.executable, "migrate.py", *load]
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    return stage.sink.metered()


def _told(taken: Taken, refused: int, wanted: float) -> str:
    lowest, highest = windows(taken)
    span = taken[-1][0] - taken[0][0]
    mean = sum(units for _, units in taken) / span
    return (
        f"{mean / wanted:.1%} of {wanted:,} units a second over {span:.0f} s; over any ten seconds "
        f"{lowest / wanted:.1%} to {highest / wanted:.1%}; {refused} of {len(taken)} requests "
        "refused, in part or whole"
    )


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
