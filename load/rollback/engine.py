"""Undoing the load of the last run that has written, also one that was cut short.

What the run created is deleted, what it replaced comes back, and a record on which the application
has worked since stays whole (load/rollback/undo_record.py), as does one that another names which
stays (load/rollback/records_in_use.py). Sales go before the parties that they need. When all is
done it is looked once more, a little later: for what the application has written meanwhile to what
it had read before, for records that an index did not list yet, and, if the load was killed, for
requests of it that were still on their way. A rollback that is killed continues where it was.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from load.rollback.entity import EntityRollback, file_of
from load.rollback.key_set import KeySet
from load.rollback.records_in_use import SETTLED_AFTER
from load.rollback.report import Rolled, write_rollback_report
from load.s3_import.left_objects import failed_tables, require_ended
from load.target.aws_commands import delete_table
from load.target.writer_mark import marked
from load.undoable_loads import Load, forget, loads_in
from utils.aws.session import CONNECT_TIMEOUT, READ_TIMEOUT
from utils.dynamodb.table_spec import TableSpec
from utils.entities import ENTITY_NAMES
from utils.error_handler import ConfigurationError
from utils.logger import get_logger
from utils.run.run import Run
from utils.run.same_tables import require_tables_to_undo
from utils.run.sealing import seal, unseal
from utils.wording.figures import counted

PHASE = "rollback"
FORESEEN = "rollback_plan"  # the report of what would be done
BEGUN, DONE = "begun", "done"
# How long a request that nobody waits for any more may still be on its way to the table.
UNDERWAY_FOR = float(CONNECT_TIMEOUT + READ_TIMEOUT)


@dataclass(frozen=True)
class Time:
    """The clock and how to wait, in seconds."""

    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] | None = None  # None: until a stop is asked for


def roll_back(run: Run, tables: Mapping[str, TableSpec], when: Time | None = None) -> Rolled:
    """Undo the load of the last run that has written; returns what was done.

    A run that was killed at its first writes may have written nothing: then the one before it is
    the last. Raises ConfigurationError when there is nothing to undo, ArtifactError when a file
    that is needed is not what it was, TargetError when DynamoDB cannot be used, and Interrupted
    when a stop is asked for; calling it again resumes.
    """
    when = when or Time(sleep=run.stop.sleep)
    runs = loads_to_undo(run)
    unseal(run)
    _require_same_tables(run, runs[0])
    with marked(run, list(map(run.config.target.table, tables)), "a rollback"):
        # They are of what is undone now.
        run.workspace.set_aside("verification", "reconciliation", "load")
        for loads in runs:
            _require_same_tables(run, loads)
            rolled = _Rollback(run, tables, loads, when).undo()
            if rolled.done or any(load.state.wrote for load in loads):
                break
            get_logger().info("Run %s has written nothing: undoing the run before it", rolled.run)
    return rolled


def foresee(run: Run, tables: Mapping[str, TableSpec]) -> Rolled:
    """What `roll_back` would do now; nothing is written to the tables. Raises as it does."""
    loads = loads_to_undo(run)[0]
    unseal(run)
    _require_same_tables(run, loads)
    rolled = _Rollback(run, tables, loads, Time(), writes=False).foresee()
    seal(run)
    return rolled


def loads_to_undo(run: Run) -> list[list[Load]]:
    """The loads that a rollback undoes, run by run, the latest first; the second and later are for
    when those before them turn out to have written nothing. Raises ConfigurationError when there
    is nothing to undo."""
    require_ended(run)
    runs: dict[str, list[Load]] = {}
    for load in loads_in(run.workspace):
        if load.state.may_have_written:
            runs.setdefault(load.state.run_id, []).append(load)
    found = sorted(runs.values(), key=began, reverse=True)
    if not found:
        raise _nothing_to_undo(run)
    ends = run.manifest.rolled_back == BEGUN  # where the last one was killed just before its end
    if is_done(found[0]) and not (ends or any(load.state.in_flight for load in found[0])):
        raise _undone_already(run, name_of(found[0]))
    return found


def _require_same_tables(run: Run, loads: Sequence[Load]) -> None:
    """Raise AnotherTable unless the tables are those that were loaded."""
    require_tables_to_undo(run, {load.entity: load.state.reached for load in loads})


def is_done(loads: Sequence[Load]) -> bool:
    """Whether the loads of a run are undone: what is kept of them is for looking again."""
    return all(load.state.undone.get("done") for load in loads)


def name_of(loads: Sequence[Load]) -> str:
    """The run that these are the loads of."""
    return loads[0].state.run or loads[0].state.run_id


def began(loads: Sequence[Load]) -> str:
    """When a run began to write."""
    return min(load.state.began for load in loads)


def _nothing_to_undo(run: Run) -> ConfigurationError:
    if run.manifest.rolled_back == DONE:
        return _undone_already(run, run.manifest.undoes)
    if tables := failed_tables(run):
        commands = "; ".join(delete_table(run.config.target, table) for table in tables)
        return ConfigurationError(
            f"there is nothing to undo record by record: the import of {', '.join(tables)} has "
            "failed, and what it has left is a table that nobody uses",
            remedy=f"delete it, if it is there: {commands}",
        )
    return ConfigurationError(
        f"there is nothing to undo in {run.workspace.root}: no run has written anything that is "
        "not undone already",
        remedy=f"to list what can be restored: {run.command('backups')}",
    )


def _undone_already(run: Run, name: str) -> ConfigurationError:
    return ConfigurationError(
        f"the load of run {name} was undone already (see {run.workspace.report(PHASE)})",
        remedy=f"start a new run: {run.command('--full')}",
    )


class _Rollback:
    """The rollback of one run's loads."""

    def __init__(
        self,
        run: Run,
        tables: Mapping[str, TableSpec],
        loads: Sequence[Load],
        when: Time,
        *,
        writes: bool = True,
    ) -> None:
        self._run, self._when = run, when
        self._sleep = when.sleep or run.stop.sleep
        self._loads = {load.entity: load for load in loads}
        named: dict[str, str] = {}
        doomed = None if writes else KeySet()
        # What names others goes before them: sales before their parties.
        self._parts = [
            EntityRollback(run, tables[name], load, file_of(run, load), named, doomed)
            for name in reversed(ENTITY_NAMES)
            if (load := self._loads.get(name))
        ]
        self._rolled = Rolled(name_of(loads), began(loads), again=is_done(loads))
        self._in_flight = any(load.state.in_flight for load in loads)

    def undo(self) -> Rolled:
        run, rolled = self._run, self._rolled
        started = self._when.clock()
        ended: dict[str, float] = {}  # when the first pass of each was over
        if not rolled.again:
            run.manifest.rolled_back, run.manifest.undone_run = BEGUN, rolled.run
            run.save()
            for part in self._parts:
                part.first()
                ended[part.entity] = self._when.clock()
            self._wait_for_requests(started)
        for part in self._parts:
            if part.entity in ended:
                self._let_settle(ended[part.entity])
            part.again()
        self._bring_back()
        self._report(PHASE)
        for name, figures in rolled.figures.items():
            get_logger().info(
                "%s: %s deleted, %d restored, %d kept",
                name.capitalize(),
                counted(figures.deleted, "item"),
                figures.restored,
                figures.kept,
            )
        self._conclude()
        return rolled

    def foresee(self) -> Rolled:
        for part in self._parts:
            part.first()
        self._bring_back()
        self._report(FORESEEN)
        return self._rolled

    def _bring_back(self) -> None:
        """What a repair of the load has taken away comes back, parties before sales."""
        for part in reversed(self._parts):
            part.bring_back()

    def _wait_for_requests(self, started: float) -> None:
        """Wait until nothing of a load that was cut off is on its way any more."""
        if not self._in_flight:
            return
        left = started + UNDERWAY_FOR - self._when.clock()
        get_logger().warning(
            "The load of run %s was cut off: one of its requests may still be on its way to the "
            "tables. Looking again in %.0f seconds; you can stop this and run it again",
            self._rolled.run,
            max(left, SETTLED_AFTER),
        )
        with self._run.progress.task(PHASE, "", None, step="waiting"):
            self._sleep(max(left, SETTLED_AFTER))

    def _let_settle(self, ended: float) -> None:
        """Wait until a second look at what was undone by then sees all that it is for."""
        left = ended + SETTLED_AFTER - self._when.clock()
        if left > 0 and any(part.figures.done for part in self._parts):
            with self._run.progress.task(PHASE, "", None, step="waiting"):
                self._sleep(left)

    def _report(self, name: str) -> None:
        rolled = self._rolled
        rolled.figures = {part.entity: part.figures for part in self._parts}
        rolled.late = sum(part.late for part in self._parts)
        write_rollback_report(self._run, name, rolled, [part.kept for part in self._parts])

    def _conclude(self) -> None:
        """The load is undone: say so in the manifest, and drop what was needed to undo it, unless
        something may still arrive."""
        run = self._run
        for load in self._loads.values():
            load.state.undone["done"] = True
            load.state.save()
        if not self._rolled.again or run.manifest.rolled_back == BEGUN:
            self._tell_manifest()
        if not self._in_flight:
            forget(run, list(self._loads.values()))
        run.save()
        seal(run)

    def _tell_manifest(self) -> None:
        """What the manifest says of loads no longer holds. Another run's, that has not come to
        its load, can go on."""
        run, manifest = self._run, self._run.manifest
        own = next(iter(self._loads.values())).state.run_id == manifest.baseline
        loaded = own or bool(manifest.phases.get("load")) or any(_states_of(run))
        manifest.rolled_back = DONE if loaded else ""
        for phase in ("load", "verify"):
            manifest.phases.pop(phase, None)
        if not loaded:
            return
        manifest.backups = {}
        run.checkpoint.clear()
        forget(run, [load for load in _states_of(run) if not load.state.may_have_written])


def _states_of(run: Run) -> Iterator[Load]:
    """The loads that the manifest's own run has begun."""
    return (load for load in loads_in(run.workspace) if load.state.run_id == run.manifest.baseline)
