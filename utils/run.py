"""A run: what every phase is given, and how a phase's completeness is judged."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import orjson

from utils.artifacts import ArtifactEntry, check_artifact, utc_now
from utils.config import Config
from utils.manifest import Manifest, PhaseEntry
from utils.progress import Progress
from utils.workspace import Workspace

COMPLETE = "complete"
FAILED = "failed"


@dataclass
class Run:
    """One invocation at work on one data directory."""

    config: Config
    workspace: Workspace
    manifest: Manifest
    progress: Progress = field(default_factory=Progress)

    def artifact(self, path: Path, *, written_by: str) -> ArtifactEntry:
        """The manifest entry of a file, after checking that the file is what it says."""
        entry = self.manifest.artifacts.get(self.workspace.name_of(path))
        return check_artifact(path, entry, phase=written_by)

    def publish(self, path: Path, entry: ArtifactEntry) -> None:
        """Put a file's entry into the manifest (call `save` to make it durable)."""
        self.manifest.artifacts[self.workspace.name_of(path)] = entry

    def sha_of(self, *paths: Path) -> dict[str, str]:
        """The SHA-256 of files by manifest name, as a phase entry's `inputs`."""
        names = [self.workspace.name_of(path) for path in paths]
        return {name: self.manifest.sha_of(name) for name in names}

    def finish(
        self,
        phase: str,
        entity: str,
        *,
        inputs: Mapping[str, str],
        settings: str,
        result: Mapping[str, Any],
        status: str = COMPLETE,
    ) -> PhaseEntry:
        """Record that a phase has done an entity, durably; returns the entry."""
        entry = PhaseEntry(status, utc_now(), dict(inputs), settings, dict(result))
        self.manifest.record(phase, entity, entry)
        self.save()
        return entry

    def begin(self, phase: str, entity: str) -> None:
        """A phase is about to run (again) for an entity: its old outcome no longer holds."""
        self.manifest.forget(phase, entity)
        self.save()

    def is_complete(
        self, phase: str, entity: str, *, inputs: Mapping[str, str], settings: str
    ) -> bool:
        """Whether the recorded outcome is for exactly these inputs and settings."""
        entry = self.manifest.phase(phase, entity)
        return (
            entry is not None
            and entry.status == COMPLETE
            and entry.inputs == dict(inputs)
            and entry.settings == settings
        )

    def save(self) -> None:
        self.manifest.save(self.workspace.manifest)


def settings_digest(*sections: Any) -> str:
    """A digest of configuration sections (dataclasses) or plain values.

    Secrets must not be among them: a digest of a short password could be guessed.
    """
    plain = [asdict(part) if hasattr(part, "__dataclass_fields__") else part for part in sections]
    text = orjson.dumps(plain, option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(text).hexdigest()[:16]
