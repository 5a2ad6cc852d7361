"""The last repair (load/repair), until another one writes, or the load that it repaired is undone.

data/undo/repair.json says of which run it is and how far it is; beside it are the journals of the
entities (load/conflicts/repair_journal.py). A repair is `closed` when the verification after it
has been done: until then the same command takes it up again. `before` is what the verification
before it had found, by entity and kind. `reached` are the tables that it went to.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import orjson

from utils.entities import ENTITY_NAMES
from utils.error_handler import ArtifactError
from utils.files.storage import storage_errors, write_atomically
from utils.files.workspace import Workspace
from utils.run.run import Run
from utils.settings.typed_json import fits
from utils.wording.invocation import command


@dataclass
class RepairState:
    """The state of the last repair, kept in step with its file by `save`."""

    path: Path
    run_id: str
    began: str
    reached: dict[str, dict[str, Any]] = field(default_factory=dict)
    before: dict[str, dict[str, int]] = field(default_factory=dict)
    closed: bool = False
    undoing: bool = False

    def save(self) -> None:
        document = {name: value for name, value in asdict(self).items() if name != "path"}
        write_atomically(self.path, orjson.dumps(document))

    @classmethod
    def load(cls, files: Workspace) -> RepairState | None:
        """The state, None when there is no repair. Raises ArtifactError when it is damaged."""
        path = files.repair_state
        if not path.exists():
            bring_back_earlier(files)
        if not path.exists():
            return None
        try:
            document: Mapping[str, Any] = orjson.loads(path.read_bytes())
            state = cls(path, **document)
            if not fits(state, RepairState):
                raise ValueError("type")
            return state
        except (ValueError, TypeError) as error:
            raise ArtifactError(
                f"{path} is damaged (cut short or edited)",
                remedy="put it back: without it the last repair can be neither resumed nor undone; "
                f"or delete it, then verify: {command('--phase verify')}",
            ) from error


def journals_in(files: Workspace) -> Iterator[tuple[str, Path]]:
    """The entities of which there is a journal, with that."""
    for entity in ENTITY_NAMES:
        if files.repair_steps(entity).exists():
            yield entity, files.repair_steps(entity)


def put_aside(files: Workspace) -> None:
    """Another repair begins: the last one can be undone until that has written something. Killed
    in the middle, it is called again."""
    with storage_errors(files.undo):
        for path in _files(files):
            if path.exists():
                path.replace(_earlier(path))


def bring_back_earlier(files: Workspace) -> None:
    """The repair that was put aside is the last one after all."""
    if not _earlier(files.repair_state).exists():
        return
    with storage_errors(files.undo):
        files.repair_state.unlink(missing_ok=True)
        for path in _files(files):
            if _earlier(path).exists():
                _earlier(path).replace(path)
            else:
                path.unlink(missing_ok=True)


def drop_earlier(files: Workspace) -> None:
    """The repair that was put aside can no longer be undone: another one has written."""
    with storage_errors(files.undo):
        for path in reversed(_files(files)):
            _earlier(path).unlink(missing_ok=True)


def drop_repair(run: Run) -> None:
    """The last repair can no longer be undone: its files go, the state first."""
    files = run.workspace
    names = [files.name_of(files.repair_steps(entity)) for entity in ENTITY_NAMES]
    for known in (run.manifest.artifacts, run.manifest.sealed):
        for name in names:
            known.pop(name, None)
    run.save()
    drop_earlier(files)
    with storage_errors(files.undo):
        for path in reversed(_files(files)):
            path.unlink(missing_ok=True)
        for entity in ENTITY_NAMES:
            for path in files.undo.glob(f"{entity}.steps*"):
                path.unlink()


def _files(files: Workspace) -> list[Path]:
    """Where the files of a repair are; the state is the last, with it a repair is there."""
    return [*map(files.repair_steps, ENTITY_NAMES), files.repair_state]


def _earlier(path: Path) -> Path:
    return path.with_name(path.name + ".earlier")
