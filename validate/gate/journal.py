"""What the gate has already found out in an entity, so that a resumed run does not ask again.

Every piece's outcome goes into a journal file; a checkpoint says how much of it is on disk and
which byte of the transformed file comes next. A resumed run replays the journal, which is quick,
and goes on checking there.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import orjson

from utils.checkpoint import Checkpoint
from utils.files.artifacts import ArtifactWriter, PartialState
from utils.files.storage import partial_of
from validate.gate.piece import PieceFindings


@dataclass(frozen=True)
class _Place:
    """How far the journal is on disk, and where in the transformed file that is."""

    offset: int
    journal: PartialState


class Journal:
    """The outcomes of one entity's pieces, in order. A context manager: it holds a file."""

    def __init__(self, path: Path, saved: Checkpoint | None) -> None:
        self._path = path
        place = _place_of(saved)
        if place is not None and not place.journal.fits(self._path):
            place = None
        self._kept = place.journal.bytes if place else 0
        self.offset = place.offset if place else 0
        self._writer = ArtifactWriter(self._path, place.journal if place else None)

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *exception: object) -> None:
        self._writer.__exit__(None, None, None)

    def replay(self) -> Iterator[PieceFindings]:
        """The outcomes of an earlier run, up to its checkpoint."""
        left = self._kept
        if not left:
            return
        with partial_of(self._path).open("rb") as handle:
            while left > 0 and (line := handle.readline()):
                left -= len(line)
                yield PieceFindings.of_json(orjson.loads(line))

    def add(self, outcome: PieceFindings) -> None:
        """Take the outcome of the next piece of the transformed file."""
        self.offset = outcome.place.end
        line = orjson.dumps(outcome.as_json()) + b"\n"
        self._writer.write(line, records=outcome.records, items=0)

    @property
    def records(self) -> int:
        """How many records the journal is about."""
        return self._writer.records

    def state(self) -> dict[str, Any]:
        """Make the journal durable and describe the place for a checkpoint."""
        return asdict(_Place(self.offset, self._writer.sync()))

    def remove(self) -> None:
        """The entity is done: nobody will ask again."""
        partial_of(self._path).unlink(missing_ok=True)


def _place_of(saved: Checkpoint | None) -> _Place | None:
    if saved is None:
        return None
    return _Place(saved.state["offset"], PartialState(**saved.state["journal"]))
