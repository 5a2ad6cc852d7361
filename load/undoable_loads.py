"""The loads that can be undone: the last run's that has written, until another one has.

All that is needed for it is below data/undo and depends on no other file: the plan, the state, what
was replaced, and the transformed file itself as {entity}.loaded. That is a link to the file in
data/transformed, which a later transform replaces and does not change; so it takes no room until
then. (Where links cannot be made, it is a copy.)

A run that begins to load puts the state and plan of its own in their places. What an earlier run
has left there moves to data/undo/earlier before that, and goes when the new run has written: a run
that is stopped by what it finds in the tables, or by DynamoDB, takes nobody's way back away.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from load.load_state import LoadState
from load.undoable_repairs import RepairState, drop_repair
from utils.entities import ENTITY_NAMES
from utils.files.encryption import SUFFIX
from utils.files.parts import link, remove, tidy
from utils.files.storage import PARTIAL_SUFFIX, make_directory, partial_of, publish, storage_errors
from utils.files.workspace import Workspace
from utils.run.run import Run

_KINDS = (
    "plan",
    "requests",
    "before",
    "kept",
    "loaded",
    "removed",
    "staying",
    "changes",
    "json",
)  # the state last: with it a load is there


@dataclass(frozen=True)
class Load:
    """What is kept of one entity's load."""

    directory: Path
    entity: str
    state: LoadState

    def path(self, kind: str) -> Path:
        return self.directory / f"{self.entity}.{kind}"

    @property
    def plan(self) -> Path:
        return self.path("plan")

    @property
    def before(self) -> Path:
        return self.path("before")

    @property
    def loaded(self) -> Path:
        return self.path("loaded")

    @property
    def requests(self) -> Path:
        """When and in which request what was written."""
        return self.path("requests")

    @property
    def kept(self) -> Path:
        """What a rollback under way has kept so far."""
        return self.path("kept")


def loads_in(files: Workspace) -> Iterator[Load]:
    """Every load of which something is kept. Raises ArtifactError when a state is damaged."""
    earlier = [
        path
        for path in (sorted(files.earlier.iterdir()) if files.earlier.is_dir() else ())
        if not path.name.endswith(PARTIAL_SUFFIX)
    ]
    for directory in (files.undo, *earlier):
        for entity in ENTITY_NAMES:
            state = LoadState.load(directory / f"{entity}.json")
            if state is not None:
                yield Load(directory, entity, state)


def make_way(run: Run, entity: str) -> None:
    """Put aside what an earlier run's load of an entity has left, or drop it if that run has
    written nothing."""
    old = LoadState.load(run.workspace.load_state(entity))
    if old is None or old.run_id == run.manifest.baseline:
        if old is None:  # of a state that is gone
            run.workspace.before(entity).unlink(missing_ok=True)
        return
    load = Load(run.workspace.undo, entity, old)
    if old.may_have_written and not old.undone.get("done"):
        _put_aside(run, load)
    _drop(run, load)


def keep_loaded(run: Run, entity: str) -> None:
    """Keep the transformed file as it is now: it is about to be loaded."""
    files, path = run.workspace, run.workspace.loaded(entity)
    source, partial = files.transformed(entity), partial_of(path)
    digest = run.manifest.sha_of(files.name_of(source))
    with storage_errors(path), run.known_files.naming(source, digest):
        partial.unlink(missing_ok=True)
        link(source, partial, of=path)
        publish(path)
        tidy(path)
        partial.unlink(missing_ok=True)  # a rename to another link to the same file does nothing


def drop_others(run: Run) -> None:
    """This run has written: no other one's load can be undone any more."""
    others = [
        load for load in loads_in(run.workspace) if load.state.run_id != run.manifest.baseline
    ]
    for load in others:
        _drop(run, load)
    repair = RepairState.load(run.workspace)
    if repair is not None and repair.run_id != run.manifest.baseline:
        drop_repair(run)
    if run.workspace.earlier.is_dir():
        with storage_errors(run.workspace.earlier):
            shutil.rmtree(run.workspace.earlier)
    drop_pictures(run.workspace)


def drop_pictures(files: Workspace) -> None:
    """Pictures of tables that no load needs any more go (load/conflicts/table_pictures.py). Raises
    ArtifactError when a state is damaged, and StorageError."""
    needed = {name for load in loads_in(files) for name in load.state.pictures.values()}
    pictures = files.undo / "pictures"
    with storage_errors(pictures):
        for path in sorted(pictures.iterdir()) if pictures.is_dir() else ():
            if path.name not in needed and path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)


def forget(run: Run, loads: list[Load]) -> None:
    """These loads are undone for good, and nothing is needed of them any more."""
    for load in loads:
        _drop(run, load)
    repair = RepairState.load(run.workspace)
    if repair is not None and repair.run_id in {load.state.run_id for load in loads}:
        drop_repair(run)
    keeps = any(True for _ in loads_in(run.workspace))
    if not keeps and run.workspace.undo.is_dir():
        with storage_errors(run.workspace.undo):
            shutil.rmtree(run.workspace.undo)


def _put_aside(run: Run, load: Load) -> None:
    """Link a load's files below data/undo/earlier; killed anywhere, it is in one of its places."""
    directory = run.workspace.earlier / f"{load.state.run_id}-{load.entity}"
    partial = partial_of(directory)
    if not directory.is_dir():  # it is where a run was killed just then
        with storage_errors(directory):
            shutil.rmtree(partial, ignore_errors=True)
            make_directory(partial)
            for path in _files(load):
                link(path, partial / path.name)
            publish(directory)
    for path in _files(load):
        _rename_entry(run, path, directory / path.name)
    run.save()


def _rename_entry(run: Run, path: Path, to: Path) -> None:
    """What the manifest knows of a file of records it knows of where that is now."""
    name = run.workspace.name_of(path).removesuffix(SUFFIX)
    moved = run.workspace.name_of(to).removesuffix(SUFFIX)
    manifest = run.manifest
    if name in manifest.artifacts:
        manifest.artifacts[moved] = manifest.artifacts[name]
    if name in manifest.sealed:
        manifest.sealed[moved] = manifest.sealed[name]


def _drop(run: Run, load: Load) -> None:
    """Remove a load's files: first what the manifest knows of them, then the state."""
    names = [run.workspace.name_of(path).removesuffix(SUFFIX) for path in _files(load)]
    for known in (run.manifest.artifacts, run.manifest.sealed):
        for name in names:
            known.pop(name, None)
    run.save()
    with storage_errors(load.directory):
        for path in reversed(_files(load)):
            remove(path)


def _files(load: Load) -> list[Path]:
    """The files of a load that there are, readable or encrypted; the state is the last."""
    both = (path for kind in _KINDS for path in (load.path(kind), _sealed(load.path(kind))))
    return [path for path in both if path.exists()]


def _sealed(path: Path) -> Path:
    return path.with_name(path.name + SUFFIX)
