"""`rollback --repair`: the last repair is undone (load/rollback/undo_repair.py), and what is kept
of it is listed in data/reports/repair_rollback_report.json.

What it has replaced or taken away comes back first, parties before the sales that name them; then
what it has created goes, sales before their parties.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import IO, Any

import orjson

from load.conflicts.policy import Authors
from load.conflicts.repair_journal import RepairedRecord, RepairJournal
from load.load_state import disturb
from load.rollback.report import CHANGED, IN_USE
from load.rollback.undo_repair import RepairUndone, UndoingRepair
from load.sending.job_pool import JobPool
from load.target.writer_mark import marked
from load.undoable_repairs import RepairState, drop_repair, journals_in
from load.writing.transactions import MOST_WRITES
from utils.dynamodb.table_spec import TableSpec
from utils.error_handler import ConfigurationError
from utils.files.storage import make_directory, open_private, partial_of, publish, storage_errors
from utils.run.run import Run
from utils.run.same_tables import require_tables_to_undo
from utils.run.sealing import seal, unseal

PHASE = "rollback"
NAME, FORESEEN = "repair_rollback", "repair_rollback_plan"
_ABOUT = 1 << 10  # bytes of an item


@dataclass
class UndoneRepair:
    """What became of the last repair, or would: when that began, how many records of which entity
    were undone, and how many are kept for which reason."""

    began: str
    undone: Counter[str] = field(default_factory=Counter)
    kept: dict[str, Counter[str]] = field(default_factory=dict)

    @property
    def records(self) -> int:
        return self.undone.total()

    @property
    def stays(self) -> int:
        """How many records are kept."""
        return sum(each.total() for each in self.kept.values())


def last_repair(run: Run) -> RepairState:
    """The repair that can be undone. Raises ConfigurationError when there is none."""
    state = RepairState.load(run.workspace)
    if state is None:
        raise ConfigurationError(
            f"there is no repair to undo in {run.workspace.root}: none has written anything that "
            "is not undone already, or a load has written since",
            remedy=f"look at the tables: {run.command('--phase verify')}",
        )
    return state


def undo_last_repair(
    run: Run, tables: Mapping[str, TableSpec], *, writes: bool = True
) -> UndoneRepair:
    """Undo the last repair, or foresee that. Raises ConfigurationError when there is none,
    TargetError when DynamoDB cannot be used, and Interrupted when a stop is asked for; calling it
    again goes on."""
    state = last_repair(run)
    unseal(run)
    loaded = {name: state.reached.get(name, {}) for name in tables}
    require_tables_to_undo(run, loaded)
    if not writes:
        done = _Undoing(run, tables, state, writes=False).all()
        seal(run)
        return done
    with marked(run, list(map(run.config.target.table, tables)), "a rollback"):
        run.workspace.set_aside("verification")
        run.manifest.phases.pop("verify", None)
        state.undoing = True
        state.save()
        disturb(run.workspace)
        run.save()
        done = _Undoing(run, tables, state, writes=True).all()
    drop_repair(run)
    run.save()
    seal(run)
    return done


class _Undoing:
    """The undoing of a repair in all of its entities."""

    def __init__(
        self, run: Run, tables: Mapping[str, TableSpec], state: RepairState, *, writes: bool
    ) -> None:
        self._run, self._tables, self._writes = run, tables, writes
        self._done = UndoneRepair(state.began)
        self._journals = dict(journals_in(run.workspace))
        make_directory(run.workspace.scratch)
        self._list = run.workspace.scratch / "kept-of-repair"

    def all(self) -> UndoneRepair:
        with ExitStack() as stack:
            kept = stack.enter_context(open_private(self._list, "wb"))
            for name in self._journals:
                self._pass(name, _brings_back, kept)
            for name in reversed(list(self._journals)):
                self._pass(name, lambda record: not _brings_back(record), kept)
        self._report()
        return self._done

    def _pass(
        self, entity: str, takes_part: Callable[[RepairedRecord], bool], kept: IO[bytes]
    ) -> None:
        run = self._run
        work = UndoingRepair(
            run.config.target,
            run.config.migration,
            self._tables[entity],
            Authors.of(run.config.transformation, run.manifest.empty_as_of.get(entity, "")),
            self._writes,
        )
        path = self._journals[entity]
        with ExitStack() as stack:
            journal = stack.enter_context(RepairJournal(path))
            total = journal.counts()["records"]
            task = stack.enter_context(
                run.progress.task(PHASE, entity, total, unit="records", step="undoing the repair")
            )

            def settle(_: Sequence[RepairedRecord], done: Sequence[RepairUndone]) -> None:
                for each in done:
                    self._note(entity, each, kept)
                task.advance(len(done))

            jobs = _jobs(filter(takes_part, journal.records()))
            JobPool(run, work, settle, size=path.stat().st_size).do_all(jobs)

    def _note(self, entity: str, done: RepairUndone, kept: IO[bytes]) -> None:
        if not done.kept:
            self._done.undone[entity] += bool(done.steps)
            return
        reason = CHANGED if done.changes else IN_USE
        self._done.kept.setdefault(entity, Counter())[reason] += 1
        with storage_errors(self._list):
            kept.write(_line(entity, done, reason))

    def _report(self) -> None:
        path = self._run.workspace.report(NAME if self._writes else FORESEEN)
        partial = partial_of(path)
        done = self._done
        head = {
            **self._run.report_head(),
            "began": done.began,
            "entities": {
                name: {"undone": done.undone[name], "kept": dict(done.kept.get(name, {}))}
                for name in self._journals
            },
        }
        with storage_errors(path), open_private(partial, "wb") as out:
            out.write(orjson.dumps(head, option=orjson.OPT_INDENT_2)[:-2] + b',\n  "kept": [')
            separator = b"\n    "
            for line in self._list.open("rb"):
                out.write(separator + line.rstrip(b"\n"))
                separator = b",\n    "
            out.write(b"\n  ]\n}\n")
            out.flush()
            os.fsync(out.fileno())
        publish(path)


def _brings_back(record: RepairedRecord) -> bool:
    """Whether there was something before the repair that is to be there again."""
    return any(step.old is not None for step in record.steps)


def _jobs(records: Iterable[RepairedRecord]) -> Iterator[list[RepairedRecord]]:
    """Records, about a hundred items of them together."""
    job: list[RepairedRecord] = []
    items = 0
    for record in records:
        if job and items + len(record.steps) > MOST_WRITES:
            yield job
            job, items = [], 0
        job.append(record)
        items += len(record.steps)
    if job:
        yield job


def _line(entity: str, done: RepairUndone, reason: str) -> bytes:
    """What the report says of a record that is kept: no value of it."""
    entry: dict[str, Any] = {
        "entity": entity,
        "PK": done.record.pk,
        "legacyId": done.record.legacy_id,
        "reason": reason,
        "changes": [
            {"SK": each.sk, "what": each.what, "attributes": list(each.attributes)}
            for each in done.changes
        ],
        "usedBy": done.used_by or None,
    }
    return orjson.dumps(entry) + b"\n"
