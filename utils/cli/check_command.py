"""`migrate.py check`: everything that a migration needs of both ends and of this machine."""

from __future__ import annotations

import sys
from contextlib import suppress
from logging import NullHandler
from pathlib import Path

import click
import orjson

from utils import logger
from utils.checking.check import Check, State, count_of
from utils.checking.listing import lines
from utils.cli.closings import said
from utils.cli.command_line import Caller, at_the_edge
from utils.config import Config
from utils.error_handler import ExitCode
from utils.files.workspace import Workspace
from utils.progress import displayed
from utils.wording import masking
from utils.wording.invocation import again, command
from utils.wording.terminal import canvas


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the checks as JSON.")
@click.pass_obj
def check(caller: Caller, as_json: bool) -> None:
    """Check both ends and this machine, and say what to do; write nothing.

    S9: connection, TLS, account, tables, columns, settings. The target: credentials, tables,
    indexes, capacity, rights. This machine: memory, disk, files. It takes seconds, and a migration
    that is at work is not disturbed. Exit code 1 when something is in the way.
    """
    at_the_edge(lambda: _check(caller, as_json=as_json))


def _check(caller: Caller, *, as_json: bool) -> ExitCode:
    config, screen = caller.settings(), caller.screen
    logger.set_up_screen(
        config.logging,
        verbose=screen.verbose,
        quiet=not screen.verbose,  # what there is to be said is in the list
        color=screen.color,
    )
    logger.get_logger().addHandler(NullHandler())
    use_masks(config)
    with (
        displayed(quiet=screen.quiet, color=screen.color) as tasks,
        tasks.task("check", "", None, step="both ends and this machine"),
    ):
        checks = caller.check(config)
    if as_json:
        click.echo(orjson.dumps(as_report(checks), option=orjson.OPT_INDENT_2).decode())
    else:
        show(checks, color=screen.color, quiet=screen.quiet)
        click.echo("\n" + _last_line(checks))
    return code_of(checks)


def show(checks: list[Check], *, color: bool, quiet: bool = False) -> None:
    """Print the list: signs and colours where the screen has them, and words in any case."""
    is_screen = sys.stdout.isatty()
    color = color and is_screen
    listed = lines(checks, color=color, signs=is_screen and _has_signs(), quiet=quiet)
    click.echo("\n".join(listed), file=canvas(sys.stdout), color=color)


def _has_signs() -> bool:
    with suppress(UnicodeError, LookupError):
        "✓✗·".encode(sys.stdout.encoding or "ascii")
        return True
    return False


def code_of(checks: list[Check]) -> ExitCode:
    """The exit code: 0 when nothing is in the way."""
    return ExitCode.FAILED if count_of(checks, State.FAILED) else ExitCode.DONE


def as_report(checks: list[Check]) -> dict[str, object]:
    """The checks for a program, with how many are in which state."""
    return {
        "checks": [each.as_json() for each in checks],
        **{state.value: count_of(checks, state) for state in State},
        "exitCode": int(code_of(checks)),
    }


def _last_line(checks: list[Check]) -> str:
    counts = {state.value: count_of(checks, state) for state in State}
    counts["checks"] = len(checks)
    if counts["failed"]:
        return said("checked-failed", **counts, again=again())
    if counts["warning"]:
        return said("checked-warned", **counts, next=command("--dry-run"))
    return said("checked", **counts, next=command("--dry-run"))


def use_masks(config: Config) -> None:
    """The masks of the data directory, where it has any; nothing is written there."""
    key = b""
    with suppress(OSError):
        key = Workspace(Path(config.data.directory)).mask_key.read_bytes()
    whole = len(key) == masking.KEY_BYTES
    masking.set_up(key if whole else masking.new_key(), personal=config.logging.mask_personal_data)
