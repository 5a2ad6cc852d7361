"""`migrate.py report`: the page for people, made anew from what there is."""

from __future__ import annotations

import time
import webbrowser
from contextlib import suppress
from pathlib import Path

import click

from utils.cli.closings import said
from utils.cli.command_line import Caller, at_the_edge, data_directory
from utils.error_handler import ConfigurationError, ExitCode, MigrationError
from utils.files.storage import storage_errors
from utils.files.workspace import Workspace
from utils.pages.report.page import write_page
from utils.status.status import Watcher, latest, watchers
from utils.wording.invocation import for_real


@click.command()
@click.option("--open", "opens", is_flag=True, help="Show it in a browser.")
@click.option(
    "--directory",
    type=click.Path(path_type=Path),
    help="A data directory instead of the configured one.",
)
@click.pass_obj
def report(caller: Caller, opens: bool, directory: Path | None) -> None:
    """Make report.html: one page for people, of what the reports say.

    Every run makes it when it ends. It needs no network and can be sent as it is: personal data are
    masked in it as in the reports, and there are no secrets. Of a data directory in which a
    rehearsal or the demonstration has been at work since, their pages are made as well. The exit
    code is 0 whatever the page says.
    """
    at_the_edge(lambda: _run(caller, directory, opens=opens))


def _run(caller: Caller, directory: Path | None, *, opens: bool) -> ExitCode:
    root = directory or data_directory(caller.config_path)
    with storage_errors(root):
        if not root.is_dir():
            raise ConfigurationError(
                f"there is no directory {root}: no run has left anything to report of",
                remedy=f"start one: {for_real('--full')}; or name the data directory of a run "
                "with --directory",
            )
    config = None
    if directory is None:
        with suppress(MigrationError):  # the page does without: who migrates is told what is wrong
            config = caller.settings()
    found = _of_runs(root)
    pages = {each.files.root: write_page(each.files.root, config) for each in found}
    shown = pages[_newest(found)]
    if opens and not webbrowser.open(shown.resolve().as_uri()):
        click.echo(said("report-not-opened", page=shown))
    else:
        click.echo(said("report-made", page=shown))
    return ExitCode.DONE


def _newest(found: list[Watcher]) -> Path:
    """The directory in which something has happened last; the first where that cannot be told."""
    with suppress(MigrationError):  # the page says what is wrong
        newest, _ = latest([(each, each.look(time.time())) for each in found])
        return newest.files.root
    return found[0].files.root


def _of_runs(root: Path) -> list[Watcher]:
    """Those of a data directory, and of the rehearsal and the demonstration inside it; S9 as it was
    read again is a part of a verification, which is told of where that was asked for."""
    aside = Workspace(root).from_source
    return [each for each in watchers(root) if each.files.root != aside]
