"""What was reached, by which version, with which settings; and the cut-over."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from utils.config import Secret, as_configured, json_name
from utils.entities import ENTITY_NAMES
from utils.pages.parts import (
    BAD,
    GOOD,
    KEY,
    NUMBER,
    WIDE,
    Cell,
    Column,
    Folded,
    Heading,
    Listed,
    Pairs,
    Part,
    Row,
    Section,
    State,
    Table,
    Text,
)
from utils.pages.report.documents import Documents, Report
from utils.wording.masking import scrub

_NOT_SHOWN = "set, not shown here"


def origin(known: Documents) -> Iterator[Section]:
    """What was reached, versions, backups, and the configuration."""
    manifest = known.manifest
    if manifest is None:
        return
    snapshot, tool = manifest.snapshot, manifest.tool
    pairs: list[tuple[str, Cell]] = [
        ("Run", manifest.run_id),
        ("Began", manifest.created_at),
        ("Version of the tool", tool.get("version")),
        ("Digest of its rules", tool.get("rules")),
        ("S9 read as of", snapshot.get("takenAt")),
        ("Snapshot", snapshot.get("statement")),
        ("How it was taken", snapshot.get("guarantee")),
        ("S9's server", snapshot.get("server")),
    ]
    parts: list[Part] = [Pairs([(name, value) for name, value in pairs if value])]
    for side, title in (("source", "S9, as it names itself"), ("target", "The target's tables")):
        reached = manifest.reached.get(side)
        if reached:
            parts += [Heading(title), *_reached(side, reached)]
    parts += _imported(known.report("load"))
    backups = [
        Row([table, each.get("name"), each.get("items"), each.get("at")])
        for table, of in manifest.backups.items()
        for each in of
    ]
    columns = [Column("Table"), Column("Backup", KEY), Column("Items", NUMBER), Column("At")]
    parts.append(Table("Backups before the load", columns, backups))
    files = [
        Row([name, entry.records, entry.items, entry.bytes, entry.sha256])
        for name, entry in sorted(manifest.artifacts.items())
    ]
    columns = [
        Column("File", KEY),
        Column("Records", NUMBER),
        Column("Items", NUMBER),
        Column("Bytes", NUMBER),
        Column("SHA-256", KEY),
    ]
    parts.append(
        Folded("Files of the run", [Table("Files, as the manifest has them", columns, files)])
    )
    yield Section("origin", "What was reached, and by what", parts)


def _reached(side: str, reached: Mapping[str, Any]) -> Iterator[Part]:
    if side == "source":
        yield Pairs([(name, str(value)) for name, value in reached.items()])
        return
    rows = [
        Row([table, of.get("endpoint"), of.get("arn"), of.get("id")])
        for table, of in reached.items()
    ]
    columns = [Column("Table"), Column("Endpoint", KEY), Column("ARN", KEY), Column("Id", KEY)]
    yield Table("Tables that have answered", columns, rows)


def _imported(report: Report) -> Iterator[Part]:
    """The tables that DynamoDB has made and filled from S3."""
    loads = report.get("entities", {}).values()
    rows = [
        Row(
            [
                found["table"],
                found["importedItems"],
                found["processedBytes"],
                found["objects"],
                ", ".join(found["settings"]) or "none",
                found["arn"],
            ]
        )
        for each in loads
        if (found := each.get("import"))
    ]
    columns = [
        Column("Table"),
        Column("Items", NUMBER),
        Column("Bytes", NUMBER),
        Column("Objects", NUMBER),
        Column("Settings", WIDE),
        Column("Import", KEY),
    ]
    if rows:
        yield Table("Tables that were made by import from S3", columns, rows)


def configuration(known: Documents) -> Iterator[Section]:
    """The settings that are not at their defaults; none where the configuration is not known."""
    if known.config is None:
        return
    rows = [
        Row([name, value, default])
        for name, value, default in _settings(as_configured(known.config))
    ]
    columns = [Column("Setting", KEY), Column("Value", KEY), Column("Default", KEY)]
    note = "Every setting that is not named here has its default. Secrets are not shown."
    parts: list[Part] = [Table("Settings that differ from their defaults", columns, rows)]
    if not rows:
        parts = [Text("Every setting has its default.")]
    yield Section("configuration", "Configuration", parts, note)


def _settings(of: Any, default: Any = None, path: str = "") -> Iterator[tuple[str, str, str]]:
    """Every setting with another value than its default: name, value, default."""
    default = type(of)() if default is None else default
    for each in fields(of):
        value, usual = getattr(of, each.name), getattr(default, each.name)
        name = f"{path}{json_name(each.name)}"
        if is_dataclass(value):
            yield from _settings(value, usual, f"{name}.")
        elif value != usual:
            yield name, _shown(value), _shown(usual)


def _shown(value: Any) -> str:
    """A value without what is nobody's business: words that may name people are counted."""
    if isinstance(value, Secret):
        return _NOT_SHOWN if value else "none"
    if isinstance(value, Mapping):
        return f"{len(value):,} of them" if value else "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None:
        return "none"
    return scrub(str(value))


def cutover(known: Documents) -> Iterator[Section]:
    """The certificate of the cut-over, and what has drifted apart since; none without either."""
    parts = [*_certificate(known.report("cutover")), *_drift(known.report("drift"))]
    if parts:
        yield Section("cutover", "The switch", parts)


def _certificate(report: Report) -> Iterator[Part]:
    if not report:
        return
    kind = GOOD if all(each["gate"] == "open" for each in report["steps"]) else BAD
    yield State(kind, report["verdict"])
    pairs: list[tuple[str, Cell]] = [
        ("Standstill of S9", f"{report['standstillSeconds']:,} s, without the time of people"),
        ("S9 read as of", report["snapshot"]),
        ("Compared with the target", report["comparedAt"]),
        ("S9 quiet until", report.get("quietUntil")),
    ]
    acceptance = report["acceptance"]
    if acceptance and acceptance["count"]:
        accepted = f"{acceptance['count']:,}, by {acceptance['acceptedBy']}"
        pairs.append(("Accepted by name", f"{accepted} (SHA-256 {acceptance['sha256']})"))
    numbers = ", ".join(f"{number} of {year}" for year, number in report["nextNumbers"].items())
    if numbers:
        pairs.append(("Next sale numbers", numbers))
    yield Pairs(pairs)
    rows = [
        Row([each["step"], each["gate"], each["at"], each["seconds"]]) for each in report["steps"]
    ]
    columns = [Column("Step"), Column("Gate", WIDE), Column("At"), Column("Seconds", NUMBER)]
    yield Table("Gates of the cut-over", columns, rows)
    if report["totals"]:
        yield Listed(list(report["totals"]))


_DRIFT = {
    "damaged": "nobody has signed it",
    "deleted": "deleted by the application",
    "changed": "changed by the application",
    "added": "added by the application",
    "newInSource": "new in S9",
    "changedInSource": "changed in S9",
    "removedInSource": "gone from S9",
    "left": "left by the last sync",
}


def _drift(report: Report) -> Iterator[Part]:
    if not report:
        return
    yield Heading(f"In what S9 and the target differ, as of {report['readAt']}")
    rows = [
        Row([words, *(report["entities"].get(name, {}).get(kind) for name in ENTITY_NAMES)])
        for kind, words in _DRIFT.items()
    ]
    columns = [Column("Records", WIDE), *(Column(name, NUMBER) for name in ENTITY_NAMES)]
    yield Table("Records, by what is the gravest to say of them", columns, rows)
    yield Text("Every one of them is in drift_report.json and drift.csv.", dim=True)
