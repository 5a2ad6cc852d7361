"""Undoing a repair (load/repair): what it has replaced or taken away comes back, what it has
created goes; and not where the record has changed since, in whatever way.

It goes by the journal of the repair (load/conflicts/repair_journal.py), record by record, on
condition that what is in the table is what the repair has left. Killed anywhere, it goes on where
it was: what is as it was before the repair is undone already.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path

from load.conflicts.policy import Authors
from load.conflicts.repair_journal import RepairedRecord, RepairJournal, RepairStep, digests
from load.conflicts.replaced_items import ReplacedItems
from load.rollback.records_in_use import Users
from load.rollback.undo_record import HEADER, ApplicationChange, Items, Record, Step
from load.sending.job_pool import JobPool, Share
from load.writing.conditional_writer import ConditionalWriter
from load.writing.transactions import Transactions, TransactionWrite, portions
from utils.config import MigrationConfig, TargetConfig
from utils.dynamodb.item_content import Item, differing_attributes, is_same
from utils.dynamodb.table_spec import PARTITION_KEY, TableSpec
from utils.entities import is_referenced
from utils.error_handler import TargetError
from utils.interrupt import StopFlag
from utils.run.run import Run

_ROUNDS = 10
_TOGETHER = 100  # records that come back together
_ABOUT = 1 << 10  # bytes of an item


@dataclass(frozen=True)
class RepairUndone:
    """What becomes of a record: the steps back, or why it is kept: what has changed since the
    repair, or who names it (`used_by`). `goes`: nothing of it is left then."""

    record: RepairedRecord
    steps: tuple[Step, ...] = ()
    changes: tuple[ApplicationChange, ...] = ()
    used_by: str = ""
    goes: bool = False

    @property
    def kept(self) -> bool:
        return bool(self.changes or self.used_by)

    @property
    def writes(self) -> list[TransactionWrite]:
        return [write for step in self.steps if (write := step.write) is not None]


def decide(record: RepairedRecord, there: Items) -> RepairUndone:
    """What becomes of a record; `there` is what the table holds under its key."""
    steps: list[Step] = []
    changes: list[ApplicationChange] = []
    for step in record.steps:
        now = there.get(step.sk)
        if step.is_undone_by(now):
            continue
        if step.is_done_by(now):
            steps.append(Step(step.sk, now, step.old))
        else:
            changes.append(_change(step, now))
    repaired = {step.sk for step in record.steps}
    others = {sk: item for sk, item in there.items() if sk not in repaired}
    changes += _changes_of_others(record.other, others)
    steps.sort(key=lambda each: each.sk != HEADER)
    if any(step.write is None for step in steps):
        changes.append(ApplicationChange(HEADER, "changed"))
    if changes:
        was_done = bool(steps) or any(step.done for step in record.steps)
        return RepairUndone(record, changes=tuple(changes) if was_done else ())
    left = (there.keys() - {step.sk for step in steps}) | {e.sk for e in steps if e.new}
    return RepairUndone(record, tuple(steps), goes=bool(steps) and not left)


def _change(step: RepairStep, now: Item | None) -> ApplicationChange:
    if now is None:
        return ApplicationChange(step.sk, "deleted")
    if step.new is None:
        return ApplicationChange(step.sk, "added")
    return ApplicationChange(step.sk, "changed", tuple(differing_attributes(step.new, now)))


def _changes_of_others(known: Mapping[str, str], others: Items) -> Iterator[ApplicationChange]:
    """What has become since of the items that the repair has not written."""
    now = digests(others)
    for sk in sorted(known.keys() | now.keys()):
        if now.get(sk) != known.get(sk):
            what = "added" if sk not in known else "changed" if sk in now else "deleted"
            yield ApplicationChange(sk, what)


@dataclass(frozen=True)
class UndoingRepair:
    """What is undone of one entity's repair; with `writes` false nothing is written."""

    target: TargetConfig
    migration: MigrationConfig
    spec: TableSpec
    authors: Authors
    writes: bool = True

    @contextmanager
    def opened(
        self, stop: StopFlag, share: Share
    ) -> Iterator[Callable[[Sequence[RepairedRecord]], list[RepairUndone]]]:
        """What does the work in this process; see load.sending.job_pool.Work."""
        writer = share.writer(self, self.spec, stop)
        uses = None
        if is_referenced(self.spec.entity):
            # A record of the migration named it before the repair, too.
            others = self.authors
            uses = Users(
                writer.wire,
                self,
                self.spec.entity,
                stop,
                {},
                counts=lambda item: not others.is_own(item),
            )
        yield _InProcess(writer, Transactions(writer), uses, self.writes).undo


@dataclass(frozen=True)
class _InProcess:
    """The work in one process; safe to share between threads."""

    writer: ConditionalWriter
    transactions: Transactions
    uses: Users | None
    writes: bool

    def undo(self, records: Sequence[RepairedRecord]) -> list[RepairUndone]:
        """Undo the repair of records; what became of each. Raises TargetError."""
        found = self._decide(records)
        due = {n: each.writes for n, each in enumerate(found) if each.steps and self.writes}
        for n in due.keys() - self.transactions.write_together(due):
            found[n] = self._alone(records[n])
        return found

    def _alone(self, record: RepairedRecord) -> RepairUndone:
        for _ in range(_ROUNDS):
            (found,) = self._decide([record])
            if all(map(self.transactions.write, portions(found.writes))):
                return found
        raise TargetError(
            f"{record.pk} keeps changing",
            remedy="find out who writes to it, then run the same command again",
        )

    def _decide(self, records: Sequence[RepairedRecord]) -> list[RepairUndone]:
        looks = look_at(self.writer, records)
        found = [decide(*each) for each in zip(records, looks, strict=True)]
        going = [n for n, each in enumerate(found) if each.goes]
        if self.uses is not None and going:
            users = self.uses.used_by([Record(records[n].pk) for n in going])
            for n, user in zip(going, users, strict=True):
                found[n] = RepairUndone(records[n], used_by=user) if user else found[n]
        return found


def look_at(writer: ConditionalWriter, records: Sequence[RepairedRecord]) -> list[dict[str, Item]]:
    """What the table holds under the partition key of each record."""
    asked = [({PARTITION_KEY: {"S": each.pk}}, set(each.other)) for each in records]
    found = writer.records(asked)
    return [{sk: item for (_, sk), item in items.items()} for items in found]


@dataclass
class PartiesAgain:
    """A second look at what a repair has just done to one entity."""

    run: Run
    spec: TableSpec
    journal: RepairJournal
    writer: ConditionalWriter = field(init=False)

    def __post_init__(self) -> None:
        self.writer = ConditionalWriter(self.run.config, self.spec, self.run.stop)

    def settle_all(self) -> None:
        """Of what was written down and is not known to have been done: see whether it was."""
        for record in self.journal.unsettled():
            (there,) = look_at(self.writer, [RepairedRecord(record.pk, "", record.steps, {})])
            done = [each.sk for each in record.steps if each.is_done_by(there.get(each.sk))]
            not_done = [each.sk for each in record.steps if each.sk not in done]
            self.journal.settle(
                [(record.pk, sk) for sk in done], not_done=[(record.pk, sk) for sk in not_done]
            )

    @property
    def taken(self) -> bool:
        """Whether there are records that were taken away whole."""
        return any(True for _ in self._taken())

    def _taken(self) -> Iterator[RepairedRecord]:
        for record in self.journal.records():
            if any(each.done and each.sk == HEADER and not each.new for each in record.steps):
                yield record

    def put_back(self) -> Iterator[tuple[str, str, str]]:
        """Put back those that another record names; yields their partition key, their key in S9
        and the record that names them. Raises TargetError."""
        users = Users(self.writer.wire, self.run.config, self.spec.entity, self.run.stop, {})
        undo = _InProcess(self.writer, Transactions(self.writer), None, writes=True)
        for record in self._taken():
            (user,) = users.used_by([Record(record.pk)])
            if user:
                undo.undo([record])
                self.journal.forget(record.pk)
                yield record.pk, record.legacy_id, user


def bring_back(
    run: Run, spec: TableSpec, before: ReplacedItems, path: Path, *, writes: bool = True
) -> int:
    """Bring back whole records that were there before a load, and that a repair of it has taken
    away, or a sync because S9 no longer has them; what was deleted softly is as it was again.
    Returns how many items. What somebody has put in their place, or changed since, stays.

    `before` is the file at `path`. Raises TargetError, and Interrupted when a stop is asked for;
    may be called again.
    """
    count = 0

    def settle(_: Sequence[str], items: int) -> None:
        nonlocal count
        count += items

    config = run.config
    work = BringingBack(path, config.target, config.migration, spec, writes)
    size = before.count() * _ABOUT
    JobPool(run, work, settle, size=size).do_all(_some_of(before.apart()))
    return count


def _some_of(pks: Iterator[str]) -> Iterator[list[str]]:
    while some := list(islice(pks, _TOGETHER)):
        yield some


@dataclass(frozen=True)
class BringingBack:
    """The records of one entity that come back, by what is kept of them in `before`; with `writes`
    false nothing is written."""

    before: Path
    target: TargetConfig
    migration: MigrationConfig
    spec: TableSpec
    writes: bool = True

    @contextmanager
    def opened(self, stop: StopFlag, share: Share) -> Iterator[Callable[[Sequence[str]], int]]:
        """What does the work in this process; see load.sending.job_pool.Work."""
        writer = share.writer(self, self.spec, stop)
        with ReplacedItems(self.before) as before:
            yield partial(self._bring, before, writer, Transactions(writer))

    def _bring(
        self,
        before: ReplacedItems,
        writer: ConditionalWriter,
        transactions: Transactions,
        pks: Sequence[str],
    ) -> int:
        """Bring back the records of these partition keys; returns how many items."""
        kept = zip(before.of_records(pks), before.softened_of(pks), strict=True)
        asked = [RepairedRecord(pk, "", (), {}) for pk in pks]
        due: dict[int, list[TransactionWrite]] = {}
        for n, ((was, softened), there) in enumerate(
            zip(kept, look_at(writer, asked), strict=True)
        ):
            steps = _steps_back(was, softened, there)
            due[n] = [write for step in steps if (write := step.write)]
        if not self.writes:
            return sum(map(len, due.values()))
        written = transactions.write_together(due)
        count = sum(len(due[n]) for n in written)
        for n in due.keys() - written:
            for portion in portions(due[n]):
                count += len(portion) if transactions.write(portion) else 0
        return count


def _steps_back(was: Items, softened: Items, there: Items) -> list[Step]:
    """The way of a record back to what it was; none where somebody has put something there."""
    if there.keys() - was.keys():
        return []
    return [
        Step(sk, there.get(sk), was[sk])
        for sk in sorted(was, key=lambda sk: (sk != HEADER, sk))
        if sk not in there or is_same(there[sk], softened.get(sk))
    ]
