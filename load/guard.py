"""The live application wins: a load writes nothing over what it has not seen.

What the plan of the load calls new goes out in batches. Everything else that is to be written goes
out before that, item by item and on condition that the table still holds what is there by the
survey: the records that replace what the table holds, and in a load that goes on the items that
may have been sent already, which the application may have changed since.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import orjson

from load.batch_writer import RefusedItem
from load.before import Before
from load.conditional_writer import (
    READ_AT_ONCE,
    ConditionalWriter,
    is_same,
    text_key,
)
from load.conditions import ABSENT, unchanged
from load.conflicts import kept
from load.load_state import LoadState
from utils.artifacts import ArtifactEntry, sha256_of, starts_record, utc_now
from utils.closing import Closes
from utils.config import NEWER
from utils.dynamodb import RequestRefused
from utils.error_handler import ArtifactError
from utils.interrupt import Interrupted
from utils.load_plan import (
    ADDED,
    CONDITIONAL,
    CONFLICT,
    EDITED,
    KEPT,
    KEPT_ABSENT,
    KEPT_MARKS,
    NEW,
    OURS,
    REPLACED,
    SAME,
    TO_ADD,
    LoadPlan,
)
from utils.logger import get_logger
from utils.run import Run
from utils.tables import TableSpec

_AHEAD = 4  # groups waiting for each one in hand
Refuse = Callable[[RefusedItem], object]


@dataclass(frozen=True)
class Planned:
    """A line of the transformed file with its place there (a byte offset) and its mark."""

    place: int
    line: bytes
    mark: int
    item: dict[str, Any]


@dataclass(frozen=True)
class Kept:
    """Records and items that the load has left as the table has them."""

    records: int = 0
    items: int = 0


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
        self._counts: Counter[int] = Counter()

    def close(self) -> None:
        self._stack.close()

    def about_to_send(self, start: int, end: int) -> None:
        """The lines from byte `start` to `end` are to be sent in batches: known from now on."""
        self.state.about_to_send(start, end)

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
            "%s: %s, item by item, on condition that nobody has changed it",
            self._entity.capitalize(),
            "writing what may have been sent before" if again else "replacing what is in conflict",
        )
        self._all(self._groups(again), refuse)
        self.plan.sync()
        get_logger().info(
            "%s: %d conditional requests, one an item, took %.0f write units (a batch sends 25 "
            "items in a request, for as many units)",
            self._entity.capitalize(),
            self.writer.requests,
            self.writer.units,
        )

    def conclude(self) -> Kept:
        """The load is complete. Returns what of the file is not in the table as it is in the file,
        and is to stay so."""
        self.plan.sync()
        self.state.complete = True
        self.state.save()
        self._counts = self.plan.count()
        items = sum(self._counts[mark] for mark in KEPT_MARKS)
        return Kept(self._kept_records() if items else 0, items)

    def _kept_records(self) -> int:
        """How many records are kept: those of which the first item is."""
        return sum(
            mark in KEPT_MARKS
            for _, line, mark in self.plan.lines_of(self._run.workspace.transformed(self._entity))
            if starts_record(line)
        )

    def figures(self) -> dict[str, Any]:
        """What the load's entry in the manifest says of its own: items that were in the table
        already, items replaced, conditional requests and their write units."""
        return {
            "alreadyThere": self._counts[SAME] + self._counts[OURS],
            "replaced": self._counts[REPLACED],
            "conditionalRequests": self.writer.requests,
            "conditionalWriteUnits": self.writer.units,
        }

    def _groups(self, again: Sequence[tuple[int, int]]) -> Iterator[list[Planned]]:
        """What is to be written on condition, about a hundred items at a time, whole records."""
        group: list[Planned] = []
        path = self._run.workspace.transformed(self._entity)
        for place, line, mark in self.plan.lines_of(path):
            if len(group) >= READ_AT_ONCE and starts_record(line):
                yield group
                group = []
            sent = mark == NEW and any(start <= place < end for start, end in again)
            if sent or mark in CONDITIONAL:
                group.append(Planned(place, line, mark, orjson.loads(line)["Item"]))
        if group:
            yield group

    def _all(self, groups: Iterable[list[Planned]], refuse: Refuse) -> None:
        workers = self._run.config.migration.workers
        waiting: list[Future[list[RefusedItem]]] = []
        with ThreadPoolExecutor(workers, thread_name_prefix="guard") as pool:
            try:
                for group in groups:
                    if self._run.stop.requested:
                        raise Interrupted
                    waiting.append(pool.submit(self._group, group))
                    if len(waiting) >= workers * _AHEAD:
                        _told(waiting.pop(0), refuse)
                while waiting:
                    _told(waiting.pop(0), refuse)
            except BaseException:
                pool.shutdown(wait=True, cancel_futures=True)
                raise

    def _group(self, group: list[Planned]) -> list[RefusedItem]:
        """Write a group; what is about to be replaced is kept first."""
        refused: list[RefusedItem] = []
        there: dict[tuple[str, str], dict[str, Any]] = {}
        disputed = [each for each in group if each.mark in CONDITIONAL]
        for start in range(0, len(disputed), READ_AT_ONCE):
            there |= self.writer.find(each.item for each in disputed[start : start + READ_AT_ONCE])
        self.before.keep(
            found
            for each in disputed
            if each.mark == CONFLICT
            and (found := there.get(text_key(each.item))) is not None
            and not is_same(found, each.item)
        )
        kept_records: set[str] = set()
        for each in group:
            pk = text_key(each.item)[0]
            if pk in kept_records:
                self.plan.mark(each.place, kept([each.mark])[0])
                continue
            try:
                mark = self._write(each, there.get(text_key(each.item)))
            except RequestRefused as refusal:
                refused.append(RefusedItem(each.line.rstrip(b"\n"), refusal.message))
                continue
            self.plan.mark(each.place, mark)
            if each.mark in CONDITIONAL and mark in KEPT_MARKS:
                kept_records.add(pk)
        return refused

    def _write(self, planned: Planned, there: dict[str, Any] | None) -> int:
        """Write one item if nobody has changed what is there; returns the line's new mark."""
        item, body = planned.item, planned.line.rstrip(b"\n")[8:-1]
        if planned.mark in (NEW, TO_ADD):
            written = self.writer.put(body, ABSENT)
            if written.done or is_same(written.found, item):
                return ADDED
            # Nobody but the run makes items with these keys: it was sent, and changed since.
            return EDITED if planned.mark == NEW else KEPT
        is_ours = planned.mark != CONFLICT
        if is_same(there, item):
            replaced = is_ours or self.before.find(item) is not None
            return (ADDED if is_ours else REPLACED) if replaced else SAME
        condition = self._may_replace(planned, there)
        if condition is not None:
            written = self.writer.put(body, condition)
            if written.done or is_same(written.found, item):
                return ADDED if is_ours else REPLACED
            there = written.found
        if there is None:
            return KEPT_ABSENT
        return EDITED if is_ours else KEPT

    def _may_replace(self, planned: Planned, there: dict[str, Any] | None) -> Any:
        """The condition under which what is there now may be replaced; None if it stays."""
        if there is None:
            return None  # the application has deleted it since the survey
        if planned.mark == CONFLICT and not is_same(self.before.find(planned.item), there):
            return None  # it was replaced once, and has been changed since
        if self._run.config.load.on_conflict == NEWER:
            theirs, ours = _moment(there), _moment(planned.item)
            if not theirs or theirs >= ours:
                return None
        return unchanged(there)


def publish_replaced(run: Run, entity: str) -> None:
    """Put the replaced items, if there are any, into the manifest as a file of records like
    others: they are encrypted with them. Whoever has the file open must have closed it."""
    path = run.workspace.before(entity)
    with Before(path) as before:
        items = before.count()
    if items:
        size = path.stat().st_size
        run.publish(path, ArtifactEntry(0, items, size, sha256_of(path), utc_now()))


def _moment(item: dict[str, Any]) -> str:
    return str(item.get("updatedAt", {}).get("S", ""))


def _told(done: Future[list[RefusedItem]], refuse: Refuse) -> None:
    for item in done.result():
        refuse(item)
