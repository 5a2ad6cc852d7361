"""Taking away the records that were migrated and that S9 no longer has: deleted there, disabled, or
in quarantine now. `sync.removed` and `sync.refused` say what becomes of them.

What we last wrote of them is in data/undo/{entity}.removed. They go record by record, on condition
that the table still has exactly that (load/sync/removal_record.py), sales before the parties that
they name, so that these can go as well; a party that another record names stays. What is taken away
is kept before that, and comes back with a rollback (load/rollback/undo_repair.py).

When all is done it is looked once more, a little later: for what the application has written
meanwhile to what it had read before, and for records that an index did not list yet. What is to
stay after all is put back then. The second look tells the result, so that it is the same however
often the first was cut short.

What is still in the table is in data/undo/{entity}.staying afterwards, as we last wrote it: the
next sync takes it together with what was loaded as what is known of the table.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from load.conflicts.conditional_load import publish_replaced
from load.conflicts.replaced_items import ReplacedItems
from load.load_state import LoadState
from load.rollback.key_set import KeySet
from load.rollback.records_in_use import SETTLED_AFTER
from load.sending.job_pool import JobPool
from load.sync.removal_pieces import PieceRemoved, Removing, Stays
from load.sync.removal_record import Rules
from load.sync.removal_report import RemovalFigures, write_removed_report
from load.undoable_loads import drop_others
from utils.config import KEEP
from utils.dynamodb.item_content import Moments
from utils.dynamodb.table_spec import TableSpec
from utils.entities import ENTITY_NAMES
from utils.error_handler import ArtifactError
from utils.files.artifacts import ArtifactEntry, ArtifactWriter
from utils.files.pieces import ByteRange, whole_records
from utils.files.storage import make_directory, open_private, partial_of, publish, storage_errors
from utils.interrupt import Interrupted
from utils.logger import get_logger
from utils.run.run import Run
from utils.run.updated_at import stamp_now
from utils.wording.figures import counted

PHASE = "load"
_TAKING, _AGAIN = "taking away what S9 no longer has", "second look at what was taken away"
_PIECE = 1 << 17  # bytes of the file that are one job
_BLOCK = 1 << 20

__all__ = ["RemovalFigures", "Removing", "remove"]


def remove(
    run: Run,
    tables: Mapping[str, TableSpec],
    entities: Sequence[str],
    refused: Mapping[str, Collection[str]],
    *,
    sleep: Callable[[float], None] | None = None,
    writes: bool = True,
) -> dict[str, RemovalFigures]:
    """Take away what S9 no longer has of these entities, as the settings say; returns the figures
    of each, and writes the report. `refused` are the keys in S9 of the records in quarantine.

    All else of the sync is written by then. May be called again after whatever has stopped it.
    Unless it `writes`, it only says what would be done. Raises ArtifactError when the state of the
    load is missing, TargetError when DynamoDB cannot be used, StorageError, and Interrupted when a
    stop is asked for.
    """
    removal = _Removal(run, tables, sleep or run.stop.sleep, writes)
    found = removal.remove([name for name in reversed(ENTITY_NAMES) if name in entities], refused)
    return {name: found[name] for name in ENTITY_NAMES if name in found}


@dataclass
class _Removal:
    """The removal from all tables. `named` are records that others name which stay, each with one
    of them; `doomed` what would be taken away if it were written."""

    run: Run
    tables: Mapping[str, TableSpec]
    sleep: Callable[[float], None]
    writes: bool
    named: dict[str, str] = field(default_factory=dict)
    doomed: KeySet = field(default_factory=KeySet)

    def remove(
        self, entities: Sequence[str], refused: Mapping[str, Collection[str]]
    ) -> dict[str, RemovalFigures]:
        time = self._time(entities)
        parts = [
            _EntityRemoval(self, self.tables[name], frozenset(refused.get(name, ())), time)
            for name in entities
        ]
        for part in parts:
            part.go(_TAKING)
        if self.writes and any(part.figures.done for part in parts):
            with self.run.progress.task(PHASE, "", None, step="waiting"):
                self.sleep(SETTLED_AFTER)
            self.named.clear()
            for part in parts:
                part.go(_AGAIN)
        figures = {part.entity: part.figures for part in parts}
        lists = [part.listed for part in reversed(parts)]
        write_removed_report(self.run, figures, lists, writes=self.writes)
        for part in parts:
            part.conclude()
        self.run.save()
        return figures

    def _time(self, entities: Sequence[str]) -> str:
        """The time of the soft deletes: of all of a pass the same, also when it was cut short."""
        for path in filter(Path.exists, map(self.run.workspace.before, entities)):
            with ReplacedItems(path) as before:
                if softened := before.any_softened():
                    return str(softened["deletedAt"]["S"])
        return stamp_now()


class _EntityRemoval:
    """The removal of one entity's records."""

    def __init__(self, all_of: _Removal, spec: TableSpec, held: frozenset[str], time: str) -> None:
        self._all, self._run, self._spec = all_of, all_of.run, spec
        self.entity = spec.entity
        self.figures = RemovalFigures()
        files = self._run.workspace
        self._file = files.removed(self.entity)
        self._is_due = self._file.exists() and self._file.stat().st_size > 0
        self.listed = files.scratch / f"removed-{self.entity}"
        self._state = self._load_state() if self._is_due else None
        settings = self._run.config.sync
        moments = self._state.moments if self._state else Moments()
        self._rules = Rules(settings.removed, settings.refused, time, held, moments)
        self._may_write = self._is_due and all_of.writes and settings.removed != KEEP
        self._wrote_before = bool(self._state and self._state.wrote)
        self._staying: ArtifactEntry | None = None

    def _load_state(self) -> LoadState | None:
        """The state of the load that this belongs to: by it a rollback finds what was done."""
        state = LoadState.load(self._run.workspace.load_state(self.entity))
        if state is None and self._all.writes:
            raise ArtifactError(
                f"the state of the load of {self.entity} is missing from "
                f"{self._run.workspace.undo}: what is taken away could not be brought back",
                remedy=f"start over: {self._run.command('sync')}",
            )
        return state

    def go(self, step: str) -> None:
        """Go through all records. Raises TargetError, and Interrupted when a stop is asked for."""
        self.figures.start_over()
        make_directory(self._run.workspace.scratch)
        with ExitStack() as opened:
            opened.enter_context(storage_errors(self.listed))
            listed = opened.enter_context(open_private(self.listed, "wb"))
            staying = None
            if self._all.writes:
                make_directory(self._run.workspace.undo)
                staying = opened.enter_context(
                    ArtifactWriter(self._run.workspace.staying(self.entity))
                )
            if self._is_due:
                source = opened.enter_context(self._file.open("rb"))
                self._all_pieces(step, listed, source, staying)
            self._staying = staying.entry() if staying else None

    def _all_pieces(
        self, step: str, listed: IO[bytes], source: IO[bytes], staying: ArtifactWriter | None
    ) -> None:
        """Remove the records of piece after piece, many at once, and take note in their order."""
        size = self._file.stat().st_size

        def settle(place: ByteRange, done: PieceRemoved) -> None:
            self._note(done)
            listed.writelines(done.listed)
            for each in done.stays if staying else ():
                _copy(source, each, staying)
            task.advance(place.end - place.start, write_units=done.units)

        with self._run.progress.task(PHASE, self.entity, size, unit="bytes", step=step) as task:
            pool = JobPool(self._run, self._work(), settle, size=size)
            self._about_to_write()
            try:
                pool.do_all(whole_records(self._file, target=_PIECE))
            except Interrupted:
                self._is_quiet()
                raise
            self._is_quiet()
        if self._may_write and self.figures.done:
            drop_others(self._run)

    def _work(self) -> Removing:
        config, files = self._run.config, self._run.workspace
        return Removing(
            file=self._file,
            before=files.before(self.entity) if self._all.writes else None,
            target=config.target,
            migration=config.migration,
            spec=self._spec,
            rules=self._rules,
            named=dict(self._all.named),
            doomed=self._all.doomed,
        )

    def _about_to_write(self) -> None:
        """From now on the table may lose something, and a rollback has to know; durable on
        return."""
        if not self._may_write or self._state is None:
            return
        before = self._run.workspace.name_of(self._run.workspace.before(self.entity))
        if self._run.manifest.artifacts.pop(before, None):
            self._run.save()
        self._state.wrote = True
        self._state.about_to_write()
        self._state.save()

    def _is_quiet(self) -> None:
        if self._may_write and self._state is not None:
            self._state.is_quiet()

    def _note(self, done: PieceRemoved) -> None:
        self.figures.add(done)
        self._all.named.update(done.named)
        if not self._all.writes:
            for pk in done.gone:
                self._all.doomed.add(pk)

    def conclude(self) -> None:
        """Publish what stays, and what is kept for a rollback. The manifest is to be saved."""
        run, files = self._run, self._run.workspace
        if self._all.writes:
            if self._may_write and self._state is not None:
                self._state.wrote = self._wrote_before or self.figures.done
                self._state.save()
            self._publish_staying()
            if files.before(self.entity).exists():
                publish_replaced(run, self.entity)
        self.listed.unlink(missing_ok=True)
        if self._is_due:
            _tell(self.entity, self.figures, writes=self._all.writes)

    def _publish_staying(self) -> None:
        path, manifest = self._run.workspace.staying(self.entity), self._run.manifest
        if self._staying is not None and self._staying.items:
            publish(path)
            self._run.publish(path, self._staying)
            return
        with storage_errors(path):
            path.unlink(missing_ok=True)
            partial_of(path).unlink(missing_ok=True)
        manifest.artifacts.pop(self._run.workspace.name_of(path), None)


def _copy(source: IO[bytes], record: Stays, to: ArtifactWriter | None) -> None:
    """Copy the lines of a record from the file of those that are removed."""
    if to is None:
        return
    start, records = record.place.start, 1
    if record.header:
        to.write(record.header, records=1, items=1)
        start, records = record.rest, 0
    for data in _blocks(source, ByteRange(start, record.place.end)):
        to.write(data, records=records, items=data.count(b"\n"))
        records = 0


def _blocks(source: IO[bytes], place: ByteRange) -> Iterator[bytes]:
    source.seek(place.start)
    left = place.end - place.start
    while left and (data := source.read(min(left, _BLOCK))):
        yield data
        left -= len(data)


def _tell(entity: str, figures: RemovalFigures, *, writes: bool) -> None:
    would = "" if writes else "would be "
    get_logger().info(
        "%s: of %s that S9 no longer has %s %sdeleted, %s %sdeleted softly, %s kept",
        entity.capitalize(),
        counted(figures.records, "record"),
        f"{figures.deleted:,}",
        would,
        f"{figures.soft_deleted:,}",
        would,
        f"{figures.kept.total():,}",
    )
