"""`migrate.py explain`: what became of one record, from S9's row to the table."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timezone
from logging import NullHandler
from pathlib import Path

import click
import orjson

from utils import logger
from utils.cli.check_command import use_masks
from utils.cli.closings import said
from utils.cli.command_line import Caller, at_the_edge
from utils.config import Config
from utils.entities import ENTITY_NAMES
from utils.error_handler import ArtifactError, ExitCode
from utils.files.workspace import Workspace
from utils.progress import displayed
from utils.run.manifest import Manifest
from utils.run.run import Run
from utils.run.updated_at import MIGRATION
from utils.wording import masking
from utils.wording.figures import moment_text
from utils.wording.terminal import canvas, columns_of, printable
from validate.explain.explained import Explained
from validate.explain.explainer import Explainer
from validate.explain.record_key import asked_for
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
    use_masks(config)
    if unmasked:
        masking.set_up(masking.new_key(), personal=False)
    with displayed(quiet=screen.quiet, color=screen.color) as tasks:
        explainer = _explainer(caller, config, entity, key)
        explainer.run.progress = tasks
        explained = explainer.explain()
    if as_json:
        click.echo(orjson.dumps(explained.as_json(), option=orjson.OPT_INDENT_2).decode())
    else:
        _show(explained, color=screen.color, verbose=screen.verbose, quiet=screen.quiet)
    return explained.verdict.code


def _explainer(caller: Caller, config: Config, entity: str, key: str) -> Explainer:
    """Whoever explains, with what is known of the run whose directory this is."""
    files, damaged, moment = Workspace(Path(config.data.directory)), "", ""
    manifest = None
    try:
        manifest = Manifest.load(files.manifest)
    except ArtifactError as error:
        damaged = error.message
    except OSError as error:
        damaged = f"{files.manifest} cannot be read: {error.strerror}"
    manifest = manifest or Manifest.new()
    stands_in = moment_text(datetime.now(timezone.utc))
    chosen = config.transformation
    if not manifest.migration_timestamp:
        moment = stands_in
        manifest = replace(manifest, migration_timestamp=chosen.migration_timestamp or moment)
    if chosen.updated_at == MIGRATION and not manifest.updated_at:
        moment = stands_in
        manifest = replace(manifest, updated_at=moment)
    run = Run(config, files, manifest)
    asked = asked_for(entity, key)
    return Explainer(run, caller.record(), asked, damaged=damaged, moment=moment)


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
