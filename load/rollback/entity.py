"""The rollback of one entity's load: what the load did with each record is undone, record by record
in the order of the file, many at once.

How far it is, is in the plan of the load: each line gets a mark of what became of it. The first
pass undoes, the second looks once more at what the first has undone.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import IO

from load.conflicts.replaced_items import ReplacedItems
from load.load_progress import unacknowledged
from load.rollback.key_set import KeySet
from load.rollback.left_over import left_over
from load.rollback.report import UndoneFigures
from load.rollback.undo_pieces import PieceUndone, Undoing
from load.rollback.undo_repair import bring_back
from load.sending.job_pool import JobPool
from load.undoable_loads import Load
from utils.dynamodb.table_spec import TableSpec
from utils.entities import is_referenced
from utils.error_handler import ArtifactError
from utils.files.artifacts import sha256_of
from utils.files.line_marks import DELETED, LineMarks
from utils.files.pieces import ByteRange, whole_records
from utils.files.storage import make_directory, open_private, storage_errors
from utils.run.run import Run

PHASE = "rollback"
_AHEAD = 4 << 20  # bytes of the file for which one mark is set
_SAVE_EVERY = 1.0  # seconds
_PIECE = 1 << 18  # bytes of the file that are one job


class EntityRollback:
    """The rollback of one load.

    `named` has the records that a kept one names, with that one; it adds to them. With `writes`
    false nothing is written, `doomed` has the records that would be deleted.
    """

    def __init__(
        self,
        run: Run,
        spec: TableSpec,
        load: Load,
        file: Path,
        named: dict[str, str],
        doomed: KeySet | None = None,
    ) -> None:
        self.load, self.entity = load, spec.entity
        self._run, self._spec, self._file = run, spec, file
        self._named = named
        self._doomed = doomed
        self._writes = doomed is None
        self._again = False
        self._left: KeySet | None = None  # of the second look: what is still there, if it is known
        self._tally: Counter[int] = Counter()
        self._brought_back = 0
        self.late = 0  # records that had arrived when it was looked again

    def first(self) -> None:
        """Undo what is left to undo. Raises TargetError, and Interrupted when a stop is asked
        for; it continues where it was when it is called again."""
        saved = self.load.state.undone if self._writes else {}
        if saved.get("looked"):
            return
        self._place: int = saved.get("place", 0)
        self._repeated = self._mark = saved.get("mark", 0)
        self._go(kept=saved.get("kept", 0))
        self._save(looked=True)

    def again(self) -> None:
        """Look once more at what is undone. Raises as `first` does; starts over each time."""
        self._again = True
        self._place = self._repeated = self._mark = 0
        self._left = self._left_over()
        self._go(kept=None, nothing=self._is_all_gone())

    def bring_back(self) -> None:
        """Bring back the records that the load, or a repair of it, has taken away altogether.
        Raises as `first` does; does what is left each time."""
        with ReplacedItems(self.load.before) as before:
            self._brought_back += bring_back(
                self._run, self._spec, before, self.load.before, writes=self._writes
            )

    def _left_over(self) -> KeySet | None:
        """The partition keys under which there still is something. Where others may name the
        records it is asked as well who does, so that each is looked at. What is more than was
        deleted is not worth it."""
        if is_referenced(self.entity):
            return None
        with LineMarks(self.load.plan) as plan:
            deleted = plan.count()[DELETED]
        table = self._run.config.target.table(self.entity)
        return left_over(self._run, table, most=deleted) if deleted else None

    def _is_all_gone(self) -> bool:
        """Whether every item of the file was deleted, and nothing at all is left in the table: then
        there is nothing to be looked at."""
        with LineMarks(self.load.plan) as plan, ReplacedItems(self.load.before) as before:
            is_all = plan.count()[DELETED] == self.load.state.items and not before.taken_count()
        return is_all and self._left is not None and not self._left

    @property
    def kept(self) -> Path:
        """The list of what is kept, a JSON object a line."""
        if self._writes:
            return self.load.kept
        make_directory(self._run.workspace.scratch)
        return self._run.workspace.scratch / self.load.kept.name

    @property
    def figures(self) -> UndoneFigures:
        """What became of everything, as far as it is done."""
        marks = self._tally
        if self._writes:
            with LineMarks(self.load.plan) as plan:
                marks = plan.count()
        figures = UndoneFigures.of(marks, self.load.state.items)
        return replace(figures, brought_back=self._brought_back)

    def _go(self, kept: int | None, *, nothing: bool = False) -> None:
        with ExitStack() as stack:
            self._plan = stack.enter_context(LineMarks(self.load.plan))
            self._saved_at = time.monotonic()
            self._kept = stack.enter_context(self._open_kept(kept))
            step = "second look" if self._again else ""
            with self._run.progress.task(
                PHASE, self.entity, self.load.state.items, unit="items", step=step
            ) as task:
                if nothing:
                    task.advance(self.load.state.items)
                else:
                    self._all(task.advance)
            self._save()

    def _undoing(self) -> Undoing:
        config = self._run.config
        return Undoing(
            load=self.load,
            file=self._file,
            target=config.target,
            migration=config.migration,
            spec=self._spec,
            repeated=self._repeated,
            unknown=unacknowledged(self._run, self.load),
            again=self._again,
            left=self._left,
            named=self._named if is_referenced(self.entity) else {},
            doomed=self._doomed,
        )

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
        """Undo piece after piece, many at once, and take note of them in their order."""

        def settle(place: ByteRange, done: PieceUndone) -> None:
            self._settle(place, done)
            advance(done.items)

        pool = JobPool(
            self._run,
            self._undoing(),
            settle,
            size=self._file.stat().st_size - self._place,
        )
        try:
            pool.do_all(self._marked(whole_records(self._file, start=self._place, target=_PIECE)))
        except BaseException:
            self._save()
            raise

    def _marked(self, pieces: Iterator[ByteRange]) -> Iterator[ByteRange]:
        """Pieces of which it is known on disk that they may have been undone, before they are."""
        for piece in pieces:
            self._set_mark(piece.end)
            yield piece

    def _settle(self, place: ByteRange, done: PieceUndone) -> None:
        """Take note of what became of a piece."""
        self._tally.update(done.marks)
        self.late += done.late
        for kept in done.kept:
            self._named.update(dict.fromkeys(kept.names, kept.pk))
            with storage_errors(self.kept):
                self._kept.write(kept.line)
        if self._doomed is not None:
            for pk in done.undone:
                self._doomed.add(pk)
        if self._writes:
            self._plan.mark_some(done.changed)
        self._place = place.end
        if time.monotonic() - self._saved_at >= _SAVE_EVERY:
            self._save()

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
        f"{load.loaded} is missing, or is not what was loaded: it is no longer known what was "
        "loaded",
        remedy=f"restore the tables; to list the backups: {run.command('backups')}",
    )
