"""Repairing what a verification has found: what is missing or different is written again, what is
only in the target taken away; on condition, record by record, and not where it is the application's
(load/repair/mend_record.py).

Parties are mended before the sales that name them; with the lines that a record is to lose, what it
lacks goes out together. Whole records are taken away after that, sales before their parties, and no
party that a sale names; it is looked for such sales once more a little later.

What is done is written down before it is done (load/conflicts/repair_journal.py): for the report,
for `rollback --repair`, and for whoever is killed. The same command takes up what was cut short.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from load.conflicts.policy import Authors
from load.conflicts.repair_journal import CREATED, REPLACED, TAKEN_AWAY, RepairJournal
from load.conflicts.replaced_items import ReplacedItems
from load.conflicts.table_pictures import Pictures
from load.engine import require_validated
from load.load_state import LoadState, disturb
from load.repair.damaged_records import Damaged, DamagedRecords, counted_by_kind
from load.repair.mend_record import IN_USE, TO_TAKE_AWAY, Rules, Signed
from load.repair.mending_pieces import LoadUndo, Mended, MendedTogether, Repairing
from load.repair.report import Asked, Kinds, Repaired, RepairFigures, line_of, write_repair_report
from load.rollback.key_set import KeySet
from load.rollback.records_in_use import SETTLED_AFTER
from load.rollback.undo_repair import PartiesAgain
from load.sending.job_pool import JobPool
from load.target.writer_mark import marked
from load.undoable_repairs import (
    RepairState,
    bring_back_earlier,
    drop_earlier,
    journals_in,
    put_aside,
)
from load.writing.transactions import MOST_WRITES
from utils.differences import DAMAGE
from utils.dynamodb.item_content import Moments
from utils.dynamodb.table_spec import TableSpec
from utils.entities import ENTITY_NAMES, is_referenced
from utils.error_handler import ArtifactError, ConfigurationError
from utils.files.artifacts import ArtifactEntry, sha256_of, utc_now
from utils.files.quarantine import quarantined_keys
from utils.files.storage import make_directory, open_private, storage_errors
from utils.logger import get_logger
from utils.run.run import Run
from utils.run.same_tables import reached_by

PHASE = "repair"
_ABOUT = 1 << 10  # bytes of an item


def kinds_of(run: Run, entities: Iterable[str]) -> dict[str, dict[str, int]]:
    """What the last verification has found of these entities: items by kind."""
    return {name: counted_by_kind(run.workspace.differences(name)) for name in entities}


def is_due(found: Kinds, asked: Asked) -> bool:
    """Whether there is anything of what is asked for."""
    wanted = _wanted(asked)
    return any(kinds.get(kind) for kinds in found.values() for kind in wanted)


def is_under_way(run: Run) -> bool:
    """Whether a repair was cut short, and is to be taken up."""
    state = RepairState.load(run.workspace)
    return state is not None and not state.closed and state.run_id == run.manifest.baseline


def _wanted(asked: Asked) -> frozenset[str]:
    return (DAMAGE if asked.repair else frozenset()) | (
        TO_TAKE_AWAY if asked.extra else frozenset()
    )


@dataclass
class Repair:
    """A repair of entities by what the verification before it has found.

    `signed` says whether an item was changed by somebody since it was loaded; `given` is the run
    whose transformed files say what is right (by default this one).
    """

    run: Run
    tables: Mapping[str, TableSpec]
    entities: Sequence[str]
    asked: Asked
    signed: Signed
    given: Run | None = None
    sleep: Callable[[float], None] | None = None
    _figures: dict[str, RepairFigures] = field(default_factory=dict)
    _lists: list[Path] = field(default_factory=list)
    _doomed: KeySet = field(default_factory=KeySet)

    def do(self) -> Repaired:
        """Repair, or foresee it; writes the report. Raises ConfigurationError when a load or an
        undoing is unfinished, ArtifactError when a file is not what it should be, TargetError when
        DynamoDB cannot be used, and Interrupted when a stop is asked for."""
        self.entities = [name for name in ENTITY_NAMES if name in self.entities]
        self._require_files()
        before = kinds_of(self.run, self.entities)
        if not self.asked.writes:
            self._all()
            return self._report(Repaired(self.asked, utc_now(), before))
        state = self._begin(before)
        tables = list(map(self.run.config.target.table, self.tables))
        with marked(self.run, tables, "a repair"):
            self._settle_the_unsettled()
            self._all()
            self._look_again()
        self._publish()
        return self._report(Repaired(self.asked, state.began, state.before))

    def conclude(self, repaired: Repaired, *, passed: bool) -> None:
        """The verification after it has been done: the repair is over."""
        repaired.after, repaired.passed = kinds_of(self.run, self.entities), passed
        self._report(repaired)
        files, state = self.run.workspace, RepairState.load(self.run.workspace)
        if state is None or state.closed:
            return
        if repaired.records:
            drop_earlier(files)
            state.closed = True
            state.save()
        else:
            bring_back_earlier(files)
            self._publish()

    # What must be so

    def _require_files(self) -> None:
        if self.run.manifest.rolled_back:
            raise ConfigurationError(
                f"the load of run {self.run.manifest.undoes} was undone: there is nothing to "
                "repair",
                remedy=f"start a new run: {self.run.command('--full')}",
            )
        for name in self.entities:
            load = self._load_state(name)
            if load is not None and load.may_have_written and not load.complete:
                raise ConfigurationError(
                    f"the load of {name} is not complete: it would write once more what is "
                    "repaired now",
                    remedy=f"complete it first: {self.run.command('--resume')}",
                )
            given = self.given or self.run
            given.artifact(given.workspace.transformed(name), written_by="transform")
            require_validated(given, name)
        if self.asked.extra:
            self._require_all_selected()

    def _load_state(self, entity: str) -> LoadState | None:
        """The state of the load, None when there is none; also when it cannot be read, and S9
        itself says what is right: no such load can be resumed."""
        try:
            return LoadState.load(self.run.workspace.load_state(entity))
        except ArtifactError:
            if self.given is None:
                raise
            return None

    def _require_all_selected(self) -> None:
        """Raise ConfigurationError where a file has but the first of S9's records."""
        for name in self.entities:
            if getattr(self.run.config.extraction, name).limit is not None:
                raise ConfigurationError(
                    f"extraction.{name}.limit is set: what is only in the target may be in S9",
                    remedy=f"take it out, then start a new run: {self.run.command('--full')}",
                )

    def _begin(self, before: Kinds) -> RepairState:
        """The state of this repair; durable when this returns, and so is that its files are about
        to change."""
        run, files = self.run, self.run.workspace
        state = RepairState.load(files)
        if state is not None and state.undoing:
            raise ConfigurationError(
                f"the repair of {state.began} is being undone, and that was cut short",
                remedy=f"finish it: {run.command('rollback --repair')}",
            )
        if state is None or state.closed or state.run_id != run.manifest.baseline:
            make_directory(files.undo)
            put_aside(files)
            reached = {name: reached_by(run, name) for name in ENTITY_NAMES}
            counts = {name: dict(kinds) for name, kinds in before.items()}
            path = files.repair_state
            state = RepairState(path, run.manifest.baseline, utc_now(), reached, counts)
            state.save()
        disturb(files)
        for name in ENTITY_NAMES:
            for path in (files.repair_steps(name), files.before(name)):
                run.manifest.artifacts.pop(files.name_of(path), None)
        run.save()
        return state

    # The passes

    def _all(self) -> None:
        with ExitStack() as stack:
            records = {
                name: stack.enter_context(self._damaged(name))
                for name in self.entities
                if self.run.workspace.differences(name).exists()
            }
            for name, some in records.items():
                if some.count:
                    self._pass(name, some.in_file(self._transformed(name)), some.count, "mending")
            for name in reversed(records):
                if self.asked.extra and records[name].count:
                    self._pass(name, records[name].elsewhere(), None, "taking away")

    def _damaged(self, entity: str) -> DamagedRecords:
        make_directory(self.run.workspace.scratch)
        scratch = self.run.workspace.scratch / f"damaged-{entity}"
        scratch.unlink(missing_ok=True)
        differences = self.run.workspace.differences(entity)
        return DamagedRecords(scratch, differences, _wanted(self.asked))

    def _transformed(self, entity: str) -> Path:
        return (self.given or self.run).workspace.transformed(entity)

    def _pass(self, entity: str, records: Iterator[Damaged], total: int | None, step: str) -> None:
        """Go through records, many at once, and take note of what became of them."""
        figures = self._figures.setdefault(entity, RepairFigures())
        path = self.run.workspace.scratch / f"{PHASE}-{entity}-{len(self._lists)}"
        self._lists.append(path)
        with ExitStack() as stack:
            out = stack.enter_context(open_private(path, "wb"))
            task = stack.enter_context(
                self.run.progress.task(PHASE, entity, total, unit="records", step=step)
            )
            journal = None
            if self.asked.writes:
                journal = stack.enter_context(self._journal(entity))

            def settle(_: Sequence[Damaged], done: MendedTogether) -> None:
                self._note(entity, done.records, figures, out, journal)
                task.advance(len(done.records), write_units=done.units)

            size = (total or 0) * _ABOUT
            JobPool(self.run, self._work(entity), settle, size=size).do_all(_jobs(records))

    def _journal(self, entity: str) -> RepairJournal:
        return RepairJournal(self.run.workspace.repair_steps(entity))

    def _note(
        self,
        entity: str,
        done: Sequence[Mended],
        figures: RepairFigures,
        out: IO[bytes],
        journal: RepairJournal | None,
    ) -> None:
        if journal is not None:
            journal.settle(
                [key for each in done for key in each.keys],
                not_done=[key for each in done for key in each.keys_not_done],
            )
        for each in done:
            figures.left.update([each.reason] if each.reason else [])
            if journal is None:
                figures.records += bool(each.done)
                figures.items.update(what for _, what in each.done)
                if each.done:
                    self._doomed.add(each.pk)
            if each.reason or (each.done and journal is None):
                with storage_errors(self.run.workspace.scratch):
                    out.write(line_of(entity, each))

    def _work(self, entity: str) -> Repairing:
        run, files = self.run, self.run.workspace
        transformation = run.config.transformation
        loaded = run.manifest.phase("load", entity)
        times = loaded.result.get("otherTimestamps", []) if loaded else []
        given = self.given or run
        rules = Rules(
            self.asked.repair,
            self.asked.extra,
            Authors.of(transformation, run.manifest.empty_as_of.get(entity, "")),
            self.signed,
            Moments(run.manifest.migration_timestamp, tuple(times)),
            quarantined_keys(given.workspace.quarantine(entity)),
            frozenset({given.manifest.migration_timestamp, given.manifest.updated_at} - {""}),
        )
        return Repairing(
            transformed=self._transformed(entity),
            target=run.config.target,
            migration=run.config.migration,
            spec=self.tables[entity],
            rules=rules,
            journal=files.repair_steps(entity) if self.asked.writes else None,
            load=self._load_undo(entity) if self.asked.writes else None,
            doomed=self._doomed,
        )

    def _load_undo(self, entity: str) -> LoadUndo | None:
        """What the rollback of the load is to be told; None where there is no load to undo."""
        run, files = self.run, self.run.workspace
        load = self._load_state(entity)
        if load is None or load.undone.get("done") or not load.may_have_written:
            return None
        given = self.given or run
        name = given.workspace.name_of(given.workspace.transformed(entity))
        differs = given.manifest.sha_of(name) != load.transformed
        pictures = None
        if self.asked.extra:
            try:
                table = run.config.target.table(entity)
                pictures = Pictures.of_load(run, table, load.pictures)
            except ArtifactError as error:
                get_logger().warning(
                    "%s: what is taken away comes back with `rollback --repair` alone, not with a "
                    "rollback of the load",
                    error.message,
                )
        requests = None if differs else files.requests(entity)
        return LoadUndo(files.before(entity), pictures, requests)

    # Before and after

    def _settle_the_unsettled(self) -> None:
        """Of a repair that was killed: see which of the last writes have been done."""
        for entity, path in journals_in(self.run.workspace):
            with RepairJournal(path) as journal:
                again = PartiesAgain(self.run, self.tables[entity], journal)
                again.settle_all()

    def _look_again(self) -> None:
        """Put back parties that turn out to be in use after all: an index lists a new sale a
        little late."""
        for entity in filter(is_referenced, self.entities):
            path = self.run.workspace.repair_steps(entity)
            if not (self.asked.extra and path.exists()):
                continue
            with RepairJournal(path) as journal:
                again = PartiesAgain(self.run, self.tables[entity], journal)
                if not again.taken:
                    continue
                with self.run.progress.task(PHASE, entity, None, step="second look"):
                    (self.sleep or self.run.stop.sleep)(SETTLED_AFTER)
                    kept = [
                        Mended(pk, legacy_id, reason=IN_USE, used_by=user)
                        for pk, legacy_id, user in again.put_back()
                    ]
            self._list(entity, kept)

    def _list(self, entity: str, kept: Sequence[Mended]) -> None:
        figures = self._figures.setdefault(entity, RepairFigures())
        figures.left.update(each.reason for each in kept)
        path = self.run.workspace.scratch / f"{PHASE}-{entity}-{len(self._lists)}"
        self._lists.append(path)
        with storage_errors(path), open_private(path, "wb") as out:
            out.writelines(line_of(entity, each) for each in kept)

    def _publish(self) -> None:
        """What is kept is files of records like others: they are encrypted with them."""
        files = self.run.workspace
        for _, path in journals_in(files):
            with RepairJournal(path) as journal:
                counts = journal.counts()
            self._publish_file(path, counts["records"], sum(counts.values()) - counts["records"])
        for path in filter(Path.exists, map(files.before, ENTITY_NAMES)):
            with ReplacedItems(path) as before:
                items = before.count()
            if items:
                self._publish_file(path, 0, items)
        self.run.save()

    def _publish_file(self, path: Path, records: int, items: int) -> None:
        entry = ArtifactEntry(records, items, path.stat().st_size, sha256_of(path), utc_now())
        self.run.publish(path, entry)

    def _report(self, repaired: Repaired) -> Repaired:
        """Complete the figures by the journals, which have also what was done before somebody was
        killed, and write the report."""
        lists = list(self._lists)
        for name in self.entities:
            self._figures.setdefault(name, RepairFigures())
        if self.asked.writes:
            lists += [self._list_done(entity, path) for entity, path in self._own_journals()]
        repaired.figures = {
            name: self._figures[name] for name in ENTITY_NAMES if name in self._figures
        }
        write_repair_report(self.run, repaired, lists)
        return repaired

    def _own_journals(self) -> Iterator[tuple[str, Path]]:
        state = RepairState.load(self.run.workspace)
        if state is not None and not state.closed:
            yield from journals_in(self.run.workspace)

    def _list_done(self, entity: str, path: Path) -> Path:
        listed = self.run.workspace.scratch / f"{PHASE}-done-{entity}"
        make_directory(listed.parent)
        with RepairJournal(path) as journal, storage_errors(listed):
            counts = journal.counts()
            with open_private(listed, "wb") as out:
                for each in journal.records():
                    done = tuple((step.sk, step.what) for step in each.steps if step.done)
                    if done:
                        out.write(line_of(entity, Mended(each.pk, each.legacy_id, done)))
        figures = self._figures.setdefault(entity, RepairFigures())
        figures.records = counts["records"]
        figures.items.clear()
        figures.items.update({what: counts[what] for what in (CREATED, REPLACED, TAKEN_AWAY)})
        return listed


def _jobs(records: Iterable[Damaged]) -> Iterator[list[Damaged]]:
    """Records, about a hundred items of them together."""
    job: list[Damaged] = []
    items = 0
    for record in records:
        size = (record.place.end - record.place.start) // _ABOUT if record.place else 0
        count = max(len(record.hows), size)
        if job and items + count > MOST_WRITES:
            yield job
            job, items = [], 0
        job.append(record)
        items += count
    if job:
        yield job
