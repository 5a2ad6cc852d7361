"""Single records for people: those in quarantine, and what became of one. What may be personal is
masked as in the logs of the directory that it is in."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from markupsafe import Markup

from utils.dashboard.quarantine_file import Turned
from utils.entities import shape_of
from utils.error_handler import MigrationError
from utils.files.storage import storage_errors
from utils.files.workspace import Workspace
from utils.findings.shown_records import shown_row
from utils.findings.source_names import SourceNames, names_of
from utils.pages.parts import (
    BAD,
    CALM,
    CARE,
    GOOD,
    KEY,
    OFF,
    WIDE,
    Cell,
    Column,
    Folded,
    Listed,
    Pairs,
    Part,
    Row,
    Section,
    Table,
    Text,
    Verdict,
)
from utils.pages.rendering import told
from utils.run.manifest import Manifest
from utils.wording import masking
from utils.wording.figures import counted

_FIRST_LINES = 3
_MOST_REASONS = 50
_MOST_VALUES = 200
_masking = threading.Lock()


@dataclass(frozen=True)
class ShownRecord:
    """A record of a page; `key` is "" where it cannot be explained by that."""

    entity: str
    title: str
    beside: str
    parts: list[Part] = field(default_factory=list)
    key: str = ""


@contextmanager
def masked_as_in(files: Workspace, *, personal: bool) -> Iterator[None]:
    """Mask with the key of a data directory while this lasts: how it is masked is the process's
    own, so one after the other."""
    with _masking:
        key = b""
        with suppress(OSError):
            key = files.mask_key.read_bytes()
        whole = len(key) == masking.KEY_BYTES
        masking.set_up(key if whole else masking.new_key(), personal=personal)
        yield


# -- quarantine -------------------------------------------------------------------------------


def quarantined(files: Workspace, entity: str, page: Turned) -> list[ShownRecord]:
    """The records of a page of the quarantine, as they may be shown."""
    names = SourceNames(entity)
    with suppress(MigrationError, LookupError, TypeError, ValueError, AttributeError):
        with storage_errors(files.manifest):
            manifest = Manifest.load(files.manifest)
        if manifest is not None:
            names = names_of(manifest, entity)
    return [_refused(entity, entry, names) for entry in page.entries]


def _refused(entity: str, entry: Mapping[str, Any], names: SourceNames) -> ShownRecord:
    shape, key = shape_of(entity), str(entry["legacyId"])
    beside = [f"refused by {entry.get('phase') or 'nobody known'}", str(entry.get("PK") or "")]
    parts: list[Part] = [_reasons(entry)]
    record = entry.get("record")
    if isinstance(record, dict):
        parts.append(_row(record, names, entity))
    else:
        parts.append(Text(Markup("The record is too long to be shown here."), dim=True))
    is_key = key.lstrip("-").isdecimal() and len(key) < 20
    return ShownRecord(
        entity,
        f"{shape.singular.capitalize()} {key}",
        " · ".join(filter(None, beside)),
        parts,
        key if is_key else "",
    )


def _reasons(entry: Mapping[str, Any]) -> Listed:
    found = entry.get("findings")
    given = [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []
    given = given or [dict(entry) | {"message": entry.get("reason")}]
    return Listed([_reason(each) for each in given[:_MOST_REASONS]], len(given))


def _reason(finding: Mapping[str, Any]) -> Markup:
    column = finding.get("column") or finding.get("field")
    place = ".".join(str(each) for each in (finding.get("table"), column) if each)
    value = str(finding.get("value") or "")
    beside = ", ".join(filter(None, [str(finding.get("rule") or ""), place, value]))
    said = Markup('{}<br><span class="dim small">{}</span>')
    return said.format(told(finding.get("message") or ""), told(beside))


def _row(record: Mapping[str, Any], names: SourceNames, entity: str) -> Folded:
    children = shape_of(entity).children
    lines = record.get(children.name) if children else None
    own = {
        name: value
        for name, value in record.items()
        if not isinstance(value, (dict, list)) and (children is None or name != children.name)
    }
    parts: list[Part] = [Pairs(_pairs(shown_row(own, names)))]
    if children and isinstance(lines, list):
        for number, line in enumerate(lines[:_FIRST_LINES], start=1):
            if isinstance(line, dict):
                title = f"{children.singular.capitalize()} {number} of {len(lines):,}"
                parts.append(Folded(title, [Pairs(_pairs(shown_row(line, names, children.name)))]))
    return Folded("The row, as S9 had it", parts)


def _pairs(values: Mapping[str, str]) -> list[tuple[str, Cell]]:
    return [(name, value) for name, value in list(values.items())[:_MOST_VALUES]]


# -- explain ----------------------------------------------------------------------------------

_PLACES = {
    "source": "S9 now",
    "extracted": "Extracted",
    "transformed": "Transformed",
    "quarantine": "Quarantine",
    "load": "Loaded",
    "target": "The table",
}
_STATES = {"ok": GOOD, "differs": BAD, "absent": CALM, "unknown": CARE}
_FINE, _WRONG = (0,), (1, 2, 4)


def explained(document: Mapping[str, Any]) -> tuple[Verdict, list[Section]]:
    """What became of a record (the document of `explain --json`): the verdict and the rest."""
    verdict, code = document["verdict"], document["exitCode"]
    kind = GOOD if code in _FINE else BAD if code in _WRONG else CARE
    shape = shape_of(document["entity"])
    number = f", number {document['number']}" if document["number"] else ""
    key = document["legacyId"] or ""
    name = f"{shape.singular.capitalize()} {key}{number}, {document['PK']}"
    top = Verdict(kind, "Explained", verdict["sentence"], [name], verdict["next"])
    return top, [*_stations(document), *_found(document), *_attributes(document)]


def unexplained(error: MigrationError) -> Verdict:
    """Why nothing can be told of a record."""
    return Verdict(CARE, "Unknown", error.message, [f"What to do: {error.remedy}"])


def _stations(document: Mapping[str, Any]) -> Iterator[Section]:
    rows = [
        Row([Markup(_PLACES[place]), _state(each["state"]), each["words"], _command(each["next"])])
        for place, each in document["stations"].items()
    ]
    columns = [Column("Station"), Column("State"), Column("What is there", WIDE)]
    table = Table("Station by station", [*columns, Column("To type", KEY)], rows)
    values = [
        Folded(f"All of {_PLACES[place].lower()}", [Pairs(_pairs(each["values"]))])
        for place, each in document["stations"].items()
        if each["values"]
    ]
    yield Section("stations", "Its stations", [table, *values])


def _state(state: str) -> Markup:
    return Markup('<span class="state {}">{}</span>').format(_STATES[state], state)


def _command(text: str) -> Cell:
    return Markup('<code class="told">{}</code>').format(text) if text else None


def _found(document: Mapping[str, Any]) -> Iterator[Section]:
    if document["findings"]:
        count = counted(len(document["findings"]), "finding")
        yield Section("found", f"What was found: {count}", [_reasons(document)])


def _attributes(document: Mapping[str, Any]) -> Iterator[Section]:
    attributes = document["attributes"]
    if not attributes:
        return
    rows = [
        Row(
            [f"{each['SK']} {each['attribute']}", each["file"], each["target"]],
            OFF if each["differs"] else "",
        )
        for each in attributes
    ]
    columns = [Column("Attribute", KEY), Column("The file", KEY), Column("The table", KEY)]
    yield Section("attributes", "Attributes", [Table("Attributes", columns, rows)])
