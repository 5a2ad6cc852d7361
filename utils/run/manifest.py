"""The manifest: what this migration read, what each phase has completed, what is on disk.

It is the ledger's memory. It never holds a credential or a personal value.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import orjson

from utils.error_handler import ArtifactError
from utils.files.artifacts import ArtifactEntry, utc_now
from utils.files.storage import write_atomically
from utils.settings.typed_json import fits
from utils.version import this_tool
from utils.wording.invocation import command

VERSION = 1


@dataclass(frozen=True)
class PhaseEntry:
    """The outcome of one phase for one entity.

    `inputs` maps artifact names to the SHA-256 they had; `settings` is a digest of the settings
    that shape the outcome. When either has changed, the entry no longer counts as complete.
    `result` holds the phase's own figures (counts, sums).
    """

    status: str
    at: str
    inputs: dict[str, str] = field(default_factory=dict)
    settings: str = ""
    result: dict[str, Any] = field(default_factory=dict)


@dataclass
class Manifest:
    """The manifest of one data directory, kept in step with the file by `save`.

    `outcome` is the exit code with which the run ended, None while it is at work or when it was
    killed; `stopped` is why it ended before its end. `coming` are the new entries of files that
    are about to be replaced. `backups` lists, for each target table, what was backed up before the
    loads of this run: the first entry is from before the run's first write
    (load/backup/before_load.py). `sealed` has the SHA-256 of the encrypted form of files that are
    in no other (utils/run/sealing.py). `baseline` is the run before whose first write that was:
    this one, or one that was dropped unfinished for this one. `rolled_back` is how far the undoing
    of the load has come: "", "begun" or "done", and `undone_run` the run that loaded it: this one,
    or an earlier one when this one has written nothing. `updated_at` is the moment that all items
    of this migration have as `updatedAt`, if it is not S9's (`transformation.updatedAt`);
    `updated_at_in_use`: a load has begun with it, so that it stays. `reached` is what answered, by
    side ("source", "target"): the identities that the servers give of themselves, as opposed to
    `source` and `target`, which are what was asked for. `tool` is the version of the tool that
    began the run, and of its rules (utils/version.py); `made_for` marks the directory of a
    rehearsal or a demonstration (utils/run/own_directories.py). `syncs`: the run is to bring the
    target up to S9, and loads only what differs. `empty_as_of` has, by entity, a moment at which
    its table was known to hold nothing yet. `moments` has, by the sync's run, the
    `updatedAt` of what that has changed, where it is not S9's: of the last one
    (load/sync/times.py).
    """

    run_id: str
    created_at: str
    migration_timestamp: str = ""
    source: dict[str, Any] = field(default_factory=dict)
    target: dict[str, Any] = field(default_factory=dict)
    snapshot: dict[str, Any] = field(default_factory=dict)
    outcome: int | None = None
    stopped: str = ""
    phases: dict[str, dict[str, PhaseEntry]] = field(default_factory=dict)
    artifacts: dict[str, ArtifactEntry] = field(default_factory=dict)
    coming: dict[str, ArtifactEntry] = field(default_factory=dict)
    backups: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    sealed: dict[str, str] = field(default_factory=dict)
    baseline: str = ""
    rolled_back: str = ""
    updated_at: str = ""
    updated_at_in_use: bool = False
    undone_run: str = ""
    reached: dict[str, dict[str, Any]] = field(default_factory=dict)
    made_for: dict[str, Any] = field(default_factory=dict)
    empty_as_of: dict[str, str] = field(default_factory=dict)
    tool: dict[str, str] = field(default_factory=dict)
    syncs: bool = False
    moments: dict[str, str] = field(default_factory=dict)

    @classmethod
    def new(cls) -> Manifest:
        run_id = uuid.uuid4().hex[:8]
        return cls(run_id=run_id, created_at=utc_now(), baseline=run_id, tool=this_tool())

    def successor(self) -> Manifest:
        """The manifest of a new run of this migration, which knows what every later run needs:
        what it asked for and which S9 answered, its moments, when its tables were empty."""
        undone = self.rolled_back == "done"
        return replace(
            Manifest.new(),
            migration_timestamp=self.migration_timestamp,
            updated_at=self.updated_at,
            updated_at_in_use=self.updated_at_in_use and not undone,
            source=self.source,
            target=self.target,
            empty_as_of=self.empty_as_of,
            moments=self.moments,
            reached={side: self.reached[side] for side in ("source",) if side in self.reached},
        )

    @property
    def begun(self) -> bool:
        """Whether any phase has done anything, be it in the middle of its first entity."""
        return bool(self.snapshot) or any(self.phases.values())

    @property
    def undoes(self) -> str:
        """The run whose load is being undone, or was."""
        return self.undone_run or self.run_id

    def phase(self, phase: str, entity: str) -> PhaseEntry | None:
        """The recorded outcome of a phase for an entity, or None."""
        return self.phases.get(phase, {}).get(entity)

    def record(self, phase: str, entity: str, entry: PhaseEntry) -> None:
        """Record an outcome (call `save` to make it durable)."""
        self.phases.setdefault(phase, {})[entity] = entry

    def forget(self, phase: str, entity: str) -> None:
        """Drop what is known of a phase: it is about to run (again)."""
        self.phases.get(phase, {}).pop(entity, None)

    def sha_of(self, name: str) -> str:
        """The SHA-256 of an artifact by its manifest name, "" when there is none."""
        entry = self.artifacts.get(name)
        return entry.sha256 if entry else ""

    def save(self, path: Path) -> None:
        """Write the manifest durably (temporary file, fsync, rename)."""
        document = {"version": VERSION, **vars(self)}  # orjson knows dataclasses
        write_atomically(path, orjson.dumps(document, option=orjson.OPT_INDENT_2) + b"\n")

    @classmethod
    def load(cls, path: Path) -> Manifest | None:
        """Read the manifest, None when there is none; raise ArtifactError when it is damaged."""
        if not path.exists():
            return None
        try:
            document = orjson.loads(path.read_bytes())
            version = document.pop("version")
            if version != VERSION:
                raise ArtifactError(
                    f"{path} has version {version}, this tool understands {VERSION}",
                    remedy="use the version of the tool that wrote it, or an empty data.directory",
                )
            for part in ("artifacts", "coming"):
                document[part] = {
                    name: ArtifactEntry(**entry) for name, entry in document[part].items()
                }
            document["phases"] = {
                phase: {name: PhaseEntry(**entry) for name, entry in entities.items()}
                for phase, entities in document["phases"].items()
            }
            manifest = cls(**document)
            _require_sound(manifest)
            return manifest
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ArtifactError(
                f"{path} is damaged and cannot be read ({type(error).__name__})",
                remedy=f"move the data directory away and start over: {command('--full')}",
            ) from error


def _require_sound(manifest: Manifest) -> None:
    """Raise ValueError for what the tool has not written: values of other types, counts below
    nothing, names of files that are elsewhere."""
    if not fits(manifest, Manifest):
        raise ValueError("type")
    files = [*manifest.artifacts, *manifest.coming, *manifest.sealed]
    backups = [entry.get("name") for taken in manifest.backups.values() for entry in taken]
    if any(name.startswith("/") or ".." in name.split("/") or not name for name in files):
        raise ValueError("file")
    # A load without a backup has an entry whose name is empty (load/backup/before_load.py).
    if not all(isinstance(name, str) and "/" not in name for name in backups):
        raise ValueError("backup")
    entries = [*manifest.artifacts.values(), *manifest.coming.values()]
    if any(min(entry.records, entry.items, entry.bytes) < 0 for entry in entries):
        raise ValueError("count")
