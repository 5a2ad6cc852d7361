"""`python -m tests.bench.forecast`: does a load take the time that was forecast, from a target that
takes so many write units a second under one partition key of an index, as DynamoDB takes 1,000?"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import orjson

from load.entities import TABLES
from load.forecast.figures import Forecast
from load.forecast.forecast import forecast
from tests.bench.measure import Job, run_job
from tests.bench.scene import Scene, configured, quiet_run, scene
from tests.bench.source import Size
from tests.support.places import ROOT
from utils.files.workspace import Workspace

_NAME = "forecast"
_BURST = 0.2  # seconds
HEAD = (
    "| | Items | Write units | Bottleneck | Forecast | Took | Ratio |\n"
    "|---|---:|---:|---|---:|---:|---:|"
)


def main() -> None:
    """Forecast, load, and tell."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.forecast", description=__doc__)
    parser.add_argument("--sales", type=int, default=20_000, help="sales in S9 (three lines each)")
    parser.add_argument("--units", type=int, default=1_000, help="write units a second for a key")
    parser.add_argument("--delay", type=float, default=0.01, help="seconds to each answer")
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as directory,
        scene(Path(directory), Size(options.sales), Size(1)) as stage,
    ):
        configuration = stage.configuration(_NAME)
        for phase in ("extract", "transform", "validate"):
            run_job(phase, Job(configuration))
        stage.sink.delay(options.delay)
        with quiet_run(configured(configuration)) as run:
            found = forecast(run, TABLES, {}, partition_writes=options.units)
        sys.stdout.write(f"{HEAD}\n{_rows(found, _took(stage, configuration, options.units))}\n")


def _took(stage: Scene, configuration: str, units: float) -> dict[str, float]:
    """Seconds that the load of each entity takes."""
    stage.sink.meter(units, _BURST, of_partition=True)
    load = ("--phase", "load", "--quiet", "--config", configuration)
    command = [sys.executable, "migrate.py", *load]
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    report = Workspace(stage.data(_NAME)).report("load")
    entities = orjson.loads(report.read_bytes())["entities"]
    return {name: loaded["seconds"] for name, loaded in entities.items()}


def _rows(found: Forecast, took: dict[str, float]) -> str:
    rows = []
    for table in found.tables:
        step = table.time_of("load")
        assert step is not None and step.bottleneck is not None
        limit, seconds = step.bottleneck, took[table.entity]
        rows.append(
            f"| {table.entity} | {table.items:,} | {table.write_units:,} "
            f"| {limit.kind} {limit.index or ''} | {step.seconds:.1f} s | {seconds:.1f} s "
            f"| {seconds / step.seconds:.2f} |"
        )
    return "\n".join(rows)


if __name__ == "__main__":
    main()
