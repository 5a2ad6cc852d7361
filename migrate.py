#!/usr/bin/env python3
"""Migrate S9 into the Sale Module's DynamoDB tables: extract, transform, validate, load, verify.

This file is the runbook. It is the only one that knows every phase; what a phase does is in its
own package, and phases meet only in the files under data/.
"""

# An old Python must be able to read this file, or it could not say that it is too old: nothing here
# is newer than Python 3.6, and types that are not imported stand in quotes.
import sys
from pathlib import Path

if str(Path(__file__).resolve().parent) not in sys.path:  # Python was told to look nowhere itself
    sys.path.insert(0, str(Path(__file__).resolve().parent))

from utils.prerequisites import require

require()

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from itertools import product
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).resolve().parent))  # PYTHONSAFEPATH leaves it out

import click

from utils.cli.command_line import (
    DEFAULT_CONFIG,
    TYPED,
    Caller,
    CommandGroup,
    at_the_edge,
)
from utils.error_handler import ArtifactError, ExitCode, MigrationError, TargetError
from utils.version import VERSION
from utils.wording import invocation
from utils.wording.figures import counted

if TYPE_CHECKING:
    from utils.config import Config
    from utils.demo.demo import Demo
    from utils.run.lifecycle import Screen
    from utils.run.run import Run

ENTITIES = ("buyers", "producers", "sales")
PHASES = ("extract", "transform", "validate", "load", "verify")
NEEDS = {"sales": ("buyers", "producers")}
# What the processes that share a whole run's work need, from one phase to the next.
SHARED_WORK = (
    "transform.engine",
    "validate.gate.entity_gate",
    "load.sending.sender",
    "validate.verify.passes",
)
# Secondary commands that live beside what they do: module, name in it, help in a line.
ELSEWHERE: dict[str, tuple[str, str, str]] = {
    "backup": (
        "load.backup.backup_command",
        "backup",
        "Back up the target's tables, as before a load.",
    ),
    "backups": ("load.backup.backup_command", "backups", "List the backups."),
    "clean": (
        "utils.cli.clean_command",
        "clean",
        "Delete a migration's data, and its run's backups.",
    ),
    "restore": ("load.restore.restore_command", "restore_backup", "Put a backup back."),
    "rollback": (
        "load.rollback.rollback_command",
        "rollback",
        "Undo the last load; records that the application has worked on since are kept.",
    ),
}


# ---------------------------------------------------------------------------------------------
# The runbook
# ---------------------------------------------------------------------------------------------


@dataclass
class Runbook:
    """The five phases in their order, and what each outcome means for the next.

    In a run that resumes, what is complete for the same inputs and settings is not done again.
    With `migration.continueOnError`, an entity that fails as a whole is set aside with those that
    need it, and the others go on.
    """

    run: "Run"
    failed: dict[str, MigrationError] = field(default_factory=dict)
    to_create: list[str] = field(default_factory=list)  # tables that a rehearsal has missed

    def resume(self) -> ExitCode:
        """Find where the run stopped and why, say so, and go on."""
        from utils.run.lifecycle import take_up, where_it_stopped

        manifest = self.run.manifest
        if manifest.outcome in (ExitCode.DONE, ExitCode.QUARANTINED) and self.is_complete():
            self.say(f"Run {manifest.run_id} is complete: there is nothing to resume")
            return ExitCode(manifest.outcome)
        self.open_files()
        self.say(f"Going on: {where_it_stopped(self.run)}")
        take_up(self.run)
        return self.full()

    def full(self) -> ExitCode:
        """The whole migration."""
        self.check_target()
        stopped = self.prepare()
        if stopped is not None:
            return stopped
        self.load(ENTITIES)
        if self.run.config.migration.validate_after_load:
            return self.verify(ENTITIES)
        return self.outcome()

    def rehearsal(self) -> ExitCode:
        """Everything but the writes."""
        self.to_create = self.check_target()
        if self.to_create:
            self.say(f"Would create the tables {', '.join(self.to_create)}")
        stopped = self.prepare()
        return self.outcome() if stopped is None else stopped

    def prepare(self) -> ExitCode | None:
        """From S9 to files that may be loaded; an exit code when they may not."""
        self.run.workers.imports = SHARED_WORK
        self.extract(ENTITIES)
        self.transform(ENTITIES)
        code = self.validate(ENTITIES)
        return code if code is ExitCode.VALIDATION_FAILED else None

    def retry_quarantine(self) -> ExitCode:
        """Put the quarantined records through the phases again, as S9 and the mapping are now."""
        from extract import reread
        from extract.entities import entities_of
        from transform import engine
        from utils.files.quarantine import quarantined_keys

        self.open_files()
        files, manifest = self.run.workspace, self.run.manifest
        for name in ENTITIES:  # what is read here must be what was written
            for phase, path in (
                ("extract", files.extracted(name)),
                ("transform", files.quarantine(name)),
            ):
                if files.name_of(path) in manifest.artifacts:
                    self.run.artifact(path, written_by=phase)
        held = {name: quarantined_keys(files.quarantine(name)) for name in ENTITIES}
        if not any(held.values()):
            self.say("There is nothing in quarantine")
            return self.outcome()
        self.require_same_tables(ENTITIES)
        rules = engine.settings(self.run)
        in_the_table = set()
        for name in ENTITIES:
            mapped, loaded = manifest.phase("transform", name), manifest.phase("load", name)
            if mapped and mapped.settings == rules and loaded and loaded.status == "complete":
                in_the_table.add(name)
        declared = entities_of(self.run.config.source.layout)
        reread.extract_again(
            self.run, declared, {name: set(map(int, keys)) for name, keys in held.items()}
        )
        self.run.resuming = True  # entities without a record in quarantine stay as they are
        for name, phase in product(filter(held.get, held), PHASES[1:]):
            manifest.forget(phase, name)
        self.transform(ENTITIES)
        if self.validate(ENTITIES) is ExitCode.VALIDATION_FAILED:
            return ExitCode.VALIDATION_FAILED
        self.load(ENTITIES, {name: held[name] for name in in_the_table})
        return self.verify(ENTITIES)

    def phase(self, name: str, entities: Sequence[str]) -> ExitCode:
        """One phase by hand."""
        self.open_files()
        steps: dict[str, Callable[[Sequence[str]], ExitCode]] = {
            "extract": self.extract,
            "transform": self.transform,
            "validate": self.validate,
            "load": self.load,
            "verify": self.verify,
        }
        return steps[name](entities)

    def open_files(self) -> None:
        """Open what the end of an earlier run has encrypted (`data.recipient`)."""
        from utils.run.sealing import unseal

        unseal(self.run)

    def check_target(self) -> list[str]:
        """Look at the target's tables before anything else; returns those to be created."""
        from load.backup.aws_recovery import check_recovery
        from load.entities import TABLES
        from load.target.tables import prepare_tables

        target = self.run.config.target
        if self.run.resuming:
            self.require_same_tables(ENTITIES)
        missing = prepare_tables(target, list(TABLES.values()), create=False)
        there = dict.fromkeys(map(target.table, ENTITIES))
        check_recovery(self.run.config, [name for name in there if name not in missing])
        return missing

    def require_same_tables(self, entities: Sequence[str]) -> None:
        """Raise TargetError when other tables answer than those that the run has reached."""
        from utils.run.same_tables import require_same_tables

        require_same_tables(self.run, entities)

    def extract(self, entities: Sequence[str]) -> ExitCode:
        """Read the entities from S9, all from one snapshot."""
        from extract import engine
        from extract.entities import entities_of

        due = [name for name in entities if not self.skips("extract", name)]
        if due:
            self.begins("extract")
        self.set_migration_timestamp()
        by_hand = tuple(entities) != ENTITIES
        declared = entities_of(self.run.config.source.layout)
        engine.extract(self.run, declared, due, self.set_aside, by_hand=by_hand)
        self.going_on(entities)
        return self.outcome()

    def transform(self, entities: Sequence[str]) -> ExitCode:
        """Turn the extracted rows into items; what cannot be converted goes to quarantine."""
        from transform import engine
        from transform.mapping_report import write_mapping_report
        from utils.run.updated_at import set_moment

        set_moment(self.run)
        for name in self.going_on(entities):
            if not self.skips("transform", name):
                self.begins("transform")
                entry = engine.transform(self.run, name)
                self.say(f"Transformed {counted(entry.result['records'], name[:-1], name)}")
        write_mapping_report(self.run)
        return self.outcome()

    def validate(self, entities: Sequence[str]) -> ExitCode:
        """The gate: nothing is loaded that has not passed here."""
        from validate.validate_data import validate

        checked = self.going_on(entities)
        if all(self.skips("validate", name) for name in checked):
            return self.outcome()
        self.begins("validate")
        outcome = validate(self.run, checked)
        self.say(
            f"Validated {', '.join(checked)}: "
            f"{counted(outcome.error_count, 'error')}, {counted(outcome.warning_count, 'warning')}"
        )
        return self.outcome() if outcome.passed else ExitCode.VALIDATION_FAILED

    def load(
        self, entities: Sequence[str], only: Mapping[str, Collection[str]] | None = None
    ) -> ExitCode:
        """Write the items, parties before sales; `only` names records where the rest is known to
        be in the table."""
        from load import engine
        from load.backup.before_load import back_up_before_load
        from load.conflicts.survey import survey_before_load
        from load.entities import TABLES
        from load.load_state import stay_with_tables
        from load.target.tables import prepare_tables
        from load.target.writer_mark import marked
        from utils.run.updated_at import check_moment, moment_is_used

        for name in self.going_on(entities):
            engine.require_validated(self.run, name)
        check_moment(self.run)
        tables, sleep = list(TABLES.values()), self.run.stop.sleep
        prepare_tables(self.run.config.target, tables, create=True, sleep=sleep)
        stay_with_tables(self.run, ENTITIES)
        due = [name for name in self.going_on(entities) if not self.is_loaded(name)]
        if due:
            self.begins("load")
        # All of them: one that was killed may have left its mark on any.
        due_tables = map(self.run.config.target.table, ENTITIES if due or self.run.resuming else ())
        with marked(self.run, list(due_tables), "a load"):
            back_up_before_load(self.run, due)
            survey_before_load(self.run, TABLES, due, only or {})
            moment_is_used(self.run)
            try:
                self.load_entities(entities, only or {})
            except MigrationError as error:
                self.roll_back_after(error, of_all=only is None)
                raise
            failure = next((self.failed[name] for name in due if name in self.failed), None)
            if failure:
                self.roll_back_after(failure, of_all=only is None)
        return self.outcome()

    def load_entities(self, entities: Sequence[str], only: Mapping[str, Collection[str]]) -> None:
        """Write the items of one entity after the other."""
        from load import engine
        from load.entities import TABLES
        from load.load_report import write_load_report

        for name in entities:
            if name in self.failed or self.skips("load", name):
                continue
            try:
                entry = engine.load(self.run, TABLES[name], only.get(name))
            except TargetError as error:
                self.set_aside("load", name, error)
            else:
                self.say(f"Loaded {counted(entry.result['items'], 'item')} of {name}")
            write_load_report(self.run)
        write_load_report(self.run)

    def roll_back_after(self, failure: MigrationError, *, of_all: bool) -> None:
        """Undo a load that has failed for good, if `migration.rollbackOnFailure` asks for it (and
        it was not a load of a few records only). Raises the failure with how that went."""
        from load.entities import TABLES
        from load.rollback.engine import roll_back

        if not (of_all and self.run.config.migration.rollback_on_failure):
            return
        self.say(f"The load has failed, undoing it: {failure.message}")
        try:
            roll_back(self.run, TABLES)
        except MigrationError as error:
            raise MigrationError(
                f"{failure.message}\nand its load could not be undone: {error.message}",
                remedy=f"{failure.remedy}; undo the load: {self.run.command('rollback')}",
            ) from failure
        raise MigrationError(
            f"{failure.message}\nThe load was undone (see {self.run.workspace.report('rollback')})",
            remedy=f"{failure.remedy}; then start anew: {self.run.command('--full')}",
        ) from failure

    def verify(self, entities: Sequence[str]) -> ExitCode:
        """Prove it: compare the target with every station before it."""
        from load.entities import TABLES
        from validate.verify.engine import verify

        if self.run.manifest.rolled_back:
            raise ArtifactError(
                f"the load of run {self.run.manifest.undoes} was undone: nothing is to be verified",
                remedy=f"start a new run: {self.run.command('--full')}",
            )
        self.require_same_tables(ENTITIES)
        self.begins("verify")
        result = verify(self.run, TABLES, self.going_on(entities), sleep=self.run.stop.sleep)
        found = f"what was loaded of {', '.join(result.entities)} is there"
        self.say("Verified: " + (found if result.passed else "differences found"))
        return self.outcome() if result.passed else ExitCode.VERIFICATION_FAILED

    def begins(self, phase: str) -> None:
        """A phase is at work from now on: no earlier verdict on it, or on what follows, holds."""
        from utils.run.lifecycle import supersede

        supersede(self.run, phase)
        if phase != "verify":
            self.run.manifest.phases.pop("verify", None)

    def skips(self, phase: str, entity: str) -> bool:
        """Whether a resumed run has nothing left to do here."""
        skipped = self.run.resuming and self.is_done(phase, entity)
        if skipped:
            self.run.leave(phase, entity)
            self.say(f"{phase.capitalize()} of {entity} is complete, going on")
        return skipped

    def is_loaded(self, entity: str) -> bool:
        """Whether a resumed run has nothing left to load of an entity."""
        return self.run.resuming and self.is_done("load", entity)

    def is_done(self, phase: str, entity: str) -> bool:
        """Whether a phase has done an entity, with the inputs and settings that there are now."""
        from extract import engine as extracting
        from load.load_settings import settings as loading_settings
        from transform import engine as transforming
        from validate import validate_data as validating

        run, files = self.run, self.run.workspace
        settings, inputs = {
            "extract": (extracting.settings(run, entity), {}),
            "transform": (transforming.settings(run), run.sha_of(files.extracted(entity))),
            "validate": (validating.settings(run), run.sha_of(files.transformed(entity))),
            "load": (loading_settings(run, entity), run.sha_of(files.transformed(entity))),
        }[phase]
        return run.is_complete(phase, entity, inputs=inputs, settings=settings)

    def is_complete(self) -> bool:
        """Whether everything is done, up to the load (what follows it changes nothing)."""
        return all(self.is_done(phase, name) for phase, name in product(PHASES[:4], ENTITIES))

    def set_aside(self, phase: str, entity: str, error: MigrationError) -> None:
        """An entity failed as a whole: stop, or go on with those that do not need it."""
        if not self.run.config.migration.continue_on_error:
            raise error
        from utils.logger import get_logger

        self.run.fail(phase, entity, error.message)
        self.failed[entity] = error
        get_logger().error("%s of %s failed: %s", phase.capitalize(), entity, error.message)
        get_logger().error("What to do: %s", error.remedy)
        for other in ENTITIES:
            if entity in NEEDS.get(other, ()) and other not in self.failed:
                self.failed[other] = MigrationError(f"they need {entity}", remedy=error.remedy)
                get_logger().error("%s are left out: they need %s", other.capitalize(), entity)

    def going_on(self, entities: Sequence[str]) -> list[str]:
        """The entities that have not failed. When there are none left, raises what was the first
        to go wrong."""
        left = [name for name in entities if name not in self.failed]
        if not left:
            raise next(iter(self.failed.values()))
        return left

    def set_migration_timestamp(self) -> None:
        """The time of records without their own: set once, kept for every later run."""
        manifest = self.run.manifest
        chosen = self.run.config.transformation.migration_timestamp
        now = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.000Z")
        manifest.migration_timestamp = chosen or manifest.migration_timestamp or now

    def what_failed(self) -> str:
        """The entities that were set aside, with the reasons; "" when there are none."""
        return "; ".join(f"{name}: {error.message}" for name, error in self.failed.items())

    def outcome(self) -> ExitCode:
        """How it stands: FAILED with an entity set aside, QUARANTINED with records there or items
        of S9 in no table, or DONE."""
        from utils.run.standing import standing_of

        if self.failed:
            return ExitCode.FAILED
        held_back = standing_of(self.run.manifest).is_held_back
        return ExitCode.QUARANTINED if held_back else ExitCode.DONE

    def say(self, text: str) -> None:
        from utils.logger import get_logger

        get_logger().info(text)


# ---------------------------------------------------------------------------------------------
# The command line
# ---------------------------------------------------------------------------------------------


@click.group(
    cls=CommandGroup,
    elsewhere=ELSEWHERE,
    invoke_without_command=True,
    context_settings={"max_content_width": 100},
)
@click.option("--full", is_flag=True, help="Run all five phases.")
@click.option("--phase", type=click.Choice(PHASES), help="Run one phase by hand.")
@click.option("--entity", type=click.Choice(ENTITIES), help="With --phase: one entity only.")
@click.option("--dry-run", is_flag=True, help="Everything but the writes to the target.")
@click.option("--resume", is_flag=True, help="Go on where an earlier run stopped.")
@click.option("--restart", is_flag=True, help="With --full: drop an unfinished run.")
@click.option(
    "--config",
    "config_path",
    default=DEFAULT_CONFIG,
    show_default=True,
    type=click.Path(path_type=Path),
    help="Configuration file.",
)
@click.option(
    "--identity",
    type=click.Path(path_type=Path),
    help="File with the age secret key that opens encrypted files.",
)
@click.option("--verbose", is_flag=True, help="Tell more.")
@click.option("--quiet", is_flag=True, help="Tell errors and the outcome only.")
@click.option("--no-color", is_flag=True, help="No colours on the screen.")
@click.version_option(VERSION, message="%(prog)s %(version)s", help="Show the version.")
@click.pass_context
def cli(
    __context: click.Context,
    config_path: Path,
    identity: Path | None,
    verbose: bool,
    quiet: bool,
    no_color: bool,
    **choice: Any,
) -> None:
    """Migrate S9 (PostgreSQL or MySQL) into the Sale Module's DynamoDB tables.

    Exit codes: 0 done; 1 failed; 2 usage or configuration; 3 validation found errors;
    4 verification found differences; 5 done, with records in quarantine or kept out;
    130 interrupted.
    """
    from utils.run.lifecycle import Screen

    color = sys.stderr.isatty() and not no_color and "NO_COLOR" not in os.environ
    named = None if str(config_path) == DEFAULT_CONFIG else config_path
    invocation.set_up(__context.meta[TYPED], config=named, identity=identity)
    __context.obj = Caller(Screen(verbose, quiet, color), config_path, identity)
    if __context.invoked_subcommand:
        return
    chosen = Choice(**choice)
    chosen.check()
    at_the_edge(lambda: run_command(__context.obj, chosen))


@dataclass(frozen=True)
class Choice:
    """What the options ask for."""

    full: bool
    phase: str | None
    entity: str | None
    dry_run: bool
    resume: bool
    restart: bool

    def check(self) -> None:
        """Refuse combinations that would not mean what they seem to."""
        if not (self.full or self.phase or self.dry_run or self.resume):
            raise click.UsageError("say what to do: --full, --phase, --dry-run, --resume or demo")
        if self.phase and (self.full or self.resume):
            raise click.UsageError("--phase is one phase by hand: give it without --full, --resume")
        if self.entity and not self.phase:
            raise click.UsageError("--entity goes with --phase: a full run needs all three")
        if self.dry_run and (self.phase or self.resume):
            raise click.UsageError("--dry-run is a whole rehearsal: give it alone or with --full")
        if self.restart and (not self.full or self.resume):
            raise click.UsageError("--restart goes with --full, and not with --resume")


def run_command(caller: Caller, chosen: Choice) -> ExitCode:
    """Load the configuration, open the run, follow the runbook."""
    from utils.cli.summary import after_phase, after_rehearsal
    from utils.run.lifecycle import Start, end_by_hand, open_run
    from utils.run.sealing import seal

    config, screen = caller.settings(), caller.screen
    if chosen.phase:
        with open_run(config, screen, Start.BY_HAND) as run:
            entities = [chosen.entity] if chosen.entity else list(ENTITIES)
            book = Runbook(run)
            code = book.phase(chosen.phase, entities)
            end_by_hand(run, chosen.phase, code, book.what_failed())
            seal(run)
            click.echo(after_phase(run, code, chosen.phase, entities))
            return code
    if chosen.dry_run or config.migration.dry_run:
        with open_run(rehearsal_config(config), screen, Start.REHEARSAL) as run:
            book = Runbook(run)
            return conclude(
                book, book.rehearsal, lambda run, code: after_rehearsal(run, code, book.to_create)
            )
    if chosen.resume:
        with open_run(config, screen, Start.RESUME) as run:
            book = Runbook(run)
            return conclude(book, book.resume)
    with open_run(config, screen, Start.RESTART if chosen.restart else Start.ANEW) as run:
        book = Runbook(run)
        return conclude(book, book.full)


def conclude(
    book: Runbook,
    follow: Callable[[], ExitCode],
    words: Callable[["Run", ExitCode], str] | None = None,
) -> ExitCode:
    """Follow the runbook to its end, record how it ended, and say it."""
    from utils.cli.summary import after_run
    from utils.run.lifecycle import end
    from utils.run.sealing import seal

    run = book.run
    code = follow()
    end(run, code, book.what_failed())
    seal(run)
    click.echo((words or after_run)(run, code))
    return code


def rehearsal_config(config: "Config") -> "Config":
    """The same configuration with a scratch directory, emptied, for its files."""
    scratch = Path(config.data.directory) / "dry-run"
    return replace(config, data=replace(config.data, directory=str(scratch)))


@cli.command("retry-quarantine")
@click.pass_obj
def retry_quarantine(caller: Caller) -> None:
    """Try the records in quarantine again, after their cause was mended in S9 or the settings."""
    at_the_edge(lambda: run_retry(caller))


def run_retry(caller: Caller) -> ExitCode:
    """Open the migration that ended with records in quarantine, and try these again."""
    from utils.cli.summary import after_retry
    from utils.run.lifecycle import Start, open_run

    with open_run(caller.settings(), caller.screen, Start.AGAIN) as run:
        book = Runbook(run)
        return conclude(book, book.retry_quarantine, after_retry)


@cli.command()
@click.option(
    "--source",
    type=click.Choice(("postgresql", "mysql")),
    default="postgresql",
    show_default=True,
    help="Kind of S9's database; mysql needs an installed MariaDB.",
)
@click.option("--buyers", default=1250, show_default=True, help="Enabled buyers to make up.")
@click.option("--producers", default=430, show_default=True, help="Enabled producers.")
@click.option("--sales", default=8542, show_default=True, help="Enabled sales.")
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
    """Show a full migration, from an S9 to an AWS that are started for it."""
    from utils.demo.demo import Demo

    at_the_edge(lambda: run_demo(Demo(**choice), __caller.screen))


def run_demo(scene: "Demo", screen: "Screen") -> ExitCode:
    """Migrate the made-up S9, and compare what was found with what was planted in it."""
    from utils.cli.summary import after_demo
    from utils.run.lifecycle import Start, open_run

    invocation.is_closed()
    with scene.servers(click.echo) as config, open_run(config, screen, Start.DEMONSTRATION) as run:
        book = Runbook(run)
        code = conclude(book, book.full, after_demo)
        return scene.verdict(run, code, click.echo)


if __name__ == "__main__":
    cli()
