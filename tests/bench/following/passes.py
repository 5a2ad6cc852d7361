"""`python -m tests.bench.following.passes`: what a pass of `sync` takes, step by step.

S9 is migrated, then so many of its records change, chosen at random, and are brought over; as often
as is asked for. Of each step the median of the passes is told, by the clock. The sink answers at
once, and holds what it was sent.
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import orjson

from tests.bench.scene import PASSWORD, Scene
from tests.bench.sink.server import Sink
from tests.bench.source import Size, fill
from tests.support.places import ROOT
from utils.embedded.postgresql import EmbeddedPostgres

_ITEMS_PER_SALE = 4.11  # its lines, and its share of the parties
Steps = dict[str, float]


def main() -> None:
    """Measure each size and tell."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench.following.passes", description=__doc__
    )
    parser.add_argument("items", type=int, nargs="*", help="about how many items there are to be")
    parser.add_argument("--changed", type=float, default=0.001, help="this share of the sales")
    parser.add_argument("--passes", type=int, default=3)
    parser.add_argument("--tool", type=Path, default=ROOT, help="the tool that is measured")
    chosen = parser.parse_args()
    for items in chosen.items or (200_000, 1_000_000):
        _measure(items, chosen)


def _measure(items: int, chosen: argparse.Namespace) -> None:
    sales = round(items / _ITEMS_PER_SALE)
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as directory,
        EmbeddedPostgres(Path(directory) / "s9") as s9,
        Sink() as sink,
    ):
        with closing(s9.connect()) as connection:
            fill(connection, Size(sales))
        stage = Scene(s9, sink, Path(directory))
        config = stage.configuration("kept")
        document = orjson.loads(Path(config).read_bytes())
        document["migration"] = {"validateAfterLoad": False}
        Path(config).write_bytes(orjson.dumps(document))
        os.environ[PASSWORD] = s9.reader_password
        _do(chosen.tool, config, "--full")
        found = []
        for number in range(chosen.passes):
            _change(s9, sales, chosen.changed, number)
            began, used = time.monotonic(), _cpu()
            _do(chosen.tool, config, "sync")
            whole = {"whole": time.monotonic() - began, "CPU time": _cpu() - used}
            found.append({**dict(_steps(stage)), **whole})
        _tell(stage.items("kept"), found)


def _change(s9: EmbeddedPostgres, sales: int, share: float, number: int) -> None:
    chance = random.Random(number)
    keys = chance.sample(range(1, sales + 1), round(sales * share))
    with closing(s9.connect()) as connection, connection.cursor() as cursor:
        cursor.execute(
            "UPDATE msg SET notes = 'al ' || clock_timestamp() WHERE first_id = ANY(%s)", (keys,)
        )
        connection.commit()


def _do(tool: Path, config: str, *arguments: str) -> None:
    command = [sys.executable, str(tool / "migrate.py"), "--config", config, "--quiet"]
    subprocess.run([*command, *arguments], check=True, stdout=subprocess.DEVNULL)


def _steps(stage: Scene) -> Iterator[tuple[str, float]]:
    """What the steps of the last command took, added up over the entities."""
    text = (stage.data("kept") / "events.jsonl").read_bytes()
    events = list(map(orjson.loads, text.splitlines()))
    took: Steps = defaultdict(float)
    for event in events:
        if event["event"] == "step-finished" and event["run"] == events[-1]["run"]:
            took[f"{event['phase']} {event['step']}".strip()] += event["seconds"]
    yield from took.items()


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _tell(items: int, found: list[Steps]) -> None:
    sys.stdout.write(f"\n{items:,} items, {len(found)} passes\n\n| Step | Median s |\n|---|---:|\n")
    for name in dict.fromkeys(name for each in found for name in each):
        taken = statistics.median(each.get(name, 0.0) for each in found)
        if taken >= 0.05:
            sys.stdout.write(f"| {name} | {taken:.1f} |\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
