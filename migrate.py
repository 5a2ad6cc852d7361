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
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import replace
from datetime import datetime, timezone
from functools import partial
from itertools import product
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).resolve().parent))  # PYTHONSAFEPATH leaves it out

import click

from utils.cli.choice import Choice, Duration, require_one_way
from utils.cli.command_line import (
    DEFAULT_CONFIG,
    TYPED,
    Caller,
    CommandGroup,
    at_the_edge,
)
from utils.entities import ENTITY_NAMES as ENTITIES
from utils.entities import shape_of
from utils.error_handler import ArtifactError, ExitCode, MigrationError, TargetError
from utils.version import VERSION
from utils.wording import invocation
from utils.wording.figures import counted

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from extract.following.follower import Follower, Narrow
    from load.conflicts.foresight import Foresight
    from load.sync.removal_report import RemovalFigures
    from utils.checking.check import Check
    from utils.config import Config
    from utils.cutover.ways import CaughtUp, Compared, Look, Ways, Writers
    from utils.explain.stations import LoadedRecord, Phases, RowNow
    from utils.files.quarantine import Refusal
    from utils.files.workspace import Workspace
    from utils.findings.source_names import SourceNames
    from utils.plan.data_directory import DataDirectory
    from utils.run.lifecycle import Screen
    from utils.run.run import Run
    from validate.verify.bench import Bench

    NarrowExtract = Callable[[Run], None]

PHASES = ("extract", "transform", "validate", "load", "verify")
# What the processes that share a whole run's work need, from one phase to the next.
SHARED_WORK = (
    "transform.pieces.piece",
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
    "check": (
        "utils.cli.check_command",
        "check",
        "Check both ends and this machine, and say what to do; write nothing.",
    ),
    "clean": (
        "utils.cli.clean_command",
        "clean",
        "Delete a migration's data, reports and backups.",
    ),
    "cutover": (
        "utils.cli.cutover_command",
        "cutover",
        "Switch from S9 to the Sale Module, step by step, with a proof and a way back.",
    ),
    "dashboard": (
        "utils.dashboard.dashboard_command",
        "dashboard",
        "Show a run live in a browser on this machine, and what has ended as well.",
    ),
    "demo": (
        "utils.demo.demo_command",
        "demo",
        "Show a full migration, between an S9 and an AWS that are started for it.",
    ),
    "drift": (
        "validate.drift.drift_command",
        "drift",
        "Say in what S9 and the target differ, and whose work that is; write nothing.",
    ),
    "evidence": (
        "utils.evidence.evidence_command",
        "evidence",
        "Pack what proves a migration into one archive, or check one again.",
    ),
    "explain": (
        "validate.explain.explain_command",
        "explain",
        "Tell what became of one record: S9 now, the files, the load, the table, a verdict.",
    ),
    "package": (
        "utils.job.package_command",
        "package",
        "Make what AWS Glue or EMR Serverless takes to run the migration as a job.",
    ),
    "report": (
        "utils.cli.report_command",
        "report",
        "Make report.html: one page for people, of what the reports say.",
    ),
    "restore": ("load.restore.restore_command", "restore_backup", "Restore a backup."),
    "rollback": (
        "load.rollback.rollback_command",
        "rollback",
        "Undo the last load; records that the application has changed since are kept.",
    ),
    "status": (
        "utils.cli.status_command",
        "status",
        "Say how a run stands: from another terminal, while it works or afterwards.",
    ),
}


# ---------------------------------------------------------------------------------------------
# The runbook
# ---------------------------------------------------------------------------------------------


def settings_of(run: "Run", phase: str, entity: str) -> str:
    """A digest of the settings by which a phase does an entity; what was done by others is due."""
    from extract import engine as extracting
    from load import load_settings as loading
    from transform import engine as transforming
    from validate import validate_data as validating

    if phase == "extract":
        return extracting.settings(run, entity)
    if phase == "transform":
        return transforming.settings(run)
    if phase == "validate":
        return validating.settings(run)
    return loading.settings(run, entity)


class Runbook:
    """The five phases in their order, and what each outcome means for the next. `keeps`: what there
    is to keep for a sync that comes after it is kept; `builds_on_last`: what the last pass has kept
    is built upon; `makes_tables`: where loads are imports, it begins with new tables."""

    keeps = True
    builds_on_last = False
    makes_tables = True

    def __init__(self, run: "Run") -> None:
        from utils.run.outcomes import Outcomes

        self.run = run
        self.outcomes = Outcomes(run, settings_of)

    def resume(self) -> ExitCode:
        """Find where the run stopped and why, say so, and go on."""
        from utils.run.lifecycle import take_up, where_it_stopped

        manifest = self.run.manifest
        if (
            manifest.outcome in (ExitCode.DONE, ExitCode.QUARANTINED)
            and self.outcomes.are_complete()
        ):
            self.say(f"Run {manifest.run_id} is complete: there is nothing to resume")
            return ExitCode(manifest.outcome)
        self.open_files()
        self.say(f"Resuming: {where_it_stopped(self.run)}")
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
        return self.outcomes.exit_code()

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

        self.open_files()
        held = self.in_quarantine()
        if not any(held.values()):
            self.say("There is nothing in quarantine")
            return self.outcomes.exit_code()
        self.require_same_tables(ENTITIES)
        only = {name: held[name] for name in ENTITIES if self.outcomes.is_in_the_table(name)}
        declared = entities_of(self.run.config.source.layout)
        reread.extract_again(
            self.run, declared, {name: set(map(int, keys)) for name, keys in held.items()}
        )
        self.run.resuming = True  # entities without a record in quarantine stay as they are
        for name, phase in product(filter(held.get, held), PHASES[1:]):
            self.run.manifest.forget(phase, name)
        self.transform(ENTITIES)
        if self.validate(ENTITIES) is ExitCode.VALIDATION_FAILED:
            return ExitCode.VALIDATION_FAILED
        self.load(ENTITIES, only)
        return self.verify(ENTITIES)

    def in_quarantine(self) -> Mapping[str, Collection[str]]:
        """The keys of the records in quarantine, once what was written is what is read."""
        from utils.files.quarantine import quarantined_keys

        files = self.run.workspace
        for name in ENTITIES:
            for phase, path in (
                ("extract", files.extracted(name)),
                ("transform", files.quarantine(name)),
            ):
                if files.name_of(path) in self.run.manifest.artifacts:
                    self.run.artifact(path, written_by=phase)
        return {name: quarantined_keys(files.quarantine(name)) for name in ENTITIES}

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
        with self.run.progress.task("load", "", None, step="looking at the tables"):
            if self.run.resuming:
                self.require_same_tables(ENTITIES)
            if self.imports:
                return self.check_new_tables()
            missing = prepare_tables(target, list(TABLES.values()), create=False)
            there = dict.fromkeys(map(target.table, ENTITIES))
            check_recovery(self.run.config, [name for name in there if name not in missing])
        return missing

    @property
    def imports(self) -> bool:
        """Whether tables are made and filled by an import from S3. Raises ConfigurationError for a
        method that cannot be used."""
        from load.s3_import.methods import require_usable

        require_usable(self.run.config)
        return self.makes_tables and self.run.config.load.imports

    def check_new_tables(self) -> list[str]:
        """The same where tables are to be imported: there must be none, but for this run's own."""
        from load.s3_import.engine import require_new_tables

        done = [name for name in ENTITIES if self.outcomes.has_done("load", name)]
        return require_new_tables(self.run, [name for name in ENTITIES if name not in done])

    def require_same_tables(self, entities: Sequence[str]) -> None:
        """Raise TargetError when other tables answer than those that the run has reached."""
        from utils.run.same_tables import require_same_tables

        require_same_tables(self.run, entities)

    def extract(self, entities: Sequence[str]) -> ExitCode:
        """Read the entities from S9, all from one snapshot."""
        from extract import engine
        from extract.entities import entities_of

        due = [name for name in entities if not self.outcomes.skips("extract", name)]
        if due:
            self.outcomes.begins("extract")
        self.set_migration_timestamp()
        by_hand = tuple(entities) != ENTITIES
        declared = entities_of(self.run.config.source.layout)
        engine.extract(self.run, declared, due, self.outcomes.set_aside, by_hand=by_hand)
        self.outcomes.going_on(entities)
        return self.outcomes.exit_code()

    def transform(self, entities: Sequence[str]) -> ExitCode:
        """Turn the extracted rows into items; what cannot be converted goes to quarantine."""
        from transform import engine
        from transform.mapping_report import write_mapping_report
        from utils.run.updated_at import set_moment

        set_moment(self.run)
        for name in self.outcomes.going_on(entities):
            if not self.outcomes.skips("transform", name):
                self.outcomes.begins("transform")
                entry = engine.transform(
                    self.run, name, keeps=self.keeps, builds_on_last=self.builds_on_last
                )
                records = counted(entry.result["records"], shape_of(name).singular, name)
                self.say(f"Transformed {records}", on_screen=False)
        write_mapping_report(self.run)
        return self.outcomes.exit_code()

    def validate(self, entities: Sequence[str]) -> ExitCode:
        """The gate: nothing is loaded that has not passed here."""
        from validate.validate_data import validate

        checked = self.outcomes.going_on(entities)
        if all(self.outcomes.skips("validate", name) for name in checked):
            return self.outcomes.exit_code()
        self.outcomes.begins("validate")
        outcome = validate(self.run, checked, keeps=self.keeps, builds_on_last=self.builds_on_last)
        self.say(
            f"Validated {', '.join(checked)}: "
            f"{counted(outcome.error_count, 'error')}, {counted(outcome.warning_count, 'warning')}"
        )
        return self.outcomes.exit_code() if outcome.passed else ExitCode.VALIDATION_FAILED

    def load(
        self, entities: Sequence[str], only: Mapping[str, Collection[str]] | None = None
    ) -> ExitCode:
        """Write the items, parties before sales; `only` names records where the rest is known to
        be in the table."""
        from load import engine
        from utils.run.updated_at import check_moment

        for name in self.outcomes.going_on(entities):
            engine.require_validated(self.run, name)
        check_moment(self.run)
        imported = self.import_tables(entities) if only is None and self.imports else []
        left = [name for name in entities if name not in imported]
        if left:
            self.load_in_batches(left, only)
        return self.outcomes.exit_code()

    def import_tables(self, entities: Sequence[str]) -> list[str]:
        """Have DynamoDB make the tables of what is not loaded, and fill them from S3; returns the
        entities of which it has."""
        from load.entities import TABLES
        from load.load_report import write_load_report
        from load.s3_import.engine import import_entities
        from utils.run.updated_at import moment_is_used

        going_on = self.outcomes.going_on(entities)
        due = [name for name in going_on if not self.outcomes.has_done("load", name)]
        if not due:
            return []
        self.outcomes.begins("load")
        moment_is_used(self.run)
        try:
            return import_entities(self.run, TABLES, due)
        finally:
            write_load_report(self.run)

    def load_in_batches(
        self, entities: Sequence[str], only: Mapping[str, Collection[str]] | None
    ) -> None:
        """Write the items into tables that may hold others."""
        from load.entities import TABLES
        from load.load_state import stay_with_tables
        from load.rollback.after_failure import undo_failed_load
        from load.target.tables import prepare_tables
        from load.target.writer_mark import marked
        from utils.run.updated_at import moment_is_used

        tables, sleep = list(TABLES.values()), self.run.stop.sleep
        prepare_tables(
            self.run.config.target, tables, create=True, sleep=sleep, progress=self.run.progress
        )
        stay_with_tables(self.run, ENTITIES)
        going_on = self.outcomes.going_on(entities)
        due = [name for name in going_on if not self.outcomes.has_done("load", name)]
        if due:
            self.outcomes.begins("load")
        # All of them: one that was killed may have left its mark on any.
        due_tables = map(self.run.config.target.table, ENTITIES if due or self.run.resuming else ())
        with marked(self.run, list(due_tables), "a load"):
            self.plan_load(due, only or {})
            moment_is_used(self.run)
            try:
                self.load_entities(entities, only or {})
            except MigrationError as error:
                if only is None:
                    undo_failed_load(self.run, TABLES, error)
                raise
            failed = self.outcomes.failed
            failure = next((failed[name] for name in due if name in failed), None)
            if only is None and failure:
                undo_failed_load(self.run, TABLES, failure)

    def plan_load(self, due: Sequence[str], only: Mapping[str, Collection[str]]) -> None:
        """Back up the tables, and see what is in them already."""
        from load.backup.before_load import back_up_before_load
        from load.conflicts.survey import survey_before_load
        from load.entities import TABLES

        back_up_before_load(self.run, due)
        survey_before_load(self.run, TABLES, due, only)

    def load_entities(self, entities: Sequence[str], only: Mapping[str, Collection[str]]) -> None:
        """Write the items of one entity after the other."""
        from load import engine
        from load.entities import TABLES
        from load.load_report import write_load_report
        from utils.findings.findings_table import write_findings

        for name in entities:
            if name in self.outcomes.failed or self.outcomes.skips("load", name):
                continue
            try:
                entry = engine.load(self.run, TABLES[name], only.get(name))
            except TargetError as error:
                self.outcomes.set_aside("load", name, error)
            else:
                items = counted(entry.result["items"], "item")
                self.say(f"Loaded {items} of {name}", on_screen=False)
                if entry.result["refusedRecords"]:
                    write_findings(self.run)
            write_load_report(self.run)
        write_load_report(self.run)

    def read_again(
        self,
        entities: Sequence[str],
        known: "Workspace",
        meanwhile: "Callable[[], AbstractContextManager[None]]" = nullcontext,
    ) -> None:
        """From S9 to the files that it would be loaded from now, for these entities and those that
        they name; with the times that loads of the data directory `known` have given them. While S9
        is read, `meanwhile` may go on."""
        from load.entities import TABLES
        from load.sync.times import recall_times

        needed = {need for name in entities for need in (name, *shape_of(name).needs)}
        due = [name for name in ENTITIES if name in needed]
        self.run.workers.imports, self.keeps = SHARED_WORK, False
        with meanwhile():
            self.extract(due)
        self.transform(due)
        for name in self.outcomes.going_on(due):
            if not self.outcomes.has_done("validate", name):
                recall_times(self.run, TABLES[name], known)
        self.validate(due)
        for failed in self.outcomes.failed.values():
            raise failed

    def verify(
        self,
        entities: Sequence[str],
        origin: "Run | None" = None,
        bench: "Bench | None" = None,
    ) -> ExitCode:
        """Prove it: compare the target with every station before it, or with S9 as the run `origin`
        has read it again; `bench` has what was found out meanwhile."""
        from load.entities import TABLES
        from load.s3_import.left_objects import remove_verified
        from transform.engine import rules_of
        from transform.labels import Labels
        from validate.verify.engine import verify

        if self.run.manifest.rolled_back and origin is None:
            raise ArtifactError(
                f"the load of run {self.run.manifest.undoes} was undone: there is nothing to "
                "verify",
                remedy=f"start a new run: {self.run.command('--full')}",
            )
        self.require_same_tables(ENTITIES)
        self.outcomes.begins("verify")
        going_on, sleep = self.outcomes.going_on(entities), self.run.stop.sleep
        rules = rules_of(origin or self.run)
        result = verify(
            self.run,
            TABLES,
            going_on,
            origin=origin,
            labels=lambda entity: Labels(entity, rules),
            sleep=sleep,
            prepared=bench,
        )
        for line in result.totals:
            self.say(f"{line} ({self.run.workspace.reconciliation})")
        found = f"what {'S9 has' if origin else 'was loaded'} of {', '.join(result.entities)}"
        self.say("Verified: " + (f"{found} is there" if result.passed else "differences found"))
        self.verified = result
        if not result.passed:
            return ExitCode.VERIFICATION_FAILED
        remove_verified(self.run, going_on)
        return (Runbook(origin) if origin else self).outcomes.exit_code()

    def set_migration_timestamp(self) -> None:
        """The time of records without their own: set once, kept for every later run."""
        manifest = self.run.manifest
        chosen = self.run.config.transformation.migration_timestamp
        now = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.000Z")
        manifest.migration_timestamp = chosen or manifest.migration_timestamp or now

    def say(self, text: str, *, on_screen: bool = True) -> None:
        """Put a line into the log, and on the screen unless that shows it in its own way."""
        from utils.logger import IN_THE_FILES, get_logger

        get_logger().info(text, extra={} if on_screen else IN_THE_FILES)


class Sync(Runbook):
    """The target is brought up to S9: what is new or different since the last load is written, and
    what has left S9 is taken away. `known` is the data directory whose loads say what was written,
    this one's own but for a rehearsal, which `writes` nothing. With `narrow` only what S9's log
    names is read."""

    makes_tables = False

    def __init__(
        self, run: "Run", known: Path | None = None, narrow: "NarrowExtract | None" = None
    ) -> None:
        from utils.files.workspace import Workspace

        super().__init__(run)
        self.narrow = narrow
        self.known = Workspace(known) if known else run.workspace
        self.writes = self.keeps = self.builds_on_last = known is None
        self.removed: dict[str, RemovalFigures] = {}  # nothing, when an entity has failed

    def full(self) -> ExitCode:
        """One pass; returns how it has ended."""
        self.require_tables()
        self.open_files()
        stopped = self.prepare()
        if stopped is not None:
            return stopped
        if self.writes:
            self.load(ENTITIES)
        else:
            self.plan_load(ENTITIES, {})
            self.take_away()
        return self.exit_code()

    def require_tables(self) -> None:
        """Raise TargetError where there is nothing to keep in step."""
        missing = self.check_target()
        if missing:
            raise TargetError(
                f"{', '.join(missing)}: there is no such table, so that there is nothing to keep "
                "in step with S9",
                remedy=f"migrate first: {self.run.command('--full')}",
            )

    def extract(self, entities: Sequence[str]) -> ExitCode:
        """Read the entities from S9, or what its log names of them."""
        if self.narrow is None or self.run.resuming:
            return super().extract(entities)
        self.outcomes.begins("extract")
        self.set_migration_timestamp()
        self.narrow(self.run)
        return self.outcomes.exit_code()

    def transform(self, entities: Sequence[str]) -> ExitCode:
        """Turn the extracted rows into items; with times of the migration's own, what is as it was
        keeps the time that it has."""
        from load.entities import TABLES
        from load.sync.planning import known_to
        from load.sync.times import settle_times

        super().transform(entities)
        if self.run.manifest.updated_at_in_use:
            for name in self.outcomes.going_on(entities):
                if not self.outcomes.has_done("validate", name):
                    settle_times(self.run, name, known_to(self.run, TABLES[name], self.known))
        return self.outcomes.exit_code()

    def plan_load(self, due: Sequence[str], _only: Mapping[str, Collection[str]]) -> None:
        """See what differs from what was written last."""
        from load.entities import TABLES
        from load.sync.planning import plan_sync

        plan_sync(self.run, TABLES, due, self.known)

    def load_entities(self, entities: Sequence[str], only: Mapping[str, Collection[str]]) -> None:
        """Write what differs, and take away what has left S9."""
        super().load_entities(entities, only)
        if not self.outcomes.failed:
            self.take_away()

    def take_away(self) -> None:
        """Take away what has left S9, and write the report of the sync."""
        from load.entities import TABLES
        from load.sync.removal import remove
        from load.sync.report import conclude as conclude_sync
        from load.sync.report import write_sync_report

        refused = self.in_quarantine()
        self.removed = remove(self.run, TABLES, ENTITIES, refused, writes=self.writes)
        figures = {name: each.as_json() for name, each in self.removed.items()}
        write_sync_report(self.run, ENTITIES, figures, dry=not self.writes)
        if self.writes:
            conclude_sync(self.run, ENTITIES)

    def exit_code(self) -> ExitCode:
        """How the pass has ended: with what S9 has lost and somebody has held on to, nothing is as
        it is there."""
        from load.sync.removal_record import CHANGED, IN_USE

        code = self.outcomes.exit_code()
        reasons = set().union(*(each.kept for each in self.removed.values()))
        stays = not reasons.isdisjoint((CHANGED, IN_USE))
        return ExitCode.QUARANTINED if code is ExitCode.DONE and stays else code


class Rehearsal(Runbook):
    """Everything but the writes, and a plan of it: what `--full` would do, and what is in its
    way."""

    keeps = False

    def __init__(
        self, run: "Run", directory: "DataDirectory", config: "Config", chosen: Choice
    ) -> None:
        """`config` are the settings as they are without a limit, for the data directory that a
        migration has."""
        from load.forecast.hours import StepTimes
        from utils.plan.document import Plan
        from utils.plan.verdict import Obstacle, Stage

        super().__init__(run)
        self.directory = directory
        self.config = config
        self.chosen = chosen
        self.plan = Plan()
        self.missing: list[str] = []  # tables that would be created
        self.passed = False  # the gate
        self.times = StepTimes()
        run.events.listen(self.times)
        directory.inherit(run)
        if directory.refusal:
            self.plan.verdict.note(Obstacle.of(Stage.BEGIN, directory.refusal))
            self.say(f"A migration would not begin: {directory.refusal.message}")

    def follow(self) -> ExitCode:
        """Make the plan and write it; returns the exit code that it foretells. What ends it early
        would end `--full`, too. Of a load nothing is left that could be undone."""
        from load.conflicts.foresight import forget_load

        try:
            return self.make()
        finally:
            forget_load(self.run)

    def make(self) -> ExitCode:
        """Make the plan step by step; what is known of it is shown also when it ends early."""
        from utils.cli.plan_text import plan_text
        from utils.plan.verdict import Obstacle, Stage

        steps = [
            (Stage.TARGET, self.check_all),
            (Stage.TARGET, self.look_at_tables),
            (Stage.SOURCE, self.bring),
            (Stage.LOAD, self.look_ahead),
        ]
        if self.chosen.rehearse:
            steps.append((Stage.LOAD, self.try_out))
        for stage, step in steps:
            try:
                step()
            except MigrationError as error:
                self.plan.verdict.note(Obstacle.of(stage, error))
                if stage is not Stage.LOAD or not isinstance(error, TargetError):
                    self.plan.write(self.run)
                    click.echo(plan_text(self.plan.document(self.run)))
                    error.exit_code = self.plan.verdict.code
                    raise
        self.plan.write(self.run)
        return self.plan.verdict.code

    def check_all(self) -> None:
        """Look at both ends and at this machine, as `check` does, and note what has failed."""
        from utils.checking.check import failures
        from utils.plan.checks import obstacles_of_checks

        checks = check_everything(self.config)
        self.plan.sections["checks"] = [each.as_json() for each in checks]
        self.plan.verdict.note(*obstacles_of_checks(failures(checks)))

    def look_at_tables(self) -> None:
        """Whether the target's tables are there and right."""
        self.missing = self.check_target()
        if self.missing:
            self.say(f"Would create the tables {', '.join(self.missing)}")

    def bring(self) -> None:
        """Bring S9's records up to the gate, and see which do not pass."""
        from utils.plan.document import source_section
        from utils.plan.findings import obstacles_of_findings
        from utils.plan.mapping import mapping_section
        from utils.plan.sample import part_of
        from utils.plan.verdict import Obstacle, Stage

        self.passed = self.prepare() is None
        self.plan.sections["source"] = source_section(self.run)
        self.plan.sections["mapping"] = mapping_section(self.run)
        self.plan.part = part_of(self.run, self.config)
        self.plan.verdict.note(*obstacles_of_findings(self.run))
        for error in self.outcomes.failed.values():
            self.plan.verdict.note(
                replace(Obstacle.of(Stage.SET_ASIDE, error), code=ExitCode.FAILED)
            )

    def look_ahead(self) -> None:
        """Foresee the load, and what verify would find after it, by what the tables hold."""
        from load.conflicts.foresight import foresee, pictures_of
        from load.entities import TABLES
        from load.target.writer_mark import others_at_work
        from utils.files.workspace import Workspace
        from utils.plan.verdict import Obstacle, Stage

        run, entities = self.run, self.outcomes.going_on(ENTITIES)
        tables = dict.fromkeys(map(run.config.target.table, ENTITIES))
        there = [name for name in tables if name not in self.missing]
        others = others_at_work(run, there, Workspace(self.directory.root))
        self.plan.verdict.note(*(Obstacle.of(Stage.LOAD, each) for each in others))
        with pictures_of(run, entities, self.missing) as looking:
            foresight = foresee(looking, TABLES, entities, self.missing)
            if self.plan.part:
                foresight = foresight.of_a_part(run)
            self.plan.sections["tables"] = foresight.as_json()
            self.plan.verdict.note(*foresight.obstacles(run))
            self.forecast(entities)
            known = foresight.refusal is None and not (self.plan.part or self.chosen.rehearse)
            if self.passed and known and run.config.migration.validate_after_load:
                self.foretell(looking, foresight)

    def forecast(self, entities: Sequence[str]) -> None:
        """Say what the load takes: units, price, time, and which keys are hot."""
        from load.entities import TABLES
        from load.forecast.forecast import forecast
        from load.target.refused_keys import obstacles_of_indexes
        from load.target.tables import describe

        run, specs = self.run, {name: TABLES[name] for name in entities}
        target = run.config.target
        described = {name: describe(target, target.table(name)) for name in specs}
        for name, spec in specs.items():
            self.plan.verdict.note(*obstacles_of_indexes(run, spec, described[name]))
        plans = {name: run.workspace.plan(name) for name in entities}
        found = forecast(
            run,
            specs,
            described,
            marks={name: path for name, path in plans.items() if path.exists()},
            scale=self.plan.part.scale if self.plan.part else {},
            seconds=self.times.seconds,
        )
        self.plan.sections["forecast"] = {**found.as_json(), "sentences": found.sentences()}

    def foretell(self, looking: "Run", foresight: "Foresight") -> None:
        """Say what verify would find after the load."""
        from load.conflicts.foresight import held_in
        from load.entities import TABLES
        from validate.foretold.foretold import HeldItems, foretell

        held = {
            name: HeldItems(*held_in(looking, name), foreseen.moments, TABLES[name])
            for name, foreseen in foresight.entities.items()
        }
        foretold = foretell(looking, list(held), held)
        self.plan.sections["verification"] = foretold.as_json()
        self.plan.verdict.note(*foretold.obstacles(self.run))

    def try_out(self) -> None:
        """Load into the throw-away tables, and verify what is in them."""
        from utils.plan.rehearsed import obstacles_of_rehearsal, rehearsal_section

        if not self.passed:
            return
        self.run.workers.imports = SHARED_WORK
        self.load(ENTITIES)
        code = self.verify(ENTITIES)
        self.plan.sections["rehearsal"] = rehearsal_section(self.run, code)
        self.plan.verdict.note(*obstacles_of_rehearsal(self.run, code))


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
@click.option("--phase", type=click.Choice(PHASES), help="Run one phase.")
@click.option("--entity", type=click.Choice(ENTITIES), help="With --phase: only this entity.")
@click.option("--dry-run", is_flag=True, help="Plan: what --full would do; nothing is written.")
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    help="With --dry-run: only the first N sales, and the figures of all worked out from them.",
)
@click.option(
    "--rehearse",
    is_flag=True,
    help="With --dry-run: load into throw-away tables of a local AWS, verify, and remove them.",
)
@click.option(
    "--from-source",
    is_flag=True,
    help="With --phase verify: read S9 again and compare with that, not with files of a run.",
)
@click.option(
    "--watch",
    type=click.FloatRange(min=0),
    metavar="SECONDS",
    help="With --phase verify: repeat it every so many seconds until it finds the same twice.",
)
@click.option(
    "--repair",
    is_flag=True,
    help="With --phase verify: write again what is missing or different, but for the application's "
    "changes, and verify again; with --dry-run only say what would be written.",
)
@click.option(
    "--repair-extra",
    is_flag=True,
    help="With --phase verify: take away what a migration wrote and S9 no longer has; the same.",
)
@click.option("--resume", is_flag=True, help="Resume a run that stopped.")
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
@click.option("--verbose", is_flag=True, help="Show more.")
@click.option("--quiet", is_flag=True, help="Show errors and the outcome only.")
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
    __context.obj = Caller(
        Screen(verbose, quiet, color),
        config_path,
        identity,
        whole_migration,
        check_everything,
        record_in_phases,
        record_by_files,
        unfollow,
        ways_of_cutover,
        rights_of_migration,
    )
    if __context.invoked_subcommand:
        return
    chosen = Choice(**choice)
    chosen.check()
    at_the_edge(lambda: run_command(__context.obj, chosen))


def run_command(caller: Caller, chosen: Choice) -> ExitCode:
    """Load the configuration, open the run, follow the runbook."""
    from utils.run.lifecycle import Start, end_by_hand, open_run
    from utils.run.sealing import seal
    from utils.telemetry.cloudwatch.beside import settle_cloudwatch

    config, screen = caller.settings(), caller.screen
    if chosen.phase:
        entities = [chosen.entity] if chosen.entity else list(ENTITIES)
        start, phases = Start.BY_HAND, [chosen.phase]
        if chosen.from_source:
            start, phases = Start.FROM_SOURCE, [*PHASES[:3], chosen.phase]
        repairs = chosen.repairs and not (chosen.dry_run or config.migration.dry_run)
        with open_run(config, screen, start, phases, entities, repairs=repairs) as run:
            book = Runbook(run)
            code, words = by_hand(book, chosen, entities)
            end_by_hand(run, chosen.phase, code, book.outcomes.what_failed())
            seal(run)
            settle_cloudwatch()
            text = words()
            run.progress.conclude(code, text)
            click.echo(text)
            return code
    if chosen.dry_run or config.migration.dry_run:
        return rehearse(config, screen, chosen)
    if chosen.resume:
        with open_run(config, screen, Start.RESUME) as run:
            if run.manifest.syncs:
                return sync_in(run)
            book = Runbook(run)
            return conclude(book, book.resume)
    with open_run(config, screen, Start.RESTART if chosen.restart else Start.ANEW) as run:
        book = Runbook(run)
        return conclude(book, book.full)


def by_hand(
    book: Runbook, chosen: Choice, entities: Sequence[str]
) -> "tuple[ExitCode, Callable[[], str]]":
    """One phase by hand; returns how it has ended, and who says it in words."""
    from utils.cli.summary import after_phase

    phase = str(chosen.phase)
    if chosen.from_source:
        return verify_by_source(book, chosen, entities)
    follow = partial(book.phase, phase, entities)
    code, notes = watched(book, chosen, follow), list[str]()
    if chosen.repairs:
        code, notes = repaired(book, chosen, entities, code, follow)
    tried = chosen.tried(dry=is_dry(book, chosen))
    return code, partial(after_phase, book.run, code, phase, entities, notes, tried=tried)


def is_dry(book: Runbook, chosen: Choice) -> bool:
    """Whether nothing is to be written, by the command or by the configuration."""
    return chosen.dry_run or book.run.config.migration.dry_run


def verify_by_source(
    book: Runbook, chosen: Choice, entities: Sequence[str]
) -> "tuple[ExitCode, Callable[[], str]]":
    """Verify the target by S9, which is read again for it; nothing on disk is believed."""
    from load.entities import TABLES
    from utils.cli.summary import after_source_read_again
    from utils.from_source.inner_run import has_served, inner_run
    from validate.verify.engine import bench_of

    inner = inner_run(book.run)

    def verify() -> ExitCode:
        nonlocal inner
        if inner.manifest.outcome is not None:  # watched: another look needs another picture
            has_served(inner)
            inner = inner_run(book.run)
        with bench_of(book.run, origin=inner) as bench:
            ahead = partial(bench.scanning_ahead, [TABLES[name] for name in entities])
            Runbook(inner).read_again(entities, book.run.workspace, ahead)
            inner.manifest.outcome = book.verify(entities, inner, bench)
        return inner.manifest.outcome

    with suppress(MigrationError):  # what is encrypted and cannot be opened is not needed
        book.open_files()
    code, notes = watched(book, chosen, verify), list[str]()
    if chosen.repairs:
        again = partial(book.verify, entities, inner)
        code, notes = repaired(book, chosen, entities, code, again, inner)
        inner.manifest.outcome = code
    has_served(inner)
    tried = chosen.tried(dry=is_dry(book, chosen))
    return code, lambda: after_source_read_again(
        book.run, inner, code, entities, notes, tried=tried
    )


def repaired(
    book: Runbook,
    chosen: Choice,
    entities: Sequence[str],
    code: ExitCode,
    verify: "Callable[[], ExitCode]",
    given: "Run | None" = None,
) -> "tuple[ExitCode, list[str]]":
    """Repair what a verification that has ended with `code` has found, by the files of the run
    `given` (None: of this one), and verify again; the exit code, and what is to be said of it."""
    from load.entities import TABLES
    from load.repair.engine import Repair, is_due, is_under_way, kinds_of
    from load.repair.report import Asked
    from utils.cli.repair_text import notes_on
    from validate.compare.record_entries import is_signed_since

    run = book.run
    dry = is_dry(book, chosen)
    asked = Asked(chosen.repair, chosen.repair_extra, writes=not dry)
    if not is_due(kinds_of(run, entities), asked) and (dry or not is_under_way(run)):
        return code, notes_on(run, None, writes=not dry)
    repair = Repair(run, TABLES, entities, asked, is_signed_since, given)
    done = repair.do()
    if not dry:
        code = verify()
        repair.conclude(done, passed=code is not ExitCode.VERIFICATION_FAILED)
    return code, notes_on(run, done, writes=not dry)


def watched(book: Runbook, chosen: Choice, verify: "Callable[[], ExitCode]") -> ExitCode:
    """Verify once; with --watch again and again, until two looks have found the same."""
    from utils.files.artifacts import sha256_of

    before: object = None
    while True:
        code = verify()
        files = [book.run.workspace.differences(name) for name in ENTITIES]
        found = code, [sha256_of(path) for path in files if path.exists()]
        if chosen.watch is None or found == before:
            return code
        before = found
        book.say(f"Looking again in {chosen.watch:g} s, until two looks find the same")
        book.run.stop.sleep(chosen.watch)


def rehearse(config: "Config", screen: "Screen", chosen: Choice) -> ExitCode:
    """Make the plan, on the configured target or on throw-away tables."""
    from utils.plan.throw_away import throw_away_target

    if not chosen.rehearse:
        return make_plan(config, config, screen, chosen)
    with throw_away_target(config) as elsewhere:
        return make_plan(config, elsewhere, screen, chosen)


def make_plan(config: "Config", rehearsed: "Config", screen: "Screen", chosen: Choice) -> ExitCode:
    """Open a run of its own for the plan of a migration with `config`, by the settings of the
    rehearsal."""
    from utils.cli.summary import after_rehearsal
    from utils.plan.data_directory import look_at
    from utils.plan.sample import limited
    from utils.run.lifecycle import Start, open_run
    from utils.run.session import bring_files

    bring_files(config)
    directory = look_at(config)
    here, phases = rehearsal_config(limited(rehearsed, chosen.limit)), PHASES[:3]
    with open_run(here, screen, Start.REHEARSAL, PHASES if chosen.rehearse else phases) as run:
        book = Rehearsal(run, directory, rehearsed, chosen)
        return conclude(
            book, book.follow, lambda run, _: after_rehearsal(run, book.plan.document(run))
        )


def conclude(
    book: Runbook,
    follow: Callable[[], ExitCode],
    words: Callable[["Run", ExitCode], str] | None = None,
) -> ExitCode:
    """Follow the runbook to its end, record how it ended, and say it."""
    from utils.cli.summary import after_run
    from utils.run.lifecycle import end
    from utils.run.sealing import seal
    from utils.telemetry.cloudwatch.beside import settle_cloudwatch

    run = book.run
    code = follow()
    end(run, code, book.outcomes.what_failed())
    seal(run)
    settle_cloudwatch()
    text = (words or after_run)(run, code)
    run.progress.conclude(code, text)
    click.echo(text)
    return code


def whole_migration(run: "Run", words: Callable[["Run", ExitCode], str]) -> ExitCode:
    """What a command gets that migrates, too: the whole runbook in a run of its own."""
    book = Runbook(run)
    return conclude(book, book.full, words)


def check_everything(config: "Config") -> "list[Check]":
    """Look at both ends at the same time, and then at this machine; nothing is written to any.

    A step of an end that gives no answer is waited for as long as for a connection
    (`source.connectionTimeout`).
    """
    from extract.checks.source_checks import check_source
    from load.target.target_checks import check_target
    from utils.checking.check import MACHINE, SOURCE, TARGET
    from utils.checking.looking import look, look_at_once
    from utils.checking.machine import check_machine
    from utils.files.workspace import Workspace
    from utils.settings.environment import make_room

    with suppress(MigrationError):  # the machine's checks tell it
        make_room()
    files, patience = Workspace(Path(config.data.directory)), config.source.connection_timeout
    ends = {
        SOURCE: partial(check_source, config, files),
        TARGET: partial(check_target, config, files),
    }
    found = look_at_once(ends, patience)
    return [*found, *look(MACHINE, partial(check_machine, config, files, found), patience)]


def record_in_phases() -> "Phases":
    """What each phase tells of one record (`explain`). Nothing is written."""
    from utils.explain.stations import Phases

    def row_now(run: "Run", entity: str, key: int) -> "RowNow":
        from extract.entities import entities_of
        from extract.single_record import row_now
        from transform.engine import rules_of
        from transform.row_to_texts import all_targets

        declared = entities_of(run.config.source.layout)
        return row_now(run, declared, entity, key, all_targets(entity, rules_of(run)))

    def keys_of_number(run: "Run", entity: str, number: int, year: int) -> list[int]:
        from extract.entities import entities_of
        from extract.single_record import keys_of_number

        declared = entities_of(run.config.source.layout)
        return keys_of_number(run, declared, entity, number, year)

    def become(run: "Run", line: bytes, names: "SourceNames") -> "list[bytes] | Refusal":
        from transform.engine import rules_of
        from transform.pieces.piece import become_of

        return become_of(line, names, rules_of(run))

    def key(run: "Run", entity: str, first_id: int) -> str:
        from transform.engine import rules_of
        from transform.pieces.piece import partition_key

        return partition_key(names(run, entity), rules_of(run), str(first_id))

    def names(run: "Run", entity: str) -> "SourceNames":
        from transform.engine import rules_of
        from transform.row_to_texts import all_targets
        from utils.findings.source_names import names_of

        return names_of(run.manifest, entity, all_targets(entity, rules_of(run)))

    def loaded(run: "Run", entity: str, first_id: int) -> "LoadedRecord | None":
        from load.history.loaded_record import loaded_record

        return loaded_record(run.workspace, run.manifest, entity, first_id)

    return Phases(row_now, keys_of_number, become, key, names, loaded)


def record_by_files(config: "Config", entity: str, key: str) -> "dict[str, Any]":
    """What the files alone tell of one record, for the dashboard: no server is asked."""
    from validate.explain.asking import by_files

    return by_files(config, record_in_phases(), entity, key).as_json()


def unfollow(config: "Config", files: "Workspace") -> list[str]:
    """Take away what S9 keeps for who follows its log from a data directory; says what it was."""
    from extract.following.at_s9 import stop

    return stop(config, files)


def rights_of_migration(
    config: "Config", tables: Mapping[str, str], partition: str
) -> "Iterator[tuple[str, str]]":
    """The actions that a migration with this configuration needs of AWS, with a rollback, each with
    a resource: of the tables, whose ARNs these are, and of the bucket of an import."""
    from load.target.rights import needed, needed_in_s3, works_of

    for work in dict.fromkeys([*works_of(config), "rollback"]):
        yield from needed(work, tables)
    if config.load.imports:
        yield from needed_in_s3(config.load.s3, partition)


def rehearsal_config(config: "Config") -> "Config":
    """The same configuration with a scratch directory, emptied, for its files."""
    scratch = Path(config.data.directory) / "dry-run"
    return replace(config, data=replace(config.data, directory=str(scratch)))


@cli.command("sync")
@click.option("--dry-run", is_flag=True, help="List what would change; write nothing.")
@click.option(
    "--every",
    type=Duration(),
    metavar="SECONDS",
    help="Do it again and again, so many seconds (or 10m, 1h) after each end, until it is stopped.",
)
@click.option(
    "--follow",
    is_flag=True,
    help="Follow S9's own log, and bring over what it names a few seconds later, until it is "
    "stopped.",
)
@click.option(
    "--check", is_flag=True, help="Say what --follow needs at S9, and what a DBA runs for it."
)
@click.option("--stop", is_flag=True, help="Take away what S9 keeps for --follow.")
@click.option("--after-switch", is_flag=True, help="Also when the Sale Module owns the data.")
@click.pass_obj
def sync(
    caller: Caller,
    dry_run: bool,
    every: float | None,
    follow: bool,
    check: bool,
    stop: bool,
    after_switch: bool,
) -> None:
    """Bring the target up to S9: write what is new or different since the last load or sync, and
    take away what has left S9.

    What the application has changed since stays as it is, as load.onConflict says. A sync that was
    cut short is resumed by the same command; `rollback` undoes the last one.
    """
    require_one_way(dry_run=dry_run, every=every is not None, follow=follow, check=check, stop=stop)
    if follow:
        at_the_edge(lambda: follow_log(caller, after_switch=after_switch))
    elif check:
        at_the_edge(lambda: check_log(caller))
    elif stop:
        at_the_edge(lambda: stop_following(caller))
    else:
        at_the_edge(
            lambda: run_sync(caller, dry_run=dry_run, every=every, after_switch=after_switch)
        )


def run_sync(
    caller: Caller, *, dry_run: bool, every: float | None, after_switch: bool = False
) -> ExitCode:
    """One sync, or one after the other; the exit code of the last."""
    from utils.interrupt import StopFlag
    from utils.pages.report.making import make_pages
    from utils.run.lifecycle import Start, open_run
    from utils.telemetry.worked_on import take_worked_on

    config = caller.settings()
    if dry_run or config.migration.dry_run:
        return rehearse_sync(config, caller.screen)
    stop = StopFlag()
    while True:
        with open_run(
            config,
            caller.screen,
            Start.SYNC,
            PHASES[:4],
            stop=stop,
            after_switch=after_switch,
        ) as run:
            code = sync_in(run)
        if every is None or code not in (ExitCode.DONE, ExitCode.QUARANTINED):
            return code
        make_pages(take_worked_on())
        stop.rest(every)
        if stop.requested:
            return code


def sync_in(run: "Run") -> ExitCode:
    """Bring the target up to S9 in a run that is open, or go on with it."""
    from utils.cli.sync_text import after_sync

    book = Sync(run)
    follow = book.resume if run.resuming else book.full
    return conclude(book, follow, after_sync)


def follow_log(caller: Caller, *, after_switch: bool) -> ExitCode:
    """One sync after the other, each of what S9's log names, until it is stopped."""
    from utils.cli.sync_text import after_following
    from utils.logger import say_once_on_screen
    from utils.run.lifecycle import Start, open_run
    from utils.run.sealing import seal
    from utils.telemetry.cloudwatch.beside import settle_cloudwatch

    config, screen = caller.settings(), caller.screen
    opened = open_run(config, screen, Start.FOLLOW, PHASES[:4], after_switch=after_switch)
    with opened as run:
        say_once_on_screen(verbose=screen.verbose)
        Sync(run).require_tables()  # before S9 is asked to keep its log
        code = follower_in(run).follow()
        seal(run)
        settle_cloudwatch()
        text = after_following(run, code)
        run.progress.conclude(code, text)
        click.echo(text)
        return code


def follower_in(run: "Run") -> "Follower":
    """Who follows S9's log in a run that is open: each pass is a sync, a run of its own there."""
    from extract.entities import entities_of
    from extract.following.follower import Follower
    from extract.following.narrow import extract_changes
    from load.sync.report import records_written
    from utils.pages.report.making import RenewedPage
    from utils.run.lifecycle import Start, begin, end
    from utils.telemetry.command_events import tell_begin

    declared = entities_of(run.config.source.layout)
    renew_page = RenewedPage(run.workspace.root, run.config)

    def do(narrow: "Narrow | None") -> ExitCode:
        before = run.manifest
        begin(run, Start.SYNC)
        run.events.run = run.manifest.run_id
        tell_begin(run.progress, Start.FOLLOW.command, PHASES[:4], ENTITIES)
        book = Sync(run)
        if narrow is not None:
            book.narrow = lambda run: extract_changes(run, before, declared, narrow)
        code = (book.resume if run.resuming else book.full)()
        end(run, code, book.outcomes.what_failed())
        renew_page()
        return code

    return Follower(run, declared, do, lambda: records_written(run, ENTITIES))


def check_log(caller: Caller) -> ExitCode:
    """Say what following the log needs at S9."""
    from extract.following.at_s9 import needs, needs_text
    from utils.cli.closings import said

    found = needs(caller.settings())
    click.echo(f"What following S9's log needs there:\n{needs_text(found)}\n")
    missing = sum(not each.holds for each in found)
    follow, every = map(invocation.command, ("sync --follow", "sync --every 60"))
    if missing:
        click.echo(said("cannot-follow", missing=missing, every=every))
        return ExitCode.FAILED
    click.echo(said("can-follow", follow=follow))
    return ExitCode.DONE


def stop_following(caller: Caller) -> ExitCode:
    """Take away what S9 keeps for who follows its log."""
    from utils.cli.closings import said
    from utils.run.session import open_session

    config = caller.settings()
    with open_session(config, caller.screen, "sync --stop") as session:
        for taken in unfollow(config, session.workspace):
            click.echo(f"Taken away at S9: {taken}")
        text = said("follows-no-longer")
        session.progress.conclude(ExitCode.DONE, text)
        click.echo(text)
        return ExitCode.DONE


def rehearse_sync(config: "Config", screen: "Screen") -> ExitCode:
    """List what a sync would change."""
    from load.conflicts.foresight import forget_load
    from utils.cli.sync_text import after_sync_rehearsal
    from utils.plan.data_directory import look_at
    from utils.run.lifecycle import Start, open_run
    from utils.run.session import bring_files

    bring_files(config, everything=True)
    directory = look_at(config, Start.SYNC)
    if directory.refusal:
        raise directory.refusal
    here = rehearsal_config(config)
    with open_run(here, screen, Start.REHEARSAL, PHASES[:3]) as run:
        directory.inherit(run)
        book = Sync(run, directory.root)
        try:
            return conclude(book, book.full, after_sync_rehearsal)
        finally:
            forget_load(run)


def ways_of_cutover(config: "Config", screen: "Screen") -> "Ways":
    """What the cut-over has done by the phases (utils/cutover), in runs of their own."""
    from utils.cutover.ways import Ways
    from utils.files.workspace import Workspace

    return Ways(
        sync=partial(catch_up, config, screen),
        unfollow=partial(unfollow, config, Workspace(Path(config.data.directory))),
        mark=partial(tell_tables_of_switch, config, screen),
        unmark=partial(tell_tables_of_way_back, config, screen),
        foresee=partial(foresee_catching_up, config, screen),
        look=partial(look_at_source, config, screen),
        writers=partial(writers_in_source, config, screen),
        verify=partial(compare_with_source, config, screen, aside=False),
        compare=partial(compare_with_source, config, screen, aside=True),
    )


def tell_tables_of_switch(config: "Config", screen: "Screen", cutover: str, at: str) -> None:
    """Have the tables say that a cut-over has switched at some moment."""
    from load.target.switch import mark_switched
    from utils.ownership import require_marking
    from utils.run.manifest import Manifest
    from utils.run.run import Run
    from utils.run.same_tables import require_same_tables
    from utils.run.session import open_session

    with open_session(config, screen, "cutover --switched") as session:
        require_marking(session.workspace, cutover)
        manifest = Manifest.load(session.workspace.manifest) or Manifest.new()
        require_same_tables(Run(config, session.workspace, manifest), ENTITIES)
        mark_switched(session, list(map(config.target.table, ENTITIES)), cutover, at)
        session.progress.conclude(ExitCode.DONE, "The tables say who owns the data")


def tell_tables_of_way_back(config: "Config", screen: "Screen", cutover: str) -> list[str]:
    """Have them say that no more; returns what another cut-over has them say. Tables that are not
    there any more, or not the ones that were told, say nothing."""
    from load.target.switch import unmark_switched
    from utils.dynamodb.reached import Reached
    from utils.run.manifest import Manifest
    from utils.run.same_tables import SIDE, look
    from utils.run.session import open_session

    with open_session(config, screen, "cutover") as session:
        manifest = Manifest.load(session.workspace.manifest) or Manifest.new()
        known = manifest.reached.get(SIDE, {})
        tables = []
        for table in map(config.target.table, ENTITIES):
            now = look(config.target, table)
            if now and (table not in known or now.is_same(Reached.of_json(known[table]))):
                tables.append(table)
        left = unmark_switched(session, tables, cutover)
        session.progress.conclude(ExitCode.DONE, "The tables say who owns the data")
    return left


def catch_up(config: "Config", screen: "Screen") -> "CaughtUp":
    """Bring the target up to S9, by its log if that is followed, and say how it went."""
    from extract.following.at_s9 import known_following
    from utils.cutover.catching_up import caught_up, followed
    from utils.files.workspace import Workspace
    from utils.run.lifecycle import Start, open_run

    began = time.monotonic()
    files = Workspace(Path(config.data.directory))
    if known_following(config, files).name:
        with open_run(config, screen, Start.FOLLOW, PHASES[:4]) as run:
            follower = follower_in(run)
            code = follower.catch_up()
            text = f"All is brought over up to {follower.fence} in S9's log"
            run.progress.conclude(code, text)
            took = time.monotonic() - began
            return followed(run, code, took, follower.records, follower.fence)
    with open_run(config, screen, Start.SYNC, PHASES[:4]) as run:
        code = sync_in(run)
        return caught_up(run, code, time.monotonic() - began)


def foresee_catching_up(config: "Config", screen: "Screen") -> "CaughtUp":
    """Say what that would change."""
    from utils.cutover.catching_up import foreseen

    began = time.monotonic()
    code = rehearse_sync(config, screen)
    return foreseen(config, code, time.monotonic() - began)


def look_at_source(config: "Config", screen: "Screen") -> "Look":
    """Read S9's rows, for nothing but to see whether they are the same as at another time."""
    from utils.cutover.verification import look_of
    from utils.from_source.inner_run import has_served, new_inner_run
    from utils.run.lifecycle import Start, open_run

    with open_run(config, screen, Start.FROM_SOURCE, [PHASES[0], "verify"]) as run:
        inner = new_inner_run(run)
        book = Runbook(inner)
        book.extract(ENTITIES)
        for failed in book.outcomes.failed.values():
            raise failed
        look = look_of(inner.manifest)
        has_served(inner)
        run.progress.conclude(ExitCode.DONE, "Looked at S9")
    return look


def writers_in_source(config: "Config", screen: "Screen") -> "Writers":
    """Who holds a transaction open that has written into S9's tables."""
    from extract.checks.open_transactions import writers_now
    from utils.run.lifecycle import Start, open_run

    with open_run(config, screen, Start.FROM_SOURCE, ["verify"]) as run:
        found = writers_now(run)
        run.progress.conclude(ExitCode.DONE, "Looked for open transactions in S9")
    return found


def compare_with_source(config: "Config", screen: "Screen", *, aside: bool) -> "Compared":
    """Verify the target by S9, and list what differs and whose work that is; `aside` leaves what
    the migration's own verification has said as it is, and writes the list as a report."""
    from load.entities import TABLES
    from utils.cli.summary import after_source_read_again
    from utils.cutover.beside import beside
    from utils.cutover.verification import compared, left_by_sync
    from utils.from_source.inner_run import has_served, new_inner_run
    from utils.ownership import ownership_of
    from utils.run.lifecycle import Start, end_by_hand, open_run
    from utils.run.sealing import seal
    from validate.drift.listing import find_drift
    from validate.drift.next_numbers import next_numbers
    from validate.drift.report import write_drift

    began = time.monotonic()
    with open_run(config, screen, Start.FROM_SOURCE, [*PHASES[:3], "verify"]) as run:
        with suppress(MigrationError):  # what is encrypted and cannot be opened is not needed
            Runbook(run).open_files()
        inner = new_inner_run(run)
        book = Runbook(beside(run) if aside else run)
        Runbook(inner).read_again(ENTITIES, run.workspace)
        inner.manifest.outcome = code = book.verify(ENTITIES, inner)
        drift = find_drift(book.run, inner, ENTITIES, left_by_sync(run.workspace))
        found = compared(
            book.run,
            inner,
            drift.records,
            problems=book.verified.problems_of_tables,
            totals=book.verified.totals,
            numbers=next_numbers(run, inner, TABLES["sales"]),
            seconds=time.monotonic() - began,
        )
        if aside:
            report = write_drift(run, inner, ownership_of(run.workspace), drift)
            run.progress.conclude(code, f"Compared S9 with the target: {report}")
        has_served(inner)
        if not aside:
            end_by_hand(run, "verify", code, book.outcomes.what_failed())
            run.progress.conclude(code, after_source_read_again(run, inner, code, ENTITIES))
        seal(run)
    return found


@cli.command("retry-quarantine")
@click.pass_obj
def retry_quarantine(caller: Caller) -> None:
    """Try the records in quarantine again, after their cause was fixed in S9 or the settings."""
    at_the_edge(lambda: run_retry(caller))


def run_retry(caller: Caller) -> ExitCode:
    """Open the migration that ended with records in quarantine, and try these again."""
    from utils.cli.summary import after_retry
    from utils.run.lifecycle import Start, open_run

    with open_run(caller.settings(), caller.screen, Start.AGAIN) as run:
        if not run.manifest.syncs:
            book = Runbook(run)
            return conclude(book, book.retry_quarantine, after_retry)
    # A sync reads everything anew, also what was refused.
    return run_sync(caller, dry_run=False, every=None)


if __name__ == "__main__":
    cli()
