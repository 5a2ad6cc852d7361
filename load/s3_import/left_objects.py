"""What an import has left in S3 holds personal data: it goes when it is not needed any more."""

from __future__ import annotations

from collections.abc import Sequence

from load.load_state import LoadState
from load.s3_import.import_state import ImportState
from load.target.aws_commands import delete_table
from utils.config import Config
from utils.entities import ENTITY_NAMES
from utils.error_handler import ConfigurationError, MigrationError
from utils.files.artifacts import utc_now
from utils.logger import get_logger
from utils.run.run import Run
from utils.s3.bucket import Bucket
from utils.wording.figures import counted
from utils.wording.invocation import RESUME


def bucket_of(config: Config, state: ImportState) -> Bucket:
    """The bucket of an import. Raises TargetError."""
    return Bucket(config.target, state.bucket, owner=state.owner, kms_key=config.load.s3.kms_key)


def imports_of(run: Run, entities: Sequence[str] = ENTITY_NAMES) -> dict[str, ImportState]:
    """The imports that this data directory knows of, by entity. Raises ArtifactError."""
    states = {name: ImportState.load(run.workspace.import_state(name)) for name in entities}
    return {name: state for name, state in states.items() if state is not None}


def require_ended(run: Run) -> None:
    """Raise ConfigurationError while DynamoDB may be at an import of this run: nothing of it can be
    undone before its end. What is loaded into its table in batches since counts as its end."""
    for entity, state in imports_of(run).items():
        loaded = LoadState.load(run.workspace.load_state(entity))
        is_this_run_s = state.baseline == run.manifest.baseline
        has_load = loaded is not None and loaded.run_id == state.baseline
        if state.is_at_work and is_this_run_s and not has_load:
            raise ConfigurationError(
                f"DynamoDB was asked to import {state.place} into {state.table}, and that was not "
                "followed to its end: nothing of it can be undone before",
                remedy=f"follow it: {run.command(RESUME)}; then undo the load: "
                f"{run.command('rollback')}. Nobody uses the table yet: when its import has ended, "
                f"it can be deleted as well: {delete_table(run.config.target, state.table)}",
            )


def failed_tables(run: Run) -> list[str]:
    """The tables that imports of this run have left, which were of no use."""
    return [
        state.table
        for state in imports_of(run).values()
        if state.failed and state.baseline == run.manifest.baseline
    ]


def remove_verified(run: Run, entities: Sequence[str]) -> None:
    """Verification has passed for entities: what their imports have left in S3 goes, unless it is
    to be kept. What cannot be removed is told, and tried again by the next verification."""
    for state in imports_of(run, entities).values():
        if state.removed:
            continue
        if run.config.load.s3.keep_objects:
            get_logger().info("The files of %s stay in %s", state.table, state.place)
            continue
        try:
            remove(run.config, state)
        except MigrationError as error:
            get_logger().warning(
                "The files of %s stay in %s, and hold personal data: %s. %s",
                state.table,
                state.place,
                error.message,
                error.remedy,
            )


def remove(config: Config, state: ImportState) -> None:
    """Remove what an import has put into S3; durable when this returns. Raises TargetError."""
    removed = bucket_of(config, state).remove_all(state.prefix)
    state.removed = utc_now()
    state.save()
    get_logger().info("Removed %s from %s", counted(removed, "object"), state.place)
