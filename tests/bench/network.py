"""`python -m tests.bench.network`: the load over a network, for each number of batches in flight.

The sink answers each request after a delay. With every delay the tool's own choice (workers null)
stands beside fixed numbers; the best of those is what the choice is measured by.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from pathlib import Path

import orjson

from tests.bench.measure import Job, run_job
from tests.bench.scene import Scene, scene
from tests.bench.source import Size

OWN_CHOICE = 0
# What is done beside the load, after which other job.
OTHERS = (
    ("load", "verify"),
    ("load", "backup"),
    ("load", "rollback"),
    ("", "load_on_condition"),
)
DELAYS = (0.0, 0.005, 0.015, 0.040)
NUMBERS = (OWN_CHOICE, 4, 16, 32, 64)


def main() -> None:
    """Measure and tell."""
    options = _options()
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as directory,
        scene(Path(directory), Size(options.sales), Size(1)) as stage,
    ):
        configuration = stage.configuration("network")
        for phase in ("extract", "transform", "validate"):
            run_job(phase, Job(configuration))
        for delay in options.delays:
            found: dict[int, list[float]] = {number: [] for number in options.numbers}
            for _ in range(options.rounds):
                for number in options.numbers:
                    found[number].append(_rate(stage, configuration, delay, number))
            _say(f"{delay * 1000:g} ms: {_told(found)}")
            if delay and not options.load_only:
                for before, job in OTHERS:
                    each = [
                        _rate(stage, configuration, delay, OWN_CHOICE, job, before)
                        for _ in range(options.rounds)
                    ]
                    _say(f"{delay * 1000:g} ms, {job}: {statistics.median(each):,.0f} items/s")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.network", description=__doc__)
    parser.add_argument("--sales", type=int, default=115_000, help="sales in S9 (three lines each)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--delays", type=float, nargs="+", default=DELAYS, help="seconds")
    parser.add_argument(
        "--numbers", type=int, nargs="+", default=NUMBERS, help="batches in flight; 0: as it finds"
    )
    parser.add_argument("--load-only", action="store_true", help="nothing but the load")
    return parser.parse_args()


def _rate(
    stage: Scene,
    configuration: str,
    delay: float,
    number: int,
    job: str = "load",
    before: str = "",
) -> float:
    """Items a second of a job that follows `before`, which is not measured."""
    document = orjson.loads(Path(configuration).read_bytes())
    document["migration"] = {"workers": number or None}
    Path(configuration).write_bytes(orjson.dumps(document))
    stage.sink.clear()
    if before:
        run_job(before, Job(configuration))
        stage.sink.prepare()
    stage.sink.delay(delay)
    try:
        return run_job(job, Job(configuration)).rate
    finally:
        stage.sink.delay(0.0)


def _told(found: dict[int, list[float]]) -> str:
    def name(number: int) -> str:
        return "own choice" if number == OWN_CHOICE else f"{number} in flight"

    rates = {number: statistics.median(each) for number, each in found.items()}
    return "; ".join(f"{name(number)} {rate:,.0f} items/s" for number, rate in rates.items())


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
