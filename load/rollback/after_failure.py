"""`migration.rollbackOnFailure`: a load that has failed for good is undone at once."""

from __future__ import annotations

from collections.abc import Mapping

from load.rollback.engine import roll_back
from utils.dynamodb.table_spec import TableSpec
from utils.error_handler import MigrationError
from utils.logger import get_logger
from utils.run.run import Run


def undo_failed_load(run: Run, tables: Mapping[str, TableSpec], failure: MigrationError) -> None:
    """Undo the load if `migration.rollbackOnFailure` asks for it; raises the failure then, with
    how that went."""
    if not run.config.migration.rollback_on_failure:
        return
    get_logger().info("The load has failed; undoing it: %s", failure.message)
    try:
        roll_back(run, tables)
    except MigrationError as error:
        raise MigrationError(
            f"{failure.message}\nand its load could not be undone: {error.message}",
            remedy=f"{failure.remedy}; undo the load: {run.command('rollback')}",
        ) from failure
    raise MigrationError(
        f"{failure.message}\nThe load was undone (see {run.workspace.report('rollback')})",
        remedy=f"{failure.remedy}; then start over: {run.command('--full')}",
    ) from failure
