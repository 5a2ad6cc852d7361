"""The work of a repair, which processes share: some records at a time are looked at together, and
written on condition that they are still as they were seen."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from load.conflicts.repair_journal import TAKEN_AWAY, RepairJournal, RepairStep
from load.conflicts.replaced_items import ReplacedItems, Stored
from load.conflicts.table_pictures import Memory, Pictures
from load.history.request_log import Kind, RequestLog
from load.repair.damaged_records import Damaged
from load.repair.mend_record import IN_USE, NOT_TAKEN, DamagedRecord, Mending, Rules, decide
from load.rollback.key_set import KeySet
from load.rollback.records_in_use import Users
from load.rollback.undo_record import HEADER, ApplicationChange, Record, Step
from load.sending.job_pool import Share
from load.writing.batches import sort_key
from load.writing.conditional_writer import ConditionalWriter
from load.writing.transactions import (
    MOST_WRITES,
    Transactions,
    TransactionWrite,
    portions,
    together,
)
from load.writing.units_told import UnitsTold
from utils.config import MigrationConfig, TargetConfig
from utils.dynamodb.client import RequestRefused
from utils.dynamodb.item_content import content
from utils.dynamodb.table_spec import PARTITION_KEY, TableSpec
from utils.entities import is_referenced
from utils.error_handler import TargetError
from utils.interrupt import StopFlag

_ROUNDS = 10
Key = tuple[str, str]  # PK and SK


@dataclass(frozen=True)
class LoadUndo:
    """What the rollback of the load is to learn of the repair: `before` is the load's file of
    replaced items, `pictures` are those of the table (None: it was empty). `requests` is its log
    (load/history); None where what is repaired may not be as the load has it."""

    before: Path
    pictures: Pictures | None
    requests: Path | None


@dataclass(frozen=True)
class Mended:
    """What became of a record: the items that were written, as `what` was done with which SK; or
    the `reason` why it is left, with what the application has changed, who names it, or what
    DynamoDB says. `not_done` are the SK of what was written down and not done."""

    pk: str
    legacy_id: str
    done: tuple[tuple[str, str], ...] = ()
    reason: str = ""
    changes: tuple[ApplicationChange, ...] = ()
    used_by: str = ""
    not_done: tuple[str, ...] = ()

    @property
    def keys(self) -> list[Key]:
        """The keys of the items that were written."""
        return [(self.pk, sk) for sk, _ in self.done]

    @property
    def keys_not_done(self) -> list[Key]:
        return [(self.pk, sk) for sk in self.not_done]


@dataclass(frozen=True)
class MendedTogether:
    """What became of the records of a job, in their order, and the write units that this process
    has taken since its last one."""

    records: Sequence[Mended]
    units: float = 0.0


@dataclass(frozen=True)
class Repairing:
    """What is done with damaged records of one entity. `transformed` is the file by which they are
    mended. With `journal` None nothing is written; `doomed` are the records that would be taken
    away of others then."""

    transformed: Path
    target: TargetConfig
    migration: MigrationConfig
    spec: TableSpec
    rules: Rules
    journal: Path | None
    load: LoadUndo | None = None
    doomed: KeySet = field(default_factory=KeySet)

    @contextmanager
    def opened(
        self, stop: StopFlag, share: Share
    ) -> Iterator[Callable[[Sequence[Damaged]], MendedTogether]]:
        """What does the work in this process; see load.sending.job_pool.Work."""
        writer = share.writer(self, self.spec, stop)
        with ExitStack() as stack:
            journal = None
            if self.journal is not None:
                journal = stack.enter_context(RepairJournal(self.journal))
            told = stack.enter_context(_Told(self.load)) if self.load and journal else None
            uses = None
            if is_referenced(self.spec.entity):
                doomed = self.doomed.__contains__
                uses = Users(writer.wire, self, self.spec.entity, stop, {}, is_doomed=doomed)
            log = stack.enter_context(RequestLog(self.load.requests if self.load else None))
            mending = _InProcess(self, writer, Transactions(writer), journal, told, uses, log)
            yield mending.mend


class _Told(ExitStack):
    """What the rollback of the load is told, open."""

    def __init__(self, load: LoadUndo) -> None:
        super().__init__()
        self._load = load
        self._before = self.enter_context(ReplacedItems(load.before))
        self._memory = self.enter_context(Memory(load.pictures))

    def of(self, mendings: Sequence[Mending]) -> None:
        """Tell of what is about to be done, durably."""
        taken: dict[bool, list[Stored]] = {True: [], False: []}
        put: list[Stored] = []
        for mending in mendings:
            for step in mending.steps:
                if step.new is not None:
                    put.append((step.new, content(step.new)))
                elif step.old is not None and self._was_there(step):
                    taken[mending.takes_record].append((step.old, content(step.old)))
        self._before.keep((), taken=taken[False], apart=taken[True])
        if self._load.requests is None:
            self._before.has_repaired(put)

    def _was_there(self, step: Step) -> bool:
        """Whether there was something before the run where now something is taken away."""
        known = self._load.pictures is not None and step.old is not None
        return known and self._memory.was_before_the_run(step.old or {})


@dataclass(frozen=True)
class _InProcess:
    """The work in one process; safe to share between threads."""

    work: Repairing
    writer: ConditionalWriter
    transactions: Transactions
    journal: RepairJournal | None
    told: _Told | None
    uses: Users | None
    log: RequestLog
    units: UnitsTold = field(default_factory=UnitsTold)

    def mend(self, damaged: Sequence[Damaged]) -> MendedTogether:
        """Mend records (together about a hundred items, or one record of any size); what became of
        each. Raises TargetError when DynamoDB cannot be used."""
        mended = self._mend(damaged)
        for each, done in zip(damaged, mended, strict=True):
            if self.journal is not None and each.place is not None:
                self._log(each.place.start, each.lines(self.work.transformed), done)
        self.log.flush()
        return MendedTogether(mended, self.units.since(self.writer)[1])

    def _log(self, place: int, lines: Sequence[bytes], done: Mended) -> None:
        """Note when the lines of a record were written again; the first is at byte `place`."""
        written = {sk for sk, what in done.done if what != TAKEN_AWAY}
        for line in lines if written else ():
            sk, end = sort_key(line), place + len(line)
            if sk in written:
                self.log.add(Kind.REPAIR, [(place, end)], "", opens=sk == HEADER)
            place = end

    def _mend(self, damaged: Sequence[Damaged]) -> list[Mended]:
        records = [
            DamagedRecord.of(each.pk, each.legacy_id, each.hows, each.lines(self.work.transformed))
            for each in damaged
        ]
        mendings = self._decide(records)
        if self.journal is None:
            return [_mended(each, each.steps) for each in mendings]
        self._write_down(mendings)
        due = {n: each.writes for n, each in enumerate(mendings) if each.steps}
        done = self._together(due)
        return [
            _mended(each, each.steps) if n in done or n not in due else self._alone(records[n])
            for n, each in enumerate(mendings)
        ]

    def _decide(self, records: Sequence[DamagedRecord]) -> list[Mending]:
        """What is to be done about records, which are looked at together."""
        found = self.writer.records(
            [
                ({PARTITION_KEY: {"S": each.pk}}, {line.sk for line in each.lines})
                for each in records
            ]
        )
        looks = [{sk: item for (_, sk), item in items.items()} for items in found]
        mendings = [
            decide(record, there, self.work.rules)
            for record, there in zip(records, looks, strict=True)
        ]
        taken = [n for n, each in enumerate(mendings) if each.takes_record]
        if self.uses is not None and taken:
            users = self.uses.used_by([Record(records[n].pk) for n in taken])
            for n, user in zip(taken, users, strict=True):
                mendings[n] = mendings[n].left(IN_USE, user) if user else mendings[n]
        return mendings

    def _write_down(self, mendings: Sequence[Mending]) -> None:
        """Write down durably what is about to be done."""
        about = [each for each in mendings if each.steps]
        if self.journal is not None:
            self.journal.keep(each.as_kept for each in about)
        if self.told is not None:
            self.told.of(about)

    def _together(self, due: Mapping[int, Sequence[TransactionWrite]]) -> set[int]:
        """Write records, as many together as a transaction takes; which of them were written, by
        their numbers. A single Put is cheaper alone."""
        single = [n for n, some in due.items() if len(some) == 1 and some[0].kind == "Put"]
        puts = [(each.body, each.condition) for n in single for each in due[n]]
        outcomes = self.writer.put_all(puts)
        done = {
            n
            for n, each in zip(single, outcomes, strict=True)
            if not isinstance(each, RequestRefused) and each.done
        }
        groups = list(together({n: some for n, some in due.items() if n not in single}))
        written = self.transactions.write_all([[w for n in g for w in due[n]] for g in groups])
        return done.union(*(g for g, each in zip(groups, written, strict=True) if each is True))

    def _alone(self, record: DamagedRecord) -> Mended:
        """Mend one record, again as long as somebody else is quicker."""
        done: dict[str, Step] = {}
        for _ in range(_ROUNDS):
            (mending,) = self._decide([record])
            if not mending.steps:
                return _mended(mending, done.values(), asked=record.hows)
            self._write_down([mending])
            try:
                if self._take(mending, done):
                    return _mended(mending, done.values())
            except RequestRefused as refusal:
                left = mending.left(NOT_TAKEN, refusal.message)
                return _mended(left, done.values(), asked={step.sk for step in mending.steps})
        raise TargetError(
            f"{record.pk} keeps changing",
            remedy="find out who writes to it, then run the same command again",
        )

    def _take(self, mending: Mending, done: dict[str, Step]) -> bool:
        """Do the steps of a record, as many at once as a transaction takes, what opens it first;
        `done` learns of them. False when one of them could not be done."""
        steps = {step.sk: step for step in mending.steps}
        whole = mending.writes
        fits = len(list(portions(whole))) == 1
        for portion in [whole] if fits else _guarded(mending):
            if not self.transactions.write(portion):
                return False
            for write in portion:
                sk = write.item["SK"]["S"]
                if sk in steps and write.kind != "ConditionCheck":
                    done[sk] = steps[sk]
        return True


def _guarded(mending: Mending) -> Iterator[list[TransactionWrite]]:
    """The writes of a record that no transaction takes whole: what opens it first, then the rest,
    on condition that it is still so."""
    head = next((step for step in (*mending.steps, *mending.checks) if step.sk == HEADER), None)
    rest = (step.write for step in mending.steps if step.sk != HEADER)
    if head is not None and head.write is not None and head.old is not head.new:
        yield [head.write]
    still = Step(HEADER, head.new, head.new).write if head is not None and head.new else None
    for portion in portions(write for write in rest if write is not None):
        is_full = still is not None and len(portion) == MOST_WRITES
        for few in (portion[:-1], portion[-1:]) if is_full else (portion,):
            yield [*few, *([still] if still else [])]


def _mended(mending: Mending, done: Iterable[Step], *, asked: Iterable[str] = ()) -> Mended:
    record, steps = mending.record, list(done)
    written = {step.sk for step in steps}
    return Mended(
        record.pk,
        record.legacy_id,
        tuple((step.sk, RepairStep(step.sk, step.old, step.new).what) for step in steps),
        mending.reason,
        mending.changes,
        mending.used_by,
        tuple(sk for sk in asked if sk not in written),
    )
