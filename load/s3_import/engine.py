"""The load by import: files into S3, and from there into new tables, by DynamoDB itself.

    upload → ask → wait → judge by counts → settings → recorded as a load

All tables are imported side by side. Whoever is killed resumes where it was: what S3 has
acknowledged is logged, and that DynamoDB may have been asked is known before it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress

from load.conflicts.survey import is_done_with
from load.load_state import leave_table
from load.s3_import import bookkeeping
from load.s3_import.import_state import ImportState
from load.s3_import.import_table import ask, existing, is_gone, judge, wait_for
from load.s3_import.left_objects import bucket_of, remove
from load.s3_import.table_settings import apply, require_sound
from load.s3_import.uploading import upload
from load.target.tables import describe
from utils.dynamodb.table_spec import TableSpec
from utils.error_handler import ArtifactError, MigrationError
from utils.files.artifacts import utc_now
from utils.logger import get_logger
from utils.run.run import Run
from utils.s3.s3_errors import BucketMissing
from utils.wording.figures import counted
from utils.wording.invocation import command


def require_new_tables(run: Run, entities: Sequence[str]) -> list[str]:
    """Raise TargetError when an entity's table is there already and is not this run's to go on
    with, or ConfigurationError for settings that would do harm; nothing is done yet. Returns the
    tables that are to be made."""
    require_sound(run.config.load.new_tables)
    missing = []
    for entity in entities:
        table = run.config.target.table(entity)
        there = describe(run.config.target, table) is not None
        if not there:
            missing.append(table)
        elif not _is_ours(run, entity):
            raise existing(run, table)
    return missing


def _is_ours(run: Run, entity: str) -> bool:
    """Whether a table that is there may be the one that this run was importing, or has imported."""
    state = ImportState.load(run.workspace.import_state(entity))
    if state is None or state.table != run.config.target.table(entity):
        return False
    return state.baseline == run.manifest.baseline and bool(state.asked)


def import_entities(
    run: Run, tables: Mapping[str, TableSpec], entities: Sequence[str]
) -> list[str]:
    """Load entities by import into tables that this makes; returns those that were, which are
    recorded as loaded then. Those that this run has imported before are not among them: what is
    still to be written there is for batches. The files have passed validation.

    Raises TargetError when something is in the way, ImportFailed when a table is not what was to
    be imported, Interrupted when a stop is asked for; called again, it resumes.
    """
    if run.manifest.rolled_back:
        is_done_with(run)
    states = {entity: state for entity in entities if (state := _state_of(run, entity))}
    for entity, state in states.items():
        run.begin(bookkeeping.PHASE, entity, run.sha_of(run.workspace.transformed(entity)))
        upload(run, entity, state, bucket_of(run.config, state))
        ask(run, tables[entity], state)
    wait_for(run, states)
    failures: list[MigrationError] = []
    for entity, state in states.items():
        try:
            judge(run, state)
        except MigrationError as error:  # the others are none the worse for it
            failures.append(error)
            continue
        _conclude(run, entity, state)
    for further in failures[1:]:
        get_logger().error("%s. What to do: %s", further.message, further.remedy)
    for failure in failures[:1]:
        raise failure
    return list(states)


def _state_of(run: Run, entity: str) -> ImportState | None:
    """The state of the import that is to be done of an entity, or to be resumed; None where this
    run has done it. Raises TargetError when its table is there and not this run's."""
    path = run.workspace.import_state(entity)
    known, table = ImportState.load(path), run.config.target.table(entity)
    there = describe(run.config.target, table) is not None
    if known is not None and known.is_of(run, entity) and not _is_elsewhere(run, known):
        if known.failed and not there:
            known.begin_anew()
        known.look_again()
        if not there or known.asked:
            return known
        raise existing(run, table)
    if there:
        if _is_ours(run, entity):
            get_logger().info(
                "%s was imported by this run already: what is still to be written goes there in "
                "batches",
                table,
            )
            return None
        raise existing(run, table)
    if known is not None:
        _drop(run, known)
    run.workspace.import_objects(entity).unlink(missing_ok=True)
    leave_table(run, entity)
    state = ImportState.new(run, entity)
    state.save()
    return state


def _is_elsewhere(run: Run, known: ImportState) -> bool:
    """Whether an import of which nothing was asked for yet has its place in another bucket than is
    configured now."""
    s3 = run.config.load.s3
    same = (known.bucket, known.owner) == (s3.bucket, s3.owner)
    return not (same or known.asked)


def _drop(run: Run, known: ImportState) -> None:
    """What an import of other files, or into another table, has left in S3 is of no use. Raises
    ArtifactError while that one may still be at work."""
    if known.is_at_work and not is_gone(run, known):
        raise ArtifactError(
            f"run {known.run} has asked DynamoDB to import {known.place} into {known.table}, and "
            "that has not been followed to its end",
            remedy=f"put its files and settings back and follow it: {command('--resume')}; or "
            "delete that table when its import has ended, then type this again",
        )
    if run.config.load.s3.keep_objects and not known.removed:
        get_logger().info("The files of run %s stay in %s", known.run, known.place)
    elif not known.removed:
        with suppress(BucketMissing):  # nothing can be left there
            remove(run.config, known)


def _conclude(run: Run, entity: str, state: ImportState) -> None:
    """The table has what was to be imported: give it its settings, and record the load."""
    if not state.settings:
        apply(run, entity, state.table_arn)
        state.settings = True
        state.save()
    bookkeeping.record(run, entity, state)
    state.concluded = utc_now()
    state.save()
    get_logger().info(
        "Imported %s of %s into %s", counted(state.imported, "item"), entity, state.table
    )
