"""The survey before the first write: what the tables already hold under the keys of the load.

The load's backup is a picture of the table: its key index tells of every item whether it was there,
and with which content (load/conflicts/table_pictures.py). Two pictures matter: the first of the
run, from before its first write, and the last, from before this load. The transformed file is gone
through once in its order, a few reads of the index a record; what comes of it is the plan of the
load. What the picture has beside the records of the file is looked at as well: beside a record in
conflict it decides with (load/conflicts/policy.py); what is nowhere in the file is listed
(load/conflicts/only_in_target.py).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import orjson

from load.backup.key_index import KeyEntry
from load.conflicts.only_in_target import FOUND, STAYS, TAKEN, OnlyInTarget, list_what_left
from load.conflicts.policy import (
    NO_REST,
    Authors,
    LineStanding,
    Rest,
    decide,
    rest_of,
)
from load.conflicts.report import ConflictReport
from load.conflicts.table_pictures import Memory, Pictures, is_in
from load.load_settings import settings
from load.load_state import LoadState
from load.record_keys import keys_of
from load.undoable_loads import keep_loaded, make_way
from load.writing.batches import record_key, sort_key
from load.writing.conditional_writer import ConditionalWriter
from utils.config import FAIL
from utils.dynamodb.item_content import (
    Item,
    content_of,
    is_usual,
    updated_at,
    with_time,
)
from utils.dynamodb.item_text import content_of_line
from utils.dynamodb.table_spec import PARTITION_KEY, TableSpec
from utils.error_handler import TargetError
from utils.files.artifacts import split_records
from utils.files.elsewhere import size_of
from utils.files.line_marks import (
    CONDITIONAL,
    CONFLICT,
    NEW,
    OURS,
    REPLACED,
    SAME,
    UPDATE,
    LineMarks,
)
from utils.files.pieces import located_records, places
from utils.files.storage import make_directory, partial_of, publish, storage_errors
from utils.logger import get_logger
from utils.run.manifest import Manifest
from utils.run.run import Run
from utils.run.same_tables import reached_by
from utils.sale_numbering import toggled
from utils.wording.figures import counted

PHASE = "survey"
_TIMES = 20  # of other migrations; more are no such times


@dataclass(frozen=True)
class SurveyFigures:
    """What a survey of one entity says, in items; `records` counts those with a conflict."""

    new: int = 0
    there: int = 0
    conflicts: int = 0
    records: int = 0

    def plus(self, record: Sequence[LineStanding]) -> SurveyFigures:
        """These figures with those of another record."""
        new = sum(each.mark == NEW for each in record)
        disputed = sum(each.disputed for each in record)
        return SurveyFigures(
            self.new + new,
            self.there + len(record) - new - disputed,
            self.conflicts + disputed,
            self.records + bool(disputed),
        )


@dataclass(frozen=True)
class SurveyResult:
    """What a survey has found, by entity; `refusal` is why nothing may be written as it is."""

    figures: Mapping[str, SurveyFigures]
    refusal: TargetError | None = None


def survey_before_load(
    run: Run,
    tables: Mapping[str, TableSpec],
    entities: Sequence[str],
    only: Mapping[str, Collection[str]],
) -> None:
    """Plan the load of entities; a resumed load has its plan already.

    `only` names, for some entities, the legacy ids of the records that are to be written. Raises
    TargetError when `load.onConflict` is `fail` and there is a conflict, before anything is
    written; data/reports/conflicts_report.json lists all conflicts whatever the setting.
    """
    due = due_of(run, entities)
    if due and (refusal := survey(run, tables, due, only).refusal):
        raise refusal


def due_of(run: Run, entities: Sequence[str], *, syncs: bool = False) -> list[str]:
    """The entities of which a load is to be planned. What has been undone is done with: what the
    run wrote from here on is to be found out again. So it is after a sync, which has not looked at
    the whole tables, unless this one `syncs`, too, and the tables were not disturbed since."""
    has_plan = is_planned if syncs else goes_on
    due = [name for name in entities if not has_plan(run, name)]
    if run.manifest.rolled_back or _begins_anew(run, due, syncs=syncs):
        is_done_with(run)
    return due


def is_done_with(run: Run) -> None:
    """What was undone, or was not looked at as a whole, is done with: what the run writes from here
    on is a load of its own."""
    run.manifest.rolled_back = ""
    run.manifest.baseline = Manifest.new().baseline
    run.save()


def _begins_anew(run: Run, due: Sequence[str], *, syncs: bool) -> bool:
    """Whether the plans that this run has made already count for nothing."""
    states = (LoadState.load(run.workspace.load_state(name)) for name in due)
    return any(
        state.disturbed or not syncs
        for state in states
        if state is not None and state.is_sync and state.run_id == run.manifest.baseline
    )


def survey(
    run: Run,
    tables: Mapping[str, TableSpec],
    due: Sequence[str],
    only: Mapping[str, Collection[str]],
) -> SurveyResult:
    """Look at the tables of entities, report what is in conflict, and leave the plan of the load of
    each, unless there is a refusal. Nothing is written to a table."""
    run.workspace.set_aside("conflicts", *(f"only_in_target_{name}" for name in due))
    for name in due:  # they are parsed here: first of all they must be what was written
        run.artifact(run.workspace.transformed(name), written_by="transform")
    make_directory(run.workspace.undo)
    figures, plans = {}, []
    with ConflictReport(run) as report:
        for name in due:
            look = _Survey(run, tables[name], report)
            plans.append((name, *look.run(only.get(name))))
            figures[name] = look.found
        report.complete()
    if report.count and run.config.load.on_conflict == FAIL:
        return SurveyResult(figures, conflicts_refused(run, report))
    for name, state, plan in plans:
        make_way(run, name)
        publish(plan)
        forget_requests(run, name)
        state.save()
        keep_loaded(run, name)
    run.save()
    return SurveyResult(figures)


def conflicts_refused(run: Run, report: ConflictReport) -> TargetError:
    return TargetError(
        f"{counted(report.count, 'item differs', 'items differ')} between the target and S9 "
        "(different content, or missing from a record that is there); nothing was written:"
        + "".join(f"\n  - {line}" for line in report.first),
        remedy=f"all of them are in {run.workspace.report('conflicts')}. Set load.onConflict "
        "to skip (they stay as they are), newer (those that S9 changed later are replaced) or "
        f"overwrite, then run: {run.command('--resume')}",
    )


def plan_for_empty(run: Run, entity: str) -> None:
    """Plan the load of an entity into a table that is known to hold nothing, without looking."""
    make_directory(run.workspace.undo)
    size = run.manifest.artifacts[name_of(run, entity)].bytes
    LineMarks.create(run.workspace.plan(entity), size).close()
    forget_requests(run, entity)
    state_of(run, entity, {}).save()
    keep_loaded(run, entity)


def forget_requests(run: Run, entity: str) -> None:
    """What is known of the requests of another load is of places in another file."""
    with storage_errors(run.workspace.requests(entity)):
        run.workspace.requests(entity).unlink(missing_ok=True)


def name_of(run: Run, entity: str) -> str:
    return run.workspace.name_of(run.workspace.transformed(entity))


def state_of(run: Run, entity: str, pictures: dict[str, str]) -> LoadState:
    """The state of a load that is about to begin."""
    return LoadState(
        run.workspace.load_state(entity),
        run.manifest.baseline,
        run.manifest.sha_of(name_of(run, entity)),
        settings(run, entity),
        pictures,
        reached=reached_by(run, entity),
        run=run.manifest.run_id,
        items=run.manifest.artifacts[name_of(run, entity)].items,
        selected_by=selected_by(run, entity),
    )


def selected_by(run: Run, entity: str) -> str:
    """The digest of the settings by which the extract has chosen the records."""
    entry = run.manifest.phase("extract", entity)
    return entry.settings if entry else ""


def _going_on(state: LoadState, old: LoadState | None) -> LoadState:
    """The state of another load in a run that has loaded before: what it wrote is still its own,
    and what it had sent when it was cut off may still be on its way."""
    if old is None:
        return state
    on_its_way = old.in_flight and old.transformed == state.transformed
    return replace(
        state,
        began=old.began,
        wrote=old.wrote,
        in_flight=old.in_flight,
        sent=old.sent if on_its_way else [],
    )


def goes_on(run: Run, entity: str) -> bool:
    """Whether an interrupted load of exactly this file is to be continued."""
    state = LoadState.load(run.workspace.load_state(entity))
    return run.resuming and state is not None and state.is_of(run, entity, settings(run, entity))


def is_planned(run: Run, entity: str) -> bool:
    """Whether an interrupted sync of exactly this file has its plan. What was written last is known
    no more then, so that there can be no other one, unless the tables were disturbed."""
    state = LoadState.load(run.workspace.load_state(entity))
    return (
        run.resuming
        and state is not None
        and state.is_sync
        and not (state.undone or state.disturbed)
        and state.is_for(run, entity, settings(run, entity))
    )


@dataclass(frozen=True)
class _SurveyedRecord:
    """A record of the file as the survey finds it in the table. `left` says that the table has
    more under its partition key."""

    lines: Sequence[bytes]
    standings: list[LineStanding]
    left: list[KeyEntry]
    chosen: bool

    @property
    def needs_look(self) -> bool:
        """Whether the items that are left over have to be read, to know what they are: not those
        of the application beside a record that is the same."""
        same = all(each.mark != NEW and not each.disputed for each in self.standings)
        matters = any(each.migrated for each in self.left) or not same
        return self.chosen and bool(self.left) and matters


class _Survey:
    """The survey of one entity."""

    def __init__(self, run: Run, spec: TableSpec, report: ConflictReport) -> None:
        self._run = run
        self._spec = spec
        self._report = report
        self._table = run.config.target.table(spec.entity)
        self._policy = run.config.load.on_conflict
        self._times: list[str] = []
        self._kept = 0
        self.found = SurveyFigures()

    def run(self, only: Collection[str] | None) -> tuple[LoadState, Path]:
        """Write the plan (under its partial name); returns the state to be saved with it."""
        run, entity = self._run, self._spec.entity
        old = LoadState.load(run.workspace.load_state(entity))
        if old is not None and old.run_id != run.manifest.baseline:
            old = None
        names = dict(old.pictures) if old else {}
        pictures = Pictures.take(run, self._table, names)
        path = run.workspace.plan(entity)
        source = run.manifest.artifacts[name_of(run, entity)]
        surplus = OnlyInTarget()
        found = SurveyFigures(new=source.items)
        with LineMarks.create(partial_of(path), source.bytes) as plan:
            if pictures.last.entry.items:
                chosen = None if only is None else keys_of(run, entity, only)
                found, surplus = self._compare(pictures, plan, chosen)
            else:
                run.manifest.empty_as_of.setdefault(entity, run.manifest.created_at)
                run.workspace.report(f"only_in_target_{entity}").unlink(missing_ok=True)
            plan.sync()
        self.found = found
        get_logger().info(
            "%s in %s: %s new, %s already there, %s in conflict (%s)",
            entity.capitalize(),
            self._table,
            counted(found.new, "item is", "items are"),
            f"{found.there:,}",
            f"{found.conflicts:,}",
            counted(found.records, "record"),
        )
        if self._times:
            get_logger().warning(
                "%s: records without a time of their own carry another migration's (%s) and are "
                "otherwise the same; they stay. To give all of them the same time, set "
                "transformation.migrationTimestamp to it",
                entity.capitalize(),
                ", ".join(self._times),
            )
        state = state_of(run, entity, names)
        state.other_times, state.own_time = self._times, run.manifest.migration_timestamp
        state.kept = self._kept
        state.only_in_target = surplus.as_json()
        return _going_on(state, old), path

    def _compare(
        self, pictures: Pictures, plan: LineMarks, chosen: Collection[str] | None
    ) -> tuple[SurveyFigures, OnlyInTarget]:
        run, entity = self._run, self._spec.entity
        found = SurveyFigures()
        total = run.manifest.artifacts[name_of(run, entity)].items
        writer = ConditionalWriter(run.config, self._spec, run.stop)
        authors = Authors.of(run.config.transformation, run.manifest.empty_as_of.get(entity, ""))
        with ExitStack() as stack, run.progress.task(PHASE, entity, total, unit="items") as task:
            memory = stack.enter_context(Memory(pictures))
            look = RecordSurvey(memory, run.manifest.migration_timestamp)
            transformed = run.workspace.transformed(entity)
            for piece in places(size_of(transformed)):
                run.stop.leave_if_asked()
                start, lines = located_records(transformed, piece)
                marks: list[int] = []
                records = [look.at(record, chosen) for record in split_records(lines)]
                rests = self._rests(records, writer, authors)
                for record, rest in zip(records, rests, strict=True):
                    decided = decide(record.standings, self._policy, rest, chosen=record.chosen)
                    marks += decided
                    found = found.plus(record.standings)
                    look.note_rest(record, replaced=not CONDITIONAL.isdisjoint(decided))
                    if record.chosen:
                        self._kept += self._report.add(
                            entity, writer, record.lines, record.standings, decided, rest
                        )
                plan.mark_all(start, lines, marks)
                task.advance(len(marks))
            self._report.flush(writer)
            self._times = sorted(look.times)
            return found, list_what_left(run, entity, memory.last, look.seen)

    def _rests(
        self, records: Sequence[_SurveyedRecord], writer: ConditionalWriter, authors: Authors
    ) -> Iterator[Rest]:
        """What the table has beside each record: read where that matters, many together."""
        due = [each for each in records if each.needs_look]
        keys = [{(record_key(line), sort_key(line)) for line in each.lines} for each in due]
        asked = [
            ({PARTITION_KEY: {"S": record_key(each.lines[0])}}, {sk for _, sk in own})
            for each, own in zip(due, keys, strict=True)
        ]
        found = iter(zip(writer.records(asked), keys, strict=True))
        return (
            rest_of(*next(found), authors.is_own) if each.needs_look else NO_REST
            for each in records
        )


class RecordSurvey:
    """How records stand with two pictures of their table (one and the same in a first load).

    `seen` has a byte for each item of the last picture (load/conflicts/only_in_target.py): a
    hundredth of what the table takes, and the only thing here that grows with it. `times` are those
    that other migrations have given to rows without a time of their own, where all else is the
    same.
    """

    def __init__(self, memory: Memory, moment: str) -> None:
        """`moment` is the migration's own time, for rows without one."""
        self._memory = memory
        self._moment = moment
        self.times: set[str] = set()
        self.seen = bytearray(len(memory.last))

    def at(self, record: Sequence[bytes], chosen: Collection[str] | None) -> _SurveyedRecord:
        """The standing of a record's transformed lines, and what is left over in the picture."""
        index = self._memory.last
        under = index.under(orjson.loads(record[0])["Item"])
        standings = []
        for line in record:
            item = orjson.loads(line)["Item"]  # one at a time: there may be fifty thousand
            now = index.find(item) if under is None else under.pop(index.key_of(item), None)
            if now is not None:
                self.seen[now.place] = FOUND
            standings.append(self._standing(line, item, now))
        is_chosen = chosen is None or record_key(record[0]) in chosen
        return _SurveyedRecord(record, standings, list((under or {}).values()), is_chosen)

    def note_rest(self, record: _SurveyedRecord, *, replaced: bool) -> None:
        """Take note of what becomes of what is left over beside a record."""
        for entry in record.left:
            self.seen[entry.place] = TAKEN if replaced else STAYS

    def _standing(self, line: bytes, item: Item, now: KeyEntry | None) -> LineStanding:
        ours = updated_at(item)
        if now is None:
            return LineStanding(NEW, "", ours)
        text = _text_of(line, item)
        before = self._memory.before(item, now)
        renumbered = False
        if is_in(now, text, self._memory.salt):
            if before is None:
                mark = OURS
            else:
                is_same = is_in(before, text, self._memory.before_salt)
                mark = SAME if is_same else REPLACED
        elif self._has_another_time(item, now):
            mark = OURS if before is None else SAME
        else:
            mark = UPDATE if before is None else CONFLICT
            other = toggled(line)
            renumbered = other is not None and self._is_now(other, now)
        # The migration's own time says nothing of when a row was changed.
        ours = now.updated_at if ours == self._moment else ours
        return LineStanding(mark, now.updated_at, ours, renumbered)

    def _is_now(self, line: bytes, now: KeyEntry) -> bool:
        """Whether a line is what the table has, be it with another migration's time."""
        return is_in(now, _text_of(line), self._memory.salt) or self._has_another_time(
            orjson.loads(line)["Item"], now
        )

    def _has_another_time(self, item: Item, now: KeyEntry) -> bool:
        """Whether an item is the one in the table but for the time of a migration."""
        if not now.migrated or (len(self.times) >= _TIMES and now.updated_at not in self.times):
            return False
        theirs = with_time(item, self._moment, now.updated_at)
        if theirs is None or not is_in(now, content_of(theirs), self._memory.salt):
            return False
        self.times.add(now.updated_at)
        return True


def _text_of(line: bytes, item: Item | None = None) -> bytes:
    """The content of a line's item as the pictures of tables compare it."""
    if is_usual(line):
        return content_of_line(line)
    return content_of(item or orjson.loads(line)["Item"])
