"""Who explains a record is put together: with what is known of the run, and with both servers or by
the files alone."""

from __future__ import annotations

import shlex
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

from utils.config import Config
from utils.error_handler import ArtifactError, MigrationError
from utils.explain.stations import Phases
from utils.files.workspace import Workspace
from utils.run.manifest import Manifest
from utils.run.run import Run
from utils.run.updated_at import MIGRATION
from utils.wording.figures import moment_text
from utils.wording.invocation import command
from validate.explain.explained import Explained
from validate.explain.explainer import Explainer
from validate.explain.record_key import asked_for


def explainer_of(
    config: Config, phases: Phases, entity: str, key: str, *, apart: MigrationError | None = None
) -> Explainer:
    """Whoever explains the record that `key` names, with what is known of the run whose directory
    this is; with `apart` by the files alone, because of that. Raises ConfigurationError for what
    is no key."""
    files, damaged, moment = Workspace(Path(config.data.directory)), "", ""
    manifest = None
    try:
        manifest = Manifest.load(files.manifest)
    except ArtifactError as error:
        damaged = error.message
    except OSError as error:
        damaged = f"{files.manifest} cannot be read: {error.strerror}"
    manifest = manifest or Manifest.new()
    stands_in = moment_text(datetime.now(timezone.utc))
    chosen = config.transformation
    if not manifest.migration_timestamp:
        moment = stands_in
        manifest = replace(manifest, migration_timestamp=chosen.migration_timestamp or moment)
    if chosen.updated_at == MIGRATION and not manifest.updated_at:
        moment = stands_in
        manifest = replace(manifest, updated_at=moment)
    run = Run(config, files, manifest)
    asked = asked_for(entity, key)
    return Explainer(run, phases, asked, damaged=damaged, moment=moment, apart=apart)


def by_files(config: Config, phases: Phases, entity: str, key: str) -> Explained:
    """What the files say of a record: neither S9 nor the target is asked, and both stations say
    how to ask them. Raises MigrationError where nothing can be told."""
    apart = MigrationError(
        "not asked: only the files are looked at here",
        remedy=command(f"explain {entity} {shlex.quote(key.strip())}"),
    )
    return explainer_of(config, phases, entity, key, apart=apart).explain()
