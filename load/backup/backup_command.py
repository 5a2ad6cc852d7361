"""`migrate.py backup` and `migrate.py backups`."""

from __future__ import annotations

from pathlib import Path

import click

from load.backup.engine import back_up, new_name, unfinished
from load.backup.listing import listed
from utils.cli.closings import said
from utils.cli.command_line import Caller, at_the_edge, require_table_name
from utils.cli.text_table import table as as_table
from utils.entities import ENTITY_NAMES
from utils.error_handler import ExitCode
from utils.logger import get_logger
from utils.progress import displayed
from utils.run.session import bring_files, open_session
from utils.wording.figures import counted


@click.command()
@click.option("--table", "tables", multiple=True, help="Only this table; may be repeated.")
@click.pass_obj
def backup(caller: Caller, tables: tuple[str, ...]) -> None:
    """Back up the target's tables, as before a load.

    A backup that was cut short within the last day is resumed.
    """
    at_the_edge(lambda: _back_up_all(caller, tables))


def _back_up_all(caller: Caller, tables: tuple[str, ...]) -> ExitCode:
    config = caller.settings()
    target = config.target
    for table in tables:
        require_table_name(table, "--table")
    names = tables or tuple(map(target.table, ENTITY_NAMES))
    made = []
    with open_session(config, caller.screen, "backup") as work:
        for table in dict.fromkeys(names):
            name = unfinished(config, table)
            if name:
                get_logger().info("Resuming the backup %s", name)
            made.append(back_up(work, table, name or new_name(config, table)))
        words = said("backed-up", restore=work.command(f"restore {made[-1].path.name}"))
        work.progress.conclude(ExitCode.DONE, words)
    for folder in made:
        items = counted(folder.entry.items, "item")
        click.echo(f"Backed up {items} of {folder.entry.table}: {folder.path}")
    click.echo(words)
    return ExitCode.DONE


@click.command()
@click.option("--verify", is_flag=True, help="Read every stored byte again.")
@click.pass_obj
def backups(caller: Caller, verify: bool) -> None:
    """List the backups: when, of which table, how large, encrypted or not, whole or not."""
    at_the_edge(lambda: _list_all(caller, verify))


def _list_all(caller: Caller, verify: bool) -> ExitCode:
    config = caller.settings()
    bring_files(config, everything=verify)
    directory = Path(config.backups)
    with displayed(quiet=caller.screen.quiet, color=caller.screen.color) as progress:
        found = listed(directory, thorough=verify, progress=progress)
    if not found:
        click.echo(said("no-backups", directory=directory))
        return ExitCode.DONE
    header = ["backup", "when", "table", "items", "size", "encrypted", "verified"]
    click.echo(as_table(header, [each.row() for each in found]))
    broken = [each for each in found if each.problem]
    for each in broken:
        click.echo(f"\n{each.name}: {each.problem}", err=True)
    return ExitCode.FAILED if verify and broken else ExitCode.DONE
