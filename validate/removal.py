"""Taking refused records out of a transformed file and into quarantine, both or neither.

The new file and the new quarantine are written beside the old ones and synced; then the manifest
notes what is about to happen, and only then both are renamed. Killed at any point, the next
validation finishes the exchange or finds everything as it was.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path

import orjson

from utils.artifacts import (
    CHUNK_BYTES,
    ArtifactEntry,
    ArtifactWriter,
    read_records,
    read_rows,
    sha256_of,
    utc_now,
)
from utils.error_handler import ArtifactError
from utils.findings import Finding
from utils.manifest import PhaseEntry
from utils.quarantine import Refusal
from utils.run import Run
from utils.workspace import PARTIAL_SUFFIX, publish
from validate.record_checks import split_records

PHASE = "validate"
_EXCHANGING = "exchanging"
_KEY = re.compile(rb'"first_id":\s*"?(-?[0-9]+)')

Refused = Iterable[tuple[int, list[Finding]]]


def remove_refused(run: Run, entity: str, refused: Refused) -> int:
    """Move records of an entity's transformed file into quarantine; returns how many.

    `refused` gives the places of the records in the file, ascending, each with its findings.
    Raises ArtifactError when the extracted or the quarantine file is not what it was.
    """
    rows = _rows(run, entity)
    kept_path, refused_path = _paths(run, entity)
    with ArtifactWriter(kept_path) as kept, ArtifactWriter(refused_path) as quarantine:
        _copy(run, refused_path, quarantine)
        before = quarantine.records
        waiting = iter(refused)
        place, findings = next(waiting, (-1, []))
        for number, record in enumerate(_records(kept_path)):
            if number != place:
                kept.write(b"".join(record), records=1, items=len(record))
                continue
            row = _row(rows, findings[0].legacy_id, record, entity)
            refusal = Refusal(
                entity, findings[0].legacy_id, PHASE, tuple(findings), len(record), row
            )
            quarantine.write(refusal.as_line(), records=1, items=len(record))
            place, findings = next(waiting, (-1, []))
        _exchange(run, entity, kept, quarantine)
        return quarantine.records - before


def settle(run: Run, entity: str) -> None:
    """Finish an exchange that was cut short after the manifest had noted it."""
    entry = run.manifest.phase(PHASE, entity)
    if entry is None or entry.status != _EXCHANGING:
        return
    for name, noted in entry.result.items():
        path = run.workspace.root / name
        partial = path.with_name(path.name + PARTIAL_SUFFIX)
        if partial.exists() and sha256_of(partial) == noted["sha256"]:
            publish(partial, path)
        if path.exists() and sha256_of(path) == noted["sha256"]:
            run.publish(path, ArtifactEntry(**noted))
    run.manifest.forget(PHASE, entity)
    run.save()


def _exchange(run: Run, entity: str, kept: ArtifactWriter, quarantine: ArtifactWriter) -> None:
    writers = dict(zip(_paths(run, entity), (kept, quarantine), strict=True))
    noted = {}
    for path, writer in writers.items():
        state = writer.sync()
        entry = ArtifactEntry(state.records, state.items, state.bytes, state.sha256, utc_now())
        noted[run.workspace.name_of(path)] = asdict(entry)
    run.manifest.record(PHASE, entity, PhaseEntry(_EXCHANGING, utc_now(), result=noted))
    run.save()
    for path, writer in writers.items():
        run.publish(path, writer.commit())
    run.save()


def _paths(run: Run, entity: str) -> tuple[Path, Path]:
    return run.workspace.transformed(entity), run.workspace.quarantine(entity)


def _copy(run: Run, path: Path, writer: ArtifactWriter) -> None:
    """What is in quarantine already stays there."""
    if run.workspace.name_of(path) not in run.manifest.artifacts:
        return
    entry = run.artifact(path, written_by="transform")
    with path.open("rb") as handle:
        while block := handle.read(CHUNK_BYTES):
            writer.write(block, records=0, items=0)
    writer.write(b"", records=entry.records, items=entry.items)


def _records(path: Path) -> Iterator[list[bytes]]:
    for chunk in read_records(path):
        for record in split_records(chunk.lines):
            yield list(record)


def _rows(run: Run, entity: str) -> Iterator[bytes]:
    """The extracted rows, in the order in which the transformed records come."""
    path = run.workspace.extracted(entity)
    run.artifact(path, written_by="extract")
    for chunk in read_rows(path):
        yield from chunk.lines


def _row(rows: Iterator[bytes], legacy_id: str, record: list[bytes], entity: str) -> bytes:
    """The extracted row of a record: the next one with its key.

    A record that has lost its key is kept as the items that it became.
    """
    if not legacy_id:
        return b"[" + b",".join(line.rstrip(b"\n") for line in record) + b"]"
    for row in rows:
        found = _KEY.search(row)
        if found and found[1] == legacy_id.encode() and _has_key(row, legacy_id):
            return row.rstrip(b"\n")
    raise ArtifactError(
        f"extracted/{entity}.json has no row {legacy_id} where transformed/{entity}.json has it",
        remedy=f"transform again: python migrate.py --phase transform --entity {entity}",
    )


def _has_key(row: bytes, legacy_id: str) -> bool:
    return str(orjson.loads(row)["first_id"]) == legacy_id
