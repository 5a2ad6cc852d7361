"""migrate.py rollback: undo the load of the last run that has written."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import click

from load.entities import TABLES
from load.rollback.engine import (
    BEGUN,
    FORESEEN,
    PHASE,
    began,
    foresee,
    is_done,
    loads_to_undo,
    name_of,
    roll_back,
)
from load.rollback.repair_rollback import FORESEEN as FORESEEN_REPAIR
from load.rollback.repair_rollback import NAME as REPAIR
from load.rollback.repair_rollback import UndoneRepair, last_repair, undo_last_repair
from load.rollback.report import CHANGED, IN_USE, Rolled
from utils.cli.closings import said
from utils.cli.command_line import Caller, at_the_edge
from utils.cli.text_table import table
from utils.error_handler import ConfigurationError, ExitCode
from utils.run.lifecycle import bind
from utils.run.manifest import Manifest
from utils.run.run import Run
from utils.run.session import open_session
from utils.telemetry.cloudwatch.beside import settle_cloudwatch
from utils.wording.figures import counted

_HEADER = ["", "created", "deleted", "kept", "gone", "replaced", "restored", "kept", "gone"]


@click.command()
@click.option("--dry-run", is_flag=True, help="Say what would be done; write nothing.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--resume", is_flag=True, help="Resume a rollback that was cut short.")
@click.option("--repair", is_flag=True, help="Undo the last repair of what was loaded instead.")
@click.pass_obj
def rollback(caller: Caller, dry_run: bool, yes: bool, resume: bool, repair: bool) -> None:
    """Undo the load of the last run that has written.

    What it created is deleted, what it replaced comes back. A record on which the application has
    worked since is kept whole, with the parties that it names, and listed in rollback_report.json.
    If it is killed, run it again.

    With --repair the last `--phase verify --repair` is undone, and the load stays: a record that
    was changed since is kept, and listed in repair_rollback_report.json.
    """
    work = _undo_repair if repair else _run
    at_the_edge(lambda: work(caller, dry_run=dry_run, yes=yes or resume))


def _run(caller: Caller, *, dry_run: bool, yes: bool) -> ExitCode:
    with _opened(caller, writes=not dry_run) as run:
        if dry_run:
            rolled = foresee(run, TABLES)
            settle_cloudwatch()
            _tell(rolled)
            click.echo(f"The load that run {rolled.run} began at {rolled.began} would be undone")
            click.echo(f"{_kept(run, FORESEEN, rolled, 'would be kept')}")
            click.echo(said("rollback-foreseen", rollback=run.command("rollback")))
            return ExitCode.DONE
        if not (yes or run.manifest.rolled_back == BEGUN):
            _ask(run)
        rolled = roll_back(run, TABLES)
        settle_cloudwatch()
        _tell(rolled)
        return _conclude(run, rolled)


def _undo_repair(caller: Caller, *, dry_run: bool, yes: bool) -> ExitCode:
    with _opened(caller, writes=not dry_run) as run:
        state = last_repair(run)
        if not (dry_run or yes or state.undoing):
            _confirm(f"Undo the repair of {state.began} in {_tables(run)}?", run, "--repair ")
        undone = undo_last_repair(run, TABLES, writes=not dry_run)
        settle_cloudwatch()
        if dry_run:
            report = run.workspace.report(FORESEEN_REPAIR)
            click.echo(
                f"The repair of {undone.began} would be undone in "
                f"{counted(undone.records, 'record')}, and {undone.stays:,} would be kept "
                f"(all in {report})"
            )
            click.echo(said("rollback-foreseen", rollback=run.command("rollback --repair")))
            return ExitCode.DONE
        words = _repair_undone(run, undone)
        run.progress.conclude(ExitCode.DONE, words)
        click.echo(words)
        return ExitCode.DONE


def _repair_undone(run: Run, undone: UndoneRepair) -> str:
    """What has happened, in words."""
    values: dict[str, object] = {
        "began": undone.began,
        "records": undone.records,
        "report": run.workspace.report(REPAIR),
        "verify": run.command("--phase verify"),
    }
    if undone.stays:
        return said("repair-undone-but", kept=undone.stays, **values)
    return said("repair-undone", **values)


@contextmanager
def _opened(caller: Caller, *, writes: bool) -> Iterator[Run]:
    """The run whose load is to be undone, with the lock on its directory; unless it `writes`, it is
    only looked at."""
    config = caller.settings()
    with open_session(config, caller.screen, "rollback", undoes=writes) as session:
        manifest = Manifest.load(session.workspace.manifest)
        if manifest is None:
            raise ConfigurationError(
                f"there is nothing to undo in {session.workspace.root}: no run has loaded anything",
                remedy="name the configuration of the run to undo: --config FILE",
            )
        bind(manifest, config, session.workspace.root)
        run = Run(config, session.workspace, manifest, session.progress, session.stop)
        yield run


def _ask(run: Run) -> None:
    """Go on only when told to. Raises ConfigurationError."""
    loads, *earlier = loads_to_undo(run)
    question = f"Undo the load that run {name_of(loads)} began at {began(loads)}"
    if is_done(loads):
        question = f"Delete what has arrived from run {name_of(loads)} since its load was undone"
    elif earlier:
        question += f" (or, if it has written nothing, that of run {name_of(earlier[0])})"
    question += f" in {_tables(run)}?"
    _confirm(question, run)


def _tables(run: Run) -> str:
    """Which tables, and where."""
    names = ", ".join(run.config.target.table(entity) for entity in TABLES)
    return f"{names} ({run.config.target.endpoint_url or f'AWS, {run.config.target.region}'})"


def _confirm(question: str, run: Run, options: str = "") -> None:
    """Go on only when told to. Raises ConfigurationError."""
    try:
        agreed = click.confirm(question, err=True)
    except click.Abort:
        agreed = False
    if not agreed:
        raise ConfigurationError(
            "nothing was undone: it was not confirmed",
            remedy=f"look first: {run.command(f'rollback {options}--dry-run')}; then do it: "
            f"{run.command(f'rollback {options}--yes')}",
        )


def _tell(rolled: Rolled) -> None:
    """Show the figures, and the first of the kept records."""
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
        for name, each in rolled.figures.items()
    ]
    click.echo(f"\n{table(_HEADER, rows)}\n")
    for line in rolled.first:
        click.echo(f"  kept: {line}")


def _kept(run: Run, report: str, rolled: Rolled, kept: str) -> str:
    """How many records are kept and why, and where they are listed."""
    changed, in_use = (rolled.reasons.get(reason, 0) for reason in (CHANGED, IN_USE))
    parts = [
        f"{changed:,} on which the application has worked since" if changed else "",
        f"{in_use:,} that another record names" if in_use else "",
    ]
    why = " and ".join(filter(None, parts)) or "nothing"
    return f"{kept[:1].upper()}{kept[1:]}: {why} (all in {run.workspace.report(report)})"


def _conclude(run: Run, rolled: Rolled) -> ExitCode:
    report = run.workspace.report(PHASE)
    code = ExitCode.DONE if rolled.closes else ExitCode.FAILED
    if not rolled.closes:
        words = said("rollback-does-not-close", report=report)
    else:
        words = _sentence(rolled, report=str(report), next=_next(run))
        if rolled.reasons:
            click.echo(_kept(run, PHASE, rolled, "kept"))
    run.progress.conclude(code, words)
    click.echo(words)
    return code


def _sentence(rolled: Rolled, **ends: str) -> str:
    """What has happened, in words that are true of it."""
    ends |= {"run": rolled.run, "began": rolled.began}
    records = sum(rolled.reasons.values())
    if rolled.again and rolled.late:
        return said("undone-before-and-late", late=rolled.late, **ends)
    if rolled.again:
        return said("undone-before", **ends)
    if rolled.done:
        return said("undone-but", records=records, **ends) if records else said("undone", **ends)
    return said("nothing-undone", records=records, **ends) if records else said("none-left", **ends)


def _next(run: Run) -> str:
    if run.manifest.rolled_back or not run.manifest.begun:
        return f"A new run: {run.command('--full')}"
    return f"Resume run {run.manifest.run_id}: {run.command('--resume')}"
