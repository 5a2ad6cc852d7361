"""Indexes read whole, and compared with their table by the keys of every item."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, groupby
from pathlib import Path
from typing import Any, Protocol

from utils.dynamodb.read_units import INDEXES
from utils.dynamodb.scan_segments import pieces_of, segments_for
from utils.dynamodb.table_reader import TableReader
from utils.dynamodb.table_spec import Index
from utils.files.spill import SpillFile
from utils.telemetry.tasks import Task
from validate.indexes.index_findings import IndexFindings, KeyAgreement
from validate.indexes.index_passes import (
    ComparedEntries,
    Doubtful,
    EntryPass,
    IndexPart,
    IndexPass,
    Sides,
)
from validate.indexes.second_look import SecondLook, Wait
from validate.indexes.table_state import TableState

_FEWEST_SEGMENTS = 4


@dataclass(frozen=True)
class WholeIndexes:
    """The indexes of a table, as DynamoDB describes them and as they were read (`found`; those that
    cannot be are not in it), and how the keys of its items agree with their attributes."""

    state: TableState
    found: Mapping[str, IndexFindings]
    agreement: KeyAgreement

    @property
    def problems(self) -> tuple[str, ...]:
        return (
            *self.state.problems,
            *(each for name, found in self.found.items() for each in found.sentences(name)),
            *self.agreement.sentences(),
        )

    def as_json(self) -> dict[str, Any]:
        described = self.state.as_json()
        for name, index in described["indexes"].items():
            found = self.found.get(name)
            index.update(found.as_json() if found else dict.fromkeys(IndexFindings().as_json()))
            index["passed"] = index["passed"] and (found is None or found.passed)
        return {
            **described,
            "passed": not self.problems,
            "keys": self.agreement.as_json(),
            "problems": list(self.problems),
        }


class Steps(Protocol):
    """How a verification does its work: by processes, and in steps that are shown."""

    def shared(
        self, work: Callable[[Any], Any], pieces: Iterable[Any], *, at_most: int | None = None
    ) -> Iterator[Any]:
        """What `work` finds in each piece."""

    def counted(
        self, step: str, entity: str, work: Callable[[Any], Any], pieces: Sequence[Any]
    ) -> Iterator[Any]:
        """The same as a step of its own."""


def compare_indexes(
    steps: Steps,
    task: Task,
    reader: TableReader,
    table: str,
    entity: str,
    due: Mapping[Index, tuple[SpillFile, ...]],
    *,
    records: int,
    scratch: Path,
    processes: int,
    at_once: int,
    patience: Callable[[], Wait],
) -> dict[str, IndexFindings]:
    """Read indexes of about `records` entries each, and compare them with what is `due` in each by
    its table, whose runs are taken away. `processes` scan, all indexes at once, each with so many
    pages `at_once`; `task` is told. `patience` gives the wait for what one of them has not followed
    yet.

    Raises TargetError as a scan does.
    """
    reader = reader.counting(INDEXES)
    segments = segments_for(records, fewest=_FEWEST_SEGMENTS)
    work = IndexPass(reader, table, tuple(due), segments, scratch, at_once)
    read = [IndexPart() for _ in due]
    for parts in steps.shared(work, pieces_of(segments, processes), at_most=processes):
        for number, part in enumerate(parts):
            read[number] += part
            task.advance(part.entries, read_units=part.units)
    sides = [Sides(runs, part.runs) for runs, part in zip(due.values(), read, strict=True)]
    looks = [SecondLook(reader, table, index, patience()) for index in due]
    return dict(_compared(steps, entity, EntryPass(sides), read, looks))


def _compared(
    steps: Steps,
    entity: str,
    work: EntryPass,
    read: Sequence[IndexPart],
    looks: Sequence[SecondLook],
) -> Iterator[tuple[str, IndexFindings]]:
    """Compare what was read of indexes with what is due in them: all are one step, because the
    buckets of one may be few."""
    pieces = work.pieces
    done = zip(pieces, steps.counted("comparing the indexes", entity, work, pieces), strict=True)
    found = chain.from_iterable(zip(piece, parts, strict=True) for piece, parts in done)
    for number, of_index in groupby(found, key=lambda each: each[0].of):
        parts = (part for _, part in of_index)
        yield looks[number].index.name, _findings(parts, read[number], looks[number])
        for path in work.indexes[number].files:
            path.unlink()


def _findings(parts: Iterable[ComparedEntries], read: IndexPart, look: SecondLook) -> IndexFindings:
    """What the buckets of an index come to, of which what is doubtful is read again."""
    result = IndexFindings(entries=read.entries, read_units=read.units)

    def doubtful() -> Iterator[Doubtful]:
        for part in parts:
            result.items += part.items
            yield from part.doubtful

    for wrong in look.wrong_of(doubtful()):
        result.wrong.add(wrong)
    result.read_units += look.units
    return result
