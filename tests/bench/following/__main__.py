"""`python -m tests.bench.following`: how far a target is behind a living S9 whose log is followed.

S9 changes so many sales a second, servers and tool share the machine, and the sink answers at once.
The lag is that of every pass: from S9's commit of its oldest change to when the pass is durable.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import orjson

from tests.bench.scene import PASSWORD, Scene
from tests.bench.sink.server import Sink
from tests.bench.source import Size, fill
from tests.support.places import ROOT
from tests.support.s9.logged import LOGICAL
from utils.embedded.postgresql import EmbeddedPostgres

_TICK = 0.1  # seconds between two transactions of S9
_REQUESTS = re.compile(r"([0-9,]+) conditional requests? took")


@dataclass(frozen=True)
class Followed:
    """What was measured at one size: the lags of the passes, in seconds; `records` that were
    changed; CPU seconds of the tool; conditional `requests`."""

    sales: int
    lags: tuple[float, ...]
    records: int
    cpu: float
    requests: int

    def row(self) -> str:
        """A line of the table."""
        worst, median = max(self.lags), statistics.median(self.lags)
        return (
            f"| {self.sales:,} | {len(self.lags)} | {median:.1f} | {worst:.1f} | "
            f"{1000 * self.cpu / self.records:.1f} | {self.requests / self.records:.2f} |"
        )


def main() -> None:
    """Measure each size and tell."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.following", description=__doc__)
    parser.add_argument("sales", type=int, nargs="*", help="how many sales S9 has")
    parser.add_argument("--rate", type=int, default=500, help="sales that change a second")
    parser.add_argument("--seconds", type=float, default=40, help="for how long")
    chosen = parser.parse_args()
    sys.stdout.write(
        f"{chosen.rate} sales changed a second, for {chosen.seconds:.0f} s\n\n"
        "| Sales in S9 | Passes | Lag, median (s) | Lag, worst (s) | CPU ms a change | "
        "Requests a change |\n|---|---|---|---|---|---|\n"
    )
    for sales in chosen.sales or (1_000, 5_000, 20_000):
        sys.stdout.write(measure(sales, chosen.rate, chosen.seconds).row() + "\n")
        sys.stdout.flush()


def measure(sales: int, rate: int, seconds: float) -> Followed:
    """Migrate, follow, and let S9 live for so many seconds."""
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as directory,
        EmbeddedPostgres(Path(directory) / "s9", settings=LOGICAL) as s9,
        Sink() as sink,
    ):
        with closing(s9.connect()) as connection:
            fill(connection, Size(sales))
        stage = Scene(s9, sink, Path(directory))
        config = _configured(stage)
        os.environ[PASSWORD] = s9.owner_password
        _migrate(config, "--full")
        before = _cpu()
        with _following(config, stage):
            changed = _live(s9, sales, rate, seconds)
            time.sleep(_longest_lag(stage) + 2)
        return Followed(
            sales,
            tuple(_lags(stage)),
            changed,
            _cpu() - before,
            _requests(stage),
        )


def _configured(stage: Scene) -> str:
    path = stage.configuration("followed")
    document = orjson.loads(Path(path).read_bytes())
    document["source"]["username"] = stage.s9.owner
    document["migration"] = {"validateAfterLoad": False}
    Path(path).write_bytes(orjson.dumps(document))
    return path


def _migrate(config: str, *arguments: str) -> None:
    command = [sys.executable, str(ROOT / "migrate.py"), "--config", config, "--quiet", *arguments]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


@contextmanager
def _following(config: str, stage: Scene) -> Iterator[None]:
    command = [sys.executable, str(ROOT / "migrate.py"), "--config", config, "--quiet"]
    process = subprocess.Popen([*command, "sync", "--follow"], stdout=subprocess.DEVNULL)
    try:
        while not _state(stage).get("snapshot", "~") < "~":  # everything was compared once
            time.sleep(0.1)
        yield
    finally:
        process.send_signal(signal.SIGINT)
        process.wait()


def _live(s9: EmbeddedPostgres, sales: int, rate: int, seconds: float) -> int:
    """Change sales, some in each transaction; returns how many were changed."""
    chance, changed = random.Random(7), 0
    began = time.monotonic()
    with closing(s9.connect()) as connection, connection.cursor() as cursor:
        while (now := time.monotonic() - began) < seconds:
            due = int((now + _TICK) * rate) - changed
            keys = [chance.randint(1, sales) for _ in range(due)]
            cursor.execute(
                "UPDATE msg SET notes = 'al ' || clock_timestamp() WHERE first_id = ANY(%s)",
                (keys,),
            )
            connection.commit()
            changed += due
            time.sleep(max(0.0, began + now + _TICK - time.monotonic()))
    return changed


def _state(stage: Scene) -> dict[str, str]:
    path = stage.data("followed") / "sync" / "following.json"
    found: dict[str, str] = orjson.loads(path.read_bytes()) if path.exists() else {}
    return found


def _longest_lag(stage: Scene) -> float:
    return max(_lags(stage), default=5.0)


def _lags(stage: Scene) -> Iterator[float]:
    """The lag of each pass, as its event has it."""
    for line in (stage.data("followed") / "events.jsonl").read_bytes().splitlines():
        event = orjson.loads(line)
        if event["event"] == "followed" and event["lag"] and not event["oldest"]:
            yield event["lag"]


def _requests(stage: Scene) -> int:
    text = (stage.data("followed") / "reports" / "migration.log").read_text(encoding="utf-8")
    return sum(int(count.replace(",", "")) for count in _REQUESTS.findall(text))


def _cpu() -> float:
    """CPU seconds of the processes that were started here and have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
