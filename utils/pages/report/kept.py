"""What is not in the target as S9 has it, and why: the application's work, what was kept, what has
left S9, what was repaired and undone. All of it from the reports that list it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import Any

from utils.entities import ENTITY_NAMES
from utils.pages.parts import (
    KEY,
    NUMBER,
    WIDE,
    Cell,
    Column,
    Folded,
    Heading,
    Part,
    Row,
    Section,
    Table,
    Text,
)
from utils.pages.report.documents import Documents, Report

_MOST = 200
"""Rows of a list: the report has all of them."""

_DECISIONS = {
    "replace": "replaced by S9's",
    "remove": "taken away",
    "keep": "kept as the table has it",
    "stop": "stops the load",
}
_KINDS = {
    "differs": "with other content",
    "absent": "left out: its record is kept",
    "not-in-s9": "a line that S9 no longer has",
    "application": "the application's own",
}
_REASONS = {
    "changed": "the application has changed it",
    "inUse": "a record that stays names it",
    "refused": "it is in quarantine (sync.refused)",
    "policy": "the setting says so (sync.removed)",
    "changedInSource": "S9 has changed it since the load",
    "keptByLoad": "the load has kept it",
    "inQuarantine": "it is in quarantine",
    "tooManyAttributes": "it has too many attributes for a condition",
}
_SHOWS = Callable[[Documents, Report], Iterator[Part]]


def kept(known: Documents) -> Iterator[Section]:
    """The section, none where there is nothing of the kind."""
    parts = list(chain.from_iterable(_of(known, name, show) for name, show in _SHOWN))
    if parts:
        yield Section(
            "kept",
            "The application's work, and what was kept",
            parts,
            "Nothing that the Sale Module has written or changed is overwritten or deleted unless "
            "the operator has asked for it.",
        )


def _of(known: Documents, name: str, show: _SHOWS) -> Iterator[Part]:
    report = known.report(name)
    if report:
        yield from show(known, report)


def _conflicts(_: Documents, report: Report) -> Iterator[Part]:
    them: Sequence[Mapping[str, Any]] = report["conflicts"]
    yield Heading("Found in the tables with other content, before the load")
    counts = Counter((each["entity"], each["kind"], each["decision"]) for each in them)
    rows = [
        Row([entity, _KINDS[kind], _DECISIONS[decision], count])
        for (entity, kind, decision), count in sorted(counts.items())
    ]
    policy = f"By load.onConflict: {report['onConflict']}"
    if len(them) < report["count"]:
        policy += f"; of the first {len(them):,} of {report['count']:,}"
    columns = [
        Column("Items of"),
        Column("What", WIDE),
        Column("Decision", WIDE),
        Column("Items", NUMBER),
    ]
    yield Table(policy, columns, rows)
    yield _listed(
        "conflicts_report.json",
        report["count"],
        [Column("Item", KEY), Column("What", WIDE), Column("Attributes", KEY), Column("Newer")],
        (
            [
                _item(each),
                f"{_KINDS[each['kind']]}: {_DECISIONS[each['decision']]}",
                ", ".join(each["attributes"]),
                each["newer"],
            ]
            for each in them
        ),
    )


def _changed_since(_: Documents, report: Report) -> Iterator[Part]:
    """What the application has done since the load, and what the load had kept."""
    keys: Mapping[str, Mapping[str, Any]] = report["keys"]
    total = sum(of["changedSince"]["count"] for of in keys.values())
    if total:
        yield Heading("Changed by the application since the load")
        yield _listed(
            "verification_report.json",
            total,
            [Column("Item", KEY), Column("What")],
            (
                [_item({"entity": entity, **each}), f"{each['how']} by the application"]
                for entity, of in keys.items()
                for each in of["changedSince"]["list"]
            ),
        )
    held = sum(of["kept"]["count"] for of in keys.values())
    if held:
        yield Heading("Kept by the load, as verified")
        yield _listed(
            "verification_report.json",
            held,
            [Column("Item", KEY), Column("What", WIDE)],
            (
                [
                    _item({"entity": entity, **each}),
                    "in the table, as it was" if each["inTable"] else "in no table",
                ]
                for entity, of in keys.items()
                for each in of["kept"]["list"]
            ),
        )


def _synced(_: Documents, report: Report) -> Iterator[Part]:
    names = ("unchanged", "new", "changed", "kept", "removed")
    rows = [
        Row([entity, *(of[name] for name in names), of["takenAway"]])
        for entity, of in report["entities"].items()
    ]
    heading = "What would change" if report["dryRun"] else "What the last sync has found"
    yield Heading(heading)
    columns = [
        Column("Records of"),
        Column("unchanged", NUMBER),
        Column("new", NUMBER),
        Column("changed", NUMBER),
        Column("kept", NUMBER),
        Column("removed in S9", NUMBER),
        Column("taken away", NUMBER),
    ]
    yield Table("Records as they were written last, and as S9 has them", columns, rows)


def _removed(_: Documents, report: Report) -> Iterator[Part]:
    yield Heading("No longer in S9")
    settings = f"By sync.removed: {report['removed']}, sync.refused: {report['refused']}"
    yield Text(settings, dim=True)
    yield _listed(
        "removed_report.json",
        report["count"],
        [Column("Record", KEY), Column("What"), Column("Why", WIDE)],
        (
            [
                f"{each['entity']} {each['legacyId']}",
                each["what"],
                _why(each["reason"], each["usedBy"]),
            ]
            for each in report["records"]
        ),
    )


def _only_there(name: str) -> tuple[str, _SHOWS]:
    def show(_: Documents, report: Report) -> Iterator[Part]:
        yield Heading(f"Only in the target, of {report['entity']}")
        yield _listed(
            f"only_in_target_{name}_report.json",
            report["count"],
            [Column("Item", KEY), Column("What")],
            ([_item({"entity": name, **each}), each["kind"]] for each in report["items"]),
        )

    return f"only_in_target_{name}", show


def _repaired(_: Documents, report: Report) -> Iterator[Part]:
    yield Heading("Repaired after a verification")
    names = ("records", "created", "replaced", "takenAway")
    columns = [
        Column("Of"),
        Column("Records", NUMBER),
        Column("Items written again", NUMBER),
        Column("with other content", NUMBER),
        Column("taken away", NUMBER),
        Column("Records left", NUMBER),
    ]
    rows = [
        Row([entity, *(of[name] for name in names), sum(of["left"].values())])
        for entity, of in report["entities"].items()
    ]
    yield Table("What the repair has done", columns, rows)
    left = [each for each in report["records"] if each["left"]]
    if left:
        yield _listed(
            "repair_report.json",
            len(left),
            [Column("Record", KEY), Column("Left, because", WIDE)],
            (
                [
                    f"{each['entity']} {each['legacyId']}",
                    _why(each["left"], each["because"]),
                ]
                for each in left
            ),
        )


def _rolled_back(_: Documents, report: Report) -> Iterator[Part]:
    yield Heading(f"Undone: the load of run {report['undone']['run']}")
    columns = [
        Column("Of"),
        Column("Created", NUMBER),
        Column("Deleted again", NUMBER),
        Column("Replaced", NUMBER),
        Column("Put back", NUMBER),
        Column("Kept", NUMBER),
    ]
    rows = []
    for entity, of in report["entities"].items():
        created, replaced = of["created"], of["replaced"]
        cells = [created["count"], created["deleted"], replaced["count"], replaced["restored"]]
        rows.append(Row([entity, *cells, created["kept"] + replaced["kept"]]))
    yield Table("What the rollback has done, in items", columns, rows)
    if report["kept"]:
        yield _listed(
            "rollback_report.json",
            len(report["kept"]),
            [Column("Record", KEY), Column("Kept, because", WIDE)],
            (
                [
                    f"{each['entity']} {each.get('legacyId') or each['PK']}",
                    _why(each["reason"], each.get("usedBy")),
                ]
                for each in report["kept"]
            ),
        )


_SHOWN: list[tuple[str, _SHOWS]] = [
    ("conflicts", _conflicts),
    ("sync", _synced),
    ("removed", _removed),
    *map(_only_there, ENTITY_NAMES),
    ("verification", _changed_since),
    ("repair", _repaired),
    ("rollback", _rolled_back),
]


def _why(reason: str, further: object) -> str | None:
    if not reason:
        return None
    words = _REASONS.get(reason, reason)
    return f"{words}: {further}" if further else words


def _item(each: Mapping[str, Any]) -> str:
    return " ".join(filter(None, [each["entity"], each["PK"], each.get("SK")]))


def _listed(
    report: str, count: int, columns: Sequence[Column], rows: Iterable[Sequence[Cell]]
) -> Part:
    """The first rows of a list, folded away when there are many."""
    shown = [Row(cells) for cells in islice(rows, _MOST)]
    name = f"{count:,} of them"
    if len(shown) < count:
        name += f": the first {len(shown):,}, all in {report}"
    return Folded(name, [Table(f"Listed in {report}", columns, shown)])
