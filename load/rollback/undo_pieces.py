"""The rollback of pieces of a loaded file, which processes share: the records that begin in a piece
are undone together (load/rollback/undo_record.py)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from load.conflicts.replaced_items import ReplacedItems
from load.rollback.key_set import KeySet
from load.rollback.records_in_use import Users, named_by
from load.rollback.report import kept_line
from load.rollback.undo_record import LEFT_ALONE, UNDONE, Doubt, Line, Record, Undo, Verdict
from load.sending.job_pool import Share
from load.undoable_loads import Load
from load.writing.batches import record_key
from utils.config import MigrationConfig, TargetConfig
from utils.dynamodb.client import DynamoDB
from utils.dynamodb.table_spec import TableSpec
from utils.entities import is_referenced
from utils.files.line_marks import (
    DELETED,
    NEVER,
    NEW,
    STAYS,
    STAYS_REPLACED,
    TO_ADD,
    LineMarks,
    Located,
)
from utils.files.pieces import ByteRange
from utils.interrupt import StopFlag

_DECIDED = frozenset({STAYS, STAYS_REPLACED})
_CREATED = frozenset({DELETED, NEVER})


class KeptRecord(NamedTuple):
    """A record that is kept: its line in the list of these, its partition key, and those of the
    records that it names."""

    line: bytes
    pk: str
    names: frozenset[str]


@dataclass
class PieceUndone:
    """What became of the lines of a piece: how many have which mark in the plan, the marks that are
    new by their places, what is kept, the partition keys of what is not, and how many records had
    arrived since they were looked at before."""

    marks: Counter[int] = field(default_factory=Counter)
    changed: list[tuple[int, int]] = field(default_factory=list)
    kept: list[KeptRecord] = field(default_factory=list)
    undone: list[str] = field(default_factory=list)
    late: int = 0

    @property
    def items(self) -> int:
        return self.marks.total()


@dataclass(frozen=True)
class Undoing:
    """What is undone of one load, of the transformed file as it was loaded.

    Before byte `repeated` an earlier try may have taken lines away; of those in the ranges
    `unknown` it is not known whether they have arrived. `again` says that it is the second look;
    then `left` are the partition keys under which there still is something, where that is known.
    `named` and `doomed` are as of an EntityRollback; with the latter nothing is written.
    """

    load: Load
    file: Path
    target: TargetConfig
    migration: MigrationConfig
    spec: TableSpec
    repeated: int
    unknown: Sequence[tuple[int, int]]
    again: bool
    left: KeySet | None
    named: Mapping[str, str]
    doomed: KeySet | None

    @contextmanager
    def opened(self, stop: StopFlag, share: Share) -> Iterator[Callable[[ByteRange], PieceUndone]]:
        """What does the work in this process; see load.sending.job_pool.Work."""
        writer = share.writer(self, self.spec, stop)
        with ExitStack() as stack:
            plan = stack.enter_context(LineMarks(self.load.plan))
            before = stack.enter_context(ReplacedItems(self.load.before))
            undo = Undo.on(
                writer,
                before,
                uses=self._uses(writer.wire, stop),
                doubt=self._doubt(),
                writes=self.doomed is None,
            )
            yield _InProcess(self, plan, undo, before.taken_from()).undo_piece

    def _uses(self, wire: DynamoDB, stop: StopFlag) -> Users | None:
        if not is_referenced(self.spec.entity):
            return None
        doomed = self.doomed
        return Users(
            wire,
            self,
            self.spec.entity,
            stop,
            self.named,
            is_doomed=lambda pk: doomed is not None and pk in doomed,
        )

    def _doubt(self) -> Doubt:
        """What is not known: whether a line that is not there has ever arrived, and in the part
        in which an earlier try was cut short, whether that has taken it away."""

        def absent_ok(line: Line) -> bool:
            place = line.place
            return line.mark in (TO_ADD, NEVER) or any(a <= place < b for a, b in self.unknown)

        def by_us(line: Line) -> bool:
            return line.mark in UNDONE or line.place < self.repeated

        return Doubt(absent_ok, by_us, self.load.state.moments)


@dataclass(frozen=True)
class _InProcess:
    """The work in one process; safe to share between threads."""

    work: Undoing
    plan: LineMarks
    undo: Undo
    taken_from: frozenset[str]

    def undo_piece(self, place: ByteRange) -> PieceUndone:
        """Undo the records of a piece. Raises TargetError."""
        done = PieceUndone()
        records: list[Record] = []
        for raw in self.plan.records_in(self.work.file, place):
            if self._is_due(raw):
                records.append(Record.of(raw))
            else:
                done.marks.update(mark for _, _, mark in raw)
        for record, verdict in zip(records, self.undo.undo(records), strict=True):
            self._note(record, verdict, done)
        return done

    def _is_due(self, raw: Sequence[Located]) -> bool:
        """Whether anything is to be done about a record."""
        state = self.work.load.state
        if not self.work.again:
            return record_key(raw[0][1]) in self.taken_from or any(
                mark not in LEFT_ALONE and (mark != NEW or state.may_be_sent(place))
                for place, _, mark in raw
            )
        marks = {mark for _, _, mark in raw}
        if marks & _DECIDED:
            return False
        late = state.in_flight and (
            NEVER in marks or any(m == NEW and state.may_be_sent(place) for place, _, m in raw)
        )
        return (bool(marks & UNDONE) or late) and not self._is_gone(raw, marks)

    def _is_gone(self, raw: Sequence[Located], marks: set[int]) -> bool:
        """Whether nothing is there of a record that only this load has made, so that a second look
        would find what the first has left. Where the load has replaced or taken away something,
        that must be there."""
        left, pk = self.work.left, record_key(raw[0][1])
        nothing = left is not None and pk not in left
        return nothing and marks <= _CREATED and pk not in self.taken_from

    def _note(self, record: Record, verdict: Verdict, done: PieceUndone) -> None:
        work = self.work
        if verdict.kept:
            text = kept_line(work.spec.entity, record, verdict, returned=work.again)
            names = frozenset(named_by(verdict.header or {}))
            done.kept.append(KeptRecord(text, record.pk, names))
        else:
            done.late += work.again and bool(verdict.writes)
            if work.doomed is not None:
                done.undone.append(record.pk)
        for line in record.lines:
            mark = verdict.fates.get(line.place, line.mark)
            done.marks[mark] += 1
            if mark != line.mark:
                done.changed.append((line.place, mark))
