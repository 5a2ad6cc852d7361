"""What a load would do with the tables as they are now: the survey of a plan, which writes to none.

It is the load's own survey (load/conflicts/survey.py), made with pictures of the tables that are
taken for it as the load takes its backup. So what a plan calls new, there, in conflict or kept is
what the load will call so, for as long as nobody changes anything.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from load.backup.before_load import last_backup
from load.backup.engine import back_up, new_name
from load.backup.folder import BackupPart, read_part
from load.conflicts.survey import PHASE, SurveyFigures, plan_for_empty, survey
from load.load_state import LoadState
from utils.dynamodb.item_content import Moments
from utils.dynamodb.table_spec import TableSpec
from utils.error_handler import ExitCode, TargetError
from utils.files.line_marks import (
    CONFLICT,
    KEPT_ABSENT,
    KEPT_MARKS,
    NEW,
    OURS,
    SAME,
    TO_ADD,
    UPDATE,
    LineMarks,
)
from utils.files.storage import storage_errors
from utils.plan.verdict import Obstacle, Stage
from utils.run.run import Run
from utils.wording.figures import counted
from utils.wording.invocation import again

_AFTER_FINDINGS = 100  # what stays out for the application is said after what S9 has to mend


@dataclass(frozen=True)
class ForeseenLoad:
    """What would become of an entity in its `table`, in items: those that it holds `now` (None:
    there is no such table), that are `new` there, `already_there`, to be `replaced`, and that stay
    as they are (`kept`), of which the `kept_absent` are in no table. `conflicts` are those that
    differ, of so many `records`. `only_in_target` is as a load's result has it
    (load/conflicts/only_in_target.py)."""

    table: str
    now: int | None = None
    new: int = 0
    already_there: int = 0
    replaced: int = 0
    kept: int = 0
    kept_absent: int = 0
    conflicts: int = 0
    records: int = 0
    only_in_target: Mapping[str, int] = field(default_factory=dict)
    moments: Moments = field(default_factory=Moments)

    @property
    def written(self) -> int:
        """How many items would be written."""
        return self.new + self.replaced

    def as_json(self) -> dict[str, Any]:
        return {
            "table": self.table,
            "exists": self.now is not None,
            "now": self.now,
            "new": self.new,
            "alreadyThere": self.already_there,
            "replaced": self.replaced,
            "kept": self.kept,
            "keptAbsent": self.kept_absent,
            "conflicts": self.conflicts,
            "conflictRecords": self.records,
            "onlyInTarget": dict(self.only_in_target),
        }


@dataclass(frozen=True)
class Foresight:
    """What a load would do, by entity; `refusal` is why it would not write anything."""

    entities: Mapping[str, ForeseenLoad]
    refusal: TargetError | None = None

    def as_json(self) -> dict[str, Any]:
        """The section of a plan, by entity."""
        return {name: each.as_json() for name, each in self.entities.items()}

    def of_a_part(self, run: Run) -> Foresight:
        """The same when only a part of S9 was read: what the tables hold beside it is not known to
        have left S9."""
        for name in self.entities:
            run.workspace.report(f"only_in_target_{name}").unlink(missing_ok=True)
        entities = {name: replace(each, only_in_target={}) for name, each in self.entities.items()}
        return replace(self, entities=entities)

    def obstacles(self, run: Run) -> Iterator[Obstacle]:
        """What of it is in the way of a migration."""
        report = run.workspace.report("conflicts")
        if self.refusal:
            yield Obstacle(
                Stage.LOAD,
                self.refusal.message,
                f"all of them are in {report}. Set load.onConflict to skip (they stay as they "
                "are), newer (those that S9 changed later are replaced) or overwrite, then look "
                f"again: {again()}",
                ExitCode.FAILED,
            )
        absent = sum(each.kept_absent for each in self.entities.values())
        if absent:
            items = counted(absent, "item of S9 is", "items of S9 are")
            yield Obstacle(
                Stage.HELD_BACK,
                f"{items} in no table: the record stays as the table has it (listed in {report})",
                "enter what is missing in the Sale Module after the load, or let S9 win: set "
                f"load.onConflict to overwrite, then look again: {again()}",
                ExitCode.QUARANTINED,
                rank=_AFTER_FINDINGS,
                count=absent,
            )


@contextmanager
def pictures_of(run: Run, entities: Sequence[str], missing: Collection[str]) -> Iterator[Run]:
    """Read the tables of entities into the data directory, as the backup before a load does, but
    for those `missing` (their names); yields the run that finds them there. They are deleted from
    it at the end.

    Raises what a backup raises.
    """
    looking = _with_pictures_inside(run)
    there = {run.config.target.table(name): None for name in entities}
    try:
        for table in filter(lambda name: name not in missing, there):
            _take_picture(looking, table)
        yield looking
    finally:
        run.manifest.backups = {}
        shutil.rmtree(looking.config.backups, ignore_errors=True)


def _take_picture(run: Run, table: str) -> None:
    """Read a table, so that the survey finds its picture as it finds the backup of a load."""
    folder = back_up(run, table, new_name(run.config, table), phase=PHASE)
    entry = {"name": folder.path.name, "complete": True, "items": folder.entry.items}
    run.manifest.backups[table] = [{**entry, "sha256": folder.sha256}]


def _with_pictures_inside(run: Run) -> Run:
    """The same run, with backups of the tool's own inside its data directory: of no use to anybody
    but this run, so they are not encrypted."""
    plain = replace(run.config.backup, directory=None, recipient=None)
    looking = replace(run, config=replace(run.config, backup=plain))
    looking.workers = run.workers
    return looking


def foresee(
    run: Run, tables: Mapping[str, TableSpec], entities: Sequence[str], missing: Collection[str]
) -> Foresight:
    """Say what a load of entities would do; with `pictures_of` them. Tables that are `missing`
    would be created. Raises TargetError when a table cannot be read."""
    table = run.config.target.table
    there = [name for name in entities if table(name) not in missing]
    result = survey(run, tables, there, {})
    found = {}
    for name in entities:
        if name not in there:
            plan_for_empty(run, name)
            items = run.manifest.artifacts[f"transformed/{name}.json"].items
            found[name] = ForeseenLoad(table(name), new=items)
        elif result.refusal:
            found[name] = _refused(run, name, result.figures[name])
        else:
            found[name] = _planned(run, name, result.figures[name])
    return Foresight(found, result.refusal)


def forget_load(run: Run) -> None:
    """Delete what a rehearsal has for a load: there is nothing to resume or to undo, and it holds
    records whole."""
    shutil.rmtree(run.workspace.undo, ignore_errors=True)
    for name in [name for name in run.manifest.artifacts if name.startswith("undo/")]:
        del run.manifest.artifacts[name]


def held_in(run: Run, entity: str) -> tuple[Sequence[Any], Callable[[Any], Iterable[bytes]]]:
    """What the picture of an entity's table has: its pieces, and what gives the lines
    `{"Item":…}` of one, in any process."""
    picture = last_backup(run, run.config.target.table(entity))
    if picture is None:
        return (), partial(_lines_of, Path())
    return picture.entry.parts, partial(_lines_of, picture.path)


def _lines_of(folder: Path, part: BackupPart) -> Iterable[bytes]:
    path = folder / part.file
    with storage_errors(path):
        stored = path.read_bytes()
    return read_part(path, part, stored, ())


def _now(run: Run, entity: str) -> int:
    picture = last_backup(run, run.config.target.table(entity))
    return picture.entry.items if picture else 0


def _refused(run: Run, entity: str, found: SurveyFigures) -> ForeseenLoad:
    return ForeseenLoad(
        run.config.target.table(entity),
        now=_now(run, entity),
        new=found.new,
        already_there=found.there,
        conflicts=found.conflicts,
        records=found.records,
    )


def _planned(run: Run, entity: str, found: SurveyFigures) -> ForeseenLoad:
    with LineMarks(run.workspace.plan(entity)) as plan:
        marks = plan.count()
    state = LoadState.load(run.workspace.load_state(entity))
    assert state is not None
    items = run.manifest.artifacts[f"transformed/{entity}.json"].items
    marks[NEW] = items - marks.total()
    return ForeseenLoad(
        run.config.target.table(entity),
        now=_now(run, entity),
        new=marks[NEW] + marks[TO_ADD],
        already_there=marks[SAME] + marks[OURS],
        replaced=marks[CONFLICT] + marks[UPDATE],
        kept=sum(marks[mark] for mark in KEPT_MARKS),
        kept_absent=marks[KEPT_ABSENT],
        conflicts=found.conflicts,
        records=found.records,
        only_in_target=state.only_in_target,
        moments=state.moments,
    )
