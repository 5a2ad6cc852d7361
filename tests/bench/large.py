"""`python -m tests.bench.large`: each phase and the whole at sizes far apart, without comparisons.

What is to be seen is that time grows with the number of items and memory does not.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.bench.measure import Figures, Job, run_job
from tests.bench.plan import PHASES, WHOLE
from tests.bench.scene import scene
from tests.bench.source import Size

_LINES_OF_SALE_1 = 3  # times the fold (tests/bench/source.py)
_ITEMS_PER_SALE = 4.11  # its lines, and its share of the parties


def main() -> None:
    """Measure each size and tell."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.large", description=__doc__)
    parser.add_argument("items", type=int, nargs="*", help="about how many items there are to be")
    parser.add_argument("--lines", type=int, help="a single sale of about so many lines")
    chosen = parser.parse_args()
    for items in chosen.items:
        measure(Size(round(items / _ITEMS_PER_SALE)), _say)
    if chosen.lines:
        measure(Size(1, -(-chosen.lines // _LINES_OF_SALE_1)), _say)


def measure(size: Size, say: Callable[[str, Figures], None]) -> None:
    """Measure one size, with servers of its own."""
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as directory,
        scene(Path(directory), size, Size(1)) as stage,
    ):
        for name in (*PHASES, WHOLE):
            if name in ("load", WHOLE):
                stage.sink.clear()
            if name == "verify":
                stage.sink.prepare()
            say(name, run_job(name, Job(stage.configuration("large"))))


def _say(name: str, figures: Figures) -> None:
    sys.stdout.write(
        f"{name}: {figures.items:,} items in {figures.seconds:.1f} s, {figures.rate:,.0f} items/s, "
        f"{1e6 * figures.cpu / figures.items:.1f} µs of CPU time an item, "
        f"at most {figures.peak_mb:.0f} MB a process\n"
    )
    sys.stdout.flush()


if __name__ == "__main__":
    main()
