"""migrate.py demo: a full migration between two servers that are started for it."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import click

from utils.cli.command_line import Caller, at_the_edge
from utils.cli.summary import after_demo
from utils.demo.demo import Demo
from utils.error_handler import ExitCode
from utils.progress import displayed
from utils.run.lifecycle import Start, open_run
from utils.wording import invocation


@click.command()
@click.option(
    "--source",
    type=click.Choice(("postgresql", "mysql")),
    default="postgresql",
    show_default=True,
    help="Kind of S9's database; mysql needs an installed MariaDB.",
)
@click.option("--buyers", default=1250, show_default=True, help="Number of enabled buyers.")
@click.option("--producers", default=430, show_default=True, help="Number of enabled producers.")
@click.option("--sales", default=8542, show_default=True, help="Number of enabled sales.")
@click.option("--seed", default=2026, show_default=True, help="Same seed, same data.")
@click.option(
    "--directory",
    default="data/demo",
    show_default=True,
    type=click.Path(path_type=Path),
    help="Where artifacts and reports go; emptied first.",
)
@click.pass_obj
def demo(__caller: Caller, **choice: Any) -> None:
    """Show a full migration, between an S9 and an AWS that are started for it."""
    at_the_edge(lambda: _run(__caller, Demo(**choice)))


def _run(caller: Caller, scene: Demo) -> ExitCode:
    """Migrate the made-up S9, and compare what was found with what was planted in it."""
    invocation.is_closed()
    shown = partial(displayed, quiet=caller.screen.quiet, color=caller.screen.color)
    with (
        scene.servers(click.echo, shown) as config,
        open_run(config, caller.screen, Start.DEMONSTRATION) as run,
    ):
        code = scene.verdict(run, caller.migrate(run, after_demo), click.echo)
        run.progress.conclude(code, run.progress.sentence)
        return code
