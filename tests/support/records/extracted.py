"""Runs that have extracted given rows, for those who look at what comes after that."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson

from utils.config import Config, MigrationConfig
from utils.files.artifacts import ArtifactWriter
from utils.files.workspace import Workspace
from utils.run.manifest import Manifest
from utils.run.run import Run
from utils.telemetry.tasks import Tasks


@contextmanager
def run_over(
    root: Path, rows: Mapping[str, Sequence[Mapping[str, Any]]], processes: int = 1
) -> Iterator[Run]:
    """A run that has extracted these rows of each entity, and goes on with errors."""
    workspace = Workspace(root)
    workspace.prepare()
    manifest = Manifest.new()
    manifest.migration_timestamp = "2026-01-01T00:00:00.000Z"
    migration = MigrationConfig(processes=processes, continue_on_error=True)
    run = Run(Config(migration=migration), workspace, manifest, Tasks())
    for entity, records in rows.items():
        path = workspace.extracted(entity)
        with ArtifactWriter(path) as writer:
            for row in records:
                items = 1 + len(row.get("lines", ()))
                writer.write(orjson.dumps(row) + b"\n", records=1, items=items)
            run.publish(path, writer.commit())
    with run.workers:
        yield run
