"""The live application wins: a load writes nothing over what it has not seen.

What the plan of the load calls new goes out in batches. Everything else that is to be written goes
out before that, on condition that the table still holds what is there by the survey: the records
that replace what the table holds (load/replacing.py), and in a load that goes on the items that may
have been sent already, which the application may have changed since.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import orjson

from load.batch_writer import RefusedItem
from load.before import Before
from load.conditional_writer import ConditionalWriter, is_same
from load.conditions import ABSENT
from load.conflicts import Authors
from load.crowd import Crowd
from load.kept_report import KeptSince
from load.load_state import LoadState
from load.loads import drop_others
from load.pictures import Memory, Pictures
from load.replacing import Planned, Replacing
from load.transactions import Transactions
from utils.artifacts import ArtifactEntry, sha256_of, starts_record, utc_now
from utils.closing import Closes
from utils.dynamodb import RequestRefused
from utils.error_handler import ArtifactError
from utils.figures import counted
from utils.load_plan import (
    ADDED,
    CONDITIONAL,
    EDITED,
    KEPT_ABSENT,
    KEPT_MARKS,
    NEW,
    OURS,
    REPLACED,
    SAME,
    LoadPlan,
)
from utils.logger import get_logger
from utils.run import Run
from utils.tables import TableSpec

__all__ = ["Guard", "Kept", "Planned", "publish_replaced"]

_TOGETHER = 100  # items of a record that are written one after the other
Refuse = Callable[[RefusedItem], object]


@dataclass(frozen=True)
class _Group:
    """Lines that are written one after the other; with `replaces` they are a record."""

    lines: list[Planned]
    replaces: bool = False


@dataclass(frozen=True)
class Kept:
    """Records and items that the load has left as the table has them; `absent` of the items are
    in no table: S9 has them, and a record that is kept has not."""

    records: int = 0
    items: int = 0
    absent: int = 0


class Guard(Closes):
    """The plan, the state and the replaced items of one entity's load. A context manager."""

    def __init__(self, run: Run, spec: TableSpec) -> None:
        files, entity = run.workspace, spec.entity
        state = LoadState.load(files.load_state(entity))
        if state is None or not files.plan(entity).exists():
            raise ArtifactError(
                f"the plan of the load of {entity} is gone from {files.undo}",
                remedy=f"load again: {run.command(f'--phase load --entity {entity}')}",
            )
        self.state = state
        self._run = run
        self._entity = entity
        self._stack = ExitStack()
        self.plan = self._stack.enter_context(LoadPlan(files.plan(entity)))
        self.before = self._stack.enter_context(Before(files.before(entity)))
        self.writer = ConditionalWriter(run.config, spec, run.stop)
        self._transactions = Transactions(run.config, spec, run.stop)
        self._authors = Authors.of(
            run.config.transformation, run.manifest.empty_as_of.get(entity, "")
        )
        self._counts: Counter[int] = Counter()
        self._taken_away = 0
        self._wrote = False

    def close(self) -> None:
        self._stack.close()

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
        """The lines in these ranges of bytes have not been sent after all: a load that goes on
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
            "%s: %s, on condition that nobody has changed it",
            self._entity.capitalize(),
            "writing what may have been sent before" if again else "replacing what is in conflict",
        )
        self.state.about_to_write()
        pictures = Pictures.of_load(
            self._run, self._run.config.target.table(self._entity), self.state.pictures
        )
        with Memory(pictures) as memory:
            replacing = Replacing(
                self.writer,
                self._transactions,
                self.before,
                memory,
                self._authors,
                self._run.manifest.migration_timestamp,
            )
            self._all(self._groups(again), replacing, refuse)
        self.plan.sync()
        get_logger().info(
            "%s: %s took %s",
            self._entity.capitalize(),
            counted(self.writer.requests, "conditional request"),
            counted(round(self.writer.units), "write unit"),
        )

    def conclude(self) -> Kept:
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
        return Kept(self._kept_records() if items else 0, items, absent)

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

    def _groups(self, again: Sequence[tuple[int, int]]) -> Iterator[_Group]:
        """What is to be written on condition: records that are replaced one by one, and of others
        what may have been sent."""
        for record in self._records():
            if any(mark in CONDITIONAL for _, _, mark in record):
                yield _Group(_planned(record), replaces=True)
                continue
            wanted = [
                (place, line, mark)
                for place, line, mark in record
                if mark == NEW and any(start <= place < end for start, end in again)
            ]
            # A sale is to be seen when it is whole: what opens it comes last.
            wanted.reverse()
            for place in range(0, len(wanted), _TOGETHER):
                yield _Group(_planned(wanted[place : place + _TOGETHER]))

    def _records(self) -> Iterator[list[tuple[int, bytes, int]]]:
        """The records of the file: the place, the line and the mark of each of their items."""
        record: list[tuple[int, bytes, int]] = []
        for each in self.plan.lines_of(self._run.workspace.transformed(self._entity)):
            if record and starts_record(each[1]):
                yield record
                record = []
            record.append(each)
        if record:
            yield record

    def _all(self, groups: Iterable[_Group], replacing: Replacing, refuse: Refuse) -> None:
        def write(group: _Group) -> list[RefusedItem]:
            return self._group(group, replacing)

        def settle(_: _Group, refused: list[RefusedItem]) -> None:
            if self._wrote:
                self.has_written()
            for item in refused:
                refuse(item)

        Crowd(self._run, write, settle, name="guard").do_all(groups)

    def _mark(self, planned: Planned, mark: int) -> None:
        self.plan.mark(planned.place, mark)
        self._wrote |= mark in (ADDED, REPLACED)

    def _group(self, group: _Group, replacing: Replacing) -> list[RefusedItem]:
        """Write a group; returns what DynamoDB does not take of it."""
        refused: list[RefusedItem] = []
        if group.replaces:
            try:
                for each, mark in zip(group.lines, replacing.replace(group.lines), strict=True):
                    self._mark(each, mark)
            except RequestRefused as refusal:
                refused.append(_refused(group.lines[0], refusal))
            return refused
        for each in group.lines:
            try:
                self._mark(each, self._write_again(each))
            except RequestRefused as refusal:
                refused.append(_refused(each, refusal))
        return refused

    def _write_again(self, planned: Planned) -> int:
        """Write an item that may be there already; returns the line's new mark."""
        written = self.writer.put(planned.body, ABSENT)
        # Nobody but the run makes items with these keys: it was sent, and changed since.
        return ADDED if written.done or is_same(written.found, planned.item) else EDITED


def publish_replaced(run: Run, entity: str) -> None:
    """Put the replaced items, if there are any, and what was loaded into the manifest as files of
    records like others: they are encrypted with them. Whoever has one open must have closed it."""
    path = run.workspace.before(entity)
    with Before(path) as before:
        items = before.count()
    if items:
        size = path.stat().st_size
        run.publish(path, ArtifactEntry(0, items, size, sha256_of(path), utc_now()))
    if run.workspace.loaded(entity).exists():
        transformed = run.workspace.name_of(run.workspace.transformed(entity))
        run.publish(run.workspace.loaded(entity), run.manifest.artifacts[transformed])


def _planned(record: Iterable[tuple[int, bytes, int]]) -> list[Planned]:
    return [Planned(place, line, mark, orjson.loads(line)["Item"]) for place, line, mark in record]


def _refused(planned: Planned, refusal: RequestRefused) -> RefusedItem:
    return RefusedItem(planned.line.rstrip(b"\n"), refusal.message)
