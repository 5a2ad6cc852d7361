"""A run inside a run: S9 is read, transformed and judged once more, for a verification that
believes nothing of what is on disk.

It has a directory of its own in the data directory, and the phases work in it as everywhere. What
it takes from the run around it are moments (of rows without a time) and which database it was: a
wrong one of these leads to differences, and to none fewer. Cut short, it is taken up again by the
same command, phase by phase and under its seal (utils/from_source/seal.py), unless its picture of
S9 is an old one; when it has served, its files go.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta, timezone

from utils.error_handler import ArtifactError
from utils.files.storage import storage_errors
from utils.files.workspace import Workspace
from utils.from_source.seal import SealedRun, SealingKey, holds_its_files, sealing_of
from utils.logger import get_logger
from utils.run.clean import remove_known
from utils.run.lifecycle import bind, is_unfinished
from utils.run.manifest import Manifest
from utils.run.own_directories import SOURCE_AGAIN, require_ours, take
from utils.run.run import Run, configuration_digests, settings_digest
from utils.version import this_tool

_FRESH = timedelta(hours=24)
_SETTINGS = "settings"
_READS_ON = ("extract",)  # over another connection; no phase that was cut short is taken up again


def inner_run(run: Run) -> Run:
    """The run that reads S9 again for the verification of `run`: a new one, or the one that was cut
    short. Refused records go to its quarantine, whatever the settings: they are not in the target.

    Raises ConfigurationError when something else is in its place, StorageError.
    """
    files = Workspace(run.workspace.from_source)
    data = replace(run.config.data, directory=str(files.root), recipient=None)
    migration = replace(run.config.migration, continue_on_error=True)
    config = replace(run.config, data=data, migration=migration)
    require_ours(files, SOURCE_AGAIN)
    files.prepare()
    unfinished, sealing = _unfinished(run, files)
    mark = {} if unfinished else take(files, SOURCE_AGAIN)
    inner = SealedRun(config, files, unfinished or _new(run), run.progress, run.stop)
    inner.sealing = sealing
    inner.workers, inner.engine = run.workers, run.engine
    inner.keeps_place_in = _READS_ON
    inner.is_durable = False  # what is not as it was sealed is not taken up
    inner.resuming = unfinished is not None
    bind(inner.manifest, config, files.root)
    if unfinished is None:
        inner.manifest.made_for = {**mark, _SETTINGS: _settings(run)}
        inner.save()
    else:
        get_logger().info("Going on with S9 as of %s", inner.manifest.snapshot.get("takenAt"))
    return inner


def new_inner_run(run: Run) -> Run:
    """The same for who must see S9 as it is now: nothing of one that was cut short is taken up."""
    inner = inner_run(run)
    if inner.resuming:
        has_served(inner)
        inner = inner_run(run)
    return inner


def _new(run: Run) -> Manifest:
    old = run.manifest
    return replace(
        Manifest.new(),
        migration_timestamp=old.migration_timestamp,
        updated_at=old.updated_at,
        updated_at_in_use=bool(old.updated_at),
        reached={side: old.reached[side] for side in ("source",) if side in old.reached},
    )


def _unfinished(run: Run, files: Workspace) -> tuple[Manifest | None, SealingKey]:
    """The manifest of an inner run that was cut short and may be taken up again, with its key; else
    none, and a new key. Of a phase that was under way nothing is taken up: no seal is on that."""
    password = run.config.source.password
    with suppress(ArtifactError):
        manifest = Manifest.load(files.manifest)
        if (
            manifest is not None
            and is_unfinished(manifest)
            and manifest.made_for.get(_SETTINGS) == _settings(run)
            and manifest.tool == this_tool()
            and _is_fresh(manifest)
            and (sealing := sealing_of(manifest, password))
            and holds_its_files(manifest, files)
        ):
            with storage_errors(files.checkpoint):
                files.checkpoint.unlink(missing_ok=True)
            return manifest, sealing
    return None, SealingKey.of(password)


def _settings(run: Run) -> str:
    """What an inner run is made with, and must still be when it is taken up again."""
    moments = [run.manifest.migration_timestamp, run.manifest.updated_at]
    return settings_digest(configuration_digests(run.config), moments)


def _is_fresh(manifest: Manifest) -> bool:
    taken = str(manifest.snapshot.get("takenAt", ""))
    try:
        moment = datetime.fromisoformat(taken.replace("Z", "+00:00"))
    except ValueError:
        return False
    moment = moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)
    return datetime.now(timezone.utc) - moment < _FRESH


def has_served(inner: Run) -> None:
    """An inner run has come to its end: nothing is needed of it any more. Raises StorageError."""
    remove_known(inner.workspace)
