"""`migrate.py explain`: what became of one record, from S9's row to the table."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from logging import NullHandler

import click
import orjson

from utils import logger
from utils.cli.check_command import use_masks
from utils.cli.closings import said
from utils.cli.command_line import Caller, at_the_edge
from utils.entities import ENTITY_NAMES
from utils.error_handler import ExitCode
from utils.progress import displayed
from utils.run.session import bring_files
from utils.wording import masking
from utils.wording.terminal import canvas, columns_of, printable
from validate.explain.asking import explainer_of
from validate.explain.explained import Explained
from validate.explain.text import Looks, text_of


@click.command()
@click.argument("entity", type=click.Choice(ENTITY_NAMES))
@click.argument("key")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.option("--show-personal-data", is_flag=True, help="Do not mask personal data.")
@click.pass_obj
def explain(caller: Caller, entity: str, key: str, as_json: bool, show_personal_data: bool) -> None:
    """Tell what became of one record: S9 now, the files, the load, the table, and a verdict.

    KEY is S9's key (1234), our id or partition key (SALE#…), or a sale's number with its year
    (12/2024). Nothing is written, and a run that is at work is not disturbed; a station that
    cannot be asked says why. Personal data are masked as in the logs.

    Exit codes: 0 told and fine; 4 it differs from S9; 5 it is in quarantine or was kept; 2 nobody
    knows the key; 1 nothing could be told.
    """
    at_the_edge(lambda: _explain(caller, entity, key, as_json=as_json, unmasked=show_personal_data))


def _explain(caller: Caller, entity: str, key: str, *, as_json: bool, unmasked: bool) -> ExitCode:
    config, screen = caller.settings(), caller.screen
    logger.set_up_screen(
        config.logging, verbose=screen.verbose, quiet=not screen.verbose, color=screen.color
    )
    logger.get_logger().addHandler(NullHandler())
    bring_files(config, everything=True)
    use_masks(config)
    if unmasked:
        masking.set_up(masking.new_key(), personal=False)
    with displayed(quiet=screen.quiet, color=screen.color) as tasks:
        explainer = explainer_of(config, caller.record(), entity, key)
        explainer.run.progress = tasks
        explained = explainer.explain()
    if as_json:
        click.echo(orjson.dumps(explained.as_json(), option=orjson.OPT_INDENT_2).decode())
    else:
        _show(explained, color=screen.color, verbose=screen.verbose, quiet=screen.quiet)
    return explained.verdict.code


def _show(explained: Explained, *, color: bool, verbose: bool, quiet: bool) -> None:
    is_screen = sys.stdout.isatty() and os.environ.get("TERM") != "dumb"
    looks = Looks(columns_of(sys.stdout), color and is_screen, _has_signs())
    if not quiet:
        text = text_of(explained, looks, verbose=verbose)
        click.echo(f"{text}\n", file=canvas(sys.stdout), color=looks.color)
    verdict = explained.verdict
    sentence = printable(verdict.sentence)
    if verdict.next:
        line = said("explained-next", sentence=sentence, next=verdict.next)
    else:
        line = said("explained", sentence=sentence)
    click.echo(line)


def _has_signs() -> bool:
    with suppress(UnicodeError, LookupError):
        "✓✗·≠–".encode(sys.stdout.encoding or "ascii")
        return True
    return False
