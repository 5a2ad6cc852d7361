"""`migrate.py clean`: delete what a migration has left on disk."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import click

from utils.cli.closings import said
from utils.cli.command_line import Caller, at_the_edge
from utils.config import Config
from utils.error_handler import ConfigurationError, ExitCode
from utils.files.workspace import Workspace
from utils.run.clean import (
    Found,
    Wish,
    delete,
    left_in,
    left_in_s3,
    look,
    nested,
    require_ended,
)
from utils.run.lock import run_lock
from utils.wording.invocation import again, command
from utils.working_copy.at_work import at_work_in
from utils.working_copy.place import place_of
from utils.working_copy.record import RECORD

_LOSSES = (
    "After this, the load cannot be rolled back, and records in quarantine cannot be tried again."
)


@click.command()
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--keep-reports", is_flag=True, help="Leave data/reports as it is.")
@click.option("--all-backups", is_flag=True, help="Also backups of earlier runs.")
@click.option("--unfinished", is_flag=True, help="Also what an unfinished run needs to resume.")
@click.option(
    "--directory",
    type=click.Path(path_type=Path),
    help="A data directory instead of the configured one.",
)
@click.pass_obj
def clean(
    caller: Caller,
    yes: bool,
    keep_reports: bool,
    all_backups: bool,
    unfinished: bool,
    directory: Path | None,
) -> None:
    """Delete extracted, transformed and quarantined data, reports, and the run's backups."""
    wish = Wish(keep_reports, all_backups)
    at_the_edge(lambda: _clean(caller, wish, directory, asks=not yes, unfinished=unfinished))


def _clean(
    caller: Caller, wish: Wish, directory: Path | None, *, asks: bool, unfinished: bool
) -> ExitCode:
    settings = None
    if directory:
        files, backups = Workspace(directory), directory / "backups"
    else:
        settings = caller.settings()
        files, backups = Workspace(Path(settings.data.directory)), Path(settings.backups)
    if settings is not None and place_of(settings):
        files.prepare()
        files.lock.touch()
    if not (files.manifest.exists() or files.lock.exists() or nested(files)):
        click.echo(said("nothing-to-clean", directory=files.root))
        return ExitCode.DONE
    with ExitStack() as locks:
        for place in (files, *nested(files).values()):
            locks.enter_context(run_lock(place.lock))
        if settings is not None:
            locks.enter_context(at_work_in(settings, files.root))
        if not unfinished:
            require_ended(files)
        unfollow = partial(_unfollow, caller, settings, files)
        return _delete(files, backups, look(files, backups, wish), unfollow, asks=asks)


def _unfollow(caller: Caller, settings: Config | None, files: Workspace) -> None:
    """What S9 keeps for who follows its log from here must not be forgotten there: it would keep it
    until its disk is full. Raises ConfigurationError where S9 is not known."""
    if not files.following.exists():
        return
    if settings is None:
        raise ConfigurationError(
            f"S9's log is followed from {files.root}, and S9 keeps it for that",
            remedy="end that first, with the configuration of this migration: "
            f"{command('sync --stop')}",
        )
    for taken in caller.unfollow(settings, files):
        click.echo(f"Taken away at S9: {taken}")


def _delete(
    files: Workspace, backups: Path, found: Found, unfollow: Callable[[], None], *, asks: bool
) -> ExitCode:
    if not found:
        delete(files, backups, found)  # an earlier one may have been cut short before its end
        click.echo(said("nothing-to-clean", directory=files.root))
        return ExitCode.DONE
    if asks and not _confirmed(files, found):
        click.echo(said("not-cleaned"))
        return ExitCode.DONE
    unfollow()
    in_s3 = left_in_s3(files)
    delete(files, backups, found)
    click.echo("\n".join(["Deleted:", *(f"  {line}" for line in found.lines())]))
    elsewhere = [] if files.root in backups.parents else [backups]
    own = (".lock", RECORD)
    left = [line for line in left_in(files.root, *elsewhere) if not line.endswith(own)]
    left += in_s3
    click.echo("\n".join(["Left:", *(f"  {line}" for line in left or ["nothing"])]))
    return ExitCode.DONE


def _confirmed(files: Workspace, found: Found) -> bool:
    click.echo("\n".join([f"To be deleted in {files.root}:", *(f"  {x}" for x in found.lines())]))
    click.echo(_LOSSES)
    try:
        return click.confirm("Delete it?")
    except click.Abort as error:
        raise ConfigurationError(
            "clean asks before it deletes, and there was no answer",
            remedy=f"to delete without a question: {again('--yes')}",
        ) from error
