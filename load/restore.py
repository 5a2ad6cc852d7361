"""Putting a backup back: into a table made for it, an empty one, or over what is there.

Nothing is changed before the whole backup has been read and found whole, the table has been found
to fit it, and whoever asks has agreed to the changes. A restore that was cut short is repeated:
it writes what is still missing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from load.backup import back_up, new_name
from load.backup_folder import BackupFolder
from load.batch_writer import BatchWriter, Outcome
from load.lines import batches
from load.restore_plan import Change, Plan, make_plan
from load.table_description import creation_request, misfits
from load.tables import describe, wait_until_active
from load.target_mark import marked
from load.throttle import Governor
from utils.config import ENTITY_NAMES
from utils.dynamodb import DynamoDB
from utils.encryption import Identity
from utils.error_handler import ConfigurationError, TargetError
from utils.interrupt import Interrupted
from utils.invocation import again
from utils.logger import get_logger
from utils.manifest import Manifest
from utils.progress import Task
from utils.requests import control
from utils.retry import RetryPolicy
from utils.session import AtWork
from utils.tables import PARTITION_KEY, SORT_KEY

_BATCH = 25
_AHEAD = 2


@dataclass(frozen=True)
class Restored:
    """What a restore did; `kept_as` names the backup of what was there before, "" when none was
    needed."""

    table: str
    items: int
    created: bool
    added: int
    replaced: int
    deleted: int
    kept_as: str


def restore(
    work: AtWork,
    folder: BackupFolder,
    table: str,
    identities: tuple[Identity, ...],
    *,
    agreed: bool,
) -> Restored:
    """Make `table` what the backup says, item for item, and look that it is.

    Unless `agreed`, a table that holds anything is not changed. Raises ConfigurationError that
    says what would be, then; ArtifactError for a backup that is damaged or that `identities` do
    not open; TargetError when the table does not fit the backup, or is not what it should be in
    the end. Only the last can come after something was changed.
    """
    folder.check()
    target = work.config.target
    existing = describe(target, table)
    if existing is not None:
        _require_fit(folder, table, existing)
    with ExitStack() as stack:
        plan = stack.enter_context(make_plan(work, folder, identities, table if existing else None))
        if plan.found and not plan.nothing_to_do and not agreed:
            raise _needs_consent(plan, folder, table)
        get_logger().info("Restoring %s into %s: %s", folder.path.name, table, in_words(plan))
        can_mark = existing is not None and folder.entry.key_names == (PARTITION_KEY, SORT_KEY)
        if can_mark and not plan.nothing_to_do:
            stack.enter_context(marked(work, [table], "a restore"))
        kept_as = _keep(work, table) if plan.to_replace.count or plan.to_delete.count else ""
        if existing is None:
            _create(work, folder, table)
        if not plan.nothing_to_do:
            _forget_load(work, table)
            _write(work, folder, identities, table, plan)
        done = Restored(
            table,
            folder.entry.items,
            existing is None,
            plan.to_add.count,
            plan.to_replace.count,
            plan.to_delete.count,
            kept_as,
        )
    _prove(work, folder, identities, table)
    return done


def in_words(plan: Plan) -> str:
    """The counts of a plan in a line."""
    return (
        f"{plan.to_add.count:,} items to add, {plan.to_replace.count:,} to replace, "
        f"{plan.to_delete.count:,} to delete, {plan.same:,} are the same"
    )


def _needs_consent(plan: Plan, folder: BackupFolder, table: str) -> ConfigurationError:
    changes = [("add", plan.to_add), ("replace", plan.to_replace), ("delete", plan.to_delete)]
    listed = "".join(f"\n  {_listed(verb, change)}" for verb, change in changes if change.count)
    return ConfigurationError(
        f"table {table} is not empty: it has {plan.found:,} items, of which {plan.same:,} are "
        f"as in {folder.path.name}. Restoring would{listed}",
        remedy=f"if that is what is wanted: {again('--yes')}; or restore into a new table: add "
        "--into NAME",
    )


def _listed(verb: str, change: Change) -> str:
    more = ", …" if change.count > len(change.first) else ""
    items = "1 item" if change.count == 1 else f"{change.count:,} items"
    return f"{verb} {items}: {', '.join(change.first)}{more}"


def _require_fit(folder: BackupFolder, table: str, existing: Mapping[str, Any]) -> None:
    problems = misfits(folder.entry.table_description, existing)
    if problems:
        raise TargetError(
            f"table {table} does not fit the backup of {folder.entry.table}:"
            + "".join(f"\n  - {problem}" for problem in problems),
            remedy="restore into a table of the same keys and indexes, or into a new one: "
            "--into NAME",
        )


def _keep(work: AtWork, table: str) -> str:
    """Back up what is about to be overwritten."""
    if not work.config.backup.enabled:
        return ""
    folder = back_up(work, table, new_name(work.config, table))
    get_logger().info("What %s holds is kept in %s", table, folder.path)
    return folder.path.name


def _create(work: AtWork, folder: BackupFolder, table: str) -> None:
    target = work.config.target
    get_logger().info("Creating table %s", table)
    control(target, "CreateTable", creation_request(folder.entry.table_description, table))
    wait_until_active(target, table, work.stop.sleep)


def _forget_load(work: AtWork, table: str) -> None:
    """What the manifest knows of the load into this table no longer holds."""
    manifest = Manifest.load(work.workspace.manifest)
    target = work.config.target
    if manifest is None or manifest.target != target.identity():
        return
    for entity in ENTITY_NAMES:
        if target.table(entity) == table:
            manifest.forget("load", entity)
            manifest.forget("verify", entity)
            work.workspace.set_aside("verification", "load")
    manifest.save(work.workspace.manifest)


def _write(
    work: AtWork, folder: BackupFolder, identities: tuple[Identity, ...], table: str, plan: Plan
) -> None:
    migration = work.config.migration
    writer = BatchWriter(
        DynamoDB(work.config.target),
        table,
        RetryPolicy.of(migration, work.stop.sleep),
        Governor(migration.max_write_units, sleep=work.stop.sleep),
        indexes=len(folder.entry.table_description.get("GlobalSecondaryIndexes", [])),
        keys=folder.entry.key_names,
    )
    total = plan.to_add.count + plan.to_replace.count + plan.to_delete.count
    with work.progress.task("restore", table, total) as task:
        _send(work, writer.delete, plan.deletes(), task)
        _send(work, writer.write, plan.lines(folder.items(identities)), task)


def _send(
    work: AtWork,
    send: Callable[[list[bytes]], Outcome],
    lines: Iterable[bytes],
    task: Task,
) -> None:
    """Send lines in batches, many in flight at once."""
    workers = work.config.migration.workers
    waiting: deque[Future[Outcome]] = deque()

    def settle() -> None:
        outcome = waiting.popleft().result()
        if outcome.refused:
            raise TargetError(
                f"DynamoDB refuses an item of the backup: {outcome.refused[0].reason}",
                remedy="see the reason; the table has been restored in part: mend the cause, then "
                f"again: {again('--yes')}",
            )
        task.advance(outcome.items)

    with ThreadPoolExecutor(workers, thread_name_prefix="restore") as pool:
        try:
            for batch in batches(lines, _BATCH):
                if work.stop.requested:
                    raise Interrupted
                waiting.append(pool.submit(send, batch))
                if len(waiting) >= workers * _AHEAD:
                    settle()
            while waiting:
                settle()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _prove(
    work: AtWork, folder: BackupFolder, identities: tuple[Identity, ...], table: str
) -> None:
    """Compare again: the table must be what the backup says."""
    with make_plan(work, folder, identities, table) as left:
        if not left.nothing_to_do:
            raise TargetError(
                f"table {table} is not what {folder.path.name} says: {in_words(left)}",
                remedy="somebody else may be writing to it: stop that, then again: "
                f"{again('--yes')}",
            )
