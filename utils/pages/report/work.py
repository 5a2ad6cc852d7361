"""When what was done: the phases on a time line, throughput and throttling, retries, and what a
plan had foretold."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from markupsafe import Markup

from utils.pages.charts import Amount, Bar, BarRow, rate_curve, time_line
from utils.pages.parts import (
    NUMBER,
    SUM,
    WIDE,
    Cell,
    Chart,
    Column,
    Folded,
    Part,
    Row,
    Section,
    Table,
)
from utils.pages.rendering import plain
from utils.pages.report.documents import Documents
from utils.telemetry.history import History, Span
from utils.wording.figures import costing, counted, counted_in, lasting

_MOST_ROWS = 60  # of a time line
_MOST_COMMANDS = 100
_SHORT = 0.5  # seconds: what took less, and is not what a phase is about, is left out


def work(known: Documents) -> Iterator[Section]:
    """What was done when, none where nothing is known of it."""
    history = known.history
    if not history.spans:
        return
    parts: list[Part] = []
    line = time_line_of(history)
    if line is not None:
        parts.append(line)
    curve = curve_of(history)
    if curve is not None:
        parts.append(curve)
    if known.phases:
        parts.append(_phases(known))
    parts += [*throttled_of(history), *retried_of(history), *commands_of(history)]
    yield Section(
        "work",
        "Phases and throughput",
        parts,
        "By the clock of the events. Between two commands nobody was at work: that time is left "
        "out.",
    )


def time_line_of(history: History) -> Chart | None:
    """The steps of a run on a time line, None where there is nothing to draw."""
    spans = [each for each in history.spans if not each.step.name or each.seconds >= _SHORT]
    spans = [each for each in spans if each.state != "skipped"]
    rows: dict[tuple[str, str, str], list[Span]] = {}
    for span in spans:
        rows.setdefault((span.step.phase, span.step.entity, span.step.name), []).append(span)
    drawn = [
        BarRow(
            ", ".join(filter(None, [phase.capitalize(), entity, step])),
            _beside(of),
            [Bar(each.began, each.ended, _kind(each)) for each in of],
        )
        for (phase, entity, step), of in list(rows.items())[:_MOST_ROWS]
    ]
    svg = time_line("Time line of the phases", drawn, history.seconds)
    if not svg:
        return None
    legend = [("", "what a phase is about"), ("third", "what else takes a while in it")]
    return Chart("The phases, one below the other, over the time of the run", svg, legend)


def _kind(span: Span) -> str:
    if span.state in ("stopped", "failed"):
        return span.state
    return "beside" if span.step.name else ""


def _beside(spans: list[Span]) -> str:
    seconds, done = sum(each.seconds for each in spans), sum(each.done for each in spans)
    states = [each.state for each in spans if each.state in ("stopped", "failed", "running")]
    told = [lasting(seconds), counted_in(done, spans[0].unit) if done else "", *states[-1:]]
    return " · ".join(filter(None, told))


def curve_of(history: History) -> Chart | None:
    """What was done a second, None where nothing was."""
    done = [Amount(each.began, each.ended, each.done) for each in history.advances]
    waits = [Amount(max(each.at - 1.0, 0.0), each.at, each.seconds) for each in history.waits]
    svg = rate_curve("Throughput over time", done, waits, history.seconds)
    if not svg:
        return None
    legend = [("", "records or items a second")]
    if waits:
        legend.append(("second", "waiting because a table or an index was short"))
    return Chart("Throughput, and waiting for DynamoDB, over the time of the run", svg, legend)


def _phases(known: Documents) -> Table:
    columns = [
        Column("Phase"),
        Column("Time", NUMBER),
        Column("Rate", NUMBER),
        Column("Refused", NUMBER),
        Column("Tried again", NUMBER),
        Column("Write units", NUMBER),
        Column("Read units", NUMBER),
    ]
    rows = [
        Row(
            [
                plain(each.phase.capitalize()),
                plain(lasting(each.seconds)),
                plain(f"{counted_in(each.per_second, each.unit)}/s") if each.done else None,
                each.errors,
                each.retries,
                round(each.write_units) or None,
                round(each.read_units) or None,
            ]
        )
        for each in known.phases
    ]
    sums = (
        sum(each.errors for each in known.phases),
        sum(each.retries for each in known.phases),
        round(sum(each.write_units for each in known.phases)) or None,
        round(sum(each.read_units for each in known.phases)) or None,
    )
    took = plain(lasting(known.history.seconds))
    rows.append(Row([Markup("All"), took, None, *sums], SUM))
    return Table("Phases", columns, rows)


def throttled_of(history: History) -> Iterator[Part]:
    """What DynamoDB was short of."""
    found: dict[tuple[str, str], list[float]] = {}
    for each in history.waits:
        sums = found.setdefault((each.by, each.reason), [0, 0.0])
        sums[0] += each.times
        sums[1] += each.seconds
    columns = [
        Column("Table or index"),
        Column("Reason"),
        Column("Times", NUMBER),
        Column("Waited, all senders together", NUMBER),
    ]
    rows = [
        Row([by, reason, int(times), plain(lasting(seconds))])
        for (by, reason), (times, seconds) in found.items()
    ]
    yield Table("Throttled by DynamoDB", columns, rows)


def retried_of(history: History) -> Iterator[Part]:
    """What was tried again."""
    rows = [
        Row([phase.capitalize(), reason, times])
        for (phase, reason), times in history.retries.most_common()
    ]
    columns = [Column("Phase"), Column("Reason", WIDE), Column("Times", NUMBER)]
    yield Table("Tried again, and how often", columns, rows)


def commands_of(history: History) -> Iterator[Part]:
    """The commands that have worked on a run."""
    rows: list[Row] = [
        Row(
            [
                each.name,
                each.at.replace("T", " ").partition(".")[0],
                plain(lasting(each.ended - each.began)),
                "was stopped" if each.exit_code is None else str(each.exit_code),
                each.version,
            ]
        )
        for each in history.commands[-_MOST_COMMANDS:]
    ]
    columns = [
        Column("Command"),
        Column("Began (UTC)"),
        Column("Took", NUMBER),
        Column("Exit code"),
        Column("Version"),
    ]
    if rows:
        words = counted(len(history.commands), "command has", "commands have")
        last = f", the last {len(rows):,} of them" if len(rows) < len(history.commands) else ""
        table = Table(f"Commands, in their order{last}", columns, rows)
        yield Folded(f"{words} worked on this run", [table])


def plan_against_fact(known: Documents) -> Iterator[Section]:
    """What the rehearsal had foretold, beside what came."""
    forecast = known.plan.get("forecast")
    if not forecast or known.manifest is None or not known.report("load"):
        return
    rows = [Row([name, *cells]) for name, cells in _compared(known, forecast)]
    columns = [Column("Figure", WIDE), Column("Planned", NUMBER), Column("Came", NUMBER)]
    note = f"The plan was made at {known.plan['at']}."
    if known.plan.get("extrapolated"):
        note += " Its figures were worked out from a part of the records."
    yield Section("plan", "Plan and fact", [Table("Plan and fact", columns, rows)], note)


def _compared(known: Documents, forecast: Mapping[str, Any]) -> Iterator[tuple[str, list[Cell]]]:
    loads = [each for each in known.report("load")["entities"].values() if "items" in each]
    yield (
        "Items written",
        [
            forecast["items"],
            sum(each["items"] - each["alreadyThere"] for each in loads),
        ],
    )
    writes = sum(each.write_units for each in known.phases)
    reads = sum(each.read_units for each in known.phases)
    yield "Write units", [forecast["writeUnits"], writes]
    yield "Read units", [forecast["readUnits"], reads]
    spent = {each.phase: each.seconds for each in known.phases}
    for phase, seconds in forecast["secondsOfPhases"].items():
        if phase in spent:
            yield phase.capitalize(), [plain(lasting(seconds)), plain(lasting(spent[phase]))]
    yield "All", [plain(lasting(forecast["seconds"])), plain(lasting(known.history.seconds))]
    if known.config is not None:
        prices, price = known.config.prices, forecast["price"]
        foreseen = price["importFromS3" if forecast["import"]["chosen"] else "batchWrites"]
        spent_on = prices.on_demand(writes, reads) + known.price_of_imports
        yield (
            "Price, with imports" if known.price_of_imports else "Price, on demand",
            [
                plain(costing(foreseen["total"], price["currency"])),
                plain(costing(spent_on, prices.currency)),
            ],
        )
