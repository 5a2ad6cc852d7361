"""The live application wins: a load writes nothing over what it has not seen.

What the plan of the load calls new goes out in batches. Everything else that is to be written goes
out before that, on condition that the table still holds what is there by the survey: the records
that replace what the table holds (load/conflicts/replacing.py), and in a resumed load the
items that may have been sent already, which the application may have changed since.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from load.conflicts.conditional_pieces import ConditionalPieces, PieceWritten
from load.conflicts.kept_report import KeptSince
from load.conflicts.policy import Authors
from load.conflicts.replaced_items import ReplacedItems
from load.conflicts.table_pictures import Pictures
from load.load_state import LoadState
from load.sending.job_pool import JobPool
from load.undoable_loads import drop_others
from load.writing.batch_writer import RefusedItem
from load.writing.conditional_writer import ConditionalWriter
from utils.dynamodb.table_spec import TableSpec
from utils.error_handler import ArtifactError
from utils.files.artifacts import ArtifactEntry, sha256_of, starts_record, utc_now
from utils.files.line_marks import (
    CONDITIONAL,
    KEPT_ABSENT,
    KEPT_MARKS,
    OURS,
    REPLACED,
    SAME,
    LineMarks,
    Located,
)
from utils.files.pieces import ByteRange, whole_records
from utils.files.storage import Closes
from utils.logger import get_logger
from utils.run.run import Run
from utils.wording.figures import counted

_PIECE = 1 << 18  # bytes of the file that are one job
_ABOUT = 1 << 10  # bytes of an item
Refuse = Callable[[RefusedItem], object]


@dataclass(frozen=True)
class KeptFigures:
    """Records and items that the load has left as the table has them; `absent` of the items are
    in no table: S9 has them, and a record that is kept has not."""

    records: int = 0
    items: int = 0
    absent: int = 0


class ConditionalLoad(Closes):
    """The plan, the state and the replaced items of one entity's load. A context manager."""

    def __init__(self, run: Run, spec: TableSpec) -> None:
        files, entity = run.workspace, spec.entity
        state = LoadState.load(files.load_state(entity))
        if state is None or not files.plan(entity).exists():
            raise ArtifactError(
                f"the plan of the load of {entity} is missing from {files.undo}",
                remedy=f"load again: {run.command(f'--phase load --entity {entity}')}",
            )
        self.state = state
        self._run = run
        self._spec = spec
        self._entity = entity
        self._stack = ExitStack()
        self.plan = self._stack.enter_context(LineMarks(files.plan(entity)))
        self.before = self._stack.enter_context(ReplacedItems(files.before(entity)))
        self.writer = ConditionalWriter(run.config, spec, run.stop)
        self._authors = Authors.of(
            run.config.transformation, run.manifest.empty_as_of.get(entity, "")
        )
        self._counts: Counter[int] = Counter()
        self._taken_away = 0

    def close(self) -> None:
        self._stack.close()

    @property
    def leaves_nothing_to_send(self) -> bool:
        """Whether no line of the file is to go out in a batch."""
        return self.plan.count().total() == self.state.items

    def about_to_send(self, start: int, end: int) -> None:
        """The lines from byte `start` to `end` are to be sent in batches: known from now on."""
        self.state.about_to_send(start, end)

    def has_written(self) -> None:
        """A write has succeeded: this run is the last that has written."""
        if not self.state.wrote:
            self.state.wrote = True
            self.state.save()
            drop_others(self._run)

    def is_quiet(self) -> None:
        """Nothing is on its way any more."""
        self.state.is_quiet()

    def was_not_sent(self, ranges: Iterable[tuple[int, int]]) -> None:
        """The lines in these ranges of bytes have not been sent after all: a resumed load
        need not ask whether they are there."""
        self.state.was_not_sent(ranges)

    def write_on_condition(self, unacknowledged: Sequence[tuple[int, int]], refuse: Refuse) -> None:
        """Write what does not go out in batches; `unacknowledged` are the ranges of bytes of which
        it is not known whether they have arrived. `refuse` hears of items that DynamoDB does not
        take.

        Raises TargetError when DynamoDB cannot be used, Interrupted when a stop is asked for.
        What has been written is known by its mark, and not written again.
        """
        again = [
            (max(a, c), min(b, d))
            for a, b in unacknowledged
            for c, d in self.state.sent
            if max(a, c) < min(b, d)
        ]
        if not again and not CONDITIONAL & self.plan.count().keys():
            return
        get_logger().info(
            "%s: %s, on condition that nobody has changed them",
            self._entity.capitalize(),
            "writing items that may have been sent before"
            if again
            else "replacing conflicting items",
        )
        self.state.about_to_write()
        pictures = Pictures.of_load(
            self._run, self._run.config.target.table(self._entity), self.state.pictures
        )
        run, files = self._run, self._run.workspace
        work = ConditionalPieces(
            source=files.transformed(self._entity),
            plan=files.plan(self._entity),
            requests=files.requests(self._entity),
            before=files.before(self._entity),
            target=run.config.target,
            migration=run.config.migration,
            spec=self._spec,
            pictures=pictures,
            authors=self._authors,
            moment=run.manifest.migration_timestamp,
            again=again,
        )
        self._all(work, refuse)
        self.plan.sync()
        get_logger().info(
            "%s: %s took %s",
            self._entity.capitalize(),
            counted(self.writer.requests, "conditional request"),
            counted(round(self.writer.units), "write unit"),
        )

    def conclude(self) -> KeptFigures:
        """The load is complete. Returns what of the file is not in the table as it is in the file,
        and is to stay so."""
        self.plan.sync()
        self.state.complete = True
        self.state.is_quiet()
        self._counts = self.plan.count()
        self._taken_away = self.before.taken_count()
        items = sum(self._counts[mark] for mark in KEPT_MARKS)
        absent = self._counts[KEPT_ABSENT]
        if items != self.state.kept:
            since = KeptSince(self._run, self._entity, self.writer, self._authors)
            since.rewrite(self._records())
        return KeptFigures(self._kept_records() if items else 0, items, absent)

    def _kept_records(self) -> int:
        """How many records are kept: those of which the first item is."""
        return sum(
            mark in KEPT_MARKS
            for _, line, mark in self.plan.lines_of(self._run.workspace.transformed(self._entity))
            if starts_record(line)
        )

    def figures(self) -> dict[str, Any]:
        """What the load's entry in the manifest says of its own: items that were in the table
        already, items replaced, lines taken away, what is only in the target, conditional requests
        and their write units."""
        return {
            "alreadyThere": self._counts[SAME] + self._counts[OURS],
            "replaced": self._counts[REPLACED],
            "takenAway": self._taken_away,
            "onlyInTarget": self.state.only_in_target,
            "otherTimestamps": self.state.other_times,
            "conditionalRequests": self.writer.requests,
            "conditionalWriteUnits": self.writer.units,
        }

    def _records(self) -> Iterator[list[Located]]:
        """The records of the file, line by line."""
        source = self._run.workspace.transformed(self._entity)
        for piece in whole_records(source):
            yield from self.plan.records_in(source, piece)

    def _all(self, work: ConditionalPieces, refuse: Refuse) -> None:
        """Do the work in all pieces of the file where there is some."""

        def settle(_: ByteRange, done: PieceWritten) -> None:
            self.writer.requests += done.requests
            self.writer.units += done.units
            task.advance(done.requests, errors=len(done.refused), write_units=done.units)
            if done.wrote:
                self.has_written()
            for item in done.refused:
                refuse(item)

        replaced = sum(self.plan.count()[mark] for mark in CONDITIONAL)
        again = sum(end - start for start, end in work.again)
        pieces = whole_records(work.source, target=_PIECE)
        due = (place for place in pieces if work.is_due(self.plan, place))
        size = again + replaced * _ABOUT
        with self._run.progress.task(
            "load", self._entity, None, unit="requests", step="conditional writes"
        ) as task:
            JobPool(self._run, work, settle, size=size).do_all(due)


def publish_replaced(run: Run, entity: str) -> None:
    """Put the replaced items, if there are any, and what was loaded into the manifest as files of
    records like others: they are encrypted with them. Whoever has one open must have closed it."""
    path = run.workspace.before(entity)
    with ReplacedItems(path) as before:
        items = before.count()
    if items:
        size = path.stat().st_size
        run.publish(path, ArtifactEntry(0, items, size, sha256_of(path), utc_now()))
    if run.workspace.loaded(entity).exists():
        transformed = run.workspace.name_of(run.workspace.transformed(entity))
        run.publish(run.workspace.loaded(entity), run.manifest.artifacts[transformed])
