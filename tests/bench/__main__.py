"""`python -m tests.bench`: run the bench, print its tables, keep its figures."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from tests.bench.measure import run_here, run_job
from tests.bench.mysql import copy_of
from tests.bench.plan import Plan
from tests.bench.report import MILLION_ITEMS, Results, machine
from tests.bench.scene import scene
from tests.bench.source import Size

RESULTS = Path("data/bench/results.jsonl")


def main() -> None:
    """Measure and tell."""
    options = _options()
    started = time.monotonic()
    busy = os.getloadavg()[0]
    plan = Plan(
        options.rounds,
        options.limit,
        profiles=not options.no_profiles,
        run=run_here if options.one_process else run_job,
    )
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        _say(f"filling S9 with {options.sales:,} sales")
        root, part = Path(directory), Size(options.part or options.sales // 4)
        with (
            scene(root, Size(options.sales), part) as stage,
            copy_of(stage.s9, root) as on_mysql,
        ):
            if on_mysql is None:
                _say("MySQL is left out: there is no mariadbd (apt-get install mariadb-server)")
            measured = list(plan.measure(replace(stage, mysql=on_mysql), _say))
    results = Results(measured, options.sales)
    results.write(options.results, busy)
    title = (
        f"{options.sales:,} sales, {options.rounds} rounds, load average {busy:.1f} before: "
        f"{machine()}"
    )
    parts = (title, results.table(), results.sizes(), results.target_table(), results.profiles())
    print("\n\n".join(part for part in parts if part))  # noqa: T201
    _say(f"{time.monotonic() - started:.0f} s; every figure is in {options.results}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument(
        "--sales",
        type=int,
        default=MILLION_ITEMS,
        help="sales in S9, three lines each (default: %(default)s, about a million items)",
    )
    parser.add_argument(
        "--part", type=int, default=0, help="sales in the smaller S9 (default: a quarter)"
    )
    parser.add_argument("--rounds", type=int, default=3, help="how often everything is measured")
    parser.add_argument(
        "--limit", type=int, default=5_000, help="items for batch_writer, which is slow"
    )
    parser.add_argument("--no-profiles", action="store_true", help="leave the profiles out")
    parser.add_argument(
        "--one-process", action="store_true", help="measure here: quicker, memory means nothing"
    )
    parser.add_argument("--results", type=Path, default=RESULTS, help="file for every figure")
    return parser.parse_args()


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
