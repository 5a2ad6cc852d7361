"""A plan on the screen: what plan.json says, in the order in which a reader needs it, and the last
line (utils/cli/closings.py has its words)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from utils.cli.closings import said
from utils.cli.text_table import table
from utils.error_handler import ExitCode
from utils.plan.mapping import mapping_text
from utils.wording import terminal
from utils.wording.figures import counted
from utils.wording.invocation import again, for_real

Document = Mapping[str, Any]
_DONE = (ExitCode.DONE, ExitCode.QUARANTINED)
_FEW = 3
_HOT_SECONDS = 10.0
_UNITS = (
    "the load",
    "items",
    "bytes",
    "average",
    "95 %",
    "largest",
    "units of table",
    "with indexes",
    "read units",
)
_TABLES = ("in the tables", "now", "new", "there", "replaced", "kept", "conflicts", "only there")


def plan_text(document: Document) -> str:
    """The sections of a plan that there are, one below the other."""
    parts = [part for show in _SECTIONS for part in show(document)]
    return "\n\n".join(parts)


def last_line(document: Document, reasons: str = "") -> str:
    """What `--full` would come to, and what to type next; `reasons` are why not everything of S9
    would be in the tables as it is in S9."""
    verdict = document["verdict"]
    values = {"code": verdict["exitCode"], "meaning": verdict["meaning"]}
    sample = _sample(document)
    if verdict["exitCode"] in _DONE:
        values["meaning"] = "it is done" if reasons else verdict["meaning"]
        return said("planned", **values, sample=sample, reasons=reasons, full=for_real("--full"))
    return said("planned-obstacles", **values, sample=sample, again=again())


def _sample(document: Document) -> str:
    part = document["extrapolated"]
    read = [f"{part['read']:,} {part['entity']}"] if part else []
    parts = [" into empty tables"] if "rehearsal" in document else []
    if read:
        parts.append(f" as far as the first {' and '.join(read)} show")
    return ",".join(parts)


def _tables(document: Document) -> Iterator[str]:
    """What the tables hold, and what the load would do with it, in items."""
    tables: Mapping[str, Mapping[str, Any]] = document.get("tables", {})
    if not tables:
        return
    missing = "not looked at" if "rehearsal" in document else "to be created"
    rows = [
        [
            name.capitalize(),
            each["now"] if each["exists"] else missing,
            *(each[key] for key in ("new", "alreadyThere", "replaced", "kept", "conflicts")),
            sum(each["onlyInTarget"].get(key, 0) for key in ("recordItems", "lines")),
        ]
        for name, each in tables.items()
    ]
    yield table(_TABLES, rows)


def _checks(document: Document) -> Iterator[str]:
    """What is not as it should be of both ends and this machine."""
    checks: Sequence[Mapping[str, Any]] = document.get("checks", ())
    counts = Counter(each["state"] for each in checks)
    if checks:
        told = ", ".join(f"{count:,} {state}" for state, count in counts.most_common())
        doubts = [each for each in checks if each["state"] == "warning"]
        lines = [f"  - {each['name']}: {terminal.indented(each['found'])}" for each in doubts]
        yield "\n".join([f"Checked: {told}", *lines])


def _forecast(document: Document) -> Iterator[str]:
    """What the load takes: sizes and units, then price, time, and what is to be known of them."""
    found = document.get("forecast")
    if not found:
        return
    of = document.get("extrapolated")
    if of:
        yield f"Extrapolated from {of['read']:,} of {counted(of['of'], of['entity'][:-1])}:"
    if document["onConflict"] == "fail" and _conflicts(document):
        yield "As if the tables held none of it, since the conflicts are still to be settled:"
    yield table(_UNITS, [_units_of(name, each) for name, each in found["tables"].items()])
    hot = [line for each in found["tables"].values() for line in _hot_keys(each)]
    yield "\n".join([*found["sentences"], *_replacing(found), *hot])


def _conflicts(document: Document) -> int:
    return sum(each["conflicts"] for each in document.get("tables", {}).values())


def _replacing(found: Mapping[str, Any]) -> Iterator[str]:
    """What items take that replace others: it is not among the write units of the table above."""
    tables: Sequence[Mapping[str, Any]] = list(found["tables"].values())
    replaced = sum(each["replaced"] for each in tables)
    if replaced:
        least, most = (
            sum(each["replacingWriteUnits"][end] for each in tables) for end in ("least", "most")
        )
        units = counted(most, "write unit")
        if least != most:
            units = f"{least:,} to {units}"
        yield f"Besides, {counted(replaced, 'item')} to be replaced: {units}"


def _units_of(entity: str, found: Mapping[str, Any]) -> list[object]:
    sizes = found["bytes"]
    return [
        entity.capitalize(),
        found["items"],
        sizes["total"],
        round(sizes["average"]),
        sizes["percentile95"],
        sizes["largest"],
        found["ofTable"]["writeUnits"],
        found["writeUnits"],
        found["readUnits"]["total"],
    ]


def _hot_keys(found: Mapping[str, Any]) -> Iterator[str]:
    """The keys that alone take a large part of a place's write units for a while."""
    for place in (found["ofTable"], *found["ofIndexes"]):
        hottest = place["hottest"][:1]
        if hottest and place["hottestSeconds"] >= _HOT_SECONDS:
            (key,) = hottest
            where = place.get("index") or found["table"]
            yield (
                f"{where}: the key {terminal.printable(key['key'])} gets "
                f"{key['share']:.0%} of {counted(place['writeUnits'], 'write unit')}: "
                f"{place['hottestSeconds']:,.0f} s at 1,000 a second"
            )


def _mapping(document: Document) -> Iterator[str]:
    """Where values of S9 have no place, what was applied to them on their way, and what is
    doubtful."""
    if text := mapping_text(document.get("mapping", {})):
        yield terminal.printable(text)


def _rehearsal(document: Document) -> Iterator[str]:
    found = document.get("rehearsal")
    if found:
        items = sum(count or 0 for count in found["items"].values())
        proven = "verified them" if found["passed"] else "found differences"
        yield (
            f"Rehearsed at {found['where']}: loaded {counted(items, 'item')} into throw-away "
            f"tables and {proven}; the configured tables were not looked at"
        )


def _to_do(document: Document) -> Iterator[str]:
    """What to do, numbered, causes before consequences; a remedy that several have is said once,
    after the last of them."""
    due: Sequence[Mapping[str, Any]] = document["toDo"]
    if not due:
        return
    lines = ["In this order:"]
    for remedy, group in groupby(enumerate(due, 1), key=lambda each: each[1]["remedy"]):
        for number, each in group:
            code = each["exitCode"]
            ends = "" if code is None else f" [exit code {code}]"
            lines.append(f"{number:>3}. {terminal.indented(each['what'])}{ends}")
        lines.append(f"     What to do: {_further(terminal.indented(remedy))}")
    yield "\n".join(lines)


def _further(remedy: str) -> str:
    """The lines of a remedy, the second and later ones below the first."""
    return remedy.replace("\n", "\n     ")


def _verification(document: Document) -> Iterator[str]:
    found = document.get("verification")
    if not found or found["passed"]:
        return
    problems = found["problems"]
    told = "\n".join(f"  - {each}" for each in problems[:10])
    yield f"Verify would find {counted(len(problems), 'difference')}:\n{told}"


_SECTIONS: tuple[Callable[[Document], Iterator[str]], ...] = (
    _checks,
    _tables,
    _forecast,
    _mapping,
    _rehearsal,
    _verification,
    _to_do,
)
