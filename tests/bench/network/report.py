"""What was measured over a network: tables, targets, and what the chart shows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median

import orjson

from tests.bench.network.chart import Curve, chart
from tests.bench.network.jobs import ALONE, AT, OWN_CHOICE, WRITER, Case, Measurement
from tests.bench.rate import HEAD
from tests.bench.report import Target

FIGURES = Path(__file__).with_name("network_figures.json")  # what the chart in docs/ shows
CHART = Path("docs/network.svg")
_LEAST = {5: 40_000, 15: 40_000, 40: 25_000}  # items/s of the load by delay in ms
_SHARE = 0.85  # of what the best fixed number reaches
_USED = {40_000: 0.95, 300: 0.92}  # of a metered table; of the small one as before
_OTHERS = {
    "load_on_condition": 8_000,
    "load_replacing": 8_000,
    "rollback": 8_000,
    "verify": 40_000,
    "backup": 40_000,
}
_MEMORY, _FILES = 300, 1024
_WORDS = {
    "load": "the load",
    "load_on_condition": "the same, each item on condition",
    "load_replacing": "a load that replaces all that is there",
    "rollback": "the rollback of a load, with its second look",
    "verify": "the verification",
    "backup": "a backup of all tables",
    "restore": "the restore of one into an empty table",
}


class NetworkResults:
    """Every measurement over a network of one run of the bench."""

    def __init__(self, measured: Sequence[Measurement]) -> None:
        self._measured = [each for each in measured if each.metered is None]
        self._metered = [each for each in measured if each.metered]
        self._cases = dict.fromkeys(each.case for each in self._measured)
        self._delays = sorted({case.delay for case in self._cases})
        self._numbers = sorted({case.in_flight for case in self._cases} - {OWN_CHOICE})

    def _rates(self, case: Case) -> list[float]:
        return [each.figures.rate for each in self._measured if each.case == case]

    def _cell(self, case: Case) -> str:
        rates = self._rates(case)
        return f" {median(rates):,.0f} |" if rates else " |"

    def tables(self) -> str:
        """Markdown: all of them."""
        parts = (self.loads(), self.encryption(), self.others(), self.metered())
        return "\n\n".join(part for part in parts if part)

    def loads(self) -> str:
        """Markdown: items/s of the load at each distance, by its own choice and by fixed numbers,
        beside the sink alone and batch_writer."""
        numbers = "".join(f" {number} |" for number in self._numbers)
        lines = [
            f"| Each answer after | `null` |{numbers} the sink alone | batch_writer |",
            "|---:|" + "---:|" * (3 + len(self._numbers)),
        ]
        for delay in self._delays:
            cases = [Case("load", delay, number) for number in (OWN_CHOICE, *self._numbers)]
            cases += [Case(ALONE, delay), Case(WRITER, delay)]
            lines.append(f"| {delay} ms |" + "".join(map(self._cell, cases)))
        return "\n".join(lines)

    def encryption(self) -> str:
        """Markdown: items/s without and with TLS."""
        lines = [
            "| Each answer after | `null` | with TLS | the sink alone | with TLS |",
            "|---:|---:|---:|---:|---:|",
        ]
        for delay in self._delays:
            cases = [
                Case(job, delay, encrypted=tls) for job in ("load", ALONE) for tls in (False, True)
            ]
            lines.append(f"| {delay} ms |" + "".join(map(self._cell, cases)))
        return "\n".join(lines)

    def others(self) -> str:
        """Markdown: items/s of everything that is done over a network, and what it takes."""
        lines = [
            "| Items/s |"
            + "".join(f" {delay} ms |" for delay in self._delays if delay)
            + " MB, all processes | MB, the largest | Files open |",
            "|---|" + "---:|" * (sum(map(bool, self._delays)) + 3),
        ]
        for job, words in _WORDS.items():
            found = [each.figures for each in self._measured if each.case.job == job]
            if not found:
                continue
            cells = "".join(self._cell(Case(job, delay)) for delay in self._delays if delay)
            lines.append(
                f"| {words} |{cells} {max(each.sum_mb for each in found):.0f} "
                f"| {max(each.peak_mb for each in found):.0f} "
                f"| {max(each.files for each in found)} |"
            )
        return "\n".join(lines)

    def metered(self) -> str:
        """Markdown: how far tables with a capacity were used."""
        rows = [each.metered.row() for each in self._metered if each.metered]
        return "\n".join([f"| The limit of the table {HEAD}", *rows]) if rows else ""

    def targets(self) -> Iterator[Target]:
        """What is to be reached over a network, and what every round measured."""
        for tls in (False, True):
            words = " with TLS" if tls else ""
            for delay, least in _LEAST.items():
                case = Case("load", delay, encrypted=tls)
                if rates := self._rates(case):
                    yield Target(f"load at {delay} ms{words}, items/s", rates, least)
                    yield from self._beside_fixed(case, words)
        for job, least in _OTHERS.items():
            if rates := self._rates(Case(job, AT)):
                yield Target(f"{job} at {AT} ms, items/s", rates, least)
        yield from self._of_metered()
        rounds = range(1, 1 + max((each.round for each in self._measured), default=0))
        for words, limit, name in (
            ("memory of all processes together over a network, MB", _MEMORY, "sum_mb"),
            ("files and sockets that a process has open over a network", _FILES - 1, "files"),
        ):
            most = [
                max(
                    getattr(each.figures, name)
                    for each in self._measured
                    if each.round == number and each.case.job in _WORDS
                )
                for number in rounds
            ]
            yield Target(words, most, limit, at_most=True)

    def _beside_fixed(self, case: Case, words: str) -> Iterator[Target]:
        """The own choice beside the best of the fixed numbers of the same round."""
        fixed = [
            self._rates(Case(case.job, case.delay, number, case.encrypted))
            for number in self._numbers
        ]
        best = [max(rates) for rates in zip(*filter(None, fixed), strict=True)]
        if best:
            shares = [own / most for own, most in zip(self._rates(case), best, strict=True)]
            name = f"load at {case.delay} ms{words}: share of the best fixed number"
            yield Target(name, shares, _SHARE)

    def _of_metered(self) -> Iterator[Target]:
        found: dict[int, list[float]] = {}
        for each in self._metered:
            if each.metered:
                share = each.metered.lowest / each.metered.units
                found.setdefault(each.metered.units, []).append(share)
        for units, shares in found.items():
            words = f"a table of {units:,} units at {AT} ms: used over any ten seconds"
            yield Target(words, shares, _USED.get(units, 0.92))

    def curves(self) -> list[Curve]:
        """What the chart shows: items/s against ms."""
        series = {"the sink alone": (ALONE, 0, False)}
        series |= {f"{number} in flight": ("load", number, False) for number in self._numbers}
        series |= {
            "batch_writer": (WRITER, 0, False),
            "own choice, TLS": ("load", OWN_CHOICE, True),
            "own choice": ("load", OWN_CHOICE, False),  # on top of the others
        }
        found = []
        for name, (job, number, tls) in series.items():
            cases = [Case(job, delay, number, tls) for delay in self._delays]
            points = [(case.delay, median(rates)) for case in cases if (rates := self._rates(case))]
            found.append(Curve(name, tuple((x, round(y)) for x, y in points)))
        return [curve for curve in found if curve.points]

    def write_chart(self) -> None:
        """Write the chart that docs/performance.md shows, and the figures in it."""
        curves = self.curves()
        text = orjson.dumps([each.as_json() for each in curves], option=orjson.OPT_INDENT_2)
        FIGURES.write_bytes(text + b"\n")
        CHART.write_text(chart(curves), encoding="utf-8")

    def write(self, path: Path, head: Mapping[str, object]) -> None:
        """Append one JSON line for each measurement."""
        with path.open("ab") as handle:
            for each in (*self._measured, *self._metered):
                line = {**head, "name": each.name, "round": each.round, "figures": each.figures}
                line |= {"metered": each.metered} if each.metered else {}
                handle.write(orjson.dumps(line) + b"\n")


def kept_curves() -> list[Curve]:
    """What the chart in docs/ shows."""
    return [Curve.of(each) for each in orjson.loads(FIGURES.read_bytes())]
