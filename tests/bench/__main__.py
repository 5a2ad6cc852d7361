"""`python -m tests.bench`: run the bench, print its tables, keep its figures.

With `--docs` the tables also take the place of those in docs/performance.md, and the chart that of
the one beside it.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from dataclasses import replace
from datetime import date
from pathlib import Path

from tests.bench.document import DOCUMENT, write_tables
from tests.bench.jobs.mysql import copy_of
from tests.bench.measure import run_here, run_job
from tests.bench.network.jobs import Network, further
from tests.bench.network.report import NetworkResults
from tests.bench.plan import Plan
from tests.bench.report import MILLION_ITEMS, Results, machine
from tests.bench.scene import scene
from tests.bench.source import Size
from utils.wording.figures import counted

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
    network = Network(
        0 if options.no_network else options.network_rounds,
        options.delays,
        options.numbers,
        () if options.no_metered else Network.capacities,
        min(options.limit, Network.limit),
        run=plan.run,
    )
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        _say(f"filling S9 with {options.sales:,} sales")
        root, part = Path(directory), Size(options.part or options.sales // 4)
        with (
            scene(root, Size(options.sales), part, further(options.sales)) as stage,
            copy_of(stage.s9, root) as on_mysql,
        ):
            if on_mysql is None:
                _say("MySQL is left out: there is no mariadbd (apt-get install mariadb-server)")
            measured = []
            if not options.network_only:
                measured = list(plan.measure(replace(stage, mysql=on_mysql), _say))
            distant = list(network.measure(stage, _say)) if network.rounds else []
    over_network = NetworkResults(distant)
    results = Results(measured, options.sales, list(over_network.targets()) if distant else ())
    options.results.parent.mkdir(parents=True, exist_ok=True)
    for each in (results, over_network):
        each.write(options.results, results.head(busy))
    rounds = [counted(options.rounds, "round")] if measured else []
    rounds += [f"{counted(network.rounds, 'round')} over a network"] if distant else []
    title = (
        f"{date.today()}, {machine()}. {options.sales:,} sales, {', '.join(rounds)}; "
        f"load average {busy:.1f} before."
    )
    parts = {"targets": results.target_table()}
    if measured:
        parts |= {"phases": f"{title}\n\n{results.table()}"}
    if distant:
        parts |= {"network": f"{title}\n\n{over_network.tables()}"}
    further_ones = (results.sizes(), results.profiles()) if measured else ()
    print("\n\n".join(filter(None, (*parts.values(), *further_ones))))  # noqa: T201
    if options.docs:
        kept = parts if measured else {"network": parts["network"]}
        write_tables(DOCUMENT, kept)
        over_network.write_chart()
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
    parser.add_argument(
        "--network-rounds", type=int, default=1, help="how often everything over a network"
    )
    parser.add_argument(
        "--delays", type=int, nargs="+", default=Network.delays, help="ms to an answer"
    )
    parser.add_argument(
        "--numbers", type=int, nargs="+", default=Network.numbers, help="batches in flight"
    )
    parser.add_argument("--no-network", action="store_true", help="leave the network out")
    parser.add_argument("--network-only", action="store_true", help="nothing but the network")
    parser.add_argument("--no-metered", action="store_true", help="leave metered tables out")
    parser.add_argument(
        "--docs", action="store_true", help=f"write tables and chart into {DOCUMENT.parent}/"
    )
    parser.add_argument("--no-profiles", action="store_true", help="leave the profiles out")
    parser.add_argument(
        "--one-process", action="store_true", help="measure here: quicker, memory means nothing"
    )
    parser.add_argument("--results", type=Path, default=RESULTS, help="file for every figure")
    options = parser.parse_args()
    if options.docs and (options.no_network or options.no_metered):
        parser.error("--docs needs everything, or everything over a network (--network-only)")
    return options


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
