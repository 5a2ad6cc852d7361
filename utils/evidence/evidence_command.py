"""`migrate.py evidence`: keep what proves a migration, and check it again later."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import click

from utils.cli.closings import said
from utils.cli.command_line import Caller, at_the_edge, data_directory
from utils.config import Config
from utils.error_handler import ConfigurationError, ExitCode
from utils.evidence.checking import Verdict, check
from utils.evidence.packing import Made, nothing_to_pack, pack
from utils.files.encryption import identities, recipients
from utils.files.workspace import Workspace
from utils.progress import displayed
from utils.run.lifecycle import mask_key
from utils.run.lock import run_lock
from utils.run.session import keeping_files
from utils.settings.config_file import parse
from utils.wording import masking
from utils.wording.figures import counted
from utils.wording.invocation import command
from utils.wording.terminal import printable


@click.command()
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    help="The archive; by default data/evidence/evidence-RUN.tar.gz.",
)
@click.option(
    "--check", "archive", type=click.Path(path_type=Path), help="Check this archive instead."
)
@click.option("--sha256", "noted", help="With --check: the SHA-256 that was noted.")
@click.pass_obj
def evidence(caller: Caller, output: Path | None, archive: Path | None, noted: str | None) -> None:
    """Pack reports, differences, logs, the manifest and checksums into one archive, or check one.

    No personal data are packed: of files with whole records (extracted, transformed, quarantine,
    undo) the archive has only the checksums. It is encrypted for data.recipient, if that is set.
    --check needs no configuration and writes nothing; its exit code is 0 when the archive is whole,
    4 when anything in it differs, 2 when it is no such archive.
    """
    if archive is None and noted is not None:
        raise click.UsageError("--sha256 goes with --check")
    if archive is not None and output is not None:
        raise click.UsageError("--output does not go with --check")
    at_the_edge(lambda: _check(caller, archive, noted) if archive else _pack(caller, output))


def _pack(caller: Caller, output: Path | None) -> ExitCode:
    config = caller.settings()
    files = Workspace(Path(config.data.directory))
    with keeping_files(config):
        return _packed_in(caller, config, files, output)


def _packed_in(caller: Caller, config: Config, files: Workspace, output: Path | None) -> ExitCode:
    if not files.manifest.is_file():
        raise nothing_to_pack(files)
    if output is not None and not output.parent.is_dir():
        raise ConfigurationError(
            f"there is no directory {output.parent}", remedy="name a file in one that there is"
        )
    with (
        run_lock(files.lock),
        displayed(quiet=caller.screen.quiet, color=caller.screen.color) as progress,
    ):
        masking.set_up(mask_key(files), personal=config.logging.mask_personal_data)
        made = pack(
            files,
            parse(caller.config_path),
            output,
            recipients=recipients(config.data.recipient, "data.recipient"),
            personal_data_shown=not config.logging.mask_personal_data,
            progress=progress,
        )
    click.echo(_packed(made))
    return ExitCode.DONE


def _packed(made: Made) -> str:
    return said(
        "evidence-packed",
        file=made.path,
        packed=made.packed,
        named=made.named,
        sha256=made.sha256,
        check=command(f"evidence --check {made.path}"),
    )


def _check(caller: Caller, archive: Path, noted: str | None) -> ExitCode:
    here = None
    with suppress(ConfigurationError):  # whoever checks need not have a configuration
        here = Workspace(data_directory(caller.config_path))
    keys = identities(caller.identity) if caller.identity else ()
    with displayed(quiet=caller.screen.quiet, color=caller.screen.color) as progress:
        verdict = check(archive, keys, here=here, noted=noted, progress=progress)
    for line in _lines(verdict, here):
        click.echo(printable(line))
    if verdict.problems:
        click.echo(said("evidence-differs", problems=len(verdict.problems)))
    else:
        as_noted = ", which it is" if noted else ""
        click.echo(said("evidence-checks", noted=as_noted, sha256=verdict.sha256))
    return verdict.exit_code


def _lines(verdict: Verdict, here: Workspace | None) -> Iterator[str]:
    document = verdict.contents.document
    if document:
        yield from _run(document)
        whole, files = len(verdict.contents.whole), len(document["files"])
        yield f"In the archive: {whole:,} of {counted(files, 'file')} as packed"
        yield f"Only named: {_named(verdict, len(document['notPacked']), here)}"
    yield from (f"Wrong: {problem}" for problem in verdict.problems)


def _run(document: dict[str, Any]) -> Iterator[str]:
    run = document["run"]
    outcome = (
        run["stopped"] or "killed" if run["outcome"] is None else f"exit code {run['outcome']}"
    )
    yield f"Run {run['runId']} of {run['createdAt']}, tool {document['tool']['version']}: {outcome}"
    for side, reached in document["reached"].items():
        yield f"Reached as the {side}: {_reached(reached)}"
    for entity, verified in document["verified"].items():
        verdict = "as in S9" if verified["passed"] else "not as in S9"
        yield f"Verified: {entity}, {verified['at']}: {verdict}"
    if not document["verified"]:
        yield "Nothing was verified"


def _reached(reached: dict[str, Any] | None) -> str:
    if not reached:
        return "nothing"
    return ", ".join(f"{name} {value}" for name, value in _flat("", reached))


def _flat(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for name, each in value.items():
            yield from _flat(f"{path}.{name}" if path else name, each)
    else:
        yield path, value


def _named(verdict: Verdict, total: int, here: Workspace | None) -> str:
    if not total:
        return "no file"
    if not verdict.compared:
        where = f"{here.root} is not of this run" if here else "there is no data directory here"
        if verdict.problems:
            where = "what the archive says of them cannot be believed"
        return f"{counted(total, 'file')}, not compared: {where}"
    altered = total - verdict.same - verdict.gone
    words = [f"{verdict.same:,} of {counted(total, 'file')} here with the same SHA-256"]
    if verdict.gone:
        words.append(f"{verdict.gone:,} not here any more")
    if altered:
        words.append(f"{altered:,} changed since")
    return ", ".join(words)
