"""The results as a table, beside the targets, and as JSON lines."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from statistics import median

import orjson

from tests.bench.measure import Figures
from tests.bench.plan import (
    ALONE,
    BY_SOURCE,
    COMPARISONS,
    LINES,
    ON_MYSQL,
    PHASES,
    SMALL,
    WHOLE,
    Measured,
)

MILLION_ITEMS = 230_000  # sales; the size that the targets are about
_PACKAGES = ("boto3", "orjson", "psycopg2-binary", "jsonschema-rs")


@dataclass(frozen=True)
class Median:
    """The middle of all rounds of one measurement; memory is that of the worst round."""

    items: int
    seconds: float
    rate: float
    rate_per_core: float
    peak_mb: float


@dataclass(frozen=True)
class Target:
    """What the tool is to reach, and what each round measured."""

    words: str
    rounds: Sequence[float]
    wanted: float
    at_most: bool = False

    @property
    def verdict(self) -> str:
        """Met only when every round meets it: other work on the machine must not decide."""
        met = [
            value <= self.wanted if self.at_most else value >= self.wanted for value in self.rounds
        ]
        return "yes" if all(met) else "in some rounds" if any(met) else "not yet"


class Results:
    """Every measurement of one run of the bench."""

    def __init__(
        self, measured: Sequence[Measured], sales: int, further: Sequence[Target] = ()
    ) -> None:
        """`further` are targets whose measurements are not among these."""
        self._measured = measured
        self._further = further
        self._sales = sales
        names = dict.fromkeys(each.name for each in measured if each.round)
        self.medians = {name: self._median(name) for name in names}

    def _median(self, name: str) -> Median:
        found = [each.figures for each in self._measured if each.name == name]
        return Median(
            found[0].items,
            median(figures.seconds for figures in found),
            median(figures.rate for figures in found),
            median(figures.rate_per_core for figures in found),
            max(figures.peak_mb for figures in found),
        )

    def _spread(self, name: str, other: str) -> str:
        ratios = self._ratios(name, other)
        return f"{median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"

    def _ratios(self, name: str, other: str) -> list[float]:
        rates = {(each.name, each.round): each.figures.rate for each in self._measured}
        rounds = {number for found, number in rates if found == name and number}
        return [rates[name, number] / rates[other, number] for number in sorted(rounds)]

    def table(self) -> str:
        """Markdown: the phases, each beside its comparisons."""
        lines = [
            "| Measured | Items | Items/s | Items/s a core | Peak MB | Beside it | Its items/s "
            "| Ratio |",
            "|---|---:|---:|---:|---:|---|---:|---:|",
        ]
        for pair in COMPARISONS:
            if pair.name == "help_text" or pair.name not in self.medians:
                continue
            mine, other = self.medians[pair.name], self.medians[pair.other]
            lines.append(
                f"| {pair.name} | {mine.items:,} | {mine.rate:,.0f} | {mine.rate_per_core:,.0f} "
                f"| {mine.peak_mb:.0f} | {pair.words} ({other.peak_mb:.0f} MB) "
                f"| {other.rate:,.0f} | {self._spread(pair.name, pair.other)} |"
            )
        mine, other = self.medians["help_text"], self.medians["bare_python"]
        lines.append(
            f"\n`migrate.py --help` takes {mine.seconds:.2f} s, "
            f"a Python that does nothing {other.seconds:.2f} s."
        )
        return "\n".join(lines)

    def sizes(self) -> str:
        """Markdown: memory and CPU time an item at two sizes."""
        lines = [
            "| Phase | Items | µs an item | Peak MB | Items | µs an item | Peak MB |",
            "|---|---:|---:|---:|---:|---:|---:|",
        ]
        for phase in PHASES:
            cells = "".join(
                f" {each.items:,} | {1e6 / each.rate_per_core:.1f} | {each.peak_mb:.0f} |"
                for each in (self.medians[f"{phase} {SMALL}"], self.medians[phase])
            )
            lines.append(f"| {phase} |{cells}")
        return "\n".join(lines)

    def profiles(self) -> str:
        """Markdown: where the time of each phase goes."""
        parts = []
        for each in self._measured:
            if each.figures.profile:
                rows = "\n".join(
                    f"| {share:.0%} | {name} |" for name, share in each.figures.profile
                )
                parts.append(f"**{each.name}**\n\n| Share | Function |\n|---:|---|\n{rows}")
        return "\n\n".join(parts)

    def _rounds(self, name: str) -> list[Figures]:
        return [each.figures for each in self._measured if each.name == name and each.round]

    def targets(self) -> Iterator[Target]:
        """What the tool is to reach, and what every round measured."""
        yield Target("extract: share of COPY's rate", self._ratios("extract", "copy"), 0.7)
        if ON_MYSQL in self.medians:
            shares = self._ratios(ON_MYSQL, "mariadb_client")
            yield Target("extract from MySQL: share of mariadb -N -B's rate", shares, 0.5)
        for kind, words in ((f" {LINES}", "of lines"), ("", "of sales with three lines")):
            both = [
                1 / (1 / one.rate_per_core + 1 / other.rate_per_core)
                for one, other in zip(
                    self._rounds(f"transform{kind}"), self._rounds(f"validate{kind}"), strict=True
                )
            ]
            yield Target(f"transform and validate together, items/s a core, {words}", both, 25_000)
        times = self._ratios(ALONE, "batch_writer")
        yield Target("load, one process: times batch_writer", times, 15)
        for name, rate in (
            ("load", 40_000),
            ("verify", 40_000),
            (BY_SOURCE, 25_000),
            (WHOLE, 16_667),
        ):
            rates = [figures.rate for figures in self._rounds(name)]
            yield Target(f"{name}, items/s", rates, rate)
        peaks = zip(*(self._rounds(name) for name in (*PHASES, WHOLE)), strict=True)
        peak = [max(figures.peak_mb for figures in found) for found in peaks]
        yield Target("peak memory of any process, MB", peak, 300, at_most=True)
        growth = [
            max(part.rate_per_core / all_.rate_per_core for part, all_ in found)
            for found in zip(
                *(
                    zip(self._rounds(f"{name} {SMALL}"), self._rounds(name), strict=True)
                    for name in PHASES
                ),
                strict=True,
            )
        ]
        yield Target("CPU time an item, larger size to smaller", growth, 1.1, at_most=True)
        seconds = [figures.seconds for figures in self._rounds("help_text")]
        yield Target("`migrate.py --help`, seconds", seconds, 0.3, at_most=True)

    def target_table(self) -> str:
        """Markdown: targets and whether they are met."""
        rows = [
            f"| {each.words} | {'at most' if each.at_most else 'at least'} {each.wanted:,} "
            f"| {_shown(median(each.rounds))} ({_shown(min(each.rounds))} to "
            f"{_shown(max(each.rounds))}) | {each.verdict} |"
            for each in (*(self.targets() if self._measured else ()), *self._further)
        ]
        table = "\n".join(["| Target | Wanted | Measured | Met |", "|---|---:|---:|---|", *rows])
        if self._sales >= MILLION_ITEMS:
            return table
        return (
            f"{table}\n\nThe targets are about a million items (--sales {MILLION_ITEMS}). "
            "With fewer, the start of processes weighs more."
        )

    def head(self, busy: float) -> dict[str, object]:
        """What every kept figure is told with; `busy` is the load average before them."""
        return {"at": _now(), "machine": machine(), "sales": self._sales, "loadBefore": busy}

    def write(self, path: Path, head: Mapping[str, object]) -> None:
        """Append one JSON line for each measurement."""
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab") as handle:
            for each in self._measured:
                handle.write(orjson.dumps({**head, **asdict(each)}) + b"\n")


def _shown(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}"


def _now() -> str:
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def machine() -> str:
    """The machine in one line: processor, cores, memory, system, and the versions that matter."""
    info = Path("/proc/cpuinfo")
    names = [
        line.partition(":")[2].strip()
        for line in (info.read_text(encoding="utf-8").splitlines() if info.exists() else ())
        if line.startswith("model name")
    ]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30)
    packages = ", ".join(f"{name} {version(name)}" for name in _PACKAGES)
    return (
        f"{names[0] if names else platform.processor()}, {os.cpu_count()} cores, "
        f"{memory:.0f} GB, {platform.system()} {platform.release()}, "
        f"Python {platform.python_version()}, {packages}"
    )
