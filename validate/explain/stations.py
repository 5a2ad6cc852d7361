"""What each station says of a record, in a sentence and in values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from utils.entities import Shape
from utils.explain.stations import LoadedRecord, WrittenBy
from utils.files.findings import Finding
from utils.files.line_marks import KEPT_MARKS, OURS, SAME, WITHDRAWN
from utils.files.quarantine import Refusal
from utils.findings.sentences import because
from utils.findings.shown_records import Shown, shown_item, shown_row
from utils.findings.source_names import SourceNames
from utils.wording.figures import counted
from validate.explain.explained import Place, State, Station
from validate.explain.record_files import InFile
from validate.explain.verdict import Known

_FIRST = 5  # lines that are shown
_REQUESTS = 3  # that a sentence names
_KINDS = {
    "batch": "in a batch of new items",
    "conditional": "in a request of its own, on condition",
    "transaction": "in a transaction",
    "repair": "by a repair",
}


@dataclass(frozen=True)
class Told:
    """What the stations have told, and what to type where one has not."""

    known: Known
    key: int | None
    names: SourceNames
    extracted: InFile
    quarantine: InFile
    findings: Sequence[Finding]
    load_why: str
    load_next: str
    source_next: str
    target_next: str


def stations_of(told: Told) -> list[Station]:
    """The stations in their order."""
    return [
        _source(told),
        _extracted(told),
        _transformed(told),
        _quarantine(told),
        _load(told),
        _target(told),
    ]


def _children(shape: Shape, count: int) -> str:
    if shape.children is None:
        return ""
    return f" with {counted(count, shape.children.singular, shape.children.name)}"


def _rows(line: bytes, told: Told) -> tuple[Shown, int | None, list[Shown]]:
    """A row's values, how many rows belong to it, and the first of these."""
    row: dict[str, Any] = orjson.loads(line)
    children = told.known.shape.children
    if children is None:
        return shown_row(row, told.names), None, []
    own = row.get(children.name)
    lines = own if isinstance(own, list) else []
    first = [
        shown_row(each, told.names, children.name)
        for each in lines[:_FIRST]
        if isinstance(each, dict)
    ]
    return shown_row(row, told.names), len(lines), first


def _source(told: Told) -> Station:
    known, row = told.known, told.known.row
    if row is None:
        return Station(Place.SOURCE, State.UNKNOWN, known.source_why, told.source_next)
    if told.key is None:
        return Station(Place.SOURCE, State.ABSENT, "it has no key of S9: S9 was not asked")
    if not row.line and not row.reason:
        return Station(
            Place.SOURCE,
            State.ABSENT,
            f"{row.table} has no row {told.key} (read at {row.read_at})",
            facts={"at": row.read_at},
        )
    values, count, first = _rows(row.line, told) if row.line else ({}, None, [])
    words = f"row {told.key} of {row.table}{_children(known.shape, count or 0) if row.line else ''}"
    state = State.FINE
    if row.reason:
        words, state = f"{words}, not selected: {row.reason}", State.ABSENT
    elif isinstance(known.now, Refusal):
        words = f"{words}; as it is now it would be refused: {known.now.findings[0].message}"
        state = State.DIFFERS
    elif known.since is not None and known.since.any:
        words, state = f"{words}, changed since the extract", State.DIFFERS
    return Station(
        Place.SOURCE,
        state,
        f"{words} (read at {row.read_at})",
        values=values,
        lines=count,
        first_lines=first,
        facts={"at": row.read_at},
    )


def _extracted(told: Told) -> Station:
    found, known = told.extracted, told.known
    if not found.is_known:
        return Station(Place.EXTRACTED, State.UNKNOWN, found.why, found.next)
    if not found.lines:
        return Station(Place.EXTRACTED, State.ABSENT, "it is not in the extracted file")
    values, count, first = _rows(found.lines[0], told)
    words = f"row {told.key}{_children(known.shape, count or 0)}"
    return Station(
        Place.EXTRACTED, State.FINE, words, values=values, lines=count, first_lines=first
    )


def _transformed(told: Told) -> Station:
    known = told.known
    if known.file is None:
        found = known.file_why
        return Station(Place.TRANSFORMED, State.UNKNOWN, found, known.file_next)
    findings = _of_findings(told.findings)
    if not known.file:
        words = f"it is not in the transformed file{findings}"
        return Station(Place.TRANSFORMED, State.ABSENT, words)
    items = [orjson.loads(line)["Item"] for line in known.file[: 1 + _FIRST]]
    children = known.shape.children
    count = len(known.file) - 1
    return Station(
        Place.TRANSFORMED,
        State.FINE,
        f"the {known.shape.singular}{_children(known.shape, count)}{findings}",
        values=shown_item(items[0], known.shape.schema),
        lines=count if children else None,
        first_lines=[shown_item(each, children.schema) for each in items[1:]] if children else [],
    )


def _of_findings(findings: Sequence[Finding]) -> str:
    errors = sum(each.severity == "error" for each in findings)
    warnings = len(findings) - errors
    said = [counted(errors, "error")] if errors else []
    said += [counted(warnings, "warning")] if warnings else []
    return f"; {' and '.join(said)} found" if said else ""


def _quarantine(told: Told) -> Station:
    refusals = told.known.refusals
    if refusals:
        first = refusals[0]
        finding = first.findings[0]
        why = because(finding.cause)
        words = f"refused by {first.phase}: {finding.message}"
        if why and why not in words:
            words += f" (because {why})"
        if len(first.findings) > 1:
            words += f"; {counted(len(first.findings) - 1, 'further reason')}"
        return Station(
            Place.QUARANTINE,
            State.DIFFERS,
            words,
            facts={"reasons": [each.as_json() for each in first.findings]},
        )
    if not told.quarantine.is_known:
        return Station(Place.QUARANTINE, State.UNKNOWN, told.quarantine.why, told.quarantine.next)
    return Station(Place.QUARANTINE, State.FINE, "not in quarantine")


def _load(told: Told) -> Station:
    loaded, known = told.known.loaded, told.known
    if loaded is None:
        why = told.load_why or "it was not loaded"
        return Station(Place.LOAD, State.UNKNOWN, why, told.load_next)
    facts = {
        "run": loaded.run,
        "began": loaded.began,
        "ended": loaded.ended,
        "head": _as_json(loaded.head),
        "requests": [each for each in map(_as_json, loaded.lines) if each],
        "undone": loaded.undone,
    }
    state, words = _how_loaded(known, loaded)
    return Station(Place.LOAD, state, words, facts=facts)


def _how_loaded(known: Known, loaded: LoadedRecord) -> tuple[State, str]:
    run = f"run {loaded.run}"
    marks = frozenset(loaded.marks)
    cases: list[tuple[object, State, str]] = [
        (loaded.undone == "done", State.ABSENT, f"loaded by {run}, and undone (rollback)"),
        (not known.is_in_file, State.ABSENT, f"not in the file that {run} has loaded"),
        (
            marks & KEPT_MARKS,
            State.DIFFERS,
            f"{run} has left it as the table had it (load.onConflict)",
        ),
        (
            WITHDRAWN in marks,
            State.DIFFERS,
            f"{run} has taken it out of the table again: it was refused",
        ),
        (
            loaded.head,
            State.FINE,
            f"{_request(loaded.head)}, {run}{_lines(loaded.lines)}" if loaded.head else "",
        ),
        (
            marks == {SAME},
            State.FINE,
            f"it was in the table with this content before {run}",
        ),
        (
            OURS in marks,
            State.FINE,
            f"by an earlier load of {run} (its requests are not known any more)",
        ),
        (not (loaded.may_be_sent or loaded.lines), State.ABSENT, f"{run} has not sent it yet"),
        (
            loaded.ended,
            State.FINE,
            f"in the load of {run} between {loaded.began} and {loaded.ended}",
        ),
        (loaded.complete, State.FINE, f"in the load of {run}, after {loaded.began}"),
    ]
    perhaps = f"perhaps: the load of {run} began at {loaded.began}, and is not complete"
    return next(
        ((state, words) for applies, state, words in cases if applies), (State.UNKNOWN, perhaps)
    )


def _request(by: WrittenBy) -> str:
    known = f", request {by.request_id}" if by.request_id else ""
    return f"{by.at}, {_KINDS[by.kind]}{known}"


def _lines(requests: Sequence[WrittenBy]) -> str:
    if not requests:
        return ""
    ids = list(dict.fromkeys(each.request_id for each in requests if each.request_id))
    first, last = requests[0].at, requests[-1].at
    when = f"at {first}" if first == last else f"from {first} to {last}"
    said = f"; its lines {when}, in {counted(len(requests), 'request')}"
    if ids:
        named = ", ".join(ids[:_REQUESTS])
        said += f" ({named}{', …' if len(ids) > _REQUESTS else ''})"
    return said


def _as_json(by: WrittenBy | None) -> dict[str, str] | None:
    return {"kind": by.kind, "at": by.at, "requestId": by.request_id} if by else None


def _target(told: Told) -> Station:
    known, target = told.known, told.known.target
    if target is None:
        return Station(Place.TARGET, State.UNKNOWN, known.target_why, told.target_next)
    facts = {"PK": target.partition_key, "changedAt": target.last[0], "changedBy": known.who}
    if not target.is_there:
        words = f"nothing under {target.partition_key}"
        state = State.ABSENT if not known.is_in_file else State.DIFFERS
        return Station(Place.TARGET, state, words, facts=facts)
    shape = known.shape
    children = shape.children
    mine = "" if target.is_migrated else ", not of the migration"
    head = f"the {shape.singular}" if target.head is not None else f"no {shape.singular}, but"
    words = f"{head}{_children(shape, target.children)}{mine}".replace(", but with", ", but")
    others = target.items - target.children - (target.head is not None)
    if others:
        words += f" and {counted(others, 'further item')}"
    if target.deleted:
        words += f", deleted on {target.deleted}"
    words += f"; last changed on {target.last[0] or '?'}" + (
        f" by {known.who}" if known.who else ""
    )
    return Station(
        Place.TARGET,
        _target_state(known),
        words,
        values=shown_item(target.head, shape.schema) if target.head else {},
        lines=target.children if children else None,
        first_lines=[shown_item(each, children.schema) for each in target.first]
        if children
        else [],
        facts=facts,
    )


def _target_state(known: Known) -> State:
    comparison = known.comparison
    if comparison is None:
        return State.FINE if known.is_in_file else State.UNKNOWN
    keys = comparison.keys
    same = keys.passed and comparison.lines.passed and not (keys.changed.count or keys.kept.count)
    return State.FINE if same else State.DIFFERS
