"""plan.html: what a rehearsal foretells, from plan.json."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from utils.error_handler import ExitCode
from utils.files.artifacts import utc_now
from utils.pages.parts import (
    BAD,
    CARE,
    GOOD,
    KEY,
    LESS,
    NUMBER,
    OFF,
    SUM,
    WIDE,
    Cell,
    Column,
    Figure,
    Folded,
    Listed,
    Page,
    Part,
    Row,
    Section,
    State,
    Table,
    Text,
    Verdict,
)
from utils.pages.rendering import in_state, plain
from utils.pages.report.documents import Documents, Report
from utils.pages.report.found import findings, quarantine
from utils.pages.report.kept import kept
from utils.pages.report.origin import configuration, origin
from utils.pages.report.verdict import subject
from utils.wording.figures import costing, counted, lasting
from utils.wording.invocation import for_real

_SEVERITIES = {"ok": GOOD, "warning": CARE, "failed": BAD, "skipped": "calm"}


def plan_page(known: Documents) -> Page:
    """The page of a rehearsal."""
    sections: list[Section] = []
    for make in (_to_do, _source, _tables, _forecast, _rehearsed, _checks, _mapping):
        sections += make(known.plan)
    for further in (findings, quarantine, kept, origin, configuration):
        sections += further(known)
    return Page(
        title="Plan of the migration from S9 to the Sale Module",
        of=subject(known.manifest),
        verdict=_verdict(known),
        figures=list(_figures(known.plan)),
        sections=sections,
        made=utc_now(),
        foot=[f"Made of {known.files.plan_report} and the reports beside it."],
    )


def _verdict(known: Documents) -> Verdict:
    plan = known.plan
    code, verdict = plan["exitCode"], plan["verdict"]
    kind = {ExitCode.DONE: GOOD, ExitCode.QUARANTINED: CARE}.get(code, BAD)
    further = [verdict["because"]] if verdict["because"] else []
    part = plan.get("extrapolated")
    if part:
        further.append(
            f"As far as the first {part['read']:,} of {part['of']:,} {part['entity']} show"
        )
    further += known.troubles
    nothing = "A rehearsal: nothing was written into the target."
    words = f"The migration would end with exit code {code}: {verdict['meaning']}"
    goes = code in (ExitCode.DONE, ExitCode.QUARANTINED)
    next_ = for_real("--full" if goes else "--dry-run")
    return Verdict(kind, "Planned", words, [*further, plain(nothing)], next_)


def _figures(plan: Report) -> Iterator[Figure]:
    source, forecast = plan.get("source", {}), plan.get("forecast")
    if source:
        count = sum(each["transformed"] or 0 for each in source.values())
        yield Figure("Records to be loaded", count, "of all entities")
        refused = sum(each["quarantined"] or 0 for each in source.values())
        yield Figure("Records to be refused", refused, "to quarantine")
    if forecast:
        yield Figure("Items", forecast["items"], "in DynamoDB")
        yield Figure("Time", plain(lasting(forecast["seconds"])), "of the whole migration")
        price = forecast["price"]
        by_import = forecast["import"]["chosen"]
        way = price["importFromS3" if by_import else "batchWrites"]
        about = "of the import, and of read units on demand"
        yield Figure(
            "Price",
            plain(costing(way["total"], price["currency"])),
            about if by_import else "of read and write units, on demand",
        )


def _to_do(plan: Report) -> Iterator[Section]:
    rows = [
        Row(
            [
                each["what"],
                each["stage"],
                each["count"],
                each["remedy"],
                None if each["exitCode"] is None else str(each["exitCode"]),
            ]
        )
        for each in plan["toDo"]
    ]
    columns = [
        Column("What", WIDE),
        Column("Stage"),
        Column("Count", NUMBER),
        Column("What to do", WIDE),
        Column("Exit code"),
    ]
    parts: list[Part] = [Table("To do before the migration, causes first", columns, rows)]
    if not rows:
        parts = [State(GOOD, "There is nothing to do before it")]
    yield Section("to-do", "What to do", parts)


def _source(plan: Report) -> Iterator[Section]:
    source: Mapping[str, Mapping[str, Any]] = plan.get("source", {})
    if not source:
        return
    names = list(source)
    reasons = dict.fromkeys(reason for of in source.values() for reason in of["notSelected"])
    rows = [
        Row(["Rows of S9's table", *(of["rows"] for of in source.values())]),
        *(
            Row(
                [
                    f"− not selected: {reason}",
                    *(of["notSelected"].get(reason) for of in source.values()),
                ],
                LESS,
            )
            for reason in reasons
        ),
        Row(["Records extracted", *(of["extracted"] for of in source.values())], SUM),
        Row(["− to quarantine", *(of["quarantined"] for of in source.values())], LESS),
        Row(["Records to be loaded", *(of["transformed"] for of in source.values())], SUM),
        Row(["Items that these are", *(of["items"] for of in source.values())]),
        Row(["Errors", *(of["errors"] for of in source.values())]),
        Row(["Warnings", *(of["warnings"] for of in source.values())]),
    ]
    columns = [Column("Figure", WIDE), *(Column(name.capitalize(), NUMBER) for name in names)]
    yield Section("source", "S9", [Table("What S9 has, and what becomes of it", columns, rows)])


_HELD = (
    ("now", "Held now"),
    ("new", "New"),
    ("alreadyThere", "Already there, the same"),
    ("replaced", "To be replaced"),
    ("kept", "Kept as they are"),
    ("conflicts", "In conflict"),
)


def _tables(plan: Report) -> Iterator[Section]:
    tables: Mapping[str, Mapping[str, Any]] = plan.get("tables", {})
    if not tables:
        return
    rows = [
        Row(["Table", *(of["table"] for of in tables.values())]),
        Row(["Is there", *("yes" if of["exists"] else "to be created" for of in tables.values())]),
        *(
            Row(
                [words, *(of[name] for of in tables.values())],
                OFF if name == "conflicts" and any(of[name] for of in tables.values()) else "",
            )
            for name, words in _HELD
        ),
    ]
    columns = [Column("Items", WIDE), *(Column(name.capitalize(), NUMBER) for name in tables)]
    policy = f"By load.onConflict: {plan['onConflict']}."
    yield Section(
        "tables",
        "The target",
        [Table("What the tables hold, and what the load would do", columns, rows)],
        policy,
    )


def _forecast(plan: Report) -> Iterator[Section]:
    forecast = plan.get("forecast")
    if not forecast:
        return
    names = list(forecast["tables"])
    of = [forecast["tables"][name] for name in names]
    rows = [
        Row(["Capacity", *(each["mode"] for each in of)]),
        Row(["Items", *(each["items"] for each in of)]),
        Row(["Bytes, as DynamoDB counts them", *(each["bytes"] for each in of)]),
        Row(["Write units, with indexes", *(each["writeUnits"] for each in of)]),
        Row(["Read units: backup", *(each["readUnits"]["backup"] for each in of)]),
        Row(["Read units: survey", *(each["readUnits"]["survey"] for each in of)]),
        Row(["Read units: verification", *(each["readUnits"]["verify"] for each in of)]),
    ]
    columns = [Column("Figure", WIDE), *(Column(name.capitalize(), NUMBER) for name in names)]
    times = [
        Row([plain(phase.capitalize()), plain(lasting(seconds))])
        for phase, seconds in forecast["secondsOfPhases"].items()
    ]
    times.append(Row([plain("All"), plain(lasting(forecast["seconds"]))], SUM))
    parts: list[Part] = [
        Listed(list(forecast["sentences"])),
        Table("What the load takes", columns, rows),
        Table("How long it takes", [Column("Phase"), Column("Time", NUMBER)], times),
    ]
    if forecast["advice"]:
        parts.append(Text("What would make it faster:"))
        parts.append(Listed([_advice(each) for each in forecast["advice"]]))
    yield Section("forecast", "Forecast", parts, "Time, capacity and price.")


def _advice(each: Any) -> Cell:
    return each if isinstance(each, str) else str(each.get("what", each))


def _rehearsed(plan: Report) -> Iterator[Section]:
    found, foretold = plan.get("rehearsal"), plan.get("verification")
    parts: list[Part] = []
    if found:
        items = counted(sum(each or 0 for each in found["items"].values()), "item")
        words = f"Loaded into throw-away tables of {found['where']}: {items}"
        if found["passed"]:
            parts.append(State(GOOD, f"{words}, and verification found no difference"))
        else:
            parts += [State(BAD, f"{words}, and verification found"), Listed(found["problems"])]
    if foretold:
        if foretold["passed"]:
            parts.append(State(GOOD, "Verification after the load would find no difference"))
        else:
            parts += [
                State(BAD, "Verification after the load would find"),
                Listed(foretold["problems"]),
            ]
    if parts:
        yield Section("rehearsal", "What verification would find", parts)


def _checks(plan: Report) -> Iterator[Section]:
    checks = plan.get("checks", ())
    if not checks:
        return
    rows = [
        Row(
            [
                each["name"],
                each["side"],
                in_state(_SEVERITIES[each["state"]], each["state"]),
                each["found"],
                each.get("remedy"),
            ]
        )
        for each in checks
    ]
    columns = [
        Column("What was looked at", WIDE),
        Column("Side"),
        Column("State"),
        Column("How it is", WIDE),
        Column("What to do", WIDE),
    ]
    yield Section("checks", "Both ends and this machine", [Table("Checks", columns, rows)])


def _mapping(plan: Report) -> Iterator[Section]:
    mapping = plan.get("mapping")
    if not mapping:
        return
    parts: list[Part] = []
    for entity, tables in mapping.get("entities", {}).items():
        rows = [
            Row([f"{table}.{column}", attribute])
            for table, of in tables.items()
            for column, attribute in of["columns"].items()
        ]
        columns = [Column("Column", KEY), Column("Attribute", KEY)]
        table = Table(f"Columns of {entity}", columns, rows)
        parts.append(Folded(f"What becomes of each column: {entity}", [table]))
    for entity, applied in mapping.get("applied", {}).items():
        rows = [
            Row([words, kind, count])
            for kind, name in (("default", "defaults"), ("put right", "repairs"))
            for words, count in applied[name].items()
        ]
        columns = [Column("What was applied", WIDE), Column("Kind"), Column("Times", NUMBER)]
        table = Table(f"Applied to {entity}", columns, rows)
        parts.append(Folded(f"What was applied to values: {entity}", [table]))
    yield Section("mapping", "What becomes of columns and values", parts)
