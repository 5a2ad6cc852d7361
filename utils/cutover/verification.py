"""What a verification by S9 says for the cut-over: what has moved in S9, what is damaged, and what
somebody has to accept."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import orjson

from utils.cutover.acceptance import CHANGED, LEFT, LEFT_OUT, NUMBERED, QUARANTINED, Open
from utils.cutover.ways import Compared, Look
from utils.entities import ENTITY_NAMES
from utils.files.artifacts import lines_of, sha256_of, utc_now
from utils.files.quarantine import read_quarantine
from utils.files.storage import storage_errors
from utils.files.workspace import Workspace
from utils.run.manifest import Manifest
from utils.run.run import Run
from utils.run.standing import standing_of, stations_of

_NAMED = 20  # records that a sentence names
_BY_SOURCE = frozenset({"newInSource", "changedInSource", "removedInSource"})
_BY_APPLICATION = frozenset({"changed", "added", "deleted"})
_DAMAGE = frozenset({"missing", "different", "onlyInTarget"})
_WHY_LEFT = {
    "policy": "S9 no longer hands it over, and sync.removed keeps it",
    "inUse": "S9 no longer has it, and another record names it",
    "changed": "S9 no longer has it, and the application has changed it",
    "refused": "S9 has it, and it is refused now",
}
# Of the gate's warnings those that say that the Sale Module numbers otherwise than S9.
_NUMBERING = frozenset({"numbering-order"})
_REPORTS = ("verification", "reconciliation", "sync", "removed")

Record = Mapping[str, Any]


def look_of(manifest: Manifest) -> Look:
    """What S9 was when a run has read it."""
    files = {name: manifest.sha_of(f"extracted/{name}.json") for name in ENTITY_NAMES}
    return Look(str(manifest.snapshot.get("takenAt", "")), files)


def compared(
    run: Run,
    inner: Run,
    drift: Callable[[], Iterable[Record]],
    *,
    problems: Sequence[str],
    totals: Sequence[str],
    numbers: Mapping[str, int],
    seconds: float,
) -> Compared:
    """What a verification of `run` by S9, as `inner` has read it, has found. `drift` gives the
    records that differ (validate/drift/listing.py), each time anew, since they may be many;
    `problems` are those of whole tables, `totals` the sentences on money, `numbers` the next sale
    numbers."""
    files, stands = Workspace(run.workspace.root), standing_of(run.manifest)
    left = left_by_sync(files)
    figures = {
        "missing": stands.missing,
        "different": stands.different,
        "onlyInTarget": sum(sum(each.values()) for each in stands.only_in_target.values()),
        "changedInSource": stands.behind,
        "changedSince": stands.changed,
        "otherProblems": stands.other_problems,
    }
    return Compared(
        look_of(inner.manifest),
        look_of(run.manifest),
        utc_now(),
        seconds,
        figures,
        tuple(islice(_moved(drift()), _NAMED)),
        tuple(islice(_damaged(drift(), left), _NAMED)),
        tuple(problems) if stands.other_problems else (),
        tuple(_open(inner, drift(), left)),
        {name: _ledger(inner, name) for name in ENTITY_NAMES},
        tuple(totals),
        numbers,
        {
            "moved": sum(1 for _ in _moved(drift())),
            "byApplication": sum(each["what"] in _BY_APPLICATION for each in drift()),
            "bySource": sum(each["what"] in _BY_SOURCE for each in drift()),
            "damaged": sum(each["what"] == "damaged" for each in drift()),
        },
        {
            "source": inner.manifest.reached.get("source", {}),
            "target": run.manifest.reached.get("target", {}),
        },
        {**inner.report_head(), "runId": run.manifest.run_id},
        _reports(run),
    )


def _reports(run: Run) -> dict[str, str]:
    """The SHA-256 of the reports that it rests on, by their names in the data directory."""
    paths = [*map(run.workspace.report, _REPORTS), run.workspace.reconciliation]
    paths += map(run.workspace.differences, ENTITY_NAMES)
    with storage_errors(run.workspace.reports):
        return {run.workspace.name_of(path): sha256_of(path) for path in paths if path.is_file()}


def _ledger(inner: Run, entity: str) -> dict[str, Any]:
    at = stations_of(inner.manifest, entity)
    return {
        "rows": at.rows,
        "notSelected": dict(at.not_selected),
        "selected": at.selected,
        "extracted": at.extracted,
        "quarantined": at.quarantined,
        "transformed": at.transformed,
        "items": at.items,
        "inTarget": at.found,
    }


def _kinds(record: Record) -> set[str]:
    return {item["what"] for item in record["items"]}


def _name(record: Record) -> str:
    return f"{record['entity']} {record['legacyId'] or record['PK']}"


def _moved(drift: Iterable[Record]) -> Iterator[str]:
    """What S9 has changed since the last load, by name."""
    for record in drift:
        if kinds := _kinds(record) & _BY_SOURCE:
            yield f"{_name(record)} ({', '.join(sorted(kinds))})"


def _damaged(drift: Iterable[Record], left: Mapping[tuple[str, str], str]) -> Iterator[str]:
    """What is otherwise than in S9, without anybody's signature; not what the last sync has left
    there, and told."""
    for record in drift:
        if (kinds := _kinds(record) & _DAMAGE) and not _is_left(record, kinds, left):
            yield f"{_name(record)} ({', '.join(sorted(kinds))})"


def _is_left(record: Record, kinds: set[str], left: Mapping[tuple[str, str], str]) -> bool:
    return kinds == {"onlyInTarget"} and (record["entity"], record["PK"]) in left


def left_by_sync(files: Workspace) -> dict[tuple[str, str], str]:
    """The records that S9 has no more and the last sync has left, with the reason."""
    path = files.report("removed")
    with storage_errors(path):
        if not path.is_file():
            return {}
        records = orjson.loads(path.read_bytes())["records"]
    return {
        (each["entity"], each["PK"]): each["reason"] for each in records if each["what"] == "kept"
    }


def _open(
    inner: Run, drift: Iterable[Record], left: Mapping[tuple[str, str], str]
) -> Iterator[Open]:
    held = set()
    for entity in ENTITY_NAMES:
        for refusal in read_quarantine(inner.workspace.quarantine(entity)):
            held.add((entity, refusal.legacy_id))
            first = refusal.findings[0]
            there = "; the target has it as it was loaded before"
            why = f"{first.rule}: {first.message}{there if (entity, refusal.key) in left else ''}"
            yield Open(entity, refusal.legacy_id, refusal.key, QUARANTINED, why)
    for record in drift:
        kinds, place = _kinds(record), (record["entity"], record["PK"])
        if kinds & _BY_APPLICATION:
            yield _opened(record, CHANGED, _done_by_application(record))
        if _is_left(record, kinds & _DAMAGE, left) and (
            (record["entity"], record["legacyId"]) not in held
        ):
            yield _opened(record, LEFT, _WHY_LEFT.get(left[place], left[place]))
    yield from _numbered(inner)
    for entity in ENTITY_NAMES:
        chosen = getattr(inner.config.extraction, entity)
        for setting in ("query", "where", "limit"):
            if getattr(chosen, setting) is not None:
                why = f"which rows of S9 are migrated is said by extraction.{entity}.{setting}"
                yield Open(entity, "", "", LEFT_OUT, why)


def _opened(record: Record, what: str, why: str) -> Open:
    return Open(record["entity"], record["legacyId"], str(record["PK"]), what, why)


def _done_by_application(record: Record) -> str:
    """What the application has done with a record, item by item: names of attributes, no value."""
    parts = []
    for item in record["items"]:
        if item["what"] in _BY_APPLICATION:
            names = f" ({', '.join(item['attributes'])})" if item["attributes"] else ""
            parts.append(f"{item['what']} {item['SK']}{names}")
    return "; ".join(parts)


def _numbered(inner: Run) -> Iterator[Open]:
    """Sales that the Sale Module numbers otherwise than S9, and numbers that are held."""
    path = inner.workspace.validation_findings
    if path.is_file():
        for line in lines_of(path):
            found = orjson.loads(line)
            if found["rule"] in _NUMBERING:
                why = f"{found['rule']}: {found['message']}"
                yield Open(found["entity"], found["legacyId"], "", NUMBERED, why)
    for year, number in sorted(standing_of(inner.manifest).held.items()):
        why = f"the highest number of {year}, {number}, is that of a sale in quarantine"
        yield Open("sales", f"number {number} of {year}", "", NUMBERED, why)
