#!/usr/bin/env python3
"""Migrate S9 into the Sale Module's DynamoDB tables: extract, transform, validate, load, verify.

This file is the runbook. It is the only one that knows every phase; what a phase does is in its
own package, and phases meet only in the files under data/.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from utils.error_handler import ConfigurationError, ExitCode, MigrationError

if TYPE_CHECKING:
    from utils.config import Config
    from utils.embedded.s9_data import SampleReport
    from utils.run import Run

ENTITIES = ("buyers", "producers", "sales")
PHASES = ("extract", "transform", "validate", "load", "verify")
DEFAULT_CONFIG = "config.json"


# ---------------------------------------------------------------------------------------------
# The runbook
# ---------------------------------------------------------------------------------------------


@dataclass
class Runbook:
    """The five phases in their order, and what each outcome means for the next.

    With `resume`, what is complete for the same inputs and settings is not done again.
    """

    run: Run
    resume: bool = False

    def full(self) -> ExitCode:
        """The whole migration."""
        self.check_target()
        if (stopped := self.prepare()) is not None:
            return stopped
        self.load(ENTITIES)
        if not self.run.config.migration.validate_after_load:
            return self.quarantined()
        return self.verify(ENTITIES)

    def rehearsal(self) -> ExitCode:
        """Everything but the writes."""
        missing = self.check_target()
        if missing:
            self.say(f"Would create the tables {', '.join(missing)}")
        stopped = self.prepare()
        return self.quarantined() if stopped is None else stopped

    def prepare(self) -> ExitCode | None:
        """From S9 to files that may be loaded; an exit code when they may not."""
        self.extract(ENTITIES)
        self.transform(ENTITIES)
        code = self.validate(ENTITIES)
        return None if code in (ExitCode.DONE, ExitCode.QUARANTINED) else code

    def phase(self, name: str, entities: Sequence[str]) -> ExitCode:
        """One phase by hand."""
        steps: dict[str, Callable[[Sequence[str]], ExitCode]] = {
            "extract": self.extract,
            "transform": self.transform,
            "validate": self.validate,
            "load": self.load,
            "verify": self.verify,
        }
        return steps[name](entities)

    def check_target(self) -> list[str]:
        """Look at the target's tables before anything else; returns those to be created."""
        from load.entities import TABLES
        from load.tables import prepare_tables

        return prepare_tables(self.run.config.target, list(TABLES.values()), create=False)

    def extract(self, entities: Sequence[str]) -> ExitCode:
        """Read the entities from S9, all from one snapshot."""
        from extract import engine
        from extract.entities import ENTITIES as DECLARED

        due = [
            name
            for name in entities
            if not self.skips("extract", name, engine.settings(self.run, name), [])
        ]
        self.set_migration_timestamp()
        engine.extract(self.run, DECLARED, due, by_hand=tuple(entities) != ENTITIES)
        return ExitCode.DONE

    def transform(self, entities: Sequence[str]) -> ExitCode:
        """Turn the extracted rows into items; what cannot be converted goes to quarantine."""
        from transform import engine

        files = self.run.workspace
        for name in entities:
            if not self.skips(
                "transform", name, engine.settings(self.run), [files.extracted(name)]
            ):
                entry = engine.transform(self.run, name)
                self.say(f"Transformed {entry.result['records']} {name}")
        return self.quarantined()

    def validate(self, entities: Sequence[str]) -> ExitCode:
        """The gate: nothing is loaded that has not passed here."""
        from validate.validate_data import validate

        outcome = validate(self.run, entities)
        self.say(
            f"Validated {', '.join(entities)}: {outcome.error_count} errors, "
            f"{outcome.warning_count} warnings"
        )
        return self.quarantined() if outcome.passed else ExitCode.VALIDATION_FAILED

    def load(self, entities: Sequence[str]) -> ExitCode:
        """Write the items, parties before sales."""
        from load import engine
        from load.entities import TABLES
        from load.load_report import write_load_report
        from load.tables import prepare_tables

        prepare_tables(self.run.config.target, list(TABLES.values()), create=True)
        files = self.run.workspace
        for name in entities:
            if not self.skips(
                "load", name, engine.settings(self.run, name), [files.transformed(name)]
            ):
                entry = engine.load(self.run, TABLES[name])
                self.say(f"Loaded {entry.result['items']} items of {name}")
                write_load_report(self.run)
        return self.quarantined()

    def verify(self, entities: Sequence[str]) -> ExitCode:
        """Prove it: compare the target with every station before it."""
        from load.entities import TABLES
        from validate.verify_target import verify

        result = verify(self.run, TABLES, entities)
        self.say("Verified: " + ("everything arrived" if result.passed else "differences found"))
        return self.quarantined() if result.passed else ExitCode.VERIFICATION_FAILED

    def skips(self, phase: str, entity: str, settings: str, inputs: Sequence[Path]) -> bool:
        """Whether a resumed run has nothing left to do here."""
        skipped = self.resume and self.run.is_complete(
            phase, entity, inputs=self.run.sha_of(*inputs), settings=settings
        )
        if skipped:
            self.say(f"{phase.capitalize()} of {entity} is complete, going on")
        return skipped

    def set_migration_timestamp(self) -> None:
        """The time of records without their own: set once, kept for every later run."""
        manifest = self.run.manifest
        chosen = self.run.config.transformation.migration_timestamp
        now = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.000Z")
        manifest.migration_timestamp = chosen or manifest.migration_timestamp or now
        self.run.save()

    def quarantined(self) -> ExitCode:
        """DONE, or QUARANTINED when the run has refused records."""
        refused = sum(
            entry.records
            for name, entry in self.run.manifest.artifacts.items()
            if name.startswith("quarantine/")
        )
        return ExitCode.QUARANTINED if refused else ExitCode.DONE

    def say(self, text: str) -> None:
        from utils.logger import get_logger

        get_logger().info(text)


# ---------------------------------------------------------------------------------------------
# Opening and closing a run
# ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Screen:
    """How to talk: what --verbose, --quiet and --no-color say."""

    verbose: bool = False
    quiet: bool = False
    color: bool = True


@contextmanager
def open_run(config: Config, screen: Screen, *, anew: bool) -> Iterator[Run]:
    """Lock the data directory, open its manifest and logs.

    `anew` begins a new run: what earlier runs completed no longer counts, only the migration's
    timestamp is kept. Raises MigrationError when another run is at work, or when the directory
    belongs to the migration of another source or target.
    """
    from utils import logger
    from utils.lock import run_lock
    from utils.manifest import Manifest
    from utils.progress import Progress
    from utils.run import Run
    from utils.workspace import Workspace

    files = Workspace(Path(config.data.directory))
    files.prepare()
    logger.set_up_screen(
        config.logging, verbose=screen.verbose, quiet=screen.quiet, color=screen.color
    )
    with run_lock(files.lock):
        manifest = Manifest.load(files.manifest) or Manifest.new()
        bind(manifest, config, files.root)
        if anew:
            manifest = replace(
                Manifest.new(),
                migration_timestamp=manifest.migration_timestamp,
                source=manifest.source,
                target=manifest.target,
            )
        logger.set_up_files(config.logging, files.log, files.error_log, manifest.run_id)
        try:
            run = Run(config, files, manifest, Progress(quiet=screen.quiet))
            run.save()
            yield run
        finally:
            shutil.rmtree(files.scratch, ignore_errors=True)
            logger.close_logs()


def bind(manifest: Any, config: Config, root: Path) -> None:
    """Tie the data directory to one source and one target, for good."""
    wanted = {"source": config.source.identity(), "target": config.target.identity()}
    for side, identity in wanted.items():
        known = getattr(manifest, side)
        if known and known != identity:
            differences = ", ".join(
                f"{key} was {known.get(key)} and is {identity[key]}"
                for key in identity
                if known.get(key) != identity[key]
            )
            raise ConfigurationError(
                f"{root} holds the migration of another {side}: {differences}",
                remedy="give this migration a data.directory of its own, or put the "
                "configuration right",
            )
        setattr(manifest, side, identity)


def closing_words(run: Run, code: ExitCode) -> str:
    """The summary table, where the reports are, and the last line: what happened, what next."""
    return f"\n{summary(run)}\n\nReports are in {run.workspace.reports}\n{LAST_LINES[code]}"


LAST_LINES = {
    ExitCode.DONE: "Done: every record arrived.",
    ExitCode.QUARANTINED: "Done, with records in quarantine: see data/quarantine, mend them in "
    "S9 and run `python migrate.py --full` again.",
    ExitCode.VALIDATION_FAILED: "Stopped before anything was written: validation found errors. "
    "Mend them in S9 and run `python migrate.py --full` again, or set "
    "migration.continueOnError to leave these records in quarantine.",
    ExitCode.VERIFICATION_FAILED: "The target differs from what was sent: see "
    "verification_report.json, then load again: `python migrate.py --phase load`.",
}


def summary(run: Run) -> str:
    """One row an entity: the stations of the ledger."""
    from utils.screen import table

    header = ["", "in S9", "extracted", "transformed", "quarantined", "loaded items", "in target"]
    return table(header, [[name.capitalize(), *stations(run, name)] for name in ENTITIES])


def stations(run: Run, entity: str) -> list[int | None]:
    """The figures of one entity, None where the run has not been."""
    manifest = run.manifest

    def result(phase: str) -> dict[str, Any]:
        entry = manifest.phase(phase, entity)
        return entry.result if entry else {}

    def records(kind: str) -> int | None:
        entry = manifest.artifacts.get(f"{kind}/{entity}.json")
        return entry.records if entry else None

    return [
        result("extract").get("source", {}).get("records"),
        records("extracted"),
        records("transformed"),
        records("quarantine"),
        result("load").get("items"),
        result("verify").get("items"),
    ]


# ---------------------------------------------------------------------------------------------
# The command line
# ---------------------------------------------------------------------------------------------


def at_the_edge(work: Callable[[], ExitCode]) -> NoReturn:
    """Run a command; whatever happens ends in one message, a remedy and an exit code."""
    from utils.logger import get_logger

    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        code = work()
    except MigrationError as error:
        get_logger().error("%s", error.message)
        click.echo(f"\nError: {error.message}\nWhat to do: {error.remedy}", err=True)
        code = error.exit_code
    except KeyboardInterrupt:
        click.echo(
            "\nInterrupted. What was complete is kept; go on with: python migrate.py --resume",
            err=True,
        )
        code = ExitCode.INTERRUPTED
    sys.exit(code)


@click.group(invoke_without_command=True)
@click.option("--full", is_flag=True, help="Run all five phases.")
@click.option("--phase", type=click.Choice(PHASES), help="Run one phase.")
@click.option("--entity", type=click.Choice(ENTITIES), help="With --phase: one entity only.")
@click.option("--dry-run", is_flag=True, help="Everything but the writes to the target.")
@click.option("--resume", is_flag=True, help="Go on where an earlier run stopped.")
@click.option(
    "--config",
    "config_path",
    default=DEFAULT_CONFIG,
    show_default=True,
    type=click.Path(path_type=Path),
    help="Configuration file.",
)
@click.option("--verbose", is_flag=True, help="Tell more.")
@click.option("--quiet", is_flag=True, help="Tell errors only.")
@click.option("--no-color", is_flag=True, help="No colours on the screen.")
@click.pass_context
def cli(
    context: click.Context,
    full: bool,
    phase: str | None,
    entity: str | None,
    dry_run: bool,
    resume: bool,
    config_path: Path,
    verbose: bool,
    quiet: bool,
    no_color: bool,
) -> None:
    """Migrate S9 (PostgreSQL) into the Sale Module's DynamoDB tables.

    Exit codes: 0 done; 1 failed; 2 usage or configuration; 3 validation found errors;
    4 verification found differences; 5 done, with records in quarantine; 130 interrupted.
    """
    color = sys.stderr.isatty() and not no_color and "NO_COLOR" not in os.environ
    screen = Screen(verbose, quiet, color)
    context.obj = screen
    if context.invoked_subcommand:
        return
    check_usage(full, phase, entity, dry_run, resume)
    at_the_edge(lambda: run_command(config_path, screen, phase, entity, dry_run, resume))


def check_usage(
    full: bool, phase: str | None, entity: str | None, dry_run: bool, resume: bool
) -> None:
    """Refuse combinations that would not mean what they seem to."""
    if not (full or phase or dry_run or resume):
        raise click.UsageError("say what to do: --full, --phase, --dry-run, --resume or demo")
    if phase and full:
        raise click.UsageError("--full runs every phase: give either --full or --phase")
    if entity and not phase:
        raise click.UsageError("--entity goes with --phase: a full run needs all three")
    if dry_run and (phase or resume):
        raise click.UsageError("--dry-run is a whole rehearsal: give it alone or with --full")


def run_command(
    config_path: Path,
    screen: Screen,
    phase: str | None,
    entity: str | None,
    dry_run: bool,
    resume: bool,
) -> ExitCode:
    """What the options ask for."""
    from dotenv import load_dotenv

    from utils.config_file import load_config

    load_dotenv(Path.cwd() / ".env")
    config = load_config(config_path, os.environ)
    rehearsal = dry_run or (config.migration.dry_run and not phase)
    if rehearsal:
        config = rehearsal_config(config)
    with open_run(config, screen, anew=not phase and not resume) as run:
        book = Runbook(run, resume)
        if rehearsal:
            code = book.rehearsal()
        elif phase:
            code = book.phase(phase, [entity] if entity else ENTITIES)
        else:
            code = book.full()
        click.echo(closing_words(run, code))
        return code


def rehearsal_config(config: Config) -> Config:
    """The same configuration with a scratch directory for its files."""
    scratch = Path(config.data.directory) / "dry-run"
    shutil.rmtree(scratch, ignore_errors=True)
    return replace(config, data=replace(config.data, directory=str(scratch)))


@cli.command()
@click.option("--buyers", default=1250, show_default=True, help="Enabled buyers to make up.")
@click.option("--producers", default=430, show_default=True, help="Enabled producers.")
@click.option("--sales", default=8542, show_default=True, help="Enabled sales.")
@click.option("--seed", default=2026, show_default=True, help="Same seed, same data.")
@click.option(
    "--directory", default="data/demo", show_default=True, type=click.Path(path_type=Path)
)
@click.pass_obj
def demo(
    screen: Screen, buyers: int, producers: int, sales: int, seed: int, directory: Path
) -> None:
    """Show a full migration between two servers that are started for it."""
    from utils.embedded.s9_data import SampleSize

    size = SampleSize(buyers, producers, sales)
    at_the_edge(lambda: run_demo(screen, size, seed, directory))


def run_demo(screen: Screen, size: Any, seed: int, directory: Path) -> ExitCode:
    """Make up an S9, migrate it, and compare what was found with what was planted."""
    from utils.embedded.aws import EmbeddedAws
    from utils.embedded.postgresql import EmbeddedPostgres
    from utils.embedded.s9_data import generate

    shutil.rmtree(directory, ignore_errors=True)
    with (
        tempfile.TemporaryDirectory() as scratch,
        EmbeddedPostgres(Path(scratch) / "postgresql") as s9,
        EmbeddedAws() as aws,
    ):
        click.echo(f"PostgreSQL at {s9.host}:{s9.port}, AWS at {aws.endpoint_url}")
        with s9.connect() as connection:
            planted = generate(connection, size, seed)
        config = demo_config(s9, aws, directory)
        with open_run(config, screen, anew=True) as run:
            code = Runbook(run).full()
            click.echo(closing_words(run, code))
            return demo_verdict(run, code, planted)
