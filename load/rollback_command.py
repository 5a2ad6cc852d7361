"""migrate.py rollback: undo the last run's load."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import click

from load.entities import TABLES
from load.rollback import foresee, roll_back
from load.rollback_report import Undone
from utils.command_line import Caller, at_the_edge
from utils.error_handler import ConfigurationError, ExitCode
from utils.lifecycle import bind
from utils.manifest import Manifest
from utils.run import Run
from utils.screen import table
from utils.session import open_session

_HEADER = ["", "created", "deleted", "kept", "gone", "replaced", "restored", "kept", "gone"]


@click.command()
@click.option("--dry-run", is_flag=True, help="Say what would be done, and write nothing.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--resume", is_flag=True, help="Go on with a rollback that was cut short.")
@click.pass_obj
def rollback(caller: Caller, dry_run: bool, yes: bool, resume: bool) -> None:
    """Undo the last run's load.

    Items that it created are deleted, items that it replaced come back. What the application has
    changed since is kept and listed in rollback_report.json. Can be killed and typed again.
    """
    at_the_edge(lambda: _run(caller, dry_run=dry_run, yes=yes or resume))


def _run(caller: Caller, *, dry_run: bool, yes: bool) -> ExitCode:
    with _opened(caller) as run:
        if dry_run:
            figures = foresee(run, TABLES)
            click.echo(f"\n{_table(figures)}\n")
            click.echo(f"Nothing was written. Do it: {run.command('rollback')}")
            return ExitCode.DONE
        if not (yes or run.manifest.rolled_back):
            _ask(run)
        figures = roll_back(run, TABLES)
        click.echo(f"\n{_table(figures)}\n")
        return _conclude(run, figures)


@contextmanager
def _opened(caller: Caller) -> Iterator[Run]:
    """The run whose load is to be undone, with the lock on its directory."""
    config = caller.settings()
    with open_session(config, caller.screen, "rollback") as session:
        manifest = Manifest.load(session.workspace.manifest)
        if manifest is None:
            raise ConfigurationError(
                f"there is nothing to undo in {session.workspace.root}: no run has got as far",
                remedy="give the configuration of the run that is to be undone: --config FILE",
            )
        bind(manifest, config, session.workspace.root)
        run = Run(
            config,
            session.workspace,
            manifest,
            session.progress,
            session.stop,
        )
        yield run


def _ask(run: Run) -> None:
    """Go on only when told to. Raises ConfigurationError."""
    names = ", ".join(run.config.target.table(entity) for entity in TABLES)
    where = run.config.target.endpoint_url or f"AWS, {run.config.target.region}"
    question = f"Undo the load of run {run.manifest.run_id} in {names} ({where})?"
    try:
        agreed = click.confirm(question, err=True)
    except click.Abort:
        agreed = False
    if not agreed:
        raise ConfigurationError(
            "nothing was undone: it was not confirmed",
            remedy=f"look first: {run.command('rollback --dry-run')}; then do it: "
            f"{run.command('rollback --yes')}",
        )


def _table(figures: Mapping[str, Undone]) -> str:
    rows = [
        [
            name.capitalize(),
            each.created,
            each.deleted,
            each.created_kept,
            each.created_gone,
            each.replaced,
            each.restored,
            each.replaced_kept,
            each.replaced_gone,
        ]
        for name, each in figures.items()
    ]
    return table(_HEADER, rows)


def _conclude(run: Run, figures: Mapping[str, Undone]) -> ExitCode:
    report = run.workspace.report("rollback")
    kept = sum(each.kept for each in figures.values())
    if not all(each.closes for each in figures.values()):
        click.echo(f"The ledger of the rollback does not close: see {report}")
        return ExitCode.FAILED
    but = f", but {kept:,} items that the application has changed since" if kept else ""
    click.echo(f"Undone{but}; see {report}. A new run: {run.command('--full')}")
    return ExitCode.DONE
