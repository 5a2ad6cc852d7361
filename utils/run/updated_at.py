"""The moment that all items of a migration bear as `updatedAt` (`transformation.updatedAt`).

Browsers of the Sale Module that keep a cache ask for `updatedAt > last sync`, so records with S9's
old times stay invisible to them until they fetch everything again. With `migration` every item says
that it was changed at one moment: when the transform of the run that is loaded first began. That
moment is not before the load's run, and never in the future, where it would win over changes of
the application. Once a load has begun with it, it stays, so that the same row gives the same bytes
in every later run of the migration.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from utils.error_handler import ArtifactError
from utils.run.run import Run

MIGRATION = "migration"
_FORM = "%Y-%m-%dT%H:%M:%S.%f"
_BY_HAND = timedelta(hours=1)


def stamp_now() -> str:
    """This moment, as an item's `updatedAt` has it."""
    return f"{datetime.now(timezone.utc).strftime(_FORM)[:-3]}Z"


def set_moment(run: Run) -> None:
    """A transform is about to begin: the moment is now, unless a load has begun with an earlier
    one. What a stopped transform has made with another moment is not resumed."""
    manifest = run.manifest
    if run.config.transformation.updated_at != MIGRATION:
        manifest.updated_at, manifest.updated_at_in_use = "", False
        return
    if manifest.updated_at_in_use and manifest.rolled_back != "done":
        return
    manifest.updated_at = stamp_now()
    manifest.updated_at_in_use = False
    saved = run.checkpoint.load()
    if saved is not None and saved.phase == "transform":
        run.checkpoint.clear()


def check_moment(run: Run) -> None:
    """A load is about to begin. Raises ArtifactError when nothing was loaded with the moment yet
    and it is of another run, long ago: who has asked in between would never ask for these items."""
    manifest = run.manifest
    if not manifest.updated_at or manifest.updated_at_in_use:
        return
    moment = datetime.strptime(manifest.updated_at[:-1], _FORM).replace(tzinfo=timezone.utc)
    if moment + _BY_HAND < run.began:
        raise ArtifactError(
            f"the transformed files say that they were changed at {manifest.updated_at}: a browser "
            "that has asked for changes since would never see them (transformation.updatedAt)",
            remedy=f"transform them again: {run.command('--phase transform')}, then "
            f"{run.command('--phase validate')} and {run.command('--phase load')}",
        )


def moment_is_used(run: Run) -> None:
    """The first write is about to happen: the moment stays from now on. Durable on return."""
    if run.manifest.updated_at and not run.manifest.updated_at_in_use:
        run.manifest.updated_at_in_use = True
        run.save()
