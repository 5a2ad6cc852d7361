"""The removal of records in pieces, which processes share: those that begin in a piece of
data/undo/{entity}.removed are looked at together, and written on condition that they are still as
they were seen. What is taken away is kept before that, durably."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import orjson

from load.conflicts.replaced_items import ReplacedItems, Stored
from load.rollback.key_set import KeySet
from load.rollback.records_in_use import Users, named_by
from load.rollback.undo_record import Items, Record
from load.sending.job_pool import Share
from load.sync.removal_record import DELETED, IN_USE, KEPT, Fate, Kept, Rules, decide, stay
from load.writing.conditional_writer import ConditionalWriter
from load.writing.transactions import MOST_WRITES, Transactions, portions
from load.writing.units_told import UnitsTold
from utils.config import SOFT_DELETE, MigrationConfig, TargetConfig
from utils.dynamodb.client import DynamoDB
from utils.dynamodb.item_content import Item, content, line_of
from utils.dynamodb.table_spec import PARTITION_KEY, TableSpec
from utils.entities import is_referenced
from utils.error_handler import TargetError
from utils.files.artifacts import split_records
from utils.files.line_marks import OURS
from utils.files.pieces import ByteRange, lines_in
from utils.interrupt import StopFlag

_ROUNDS = 10


class Stays(NamedTuple):
    """A record that is still in the table: where its lines are in the file of the removed ones, and
    the line that opens it now instead of its first ("": that one)."""

    place: ByteRange
    header: bytes = b""
    rest: int = 0  # where the lines after the first begin


@dataclass
class PieceRemoved:
    """What became of the records of a piece: for the report a line each, those that stay, the
    partition keys of those that are gone to whoever asks who is in use, who names whom of those
    that stay, and how many records (items) there are of each kind; `reasons` counts those that are
    kept. `requests` and `units` are what the process has had since it was last told."""

    listed: list[bytes] = field(default_factory=list)
    stays: list[Stays] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)
    named: dict[str, str] = field(default_factory=dict)
    records: Counter[str] = field(default_factory=Counter)
    items: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    requests: int = 0
    units: float = 0.0


@dataclass(frozen=True)
class Removing:
    """What is done with the records of one entity that S9 no longer has, by `rules`.

    `file` is data/undo/{entity}.removed. What is taken away is kept in `before` first; with None
    nothing is written, and `doomed` are the records of others that would be taken away. `named` are
    records that others name which stay, each with one of them.
    """

    file: Path
    before: Path | None
    target: TargetConfig
    migration: MigrationConfig
    spec: TableSpec
    rules: Rules
    named: Mapping[str, str] = field(default_factory=dict)
    doomed: KeySet = field(default_factory=KeySet)

    @contextmanager
    def opened(self, stop: StopFlag, share: Share) -> Iterator[Callable[[ByteRange], PieceRemoved]]:
        """What does the work in this process; see load.sending.job_pool.Work."""
        writer = share.writer(self, self.spec, stop)
        with ExitStack() as stack:
            before = None
            if self.before is not None:
                before = stack.enter_context(ReplacedItems(self.before))
            uses = self._uses(writer.wire, stop)
            yield _InProcess(self, writer, Transactions(writer), before, uses).remove_piece

    def _uses(self, wire: DynamoDB, stop: StopFlag) -> Users | None:
        """Who needs records. What is deleted softly needs nobody that is deleted softly, too: the
        Sale Module shows neither. Nobody is deleted who would be missed if it came back."""
        if not is_referenced(self.spec.entity):
            return None

        def counts(item: Item) -> bool:
            return self.rules.removed != SOFT_DELETE or "deletedAt" not in item

        return Users(
            wire,
            self,
            self.spec.entity,
            stop,
            self.named,
            is_doomed=self.doomed.__contains__,
            counts=counts,
        )


@dataclass(frozen=True)
class _InProcess:
    """The work in one process; safe to share between threads."""

    work: Removing
    writer: ConditionalWriter
    transactions: Transactions
    before: ReplacedItems | None
    uses: Users | None
    told: UnitsTold = field(default_factory=UnitsTold)

    def remove_piece(self, place: ByteRange) -> PieceRemoved:
        """Remove the records of a piece. Raises TargetError and StorageError."""
        done = PieceRemoved()
        for records in _together(self.work.file, place):
            for fate in self._remove(records):
                _note(self.work.spec.entity, fate, done)
        done.requests, done.units = self.told.since(self.writer)
        return done

    def _remove(self, records: Sequence[Record]) -> list[Fate]:
        """Remove records (together about a hundred items, or one record of any size); what became
        of each."""
        fates = self._decide(records)
        if self.before is None:
            return fates
        self._keep(fates)
        due = {n: fate.writes for n, fate in enumerate(fates) if fate.steps}
        for n in due.keys() - self.transactions.write_together(due):
            fates[n] = self._alone(records[n])
        return fates

    def _alone(self, record: Record) -> Fate:
        """Remove one record, again as long as somebody else is quicker."""
        for _ in range(_ROUNDS):
            (fate,) = self._decide([record])
            self._keep([fate])
            writes = fate.writes if fate.steps else []
            if all(map(self.transactions.write, portions(writes))):
                return fate
        raise TargetError(
            f"{record.pk} keeps changing",
            remedy="find out who writes to it, then run the same command again",
        )

    def _keep(self, fates: Sequence[Fate]) -> None:
        """Keep what is about to be taken away, durably."""
        if self.before is not None:
            self.before.keep(
                (),
                apart=[_stored(item) for fate in fates for item in fate.takes],
                softened=[_stored(item) for fate in fates for item in fate.softens],
            )

    def _decide(self, records: Sequence[Record]) -> list[Fate]:
        """What is to become of records, which are looked at together."""
        looks, kept = self._look(records), self._kept(records)
        fates = [decide(*each, self.work.rules) for each in zip(records, looks, kept, strict=True)]
        if self.uses is None:
            return fates
        asked = [
            n for n, fate in enumerate(fates) if fate.what != KEPT and (looks[n] or kept[n].was)
        ]
        users = self.uses.used_by([records[n] for n in asked])
        for n, user in zip(asked, users, strict=True):
            if user:
                fates[n] = stay(records[n], looks[n], kept[n], IN_USE, user)
        return fates

    def _look(self, records: Sequence[Record]) -> list[Items]:
        """What the table holds under the partition key of each record."""
        found = self.writer.records(
            [
                ({PARTITION_KEY: {"S": each.pk}}, {line.sk for line in each.lines})
                for each in records
            ]
        )
        return [{sk: item for (_, sk), item in items.items()} for items in found]

    def _kept(self, records: Sequence[Record]) -> list[Kept]:
        """What this pass has kept of each record before it has changed anything of it."""
        if self.before is None:
            return [Kept()] * len(records)
        pks = [each.pk for each in records]
        both = zip(self.before.of_records(pks), self.before.softened_of(pks), strict=True)
        return [Kept(was, softened) for was, softened in both]


def _together(file: Path, place: ByteRange) -> Iterator[list[Record]]:
    """The records of a piece, about a hundred items of them together."""
    some: list[Record] = []
    items, at = 0, place.start
    for lines in split_records(lines_in(file, place)):
        if some and items + len(lines) > MOST_WRITES:
            yield some
            some, items = [], 0
        located = []
        for line in lines:
            located.append((at, line, OURS))
            at += len(line)
        some.append(Record.of(located))
        items += len(lines)
    if some:
        yield some


def _stored(item: Item) -> Stored:
    return item, content(item)


def _note(entity: str, fate: Fate, done: PieceRemoved) -> None:
    """Take note of what became of a record."""
    record = fate.record
    done.records[fate.what] += 1
    done.items[fate.what] += fate.items
    done.reasons.update([fate.reason] if fate.reason else [])
    done.listed.append(_line_of(entity, fate))
    if fate.what != KEPT:
        done.gone.append(record.pk)
    if fate.what == DELETED:
        return
    first, last = record.lines[0], record.lines[-1]
    place = ByteRange(first.place, last.place + len(last.text))
    opens = line_of(fate.header) + b"\n" if fate.rewritten and fate.header else b""
    done.stays.append(Stays(place, opens, first.place + len(first.text)))
    if fate.what == KEPT:
        done.named.update(dict.fromkeys(named_by(fate.header or first.item), record.pk))


def _line_of(entity: str, fate: Fate) -> bytes:
    """What the report says of a record: no value of it."""
    entry = {
        "entity": entity,
        "PK": fate.record.pk,
        "legacyId": fate.record.legacy_id,
        "what": fate.what,
        "reason": fate.reason,
        "usedBy": fate.used_by or None,
        "changes": [
            {"SK": each.sk, "what": each.what, "attributes": list(each.attributes)}
            for each in fate.changes
        ],
    }
    return orjson.dumps(entry) + b"\n"
