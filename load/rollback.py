"""Undoing the last run's load, also one that was cut short.

What the run created is deleted, what it replaced comes back, and what the application has changed
since stays (load/undo.py). Sales go before the parties that they need. A rollback that is killed
goes on where it was: an item that it finds gone in the part where it may have been the one who
deleted it counts as deleted.
"""

from __future__ import annotations

import os
import shutil
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from typing import IO, Any

import orjson

from load.conditional_writer import READ_AT_ONCE
from load.conditions import ABSENT
from load.engine import unacknowledged
from load.guard import Guard, Planned
from load.load_state import LoadState
from load.rollback_report import Undone, kept_line, write_rollback_report
from load.undo import LEFT_ALONE, Fate, Undo
from utils.error_handler import ConfigurationError
from utils.interrupt import Interrupted
from utils.load_plan import CONFLICT, EDITED, NEW, REPLACED
from utils.logger import get_logger
from utils.run import Run
from utils.same_tables import require_tables_to_undo
from utils.sealing import seal, unseal
from utils.tables import TableSpec
from utils.workspace import open_private, storage_errors

PHASE = "rollback"
BEGUN, DONE = "begun", "done"
_AHEAD = 4 << 20  # bytes of the file for which one mark is set
_GROUPS_AHEAD = 2  # waiting for each one in hand
_SAVE_EVERY = 1.0  # seconds

Result = list[tuple[Fate, dict[str, Any] | None]]


@dataclass
class _Group:
    """Consecutive lines that something is to be done about, and where the file goes on after
    them. `passed` are the figures of lines up to there about which nothing is to be done."""

    lines: list[Planned]
    end: int
    passed: Undone = field(default_factory=Undone)


def roll_back(run: Run, tables: Mapping[str, TableSpec]) -> dict[str, Undone]:
    """Undo the load of the run that the manifest knows; returns the figures by entity.

    Raises ConfigurationError when there is nothing to undo, ArtifactError when a file that is
    needed is not what it was, TargetError when DynamoDB cannot be used, and Interrupted when a
    stop is asked for; calling it again goes on.
    """
    loaded = _loaded(run)
    unseal(run)
    for entity in loaded:
        _check(run, entity)
    _require_same_tables(run, loaded)
    run.manifest.rolled_back = BEGUN
    run.save()
    figures = {}
    for entity in reversed(loaded):
        figures[entity] = _EntityRollback(run, tables[entity]).run()
    write_rollback_report(run, figures)
    _conclude(run)
    return figures


def foresee(run: Run, tables: Mapping[str, TableSpec]) -> dict[str, Undone]:
    """What `roll_back` would do now; nothing is written. Raises as it does."""
    loaded = _loaded(run)
    unseal(run)
    for entity in loaded:
        _check(run, entity)
    _require_same_tables(run, loaded)
    figures = {
        entity: _EntityRollback(run, tables[entity], writes=False).run()
        for entity in reversed(loaded)
    }
    seal(run)
    return figures


def _loaded(run: Run) -> list[str]:
    """The entities of which the run may have written something."""
    if run.manifest.rolled_back == DONE:
        raise ConfigurationError(
            f"the load of run {run.manifest.run_id} has been undone already "
            f"(see {run.workspace.report(PHASE)})",
            remedy=f"a new run is {run.command('--full')}",
        )
    found = [
        entity
        for entity in ("buyers", "producers", "sales")
        if (state := LoadState.load(run.workspace.load_state(entity)))
        and state.run_id == run.manifest.baseline
    ]
    if not found:
        raise ConfigurationError(
            f"there is nothing to undo in {run.workspace.root}: its last run has loaded nothing",
            remedy=f"what can be restored is listed by: {run.command('backups')}",
        )
    return found


def _check(run: Run, entity: str) -> None:
    """Raise ArtifactError unless the transformed file is the one that was loaded."""
    path = run.workspace.transformed(entity)
    run.artifact(path, written_by="transform")
    state = LoadState.load(run.workspace.load_state(entity))
    if state is None or state.transformed != run.manifest.sha_of(run.workspace.name_of(path)):
        raise ConfigurationError(
            f"{path} has been written again since it was loaded: what was loaded is not known "
            "any more",
            remedy="put the tables back as they were, by `restore`; the backups are listed by: "
            f"{run.command('backups')}",
        )


def _require_same_tables(run: Run, loaded: Sequence[str]) -> None:
    """Raise AnotherTable unless the tables are those that were loaded."""
    states = {entity: LoadState.load(run.workspace.load_state(entity)) for entity in loaded}
    require_tables_to_undo(
        run, {entity: state.reached for entity, state in states.items() if state is not None}
    )


def _conclude(run: Run) -> None:
    """The load is undone: say so in the manifest, then drop what was needed to undo it."""
    manifest = run.manifest
    manifest.rolled_back = DONE
    manifest.backups = {}
    for phase in ("load", "verify"):
        manifest.phases.pop(phase, None)
    for name in [name for name in manifest.artifacts if name.startswith("undo/")]:
        del manifest.artifacts[name]
    run.save()
    run.checkpoint.clear()
    with storage_errors(run.workspace.undo):
        shutil.rmtree(run.workspace.undo)
    seal(run)


class _EntityRollback:
    """The rollback of one entity."""

    def __init__(self, run: Run, spec: TableSpec, *, writes: bool = True) -> None:
        self._run = run
        self._spec = spec
        self._writes = writes
        self._source = run.workspace.transformed(spec.entity)

    def run(self) -> Undone:
        """Undo what is left to undo; returns the figures of all of it."""
        run, entity = self._run, self._spec.entity
        items = run.manifest.artifacts[run.workspace.name_of(self._source)].items
        with ExitStack() as stack:
            guard = stack.enter_context(Guard(run, self._spec))
            self._guard, self._state = guard, guard.state
            self._undo = Undo(guard.before, guard.writer, writes=self._writes)
            self._unknown = unacknowledged(run, entity)
            saved = self._state.undone if self._writes else {}
            self._figures = Undone(**saved.get("figures", {}))
            self._place: int = saved.get("place", 0)
            self._repeated: int = saved.get("mark", 0)
            self._mark = self._repeated
            self._saved_at = time.monotonic()
            self._kept: IO[bytes] | None = None
            if self._writes:
                self._kept = stack.enter_context(self._open_kept(saved.get("kept", 0)))
            with run.progress.task(PHASE, entity, items) as task:
                self._all(task.advance)
            if self._writes:
                for item in guard.before.taken():  # unless somebody has put another there
                    guard.writer.put(orjson.dumps(item), ABSENT)
            self._save()
        if self._writes:
            get_logger().info(
                "%s: %d items deleted, %d restored, %d kept",
                entity.capitalize(),
                self._figures.deleted,
                self._figures.restored,
                self._figures.kept,
            )
        return self._figures

    def _open_kept(self, size: int) -> IO[bytes]:
        path = self._run.workspace.kept(self._spec.entity)
        open_private(path, "ab").close()
        handle = open_private(path, "r+b")
        handle.truncate(size)
        handle.seek(size)
        return handle

    def _all(self, advance: Any) -> None:
        """Undo group after group, many at once, and take note of them in their order."""
        workers = self._run.config.migration.workers
        waiting: deque[tuple[_Group, Future[Result]]] = deque()

        def settle() -> None:
            group, result = waiting[0]
            self._settle(group, result.result())
            waiting.popleft()
            advance(len(group.lines))

        with ThreadPoolExecutor(workers, thread_name_prefix="rollback") as pool:
            try:
                for group in self._groups():
                    if self._run.stop.requested:
                        raise Interrupted
                    self._set_mark(group.end)
                    waiting.append((group, pool.submit(self._undo.undo, group.lines)))
                    if len(waiting) >= workers * _GROUPS_AHEAD:
                        settle()
                while waiting:
                    settle()
            except BaseException:
                pool.shutdown(wait=True, cancel_futures=True)
                while waiting and waiting[0][1].done() and not waiting[0][1].cancelled():
                    if waiting[0][1].exception():
                        break
                    settle()
                self._save()
                raise

    def _groups(self) -> Iterator[_Group]:
        lines: list[Planned] = []
        passed, end = Undone(), self._place
        for place, line, mark in self._guard.plan.lines_of(self._source, self._place):
            end = place + len(line)
            if mark == NEW and not self._state.may_be_sent(place):
                passed.never_written += 1
            elif mark in LEFT_ALONE:
                passed.left_alone += 1
            else:
                lines.append(Planned(place, line, mark, orjson.loads(line)["Item"]))
            if len(lines) == READ_AT_ONCE:
                yield _Group(lines, end, passed)
                lines, passed = [], Undone()
        yield _Group(lines, end, passed)

    def _settle(self, group: _Group, result: Result) -> None:
        """Count what became of a group."""
        figures = self._figures
        figures.never_written += group.passed.never_written
        figures.left_alone += group.passed.left_alone
        for planned, (fate, there) in zip(group.lines, result, strict=True):
            self._count(planned, fate)
            if fate is Fate.KEPT and self._kept is not None:
                line = kept_line(self._spec.entity, planned.item, there or {})
                with storage_errors(self._run.workspace.kept(self._spec.entity)):
                    self._kept.write(line)
        self._place = group.end
        if time.monotonic() - self._saved_at >= _SAVE_EVERY:
            self._save()

    def _count(self, planned: Planned, fate: Fate) -> None:
        figures, place = self._figures, planned.place
        replaced = planned.mark in (REPLACED, CONFLICT) or (
            planned.mark == EDITED and self._guard.before.find(planned.item) is not None
        )
        if fate is Fate.LEFT_ALONE:
            figures.left_alone += 1
            return
        if fate is Fate.GONE and not replaced:
            if place < self._repeated:
                fate = Fate.DELETED  # by the rollback that was cut short here
            elif planned.mark == NEW and any(a <= place < b for a, b in self._unknown):
                figures.never_written += 1
                return
        if replaced:
            figures.replaced += 1
            figures.restored += fate is Fate.RESTORED
            figures.replaced_kept += fate is Fate.KEPT
            figures.replaced_gone += fate is Fate.GONE
        else:
            figures.created += 1
            figures.deleted += fate is Fate.DELETED
            figures.created_kept += fate is Fate.KEPT
            figures.created_gone += fate is Fate.GONE

    def _set_mark(self, end: int) -> None:
        """From now on, items before `end` may have been deleted."""
        if self._writes and end > self._mark:
            self._mark = end + _AHEAD
            self._save()

    def _save(self) -> None:
        """Save how far everything has been taken note of."""
        if self._kept is None:
            return
        with storage_errors(self._run.workspace.undo):
            self._kept.flush()
            os.fsync(self._kept.fileno())
        self._state.undone = {
            "place": self._place,
            "mark": self._mark,
            "kept": self._kept.tell(),
            "figures": asdict(self._figures),
        }
        self._state.save()
        self._saved_at = time.monotonic()
