"""What `--full` would find in the data directory, looked at without changing anything there."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from utils.config import Config
from utils.error_handler import MigrationError
from utils.files.workspace import Workspace
from utils.run.lifecycle import Start, bind, require_may_begin, require_may_write
from utils.run.lock import require_free
from utils.run.manifest import Manifest
from utils.run.own_directories import require_unmarked
from utils.run.run import Run


@dataclass(frozen=True)
class DataDirectory:
    """The data directory of a migration: the manifest that a new run there would begin with (None
    when it would begin with nothing), and why it would not begin (None when it would)."""

    root: Path
    successor: Manifest | None = None
    refusal: MigrationError | None = None

    def inherit(self, run: Run) -> None:
        """Give a rehearsal what a new run of the migration knows from earlier ones: whose S9 it
        is, the times that its items carry, since when the tables may hold something."""
        old = self.successor
        if old is not None:
            run.manifest = replace(
                run.manifest,
                migration_timestamp=old.migration_timestamp,
                updated_at=old.updated_at,
                updated_at_in_use=old.updated_at_in_use,
                empty_as_of=dict(old.empty_as_of),
                reached=dict(old.reached),
            )


def look_at(config: Config, start: Start = Start.ANEW) -> DataDirectory:
    """Look whether `--full`, or another `start`, would begin with this configuration."""
    files = Workspace(Path(config.data.directory))
    refusal: MigrationError | None = None
    manifest: Manifest | None = None
    try:
        require_unmarked(files, touch=False)
        require_free(files.lock)
        manifest = Manifest.load(files.manifest)
        if manifest is not None:
            bind(manifest, config, files.root)
            require_may_begin(Run(config, files, manifest), start)
            if start is not Start.SYNC:  # what that would change is worth seeing after the switch
                require_may_write(files, start)
    except MigrationError as error:
        refusal = error
    successor = manifest.successor() if manifest and _is_of(manifest, config) else None
    return DataDirectory(files.root, successor, refusal)


def _is_of(manifest: Manifest, config: Config) -> bool:
    """Whether a manifest is of the migration between these two."""
    with suppress(MigrationError):
        bind(replace(manifest), config, Path(config.data.directory))
        return True
    return False
