"""data/reports/removed_report.json: what became of the records that S9 no longer has.

{"runId", "at", "tool", "snapshot", "removed", "refused", "entities": {entity: figures}, "records":
[…], "count"}. `removed` and `refused` are the settings (`sync`). Of each record it is said what was
done with it, and of one that is kept why: what the application has changed of it (names of
attributes, no value), or which record names it. What a rehearsal would do is in
removed_plan_report.json.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from load.sync.removal_pieces import PieceRemoved
from load.sync.removal_record import DELETED, SOFT_DELETED
from utils.files.storage import open_private, partial_of, publish, storage_errors
from utils.run.run import Run

NAME, FORESEEN = "removed", "removed_plan"


@dataclass
class RemovalFigures:
    """The figures of one entity: how many records were taken away with how many items, how many
    were deleted softly, and how many are kept by the reason; the conditional requests that it took,
    and their write units."""

    deleted: int = 0
    deleted_items: int = 0
    soft_deleted: int = 0
    kept: Counter[str] = field(default_factory=Counter)
    requests: int = 0
    units: float = 0.0

    @property
    def records(self) -> int:
        """How many records S9 no longer has."""
        return self.deleted + self.soft_deleted + self.kept.total()

    @property
    def done(self) -> bool:
        """Whether anything was taken away or deleted softly."""
        return bool(self.deleted_items or self.soft_deleted)

    def start_over(self) -> None:
        """All records are gone through once more; what that takes is added."""
        self.deleted = self.deleted_items = self.soft_deleted = 0
        self.kept.clear()

    def add(self, piece: PieceRemoved) -> None:
        """Add what became of a piece."""
        self.deleted += piece.records[DELETED]
        self.deleted_items += piece.items[DELETED]
        self.soft_deleted += piece.records[SOFT_DELETED]
        self.kept.update(piece.reasons)
        self.requests += piece.requests
        self.units += piece.units

    def as_json(self) -> dict[str, Any]:
        """The figures as the report has them."""
        return {
            "records": self.records,
            "deleted": self.deleted,
            "deletedItems": self.deleted_items,
            "softDeleted": self.soft_deleted,
            "kept": dict(sorted(self.kept.items())),
            "conditionalRequests": self.requests,
            "conditionalWriteUnits": self.units,
        }


def write_removed_report(
    run: Run, figures: Mapping[str, RemovalFigures], lists: Sequence[Path], *, writes: bool
) -> None:
    """Write the report; what it says of records is in `lists`, a line each. Where S9 still has all
    records there is none, also no old one. Raises StorageError."""
    path = run.workspace.report(NAME if writes else FORESEEN)
    count = sum(each.records for each in figures.values())
    if not count:
        with storage_errors(path):
            path.unlink(missing_ok=True)
        return
    head = {
        **run.report_head(),
        "removed": run.config.sync.removed,
        "refused": run.config.sync.refused,
        "entities": {name: each.as_json() for name, each in figures.items()},
    }
    with storage_errors(path), open_private(partial_of(path), "wb") as out:
        out.write(orjson.dumps(head)[:-1] + b',"records":[')
        separator = b"\n"
        for line in _lines(lists):
            out.write(separator + line)
            separator = b",\n"
        out.write(b'\n],"count":%d}\n' % count)
        out.flush()
        os.fsync(out.fileno())
    publish(path)


def _lines(lists: Sequence[Path]) -> Iterator[bytes]:
    for path in lists:
        with path.open("rb") as lines:
            yield from (line.rstrip(b"\n") for line in lines)
