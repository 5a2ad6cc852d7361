"""Putting a backup back: into a table made for it, an empty one, or over what is there.

Nothing is changed before the whole backup has been read and found whole, the table has been found
to fit it, and whoever asks has agreed to the changes. A restore that was cut short is repeated:
it writes what is still missing.

What was agreed to are changes of what was there at the look. A table that held something then is
in use: its records are written one by one, and what the application has changed meanwhile stays as
it is, as does a record that another names (load/restore/records.py). Into a new or empty table
everything goes in batches, which ask for no conditions: nobody is expected to be at work there
under the same keys. The same goes for a table of another kind than the Sale Module's (its key is
not PK and SK).
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, TypeVar

import orjson

from load.backup.engine import back_up, new_name
from load.backup.folder import BackupFolder
from load.backup.table_description import creation_request, misfits
from load.load_state import disturb
from load.restore.named_records import NamedRecords, shape_in
from load.restore.plan import ChangeCount, RestorePlan, make_plan
from load.restore.records import ADDED, DELETED, REPLACED, PartRestored, parts_of
from load.restore.seen_records import SeenRecord
from load.restore.shared_work import TOGETHER, InBatches, LookAgain, OfRecords, PutBack, together
from load.rollback.records_in_use import SETTLED_AFTER
from load.sending.job_pool import JobPool
from load.target.tables import describe, wait_for_tables
from load.target.writer_mark import marked
from load.writing.batch_writer import Outcome
from load.writing.batches import batches
from utils.dynamodb.client import RequestRefused
from utils.dynamodb.retrying import control
from utils.dynamodb.table_spec import PARTITION_KEY, SORT_KEY
from utils.entities import ENTITY_NAMES, Shape, referrers_of
from utils.error_handler import ConfigurationError, TargetError
from utils.files.encryption import Identity
from utils.files.storage import temporary_directory
from utils.logger import get_logger
from utils.ownership import forget_verified
from utils.run.manifest import Manifest
from utils.run.session import AtWork
from utils.telemetry.tasks import Task
from utils.wording.figures import counted
from utils.wording.invocation import again

_BATCH = 25
_ABOUT = 1 << 10  # bytes of an item

T = TypeVar("T")


@dataclass(frozen=True)
class Restored:
    """What a restore did; `kept_as` names the backup of what was there before, "" when none was
    needed. `left` are the items in which the table differs from the backup because the application
    has worked on their records meanwhile, or because others name them; `left_records` is the
    number of these records, `in_use` has those that are named, each with a record that names it.
    `nowhere` are those that are in no table, each with a record that was put back and names it."""

    table: str
    items: int
    created: bool
    added: int
    replaced: int
    deleted: int
    kept_as: str
    left: ChangeCount = field(default_factory=ChangeCount)
    left_records: int = 0
    in_use: Mapping[str, str] = field(default_factory=dict)
    nowhere: Mapping[str, str] = field(default_factory=dict)


@dataclass
class _RestoreFigures:
    """What the writes of a restore have come to: how many items were added, replaced, deleted;
    the records (JSON of the partition key) that stay, those of which a part was written before,
    and those that stay because others name them, with one of these."""

    counts: Counter[str] = field(default_factory=Counter)
    kept: set[bytes] = field(default_factory=set)
    in_parts: set[bytes] = field(default_factory=set)
    in_use: dict[bytes, str] = field(default_factory=dict)

    def add(self, done: PartRestored) -> None:
        """Take in what became of a part."""
        self.counts.update(done.counts)
        if done.kept:
            self._keep(done)
            if done.counts:
                self.in_parts.add(done.record)

    def take_back(self, done: PartRestored | None) -> None:
        """Take in what was put back of a record, if anything was."""
        if done is not None:
            self.counts.subtract(done.counts)
            self._keep(done)

    def was_written(self, record: bytes) -> bool:
        """Whether something of a record that was to be changed may have been."""
        return record not in self.kept or record in self.in_parts

    def _keep(self, done: PartRestored) -> None:
        self.kept.add(done.record)
        if done.used_by:
            self.in_use[done.record] = done.used_by


def restore(
    work: AtWork,
    folder: BackupFolder,
    table: str,
    identities: tuple[Identity, ...],
    *,
    agreed: bool,
) -> Restored:
    """Make `table` what the backup says, item for item, and look that it is; but for what the
    application does to it meanwhile.

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
            raise _needs_consent(work, plan, folder, table)
        get_logger().info("Restoring %s into %s: %s", folder.path.name, table, in_words(plan))
        can_mark = existing is not None and folder.entry.key_names == (PARTITION_KEY, SORT_KEY)
        if can_mark and not plan.nothing_to_do:
            stack.enter_context(marked(work, [table], "a restore"))
        kept_as = _keep(work, table) if plan.to_replace.count or plan.to_delete.count else ""
        if existing is None:
            _create(work, folder, table)
        written, named = _RestoreFigures(), NamedRecords(work, table)
        if not plan.nothing_to_do:
            _forget_load(work, table)
            lines = named.watch(plan.lines(folder.items(identities)))
            _write(work, folder, table, plan, lines, written)
        with work.progress.task("restore", table, None, step="proving"):
            left, left_records = _prove(work, folder, identities, table, plan, written)
    return Restored(
        table,
        folder.entry.items,
        existing is None,
        written.counts[ADDED],
        written.counts[REPLACED],
        written.counts[DELETED],
        kept_as,
        left,
        left_records,
        {_pk(record): user for record, user in written.in_use.items()},
        named.missing(),
    )


def in_words(plan: RestorePlan) -> str:
    """The counts of a plan in a line."""
    return (
        f"{counted(plan.to_add.count, 'item')} to add, {plan.to_replace.count:,} to replace, "
        f"{plan.to_delete.count:,} to delete, {plan.same:,} are the same"
    )


def _needs_consent(
    work: AtWork, plan: RestorePlan, folder: BackupFolder, table: str
) -> ConfigurationError:
    changes = [("add", plan.to_add), ("replace", plan.to_replace), ("delete", plan.to_delete)]
    listed = "".join(f"\n  {_listed(verb, change)}" for verb, change in changes if change.count)
    shape = shape_in(work.config.target, table)
    if plan.to_delete.count and shape and (users := _users_in_words(shape)):
        listed += f"\nbut for {shape.role[1]} that {users} names: they stay"
    return ConfigurationError(
        f"table {table} is not empty: it has {counted(plan.found, 'item')}, of which "
        f"{plan.same:,} already equal {folder.path.name}. Restoring would{listed}",
        remedy=f"if that is what you want: {again('--yes')}; or restore into a new table: add "
        "--into NAME",
    )


def _listed(verb: str, change: ChangeCount) -> str:
    more = ", …" if change.count > len(change.first) else ""
    return f"{verb} {counted(change.count, 'item')}: {', '.join(change.first)}{more}"


def _require_fit(folder: BackupFolder, table: str, existing: Mapping[str, Any]) -> None:
    problems = misfits(folder.entry.table_description, existing)
    if problems:
        raise TargetError(
            f"table {table} does not fit the backup of {folder.entry.table}:"
            + "".join(f"\n  - {problem}" for problem in problems),
            remedy="restore into a table with the same keys and indexes, or into a new one: "
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
    wait_for_tables(target, [table], work.stop.sleep, work.progress)


def _forget_load(work: AtWork, table: str) -> None:
    """What is known of the loads into this table no longer holds."""
    target = work.config.target
    entities = [name for name in ENTITY_NAMES if target.table(name) == table]
    if not entities:
        return
    disturb(work.workspace)
    forget_verified(work.workspace)
    manifest = Manifest.load(work.workspace.manifest)
    if manifest is None or manifest.target != target.identity():
        return
    # A sync that was cut short plans all of its entities anew, or none.
    for entity in ENTITY_NAMES if manifest.syncs else entities:
        manifest.forget("load", entity)
        manifest.forget("verify", entity)
    work.workspace.set_aside("verification", "reconciliation", "load")
    manifest.save(work.workspace.manifest)


def _write(
    work: AtWork,
    folder: BackupFolder,
    table: str,
    plan: RestorePlan,
    lines: Iterable[bytes],
    written: _RestoreFigures,
) -> None:
    with work.progress.task("restore", table, plan.to_write, unit="items") as task:
        if plan.found and plan.of_records:
            _write_records(work, folder, table, plan, lines, written, task)
            return
        deletions = _in_batches(work, folder, table, deletes=True)
        _send(work, deletions, plan.deletes(), plan.to_delete.count, task)
        _send(work, _in_batches(work, folder, table), lines, plan.to_write, task)
    written.counts.update(
        {
            ADDED: plan.to_add.count,
            REPLACED: plan.to_replace.count,
            DELETED: plan.to_delete.count,
        }
    )


def _write_records(
    work: AtWork,
    folder: BackupFolder,
    table: str,
    plan: RestorePlan,
    lines: Iterable[bytes],
    written: _RestoreFigures,
    task: Task,
) -> None:
    def settle(_: object, parts: Sequence[PartRestored]) -> None:
        for done in parts:
            written.add(done)
            task.advance(done.due)

    with _of_records(work, folder, table) as records:
        jobs = together(parts_of(plan, lines))
        try:
            JobPool(work, PutBack(records), settle, size=plan.to_write * _ABOUT).do_all(jobs)
        except RequestRefused as refusal:
            raise _refused(refusal.message) from refusal
        if written.counts[REPLACED] or written.counts[DELETED]:
            _look_again(work, plan, records, written)


@contextmanager
def _of_records(work: AtWork, folder: BackupFolder, table: str) -> Iterator[OfRecords]:
    """The records of a table; what is kept of them is gone with the context."""
    directory = temporary_directory(work.workspace.scratch)
    config = work.config
    shape = shape_in(config.target, table)
    try:
        yield OfRecords(
            config.target,
            config.migration,
            table,
            folder.entry.table_description,
            before=directory / "before",
            entity=shape.name if shape else "",
            users=_users_there(work, shape) if shape else (),
        )
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _users_there(work: AtWork, shape: Shape) -> tuple[str, ...]:
    """The entities that can name records of this one, and have a table: what is named is what the
    configured tables have."""
    target = work.config.target
    users = dict.fromkeys(user.name for user, _ in referrers_of(shape.name))
    return tuple(name for name in users if describe(target, target.table(name)) is not None)


def _users_in_words(shape: Shape) -> str:
    """What can name records of an entity, as "a sale"; "" for nothing."""
    return " or ".join(dict.fromkeys(f"a {user.singular}" for user, _ in referrers_of(shape.name)))


def _look_again(
    work: AtWork, plan: RestorePlan, records: OfRecords, written: _RestoreFigures
) -> None:
    """Look once more at what was changed, for what the application has written to what it had read
    before, and for records that it has made which name those that were taken away."""
    get_logger().info("In %.0f seconds, looking again at what was changed", SETTLED_AFTER)
    with work.progress.task("restore", "", None, step="waiting"):
        work.stop.sleep(SETTLED_AFTER)
    looks = (
        (look, look.record in written.in_parts)
        for look in plan.looks
        if written.was_written(look.record)
    )

    def settle(_: object, outcomes: Sequence[PartRestored | None]) -> None:
        for done in outcomes:
            written.take_back(done)

    pool = JobPool(work, LookAgain(records), settle, size=plan.to_write * _ABOUT)
    with work.progress.task("restore", "", None, step="looking again"):
        pool.do_all(_portions(looks, TOGETHER))


def _portions(entries: Iterable[T], size: int) -> Iterator[list[T]]:
    left = iter(entries)
    while portion := list(islice(left, size)):
        yield portion


def _in_batches(
    work: AtWork, folder: BackupFolder, table: str, *, deletes: bool = False
) -> InBatches:
    config = work.config
    return InBatches(
        config.target,
        config.migration,
        table,
        folder.entry.table_description,
        keys=folder.entry.key_names,
        deletes=deletes,
    )


def _send(work: AtWork, batch: InBatches, lines: Iterable[bytes], count: int, task: Task) -> None:
    """Send so many lines in batches."""

    def settle(_: object, outcome: Outcome) -> None:
        if outcome.refused:
            raise _refused(outcome.refused[0].reason)
        task.advance(outcome.items)

    pool = JobPool(work, batch, settle, size=count * _ABOUT, wide=False)
    pool.do_all(batches(lines, _BATCH))


def _refused(reason: str) -> TargetError:
    return TargetError(
        f"DynamoDB refuses an item of the backup: {reason}",
        remedy="see the reason; the table has been restored in part: fix the cause, then: "
        f"{again('--yes')}",
    )


def _prove(
    work: AtWork,
    folder: BackupFolder,
    identities: tuple[Identity, ...],
    table: str,
    plan: RestorePlan,
    written: _RestoreFigures,
) -> tuple[ChangeCount, int]:
    """Compare again: the table must be what the backup says, but for what somebody else has written
    since the look. Returns the items in which it differs, and the number of their records."""
    left, records = ChangeCount(), 0
    with make_plan(work, folder, identities, table) as differences:
        if differences.nothing_to_do:
            return left, records
        if not (plan.found and plan.of_records):
            raise _is_not_restored(folder, table, differences)
        for look in differences.looks:
            if look.record not in written.kept and _was_not_written(look, plan):
                raise _is_not_restored(folder, table, differences)
            records += 1
            for key, seen in look.items.items():
                if seen.differs:
                    left.add(key)
                    get_logger().info("%s: %s", _why(look, written), key.decode())
    return left, records


def _why(look: SeenRecord, written: _RestoreFigures) -> str:
    user = written.in_use.get(look.record)
    return f"Stays because {user} names it" if user else "Stays as the application has it"


def _pk(record: bytes) -> str:
    (value,) = orjson.loads(record)
    return str(value["S"])


def _was_not_written(look: SeenRecord, plan: RestorePlan) -> bool:
    """Whether something of a record is still as it was, although it was to be changed."""
    before = plan.looks.of(look.record)
    return before is not None and any(
        seen.differs and key in before.items and before.items[key].found == seen.found
        for key, seen in look.items.items()
        if key not in before.items or before.items[key].differs
    )


def _is_not_restored(folder: BackupFolder, table: str, differences: RestorePlan) -> TargetError:
    return TargetError(
        f"table {table} is not what {folder.path.name} says: {in_words(differences)}",
        remedy=f"somebody else may be writing to it: stop that, then: {again('--yes')}",
    )
