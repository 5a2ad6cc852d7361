"""The survey before the first write: what the tables already hold under the keys of the load.

The load's backup is a picture of the table: its key index tells of every item whether it was there,
and with which content (load/backup_keys.py). Where no backup is made, the survey takes a picture of
its own, of which it keeps the key index only. Two pictures matter: the first of the run, from
before its first write, and the last, from before this load. The transformed file is gone through
once in its order, a few reads of the index a line; what comes of it is the plan of the load.
"""

from __future__ import annotations

import shutil
from collections.abc import Collection, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from hashlib import blake2b
from pathlib import Path

import orjson

from load.backup import back_up, new_name
from load.backup_folder import BackupFolder
from load.backup_keys import DIGEST, KeyEntry, KeyIndex
from load.backup_run import first_backup, last_backup
from load.conditional_writer import ConditionalWriter
from load.conflict_report import ConflictReport
from load.conflicts import IN_CONFLICT, Standing, decide
from load.lines import record_key
from load.load_settings import settings
from load.load_state import LoadState
from load.refusals import keys_of
from utils.artifacts import split_records
from utils.config import FAIL
from utils.error_handler import TargetError
from utils.interrupt import Interrupted
from utils.item_content import content, content_of_line, is_usual, normal_item
from utils.load_plan import CONFLICT, NEW, OURS, REPLACED, SAME, UPDATE, LoadPlan
from utils.logger import get_logger
from utils.pieces import located_records, places
from utils.run import Run
from utils.tables import TableSpec
from utils.workspace import PARTIAL_SUFFIX, make_directory, publish, storage_errors

PHASE = "survey"


@dataclass(frozen=True)
class Found:
    """What a survey of one entity says, in items; `records` counts those with a conflict."""

    new: int = 0
    there: int = 0
    conflicts: int = 0
    records: int = 0

    def plus(self, record: Sequence[Standing]) -> Found:
        """These figures with those of another record."""
        new = sum(each.mark == NEW for each in record)
        disputed = sum(each.mark in IN_CONFLICT for each in record)
        return Found(
            self.new + new,
            self.there + len(record) - new - disputed,
            self.conflicts + disputed,
            self.records + bool(disputed),
        )


def survey_before_load(
    run: Run,
    tables: Mapping[str, TableSpec],
    entities: Sequence[str],
    only: Mapping[str, Collection[str]],
) -> None:
    """Plan the load of entities; a load that goes on has its plan already.

    `only` names, for some entities, the legacy ids of the records that are to be written. Raises
    TargetError when `load.onConflict` is `fail` and there is a conflict, before anything is
    written; data/reports/conflicts_report.json lists all conflicts whatever the setting.
    """
    if run.manifest.rolled_back:
        shutil.rmtree(run.workspace.undo, ignore_errors=True)
        run.manifest.rolled_back = ""
        run.save()
    due = [name for name in entities if not goes_on(run, name)]
    if not due:
        return
    for name in due:  # they are parsed here: first of all they must be what was written
        run.artifact(run.workspace.transformed(name), written_by="transform")
    make_directory(run.workspace.undo)
    states = []
    with ConflictReport(run) as report:
        for name in due:
            survey = _Survey(run, tables[name], report)
            states.append(survey.run(only.get(name)))
        report.complete()
    if report.count and run.config.load.on_conflict == FAIL:
        raise TargetError(
            f"{report.count:,} items are already in the target with another content than S9 "
            "gives them now; nothing was written:"
            + "".join(f"\n  - {line}" for line in report.first),
            remedy=f"all of them are in {run.workspace.report('conflicts')}. Set load.onConflict "
            "to skip (they stay as they are), newer (those changed later in S9 are replaced) or "
            f"overwrite, and go on: {run.command('--resume')}",
        )
    for state, plan in states:
        with storage_errors(plan):
            publish(plan.with_name(plan.name + PARTIAL_SUFFIX), plan)
        state.save()


def plan_for_empty(run: Run, entity: str) -> None:
    """Plan the load of an entity into a table that is known to hold nothing, without looking."""
    make_directory(run.workspace.undo)
    size = run.manifest.artifacts[_name_of(run, entity)].bytes
    LoadPlan.create(run.workspace.plan(entity), size).close()
    _state_of(run, entity, {}).save()


def _name_of(run: Run, entity: str) -> str:
    return run.workspace.name_of(run.workspace.transformed(entity))


def _state_of(run: Run, entity: str, pictures: dict[str, str]) -> LoadState:
    """The state of a load that is about to begin."""
    return LoadState(
        run.workspace.load_state(entity),
        run.manifest.baseline,
        run.manifest.sha_of(_name_of(run, entity)),
        settings(run, entity),
        pictures,
    )


def goes_on(run: Run, entity: str) -> bool:
    """Whether an interrupted load of exactly this file is to be continued."""
    state = LoadState.load(run.workspace.load_state(entity))
    return run.resuming and state is not None and state.is_of(run, entity, settings(run, entity))


class _Survey:
    """The survey of one entity."""

    def __init__(self, run: Run, spec: TableSpec, report: ConflictReport) -> None:
        self._run = run
        self._spec = spec
        self._report = report
        self._table = run.config.target.table(spec.entity)

    def run(self, only: Collection[str] | None) -> tuple[LoadState, Path]:
        """Write the plan (under its partial name); returns the state to be saved with it."""
        run, entity = self._run, self._spec.entity
        old = LoadState.load(run.workspace.load_state(entity))
        if old is None or old.run_id != run.manifest.baseline:
            run.workspace.before(entity).unlink(missing_ok=True)
            old = None
        pictures = dict(old.pictures) if old else {}
        first, last = self._pictures(pictures)
        path = run.workspace.plan(entity)
        source = run.manifest.artifacts[_name_of(run, entity)]
        with LoadPlan.create(path.with_name(path.name + PARTIAL_SUFFIX), source.bytes) as plan:
            if last.entry.items:
                chosen = None if only is None else keys_of(run, entity, only)
                found = self._compare(first, last, plan, chosen)
            else:
                found = Found(new=source.items)
            plan.sync()
        get_logger().info(
            "%s in %s: %d items are new, %d are there already, %d in conflict (%d records)",
            entity.capitalize(),
            self._table,
            found.new,
            found.there,
            found.conflicts,
            found.records,
        )
        return _state_of(run, entity, pictures), path

    def _pictures(self, known: dict[str, str]) -> tuple[BackupFolder, BackupFolder]:
        """The first and the last picture of the table in this run."""
        last = last_backup(self._run, self._table)
        if last is None:
            last = self._own_picture()
            known.setdefault("first", last.path.name)
        first = first_backup(self._run, self._table)
        if first is None:
            first = BackupFolder.open(self._own / known["first"]) if "first" in known else last
        return (last, last) if first.path == last.path else (first, last)

    @property
    def _own(self) -> Path:
        return self._run.workspace.undo / "pictures"

    def _own_picture(self) -> BackupFolder:
        """Read the table as a backup does, and keep the key index of it."""
        run = self._run
        backup = replace(run.config.backup, directory=str(self._own), recipient=None)
        config = replace(run.config, backup=backup)
        name = new_name(config, self._table)
        folder = back_up(replace(run, config=config), self._table, name)
        with storage_errors(folder.path):
            for part in folder.entry.parts:
                (folder.path / part.file).unlink()
        return folder

    def _compare(
        self,
        first: BackupFolder,
        last: BackupFolder,
        plan: LoadPlan,
        chosen: Collection[str] | None,
    ) -> Found:
        run, entity = self._run, self._spec.entity
        found = Found()
        total = run.manifest.artifacts[_name_of(run, entity)].items
        writer = ConditionalWriter(run.config, self._spec, run.stop)
        with ExitStack() as stack, run.progress.task(PHASE, entity, total) as task:
            now = stack.enter_context(last.keys())
            before = now if first is last else stack.enter_context(first.keys())
            look = Look(before, now, before_salt=first.digests.salt, salt=last.digests.salt)
            transformed = run.workspace.transformed(entity)
            for piece in places(transformed.stat().st_size):
                if run.stop.requested:
                    raise Interrupted
                start, lines = located_records(transformed, piece)
                marks: list[int] = []
                for record in split_records(lines):
                    is_chosen = chosen is None or record_key(record[0]) in chosen
                    standings = [look.at(line) for line in record]
                    decided = decide(standings, run.config.load.on_conflict, chosen=is_chosen)
                    marks += decided
                    found = found.plus(standings)
                    if is_chosen:
                        self._report.add(entity, writer, record, standings, decided)
                plan.mark_all(start, lines, marks)
                task.advance(len(marks))
            self._report.flush(writer)
        return found


@dataclass(frozen=True)
class Look:
    """How a line stands with two pictures of its table (one and the same in a first load)."""

    first: KeyIndex
    last: KeyIndex
    before_salt: bytes
    salt: bytes

    def at(self, line: bytes) -> Standing:
        """The standing of a transformed line."""
        item = orjson.loads(line)["Item"]
        now = self.last.find(item)
        if now is None:
            return Standing(NEW)
        text = content_of_line(line) if is_usual(line) else content(normal_item(item))
        same = _is(text, now, self.salt)
        before = now if self.first is self.last else self.first.find(item)
        if same:
            if before is None:
                return Standing(OURS)
            return Standing(SAME if _is(text, before, self.before_salt) else REPLACED)
        ours = str(item.get("updatedAt", {}).get("S", ""))
        return Standing(UPDATE if before is None else CONFLICT, now.updated_at, ours)


def _is(text: bytes, entry: KeyEntry, salt: bytes) -> bool:
    return blake2b(text, digest_size=DIGEST, key=salt).digest() == entry.digest
