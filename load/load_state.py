"""The state of a load beyond its checkpoint: what a resume and a rollback need to know.

data/undo/{entity}.json is written with the plan of the load, before its first write, and stays
after the load until another run has written (load/undoable_loads.py), or the load is undone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import orjson

from utils.dynamodb.item_content import Moments
from utils.entities import ENTITY_NAMES
from utils.error_handler import ArtifactError
from utils.files.artifacts import utc_now
from utils.files.storage import write_atomically
from utils.files.workspace import Workspace
from utils.run.run import Run
from utils.run.same_tables import SIDE, bind
from utils.settings.typed_json import fits
from utils.wording.invocation import command

# How far beyond what is about to be sent the mark is set: one more fsync each so many bytes of the
# file, and at most so many are sent again item by item by a run that resumes.
_AHEAD = 4 << 20


@dataclass
class LoadState:
    """The state of one entity's load, kept in step with the file by `save`.

    `transformed` is the SHA-256 of the file that is loaded, `settings` the digest of where it
    goes. Of the file only the ranges of bytes in `sent` may have been sent in batches. `pictures`
    names the survey's own pictures of the table: as "first" that from before the run's first
    write, as "last" that with which this load was planned (where it is no backup).
    `only_in_target` are the figures of what the table has and S9 has not
    (load/conflicts/only_in_target.py), `other_times` the times of other migrations in items that
    are else as S9 has them, in the place of `own_time`. `kept` counts the items of the file that
    the survey has listed as kept (conflicts_report.json). `complete` says that nothing of it is
    left to do, `undone` is how far a rollback has come (load/rollback). `reached` is the table that
    the load went to (utils/dynamodb/reached.py).

    `run_id` is the run before whose first write `pictures` were taken, `run` the one that loads,
    `items` what the file has. `began` is when the first write was about to be tried ("": none
    was), `wrote` says that one has succeeded. While `in_flight`, requests may be on their way that
    nobody waits for if the load is killed. `sync` are the figures of what a sync has found
    (load/sync/planning.py). `selected_by` is the digest of the settings by which the extract has
    chosen the records. `concluded`: what a sync was to take away is taken away, too. `disturbed`:
    something else than a load has written into the tables since (`disturb`).
    """

    path: Path
    run_id: str
    transformed: str
    settings: str
    pictures: dict[str, str] = field(default_factory=dict)
    sent: list[list[int]] = field(default_factory=list)
    complete: bool = False
    undone: dict[str, Any] = field(default_factory=dict)
    only_in_target: dict[str, int] = field(default_factory=dict)
    reached: dict[str, Any] = field(default_factory=dict)
    run: str = ""
    items: int = 0
    began: str = ""
    wrote: bool = False
    in_flight: bool = False
    other_times: list[str] = field(default_factory=list)
    kept: int = 0
    own_time: str = ""
    sync: dict[str, int] = field(default_factory=dict)
    selected_by: str = ""
    concluded: bool = False
    disturbed: bool = False

    @property
    def is_sync(self) -> bool:
        """Whether only what had changed was loaded (load/sync)."""
        return bool(self.sync)

    @property
    def moments(self) -> Moments:
        """What stands for what in the items that the load has left as they were."""
        return Moments(self.own_time, tuple(self.other_times))

    @property
    def may_have_written(self) -> bool:
        """Whether anything of it may be in the table, as far as that is known."""
        return self.wrote or bool(self.began and not self.complete)

    def is_of(self, run: Run, entity: str, settings: str) -> bool:
        """Whether this is an unfinished load of the transformed file that there is, to where it
        goes now."""
        is_over = self.complete or self.undone or self.disturbed
        return self.is_for(run, entity, settings) and not is_over

    def is_for(self, run: Run, entity: str, settings: str) -> bool:
        """Whether this is a load, also a complete one, of the transformed file that there is."""
        name = run.workspace.name_of(run.workspace.transformed(entity))
        now = run.manifest.baseline, run.manifest.sha_of(name), settings
        return (self.run_id, self.transformed, self.settings) == now

    def save(self) -> None:
        document = {name: value for name, value in asdict(self).items() if name != "path"}
        write_atomically(self.path, orjson.dumps(document))

    @classmethod
    def load(cls, path: Path) -> LoadState | None:
        """The state, None when no load has been begun. Raises ArtifactError when it is damaged."""
        if not path.exists():
            return None
        try:
            document: Mapping[str, Any] = orjson.loads(path.read_bytes())
            state = cls(path, **document)
            if not fits(state, LoadState):
                raise ValueError("type")
            return state
        except (ValueError, TypeError) as error:
            raise ArtifactError(
                f"{path} is damaged (cut short or edited)",
                remedy="put it back: without it the load can be neither resumed nor undone; "
                f"or put a backup back, which are listed by: {command('backups')}",
            ) from error

    def about_to_send(self, start: int, end: int) -> None:
        """The lines from byte `start` to `end` may be sent from now on; durable when this
        returns."""
        self.about_to_write()
        for known in self.sent:
            if known[0] <= start <= known[1]:
                if end > known[1]:
                    known[1] = end + _AHEAD
                    self.save()
                return
        self.sent.append([start, end + _AHEAD])
        self.save()

    def about_to_write(self) -> None:
        """From now on requests may be on their way; durable when this returns."""
        if not (self.began and self.in_flight):
            self.began = self.began or utc_now()
            self.in_flight = True
            self.save()

    def is_quiet(self) -> None:
        """Whatever was on its way has been waited for."""
        self.in_flight = False
        self.save()

    def was_not_sent(self, ranges: Iterable[tuple[int, int]]) -> None:
        """It is known after all that nothing in these ranges of bytes has been sent."""
        for start, end in ranges:
            self.sent = [
                part
                for known in self.sent
                for part in ([known[0], min(known[1], start)], [max(known[0], end), known[1]])
                if part[0] < part[1]
            ]
        self.save()

    def may_be_sent(self, place: int) -> bool:
        """Whether the line that begins at byte `place` may have been sent in a batch."""
        return any(start <= place < end for start, end in self.sent)


def disturb(files: Workspace) -> None:
    """Something else than a load is about to write into the tables: what the loads of a data
    directory have written, and were going to, is not what the tables hold any more. Durable when
    this returns. Raises ArtifactError and StorageError."""
    for path in map(files.load_state, ENTITY_NAMES):
        state = LoadState.load(path)
        if state is not None and not state.disturbed:
            state.disturbed = True
            state.save()


def stay_with_tables(run: Run, entities: Iterable[str]) -> None:
    """Bind the run to the tables that it is about to load, or see that it still has those that it
    was bound to. What an earlier load is known to have done goes with its table where that was
    dropped and made again. Raises AnotherTable (utils/run/same_tables.py)."""
    names = list(entities)

    def forget(table: str) -> None:
        for entity in (name for name in names if run.config.target.table(name) == table):
            _forget_load(run, entity)
        run.manifest.backups.pop(table, None)

    bind(run, names, forget)


def leave_table(run: Run, entity: str) -> None:
    """The table of an entity is not there, and another is to be made in its place: what an earlier
    load is known to have done went with it. Durable when this returns."""
    table = run.config.target.table(entity)
    if run.manifest.reached.get(SIDE, {}).pop(table, None) is not None:
        _forget_load(run, entity)
        run.manifest.backups.pop(table, None)
        run.save()


def _forget_load(run: Run, entity: str) -> None:
    files = run.workspace
    for of in (files.load_state, files.plan, files.requests, files.before):
        of(entity).unlink(missing_ok=True)
    run.manifest.forget("load", entity)
