"""The rollback of one entity's load: what the load did with each record is undone, record by record
in the order of the file, many at once.

How far it is, is in the plan of the load: each line gets a mark of what became of it. The first
pass undoes, the second looks once more at what the first has undone.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from load.before import Before
from load.crowd import Crowd
from load.engine import unacknowledged
from load.lines import record_key
from load.loads import Load
from load.references import References, header_of, parties_of
from load.rollback.key_set import KeySet
from load.rollback.report import Undone, kept_line
from load.transactions import MOST_WRITES
from load.undo import LEFT_ALONE, Doubt, Line, Record, Undo, Verdict
from utils.artifacts import sha256_of, starts_record
from utils.config import PARTY_ENTITIES
from utils.dynamodb import DynamoDB
from utils.error_handler import ArtifactError
from utils.load_plan import (
    DELETED,
    NEVER,
    NEW,
    RESTORED,
    STAYS,
    STAYS_REPLACED,
    TO_ADD,
    LoadPlan,
)
from utils.run import Run
from utils.tables import TableSpec
from utils.workspace import make_directory, open_private, storage_errors

PHASE = "rollback"
_AHEAD = 4 << 20  # bytes of the file for which one mark is set
_SAVE_EVERY = 1.0  # seconds
_LOOKS = 8  # requests that only read, for each worker
_LOOKS_AT_MOST = 64
_UNDONE = frozenset({DELETED, RESTORED})
_DECIDED = frozenset({STAYS, STAYS_REPLACED})

_RawLine = tuple[int, bytes, int]


@dataclass
class _Group:
    """Records that follow each other and that something is to be done about, and where the file
    goes on after them. `passed` are the marks of lines up to there about which nothing is."""

    records: list[Record]
    end: int
    passed: Counter[int] = field(default_factory=Counter)

    @property
    def items(self) -> int:
        return sum(len(record.lines) for record in self.records)


class EntityRollback:
    """The rollback of one load.

    `named` has the parties that a kept sale names, with the sale; sales add to it. With `writes`
    false nothing is written, `doomed` has the sales that would be deleted.
    """

    def __init__(
        self,
        wire: DynamoDB,
        run: Run,
        spec: TableSpec,
        load: Load,
        file: Path,
        named: dict[str, str],
        doomed: KeySet | None = None,
    ) -> None:
        self.load, self.entity = load, spec.entity
        self._wire, self._run, self._spec, self._file = wire, run, spec, file
        self._named = named
        self._doomed = doomed
        self._writes = doomed is None
        self._again = False
        self._tally: Counter[int] = Counter()
        self.late = 0  # records that had arrived when it was looked again

    def first(self) -> None:
        """Undo what is left to undo. Raises TargetError, and Interrupted when a stop is asked
        for; it goes on where it was when it is called again."""
        saved = self.load.state.undone if self._writes else {}
        if saved.get("looked"):
            return
        self._place: int = saved.get("place", 0)
        self._repeated = self._mark = saved.get("mark", 0)
        self._go(kept=saved.get("kept", 0))
        self._save(looked=True)

    def again(self) -> None:
        """Look once more at what is undone. Raises as `first` does; begins anew each time."""
        self._again = True
        self._place = self._repeated = self._mark = 0
        self._go(kept=None)

    @property
    def kept(self) -> Path:
        """The list of what is kept, a JSON object a line."""
        if self._writes:
            return self.load.kept
        make_directory(self._run.workspace.scratch)
        return self._run.workspace.scratch / self.load.kept.name

    @property
    def figures(self) -> Undone:
        """What became of everything, as far as it is done."""
        if not self._writes:
            return Undone.of(self._tally, self.load.state.items)
        with LoadPlan(self.load.plan) as plan:
            return Undone.of(plan.count(), self.load.state.items)

    def _go(self, kept: int | None) -> None:
        with ExitStack() as stack:
            self._plan = stack.enter_context(LoadPlan(self.load.plan))
            before = stack.enter_context(Before(self.load.before))
            self._taken_from = before.taken_from()
            workers = self._run.config.migration.workers
            count = _LOOKS_AT_MOST if workers is None else min(_LOOKS * workers, _LOOKS_AT_MOST)
            looks = stack.enter_context(ThreadPoolExecutor(count, "look"))
            self._undo = Undo.on(
                self._wire,
                self._run,
                self._spec,
                before,
                looks,
                uses=self._uses(),
                doubt=self._doubt(),
                writes=self._writes,
            )
            self._saved_at = time.monotonic()
            self._kept = stack.enter_context(self._open_kept(kept))
            what = "rollback, second look" if self._again else PHASE
            with self._run.progress.task(what, self.entity, self.load.state.items) as task:
                self._all(task.advance)
            self._save()

    def _uses(self) -> References | None:
        if self.entity not in PARTY_ENTITIES:
            return None
        doomed = self._doomed
        return References(
            self._wire,
            self._run.config,
            self.entity,
            self._run.stop,
            self._named,
            is_doomed=lambda pk: doomed is not None and pk in doomed,
        )

    def _doubt(self) -> Doubt:
        """What is not known: whether a line that is not there has ever arrived, and in the part
        in which an earlier try was cut short, whether that has taken it away."""
        unknown = unacknowledged(self._run, self.load)

        def absent_ok(line: Line) -> bool:
            place = line.place
            return line.mark in (TO_ADD, NEVER) or any(a <= place < b for a, b in unknown)

        def by_us(line: Line) -> bool:
            return line.mark in _UNDONE or line.place < self._repeated

        return Doubt(absent_ok, by_us, self.load.state.moments)

    def _open_kept(self, size: int | None) -> IO[bytes]:
        """The list of what was kept, to go on at byte `size`; None: after its last whole line."""
        path = self.kept
        open_private(path, "ab").close()
        if size is None:
            size = path.read_bytes().rfind(b"\n") + 1
        handle = open_private(path, "r+b")
        handle.truncate(size)
        handle.seek(size)
        return handle

    def _all(self, advance: Callable[[int], object]) -> None:
        """Undo group after group, many at once, and take note of them in their order."""

        def undo(group: _Group) -> list[Verdict]:
            return self._undo.undo(group.records)

        def settle(group: _Group, verdicts: list[Verdict]) -> None:
            self._settle(group, verdicts)
            advance(group.items)

        try:
            Crowd(self._run, undo, settle, name="rollback").do_all(self._marked(self._groups()))
        except BaseException:
            self._save()
            raise

    def _marked(self, groups: Iterator[_Group]) -> Iterator[_Group]:
        """Groups of which it is known on disk that they may have been undone, before they are."""
        for group in groups:
            self._set_mark(group.end)
            yield group

    def _groups(self) -> Iterator[_Group]:
        group = _Group([], self._place)
        items = 0
        for raw in self._raw_records():
            if items and items + len(raw) > MOST_WRITES:
                yield group
                group, items = _Group([], group.end), 0
            place, line, _ = raw[-1]
            group.end = place + len(line)
            if self._is_due(raw):
                group.records.append(Record.of(raw))
                items += len(raw)
            else:
                group.passed.update(mark for _, _, mark in raw)
        yield group

    def _raw_records(self) -> Iterator[list[_RawLine]]:
        raw: list[_RawLine] = []
        for each in self._plan.lines_of(self._file, self._place):
            if raw and starts_record(each[1]):
                yield raw
                raw = []
            raw.append(each)
        if raw:
            yield raw

    def _is_due(self, raw: Sequence[_RawLine]) -> bool:
        """Whether anything is to be done about a record."""
        state = self.load.state
        if not self._again:
            return record_key(raw[0][1]) in self._taken_from or any(
                mark not in LEFT_ALONE and (mark != NEW or state.may_be_sent(place))
                for place, _, mark in raw
            )
        marks = {mark for _, _, mark in raw}
        if marks & _DECIDED:
            return False
        late = state.in_flight and (
            NEVER in marks or any(m == NEW and state.may_be_sent(place) for place, _, m in raw)
        )
        return bool(marks & _UNDONE) or late

    def _settle(self, group: _Group, verdicts: Sequence[Verdict]) -> None:
        """Take note of what became of a group."""
        self._tally.update(group.passed)
        for record, verdict in zip(group.records, verdicts, strict=True):
            if verdict.kept:
                self._note_kept(record, verdict)
            elif self._again and verdict.steps:
                self.late += 1
            if self._doomed is not None and not verdict.kept:
                self._doomed.add(record.pk)
            for line in record.lines:
                mark = verdict.fates.get(line.place, line.mark)
                self._tally[mark] += 1
                if self._writes and mark != line.mark:
                    self._plan.mark(line.place, mark)
        self._place = group.end
        if time.monotonic() - self._saved_at >= _SAVE_EVERY:
            self._save()

    def _note_kept(self, record: Record, verdict: Verdict) -> None:
        for party in parties_of(header_of(verdict.header)):
            self._named[party] = record.pk
        with storage_errors(self.kept):
            self._kept.write(kept_line(self.entity, record, verdict, returned=self._again))

    def _set_mark(self, end: int) -> None:
        """From now on, what is before byte `end` may have been deleted."""
        if not self._again and self._writes and end > self._mark:
            self._mark = end + _AHEAD
            self._save()

    def _save(self, *, looked: bool = False) -> None:
        """Save how far everything has been taken note of."""
        if not self._writes:
            return
        if not self._kept.closed:
            with storage_errors(self.load.directory):
                self._kept.flush()
                os.fsync(self._kept.fileno())
            self._plan.sync()
            kept = self._kept.tell()
        else:
            kept = self.load.state.undone.get("kept", 0)
        if self._again:
            return
        self.load.state.undone = {"place": self._place, "mark": self._mark, "kept": kept}
        if looked:
            self.load.state.undone["looked"] = True
        self.load.state.save()
        self._saved_at = time.monotonic()


def file_of(run: Run, load: Load) -> Path:
    """The file as it was loaded. Raises ArtifactError when it is not there any more."""
    for path in (load.loaded, run.workspace.transformed(load.entity)):
        if path.exists() and sha256_of(path) == load.state.transformed:
            return path
    raise ArtifactError(
        f"{load.loaded} is not there, or is not what was loaded: what was loaded is not known any "
        "more",
        remedy="put the tables back as they were: what can be restored is listed by: "
        f"{run.command('backups')}",
    )
