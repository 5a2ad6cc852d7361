"""`migrate.py drift`: in what S9 and the target differ, and whose work that is."""

from __future__ import annotations

from pathlib import Path

import click

from utils.cli.closings import said
from utils.cli.command_line import Caller, at_the_edge
from utils.error_handler import ExitCode
from utils.files.workspace import Workspace
from validate.drift.listing import DAMAGED


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@click.pass_obj
def drift(caller: Caller, as_json: bool) -> None:
    """Say in what S9 and the target differ, and whose work that is, as a list.

    S9 is read again and compared with the tables: what the Sale Module has changed, added or
    deleted, what S9 has changed since the load, and what is damaged. Nothing is written to either,
    and the reports of the migration stay. Exit code 4 when something is damaged.
    """
    at_the_edge(lambda: _drift(caller, as_json=as_json))


def _drift(caller: Caller, *, as_json: bool) -> ExitCode:
    config = caller.settings()
    found = caller.ways(config, caller.screen).compare()
    report = Workspace(Path(config.data.directory)).report("drift")
    counts = found.drift
    code = ExitCode.VERIFICATION_FAILED if counts[DAMAGED] or found.problems else ExitCode.DONE
    if as_json:
        click.echo(report.read_text(encoding="utf-8"), nl=False)
        return code
    for line in found.problems:
        click.echo(f"Not as it should be: {line}")
    values = {"report": report, "moment": found.look.snapshot}
    values |= {"application": counts["byApplication"], "source": counts["bySource"]}
    if code is ExitCode.DONE:
        click.echo(said("drift", **values))
    else:
        damaged = counts[DAMAGED]
        click.echo(said("drift-damaged", **values, damaged=damaged))
    return code
