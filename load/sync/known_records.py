"""What the target is known to hold of an entity: the records as they were written last.

That is what the last load has kept (load/undoable_loads.py): the transformed file as it was loaded,
in the order of S9's keys, with the marks that tell which of its records are in the table as the
file has them; and beside it, in data/undo/{entity}.staying, the records that S9 has lost and the
target still has (load/sync/removal.py). Nothing of it is needed: where it is missing, or is not
known to be all, the same is made of the table itself (load/sync/rebuilt.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from load.load_state import LoadState
from utils.dynamodb.item_content import Item, Moments, is_same
from utils.dynamodb.item_text import source_key_of
from utils.error_handler import ArtifactError
from utils.files.artifacts import sha256_of, starts_record
from utils.files.line_marks import KEPT_MARKS, SAME, WITHDRAWN, LineMarks
from utils.files.parts import opened_here
from utils.files.pieces import ByteRange
from utils.files.storage import Closes, storage_errors
from utils.files.workspace import Workspace
from utils.wording.invocation import command

# What of a file is not in the table as the file has it: what the load has left to the application,
# and what it has taken out again.
_OTHERWISE = KEPT_MARKS | {WITHDRAWN}


@dataclass(frozen=True)
class KnownFiles:
    """Where the records are: `main` with its `plan`, and `staying`, if there is such a file.
    `moments` are the times of other migrations in what the load has left as it was."""

    main: Path
    plan: Path
    staying: Path | None = None
    moments: Moments = field(default_factory=Moments)


def known_of(files: Workspace, entity: str, reached: Mapping[str, Any]) -> KnownFiles | None:
    """What the last load of a data directory has kept of an entity, whose table is the one that was
    `reached` (utils/dynamodb/reached.py); None where that is not all that a migration has in the
    table, or not known to be. Raises ArtifactError when the load's state is damaged, and
    StorageError."""
    state = LoadState.load(files.load_state(entity))
    main, plan = files.loaded(entity), files.plan(entity)
    if state is None or not (main.exists() and plan.exists()):
        return None
    with storage_errors(main):
        is_whole = (
            state.complete
            and not (state.undone or state.disturbed)
            and (state.concluded or not state.is_sync)
            and not any(state.only_in_target.values())
            and state.reached == dict(reached)
            and state.transformed == sha256_of(main)
        )
    staying = files.staying(entity)
    beside = staying if staying.exists() else None
    return KnownFiles(main, plan, beside, state.moments) if is_whole else None


class KnownRecord(NamedTuple):
    """A record as it was written last: its key in S9, its lines, and their marks."""

    key: int
    lines: Sequence[bytes]
    marks: Sequence[int]

    @property
    def is_written(self) -> bool:
        """Whether the table was left with the record as it is here."""
        return _OTHERWISE.isdisjoint(self.marks)

    @property
    def is_withdrawn(self) -> bool:
        """Whether the load has taken the record out of the table again."""
        return WITHDRAWN in self.marks

    def written(self) -> dict[str, Item]:
        """Its items that were written so, by SK."""
        items = (
            orjson.loads(line)["Item"]
            for line, mark in zip(self.lines, self.marks, strict=True)
            if mark not in _OTHERWISE
        )
        return {item["SK"]["S"]: item for item in items}

    def is_same_as(self, lines: Sequence[bytes]) -> bool:
        """Whether these lines say the same, whoever wrote them down."""
        if len(lines) != len(self.lines):
            return False
        return all(
            one == other or is_same(orjson.loads(one)["Item"], orjson.loads(other)["Item"])
            for one, other in zip(lines, self.lines, strict=True)
        )


def key_of_record(line: bytes) -> int:
    """The key in S9 of the record that a transformed line opens. Raises ArtifactError."""
    key = source_key_of(line)
    if key is None:
        raise ArtifactError(
            "a transformed record has no number as its key in S9",
            remedy=f"transform again: {command('--phase transform')}",
        )
    return key


class KnownRecords(Closes):
    """The known records of an entity in the order of their keys, one after the other. A context
    manager."""

    def __init__(self, files: KnownFiles) -> None:
        self._main = _Reader(files.main, files.plan)
        self._beside = None if files.staying is None else _Reader(files.staying, None)
        self.moments = files.moments

    def close(self) -> None:
        self._main.close()
        if self._beside is not None:
            self._beside.close()

    def skip_same(self, data: bytes, last: int) -> bool:
        """Go past the records that are `data`, the last of which has the key `last`, if they come
        next, and the table was left with them as they are."""
        beside = self._beside.peek() if self._beside is not None else None
        return (beside is None or beside.key > last) and self._main.skip_same(data)

    def up_to(self, key: int) -> Iterator[KnownRecord]:
        """The records before a key, which are gone past."""
        while (reader := self._first()) and (record := reader.peek()) and record.key < key:
            reader.advance()
            yield record

    def at(self, key: int) -> KnownRecord | None:
        """The record of a key, which is gone past; None when it does not come next."""
        reader = self._first()
        record = reader.peek() if reader else None
        if reader is None or record is None or record.key != key:
            return None
        reader.advance()
        return record

    def rest(self) -> Iterator[KnownRecord]:
        """All that are left."""
        while (reader := self._first()) and (record := reader.peek()):
            reader.advance()
            yield record

    def _first(self) -> _Reader | None:
        """Which of the files has the next record."""
        one = self._main.peek()
        other = self._beside.peek() if self._beside is not None else None
        if one is None:
            return self._beside
        return self._beside if other is not None and other.key < one.key else self._main


class _Reader(Closes):
    """A file of records, read from its front to its end."""

    def __init__(self, path: Path, plan: Path | None) -> None:
        with storage_errors(path):
            self._file = opened_here(path)
        self._plan = LineMarks(plan, writes=False) if plan else None
        self._place = 0
        self._next: KnownRecord | None = None

    def close(self) -> None:
        self._file.close()
        if self._plan is not None:
            self._plan.close()

    def skip_same(self, data: bytes) -> bool:
        self._file.seek(self._place)
        if self._file.read(len(data)) != data:
            return False
        end = self._place + len(data)
        if self._plan is not None and self._plan.has_any(_OTHERWISE, ByteRange(self._place, end)):
            return False
        line = self._file.readline()
        if line and not starts_record(line):  # the last record was longer
            return False
        self._place, self._next = end, None
        return True

    def peek(self) -> KnownRecord | None:
        if self._next is None:
            self._next = self._read()
        return self._next

    def advance(self) -> None:
        if self._next is not None:
            self._place += sum(map(len, self._next.lines))
            self._next = None

    def _read(self) -> KnownRecord | None:
        self._file.seek(self._place)
        lines = [self._file.readline()]
        if not lines[0]:
            return None
        while (line := self._file.readline()) and not starts_record(line):
            lines.append(line)
        marks = [SAME] * len(lines)
        if self._plan is not None:
            marks = self._plan.marks(self._place, lines)
        return KnownRecord(key_of_record(lines[0]), lines, marks)
