"""Taking refused records out of a transformed file and into quarantine, both or neither.

Both new files are written beside the old ones and replace them together: killed at any point, the
next run finishes the exchange or finds everything as it was.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import orjson

from utils.entities import shape_of
from utils.error_handler import ArtifactError
from utils.files.artifacts import ArtifactWriter, lines_of
from utils.files.extracted_rows import ROW_KEY
from utils.files.quarantine import Refusal
from utils.run.run import Run
from utils.sale_numbering import Numbering, candidate_of, held_numbers
from utils.wording.invocation import command
from validate.gate.remaining import Numbers, Refused, records_of, remaining_of
from validate.rules.record_items import identity_of

PHASE = "validate"


@dataclass(frozen=True)
class Removed:
    """How many records were moved into quarantine, and the numbers of years that are only there
    (utils/sale_numbering.py)."""

    records: int
    held: Mapping[str, int]


def remove_refused(run: Run, entity: str, refused: Refused) -> Removed:
    """Move records of an entity's transformed file into quarantine; returns how many.

    `refused` gives the places of the records in the file, ascending, each with its findings; it is
    gone through twice. What remains is numbered again (utils/sale_numbering.py): the last sale of a
    year may be among the refused. Raises ArtifactError when the extracted or the quarantine file is
    not what it was.
    """
    rows = _rows(run, entity)
    kept_path, refused_path = _paths(run, entity)
    numbering, held = Numbers(), dict[str, int]()
    if shape_of(entity).numbered:
        numbering, held = _numbering_without(kept_path, refused)
    with (
        remaining_of(run, kept_path, refused, numbering) as kept,
        ArtifactWriter(refused_path) as quarantine,
    ):
        _copy(run, refused_path, quarantine)
        before = quarantine.records
        waiting = iter(refused)
        place, findings = next(waiting, (-1, []))
        for number, record in kept.records():
            if number != place:
                kept.write(record)
                continue
            row = _row(rows, findings[0].legacy_id, record, entity)
            key, legacy_id = identity_of(record), findings[0].legacy_id
            refusal = Refusal(entity, legacy_id, PHASE, tuple(findings), len(record), row, key)
            quarantine.write(refusal.as_line(), records=1, items=len(record))
            place, findings = next(waiting, (-1, []))
        run.replace((kept_path, kept), (refused_path, quarantine))
        return Removed(quarantine.records - before, held)


def _numbering_without(path: Path, refused: Refused) -> tuple[Numbers, dict[str, int]]:
    """The last sales of the years, as they are without the refused records; and what is held with
    these."""
    numbering, without = Numbering(), Numbering()
    waiting = (place for place, _ in refused)
    place = next(waiting, -1)
    for number, record in enumerate(records_of(path)):
        candidate = candidate_of(record[0])
        is_refused = number == place
        if is_refused:
            place = next(waiting, -1)
        if candidate:
            (without if is_refused else numbering).add((candidate,))
    held = held_numbers(without.last.values(), numbering)
    return Numbers(numbering, numbering.differs_with(without.last.values())), held


def _paths(run: Run, entity: str) -> tuple[Path, Path]:
    return run.workspace.transformed(entity), run.workspace.quarantine(entity)


def _copy(run: Run, path: Path, writer: ArtifactWriter) -> None:
    """What is in quarantine already stays there."""
    if run.workspace.name_of(path) not in run.manifest.artifacts:
        return
    entry = run.artifact(path, written_by="transform")
    for line in lines_of(path):
        writer.write(line, records=0, items=0)
    writer.write(b"", records=entry.records, items=entry.items)


def _rows(run: Run, entity: str) -> Iterator[bytes]:
    """The extracted rows, in the order in which the transformed records come."""
    path = run.workspace.extracted(entity)
    run.artifact(path, written_by="extract")
    yield from lines_of(path)


def _row(rows: Iterator[bytes], legacy_id: str, record: Sequence[bytes], entity: str) -> bytes:
    """The extracted row of a record: the next one with its key.

    A record that has lost its key is kept as the items that it became.
    """
    if not legacy_id:
        return b"[" + b",".join(line.rstrip(b"\n") for line in record) + b"]"
    for row in rows:
        found = ROW_KEY.search(row)
        if found and found[1] == legacy_id.encode() and _has_key(row, legacy_id):
            return row.rstrip(b"\n")
    raise ArtifactError(
        f"extracted/{entity}.json has no row {legacy_id}, which transformed/{entity}.json has",
        remedy=f"transform again: {command(f'--phase transform --entity {entity}')}",
    )


def _has_key(row: bytes, legacy_id: str) -> bool:
    return str(orjson.loads(row)["first_id"]) == legacy_id
