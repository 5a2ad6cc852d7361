"""From S9's table to the target: where every record has remained, station by station."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from utils.entities import ENTITY_NAMES
from utils.pages.parts import (
    BAD,
    GOOD,
    LESS,
    NUMBER,
    OFF,
    SUM,
    WIDE,
    Cell,
    Column,
    Folded,
    Listed,
    Part,
    Row,
    Section,
    State,
    Table,
    Text,
)
from utils.pages.rendering import in_state
from utils.pages.report.documents import Documents, Report
from utils.run.standing import Stations, stations_of
from utils.wording.figures import counted

_COLUMNS = [Column("Station", WIDE), *(Column(name.capitalize(), NUMBER) for name in ENTITY_NAMES)]


def ledger(known: Documents) -> Iterator[Section]:
    """The ledger; none where nothing was read."""
    if known.manifest is None:
        return
    stations = [stations_of(known.manifest, name) for name in ENTITY_NAMES]
    if all(each.selected is None for each in stations):
        return
    counts = known.report("verification").get("counts", {})
    tables = [(known.manifest.phase("extract", name)) for name in ENTITY_NAMES]
    names = [(each.result.get("table") or {}).get("name") if each else None for each in tables]
    parts: list[Part] = [
        Table("Where every record has remained", _COLUMNS, list(_rows(stations, counts, names))),
        *_proof(known.report("verification")),
    ]
    yield Section(
        "ledger",
        "From S9's tables to the target",
        parts,
        "Every row of S9's tables is accounted for: what is taken off is told by its reason.",
    )


def _rows(
    stations: Sequence[Stations],
    counts: Mapping[str, Mapping[str, Any]],
    names: Sequence[str | None],
) -> Iterator[Row]:
    if any(names):
        yield Row(["S9's table", *names])
    yield from _row("Rows of it", [each.rows for each in stations])
    for reason in dict.fromkeys(reason for each in stations for reason in each.not_selected):
        lost = [each.not_selected.get(reason) for each in stations]
        yield from _row(f"− not selected: {reason}", lost, LESS)
    yield from _row("Records selected", [each.selected for each in stations], SUM)
    yield from _row("Records extracted", [each.extracted for each in stations])
    yield from _row("− in quarantine", [each.quarantined for each in stations], LESS)
    yield from _row("Records transformed", [each.transformed for each in stations], SUM)
    yield from _row("Items that these are", [each.items for each in stations])
    refused = [_items(counts, name, "refused") for name in ENTITY_NAMES]
    yield from _row("− refused by DynamoDB", refused, LESS)
    yield from _row(
        "− kept as the table has them, or left out", [each.kept for each in stations], LESS
    )
    yield from _row("Items loaded", [each.loaded for each in stations], SUM)
    yield from _row("Items found in the target", [each.found for each in stations], SUM)
    over = [_items(counts, name, "onlyInTarget") for name in ENTITY_NAMES]
    if any(over):
        yield Row(["Only in the target", *over], OFF)
    if counts:
        yield Row(["The ledger closes", *(_closes(counts.get(name)) for name in ENTITY_NAMES)])


def _row(name: str, values: Sequence[Cell], kind: str = "") -> Iterator[Row]:
    """A row; none where nothing is known, or nothing was taken off."""
    known = [each for each in values if each is not None]
    if known and not (kind == LESS and not any(known)):
        yield Row([name, *values], kind)


def _items(counts: Mapping[str, Mapping[str, Any]], entity: str, station: str) -> int | None:
    # A station that a verification by S9 does not pass is null.
    found: int | None = (counts.get(entity, {}).get(station) or {}).get("items")
    return found


def _closes(of: Mapping[str, Any] | None) -> Cell:
    if of is None:
        return None
    kind, words = (GOOD, "closes") if of["closes"] else (BAD, "does not close")
    return in_state(kind, words)


def _proof(verification: Report) -> Iterator[Part]:
    """What the verification says of it, and what it has looked at."""
    if not verification:
        yield State("calm", "Not verified: nobody has looked into the target since")
        return
    with_what = "S9, read again" if verification["comparedWith"] == "source" else "the run's files"
    if verification["passed"]:
        yield State(GOOD, f"Verified by comparing the target with {with_what}: no difference")
    else:
        yield State(BAD, f"Verified by comparing the target with {with_what}: differences")
        yield Listed(verification["problems"])
    yield from _looked_at(verification)


def _looked_at(verification: Report) -> Iterator[Part]:
    rows = []
    keys: Mapping[str, Mapping[str, Any]] = verification["keys"]
    for words, name in (
        ("Missing in the target", "missing"),
        ("With other content", "different"),
        ("Written by a migration, and only in the target", "extra"),
        ("Changed by the application since", "changedSince"),
        ("Changed in S9 since", "changedInSource"),
        ("Kept as the table had it", "kept"),
    ):
        counts = [
            keys[entity][name]["count"] if entity in keys else None for entity in ENTITY_NAMES
        ]
        is_off = name in ("missing", "different", "extra") and any(counts)
        rows.append(Row([words, *counts], OFF if is_off else ""))
    foreign = [keys[entity]["foreign"] if entity in keys else None for entity in ENTITY_NAMES]
    rows.append(Row(["Made by the application", *foreign]))
    columns = [Column("Items", WIDE), *_COLUMNS[1:]]
    yield Table("Items, one by one", columns, rows)
    columns = [Column("Looked at", WIDE), Column("Checked", NUMBER), Column("Wrong", NUMBER)]
    checks = [*_references(verification), *_indexes(verification)]
    yield Table("References, lines and indexes", columns, checks)
    patterns = list(_patterns(verification))
    if patterns:
        wrong = sum(each["failed"] for each in verification["accessPatterns"])
        asked = sum(each["sampled"] for each in verification["accessPatterns"])
        words = f"{counted(asked, 'request')} as the API asks them: {wrong:,} failed"
        table = Table("Access patterns, replayed", columns, patterns)
        yield Folded(words, [table]) if not wrong else table
    units = verification["readUnits"]["total"]
    yield Text(f"The verification took {counted(round(units), 'read unit')}.", dim=True)


def _check(name: str, checked: int | None, wrong: int) -> Row:
    return Row([name, checked, wrong], OFF if wrong else "")


def _references(verification: Report) -> Iterator[Row]:
    references, lines = verification["references"], verification["lines"]
    if references is not None:
        wrong = references["unresolved"]["count"]
        yield _check("References from sales to parties", references["checked"], wrong)
    if lines is not None:
        yield _check("Number of lines of sales", lines["checked"], lines["count"])


def _indexes(verification: Report) -> Iterator[Row]:
    for of in verification["indexes"].values():
        for name, index in of["indexes"].items():
            wrong = index["wrong"]["count"] if index["wrong"] else int(not index["passed"])
            yield _check(f"Index {name} of {of['table']}", index["entries"], wrong)


def _patterns(verification: Report) -> Iterator[Row]:
    for each in verification["accessPatterns"]:
        name = f"{each['request']} of {each['entity']}"
        if each["of"] is not None and each["of"] > each["sampled"]:
            name += f" (a sample of {each['of']:,})"
        yield _check(name, each["sampled"], each["failed"])
