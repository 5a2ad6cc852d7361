"""The plan of a sync: what of a new transformed file is to be written, and what has left S9.

A record that is as it was written last is not touched, and not looked at. One that is not is read,
strongly consistent: where the table has what was written last, it is replaced whole; where the
application has changed, added or deleted anything of it, `load.onConflict` decides, as in a load
(load/conflicts/policy.py). The plan is that of a load in which nothing goes out in batches: all is
written on condition that it is still as it was seen.

What was written and is in the file no more goes to data/undo/{entity}.removed: records whole, in
the order of their keys (load/sync/removal.py). data/undo/{entity}.changes lists what is new or
different, a JSON object a line, for the report (load/sync/report.py).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO

import orjson

from load.conflicts.only_in_target import OnlyInTarget
from load.conflicts.policy import (
    NO_REST,
    LineStanding,
    Rest,
    decide,
    in_conflict,
    rest_of,
)
from load.conflicts.report import ConflictReport
from load.conflicts.survey import (
    conflicts_refused,
    due_of,
    forget_requests,
    name_of,
    selected_by,
    state_of,
)
from load.conflicts.table_pictures import PartOfTable
from load.load_state import LoadState
from load.sync.comparison import Changed, Gone, Same, compare
from load.sync.known_records import KnownFiles, KnownRecords, known_of
from load.sync.rebuilt import rebuilt
from load.undoable_loads import drop_pictures, keep_loaded, make_way
from load.writing.conditional_writer import ConditionalWriter, Found, text_key
from utils.config import FAIL
from utils.dynamodb.item_content import (
    Item,
    Moments,
    differ_only_in,
    is_same,
    updated_at,
    with_time,
)
from utils.dynamodb.table_spec import TableSpec
from utils.error_handler import ConfigurationError, SourceError
from utils.files.artifacts import ArtifactEntry, sha256_of, utc_now
from utils.files.line_marks import (
    CONDITIONAL,
    CONFLICT,
    KEPT_MARKS,
    NEW,
    SAME,
    TO_ADD,
    LineMarks,
)
from utils.files.storage import make_directory, open_private, partial_of, publish, storage_errors
from utils.files.workspace import Workspace
from utils.logger import get_logger
from utils.run.run import Run
from utils.run.same_tables import look
from utils.wording.figures import counted

PHASE = "survey"
_SUSPICIOUS = 100  # records, all of an entity
_TOGETHER = 100  # records that are looked at together …
_LINES, _BYTES = 1_000, 8 << 20  # … if they have no more lines and bytes than so many


def plan_sync(
    run: Run, tables: Mapping[str, TableSpec], entities: Sequence[str], known: Workspace
) -> None:
    """Plan the sync of entities; one that is resumed has its plan already. `known` is the data
    directory whose loads say what was written last.

    Raises TargetError when a table cannot be read, or when `load.onConflict` is `fail` and
    somebody else has changed what is to be written, before anything is; ArtifactError and
    StorageError when a file is not what it should be; Interrupted when a stop is asked for.
    """
    due = due_of(run, entities, syncs=True)
    for name in set(entities) - set(due):
        if not run.workspace.loaded(name).exists():  # killed just then
            keep_loaded(run, name)
    if not due:
        return
    run.workspace.set_aside("conflicts")
    make_directory(run.workspace.undo)
    plans = []
    with ConflictReport(run) as report:
        for name in due:
            run.artifact(run.workspace.transformed(name), written_by="transform")
            plans.append((name, _Planning(run, tables[name], report, known).plan()))
        report.complete()
    if report.count and run.config.load.on_conflict == FAIL:
        raise conflicts_refused(run, report)
    files = run.workspace
    for name, state in plans:
        make_way(run, name)
        for path in (files.plan(name), files.removed(name), files.changes(name)):
            publish(path)
        publish_records(run, files.removed(name))
        forget_requests(run, name)
        files.staying(name).unlink(missing_ok=True)
        state.save()
        keep_loaded(run, name)
    drop_pictures(files)
    run.save()


def publish_records(run: Run, path: Path) -> None:
    """Put a file of records into the manifest, so that it is encrypted as others are; without a
    record there is none."""
    name = run.workspace.name_of(path)
    run.manifest.artifacts.pop(name, None)
    with storage_errors(path):
        size = path.stat().st_size if path.exists() else 0
        if size:
            run.publish(path, ArtifactEntry(0, 0, size, sha256_of(path), utc_now()))
        else:
            path.unlink(missing_ok=True)


def _require_same_selection(run: Run, entity: str, known: Workspace) -> None:
    """Raise ConfigurationError when the extract has chosen by other settings than that of the last
    load: what these leave out has not left S9."""
    state = LoadState.load(known.load_state(entity))
    if state is not None and state.selected_by and state.selected_by != selected_by(run, entity):
        raise ConfigurationError(
            f"the settings that say which {entity} are extracted have changed since the last load "
            "(extraction, source.layout, source.schema, source.timezone): what they leave out now "
            "would be taken for deleted in S9; nothing was written",
            remedy="put them back; or, if they are right now, load once with them: "
            f"{run.command('--full --restart')}",
        )


def known_to(run: Run, spec: TableSpec, known: Workspace) -> KnownFiles:
    """What is known of an entity by the loads of the data directory `known`; where these do not say
    it, by its table. Raises TargetError, ArtifactError, StorageError and Interrupted."""
    table = run.config.target.table(spec.entity)
    _require_same_selection(run, spec.entity, known)
    reached = look(run.config.target, table)
    found = known_of(known, spec.entity, reached.as_json() if reached else {})
    if found is None:
        get_logger().info(
            "%s: no load of this data directory says what all of %s is: it is read for that",
            spec.entity.capitalize(),
            table,
        )
    return found or rebuilt(run, spec)


@dataclass(frozen=True)
class _Look:
    """A record of the file beside what the table holds of it: how each line stands, what is under
    the partition key besides, and what of that is to go with it."""

    changed: Changed
    items: Sequence[Item]
    standings: Sequence[LineStanding]
    rest: Rest
    surplus: int = 0

    @property
    def what(self) -> str:
        """What the record is to the target."""
        if all(each.mark == NEW and not each.deleted for each in self.standings):
            return "new"
        if self.surplus or any(each.mark != SAME for each in self.standings):
            return "changed"
        return "asItWas"


@dataclass
class _Planning:
    """The planning of one entity."""

    run: Run
    spec: TableSpec
    report: ConflictReport
    known: Workspace
    _counts: Counter[str] = field(default_factory=Counter)
    _kept: int = 0

    def plan(self) -> LoadState:
        """Write the plan, what is removed and what has changed, under their partial names; returns
        the state to be saved with them."""
        run, files, entity = self.run, self.run.workspace, self.spec.entity
        table = run.config.target.table(entity)
        source = run.manifest.artifacts[name_of(run, entity)]
        self._writer = ConditionalWriter(run.config, self.spec, run.stop)
        known, pictures = known_to(run, self.spec, self.known), dict[str, str]()
        with ExitStack() as opened:
            opened.enter_context(storage_errors(files.undo))
            self._plan = opened.enter_context(
                LineMarks.create(partial_of(files.plan(entity)), source.bytes)
            )
            self._picture = opened.enter_context(PartOfTable(run, table, entity))
            self._removed = opened.enter_context(_opened(files.removed(entity)))
            self._changes = opened.enter_context(_opened(files.changes(entity)))
            with (
                KnownRecords(known) as records,
                run.progress.task(PHASE, entity, source.items, unit="items") as task,
            ):
                for lines in self._compared(files.transformed(entity), records):
                    task.advance(lines)
                    run.stop.leave_if_asked()
            self._require_some()
            self.report.flush(self._writer)
            self._plan.sync()
            self._picture.complete(pictures)
        return self._state(known, pictures)

    def _require_some(self) -> None:
        """Raise SourceError when S9 hands over nothing of all that there was."""
        gone, entity = self._counts["gone"], self.spec.entity
        if self._counts.total() == gone >= _SUSPICIOUS:
            raise SourceError(
                f"S9 hands over no {entity} at all, and {counted(gone, 'record')} were migrated: "
                "nothing was written",
                remedy="see whether this is the right S9, and whether the account may still read "
                "it; to take everything out of the target, undo the load: "
                f"{self.run.command('rollback')}",
            )

    def _compared(self, path: Path, known: KnownRecords) -> Iterator[int]:
        """Go through the file beside what is known; yields how many lines are done with."""
        waiting: list[Changed] = []
        count = size = 0
        for each in compare(path, known):
            if isinstance(each, Same):
                self._counts["unchanged"] += each.records
                self._mark(each.place, each.lines, [SAME] * len(each.lines))
                yield len(each.lines)
            elif isinstance(each, Gone):
                self._counts["gone"] += 1
                self._removed.writelines(each.known.lines)
            else:
                waiting.append(each)
                count += len(each.lines)
                size += sum(map(len, each.lines))
                if len(waiting) == _TOGETHER or count >= _LINES or size >= _BYTES:
                    self._look_at(waiting, known.moments)
                    yield count
                    waiting, count, size = [], 0, 0
        if waiting:
            self._look_at(waiting, known.moments)
            yield count

    def _mark(self, start: int, lines: Sequence[bytes], marks: Sequence[int]) -> None:
        places = []
        for line, mark in zip(lines, marks, strict=True):
            places.append((start, mark))
            start += len(line)
        self._plan.mark_some(places)

    def _look_at(self, records: Sequence[Changed], moments: Moments) -> None:
        """Look at records in the table, and decide what is to be done about each."""
        items = [[_item(line) for line in each.lines] for each in records]
        asked = [(own[0], {text_key(item)[1] for item in own}) for own in items]
        found = self._writer.records(asked)
        moment = self.run.manifest.migration_timestamp
        for changed, own, there in zip(records, items, found, strict=True):
            self._picture.add(there.values())
            self._decide(_look(changed, own, there, moments, moment))

    def _decide(self, seen: _Look) -> None:
        """Mark the lines of a record by how it stands."""
        policy, lines = self.run.config.load.on_conflict, seen.changed.lines
        marks = decide(seen.standings, policy, seen.rest)
        if not in_conflict(seen.standings, seen.rest):
            marks = [TO_ADD if mark == NEW else mark for mark in marks]
            if seen.surplus and not CONDITIONAL.intersection(marks):
                marks[0] = CONFLICT
        self._mark(seen.changed.place, lines, marks)
        self._kept += self.report.add(
            self.spec.entity, self._writer, lines, seen.standings, marks, seen.rest
        )
        what = seen.what
        if KEPT_MARKS.intersection(marks):
            what = "kept"
        self._counts["unchanged" if what == "asItWas" else what] += 1
        if what != "asItWas":
            self._changes.write(_change(self.spec.entity, what, seen, marks))

    def _state(self, known: KnownFiles, pictures: dict[str, str]) -> LoadState:
        counts = {name: self._counts[name] for name in ("unchanged", "new", "changed", "kept")}
        state = state_of(self.run, self.spec.entity, pictures)
        state.sync = {**counts, "removed": self._counts["gone"]}
        state.own_time = self.run.manifest.migration_timestamp
        state.other_times = list(known.moments.theirs)
        state.kept = self._kept
        state.only_in_target = OnlyInTarget().as_json()  # what has left S9 is told by itself
        get_logger().info(
            "%s: %s as they were, %s new, %s changed, %s kept, %s no longer in S9",
            self.spec.entity.capitalize(),
            counted(counts["unchanged"], "record"),
            f"{counts['new']:,}",
            f"{counts['changed']:,}",
            f"{counts['kept']:,}",
            f"{self._counts['gone']:,}",
        )
        return state


def _opened(path: Path) -> IO[bytes]:
    return open_private(partial_of(path), "wb")


def _item(line: bytes) -> Item:
    item: Item = orjson.loads(line)["Item"]
    return item


def _look(
    changed: Changed, items: Sequence[Item], there: Found, moments: Moments, moment: str
) -> _Look:
    """How a record stands. What is in the table exactly as it was written last is nobody's; with
    anything else of the record the whole of it is in dispute."""
    written = changed.known.written() if changed.known else {}

    def is_written(item: Item) -> bool:
        return moments.are_same(item, written.get(text_key(item)[1]))

    standings = [
        _standing(item, there.get(text_key(item)), written, is_written, moment) for item in items
    ]
    rest = rest_of(there, set(map(text_key, items)), is_written)
    is_touched = bool(rest.others) or any(each.disputed for each in standings)
    if not is_touched:
        return _Look(changed, items, standings, NO_REST, len(rest.own))
    standings = [replace(each, as_written=False) for each in standings]
    return _Look(changed, items, standings, rest)


def _standing(
    item: Item,
    found: Item | None,
    written: Collection[str],
    is_written: Callable[[Item], bool],
    moment: str,
) -> LineStanding:
    """How one item of a record stands."""
    ours = updated_at(item)
    if found is None:
        return LineStanding(NEW, "", ours, deleted=text_key(item)[1] in written)
    theirs = updated_at(found)
    if is_same(found, item) or is_same(found, with_time(item, moment, theirs)):
        return LineStanding(SAME, theirs, ours)
    # The migration's own time says nothing of when a row was changed.
    ours = theirs if ours == moment else ours
    return LineStanding(
        CONFLICT,
        theirs,
        ours,
        renumbered=differ_only_in(found, item, "GSI4"),
        as_written=is_written(found),
    )


def _change(entity: str, what: str, seen: _Look, marks: Sequence[int]) -> bytes:
    """What the report says of a record."""
    head = seen.items[0]
    pk, _ = text_key(head)
    added = sum(mark in (NEW, TO_ADD) for mark in marks)
    replaced = sum(each.mark == CONFLICT for each in seen.standings)
    return (
        orjson.dumps(
            {
                "entity": entity,
                "PK": pk,
                "legacyId": head.get("legacyId", {}).get("S"),
                "what": what,
                "items": {"added": added, "replaced": replaced, "takenAway": seen.surplus},
            }
        )
        + b"\n"
    )
