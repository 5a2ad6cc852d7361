"""Undoing what a load did with a record, unless the application has worked on it since.

The unit is the record: all items under one partition key, also those that the application has hung
on it. One of them changed, added or deleted keeps the whole record: a sale whose header the
application has edited is not to lose its lines, and a line that it has added not its header.

What is in the table is looked at first, in one strongly consistent Query of the partition key, and
every write is done only if the item is still exactly that. The writes of a record go out in one
transaction, so that what the application does meanwhile finds the record whole, or gone. A record
with more items than a transaction takes goes header first: what the application does to a sale it
does to the header as well, and if it was quicker, everything is put back.

Whoever has deleted a record looks again later (`again`): the application may have read it before,
and written to it afterwards. Then what was deleted is put back under it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Protocol

import orjson

from load.conflicts.replaced_items import ReplacedItems
from load.writing.batches import item_text, record_key, sort_key
from load.writing.conditional_writer import AS_KNOWN, ConditionalWriter, Found
from load.writing.conditions import ABSENT, unchanged, unchanged_text
from load.writing.transactions import (
    MOST_WRITES,
    Transactions,
    TransactionWrite,
    portions,
)
from utils.dynamodb.item_content import Item, Moments, differing_attributes, is_same
from utils.dynamodb.item_text import Attributes, flat_attributes
from utils.dynamodb.table_spec import PARTITION_KEY, SORT_KEY
from utils.error_handler import TargetError
from utils.files.line_marks import (
    CONFLICT,
    DELETED,
    GONE,
    GONE_REPLACED,
    KEPT,
    KEPT_ABSENT,
    NEVER,
    RESTORED,
    RETURNED,
    RETURNED_REPLACED,
    SAME,
    STAYS,
    STAYS_REPLACED,
    WITHDRAWN,
)

LEFT_ALONE = frozenset({SAME, KEPT, KEPT_ABSENT, WITHDRAWN})
HEADER = "METADATA"
UNDONE = frozenset({DELETED, RESTORED})
STAYING = frozenset({STAYS, STAYS_REPLACED, RETURNED, RETURNED_REPLACED})
_ROUNDS = 10
# What every item of the application has: one without it is what an update made of a deleted item.
ALWAYS_THERE = "createdAt"

Items = Mapping[str, Item]  # the items of a record, by SK
_NOTHING: Items = {}


@dataclass(frozen=True)
class Line:
    """A line of a loaded file: the byte at which it begins, its mark in the plan of the load, and
    its item's SK."""

    place: int
    mark: int
    sk: str
    text: bytes

    @classmethod
    def of(cls, place: int, line: bytes, mark: int) -> Line:
        return cls(place, mark, sort_key(line), line)

    @cached_property
    def item(self) -> Item:
        """Its item."""
        found: Item = orjson.loads(self.text)["Item"]
        return found

    @cached_property
    def attributes(self) -> Attributes | None:
        """Its item's attributes, if it is flat (utils/dynamodb/item_text.py)."""
        return flat_attributes(self.text)


@dataclass(frozen=True)
class Record:
    """All lines of a record."""

    pk: str
    lines: tuple[Line, ...] = ()

    @classmethod
    def of(cls, lines: Sequence[tuple[int, bytes, int]]) -> Record:
        """A record from its lines, each with the byte at which it begins and its mark."""
        return cls(record_key(lines[0][1]), tuple(Line.of(*each) for each in lines))

    @property
    def legacy_id(self) -> str:
        """The key that the record has in S9."""
        return str(self.lines[0].item.get("legacyId", {}).get("S", ""))

    def as_loaded(self, before: Items, repaired: Items) -> list[Attributes] | None:
        """The items that are there if nothing has happened to a record since the load made all of
        them; None where that needs a closer look."""
        if before or repaired or any(line.mark in LEFT_ALONE for line in self.lines):
            return None
        items = [line.attributes for line in self.lines if line.attributes is not None]
        return items if len(items) == len(self.lines) else None


@dataclass(frozen=True)
class Step:
    """A write: under `sk` there is `old` now (None: nothing), and `new` afterwards. `text` is what
    is there now, in JSON, where that is known."""

    sk: str
    old: Item | None
    new: Item | None
    text: bytes = b""

    @cached_property
    def write(self) -> TransactionWrite | None:
        """Its part of a transaction; None when what is there cannot be told in a condition."""
        expected = self.old or {}
        condition = unchanged(expected) if expected else ABSENT
        if condition is None:
            return None
        if self.new is None:
            return TransactionWrite("Delete", expected, condition, self.text)
        if self.new == self.old:
            return TransactionWrite("ConditionCheck", expected, condition, self.text)
        return TransactionWrite("Put", self.new, condition)


@dataclass(frozen=True)
class ApplicationChange:
    """What the application has done with an item of a record since it was loaded: `what` is
    "changed", "added" or "deleted"; `attributes` are the names of those that differ."""

    sk: str
    what: str
    attributes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Verdict:
    """What becomes of a record: the new mark of each line by its place, and the writes to that.

    It is kept if the application has made `changes`, or if it is `used_by` another record (its
    partition key). `header` is what is there of the item that opens the record.
    """

    fates: Mapping[int, int]
    writes: tuple[TransactionWrite, ...] = ()
    changes: tuple[ApplicationChange, ...] = ()
    used_by: str = ""
    header: Item | None = None

    @property
    def kept(self) -> bool:
        return bool(self.changes or self.used_by)


@dataclass(frozen=True)
class Doubt:
    """What is not known of a record's lines: whether they have ever arrived (`absent_ok`), whether
    they have been undone already (`by_us`), and the times of other migrations that were there."""

    absent_ok: Callable[[Line], bool] = lambda _line: False
    by_us: Callable[[Line], bool] = lambda line: line.mark in UNDONE
    moments: Moments = field(default_factory=Moments)

    def is_as_loaded(self, line: Line, now: Item | None) -> bool:
        """Whether what is there of a line is what the load has left: also with the time of another
        migration, where the load has not written it."""
        return self.moments.are_same(now, line.item)


@dataclass(frozen=True)
class _Undone:
    """A line that has been undone: what is there `now`, and what it is to be when it comes back, if
    that is not what it was."""

    line: Line
    now: Item | None
    merged: Item | None = None

    @property
    def back(self) -> Step:
        """The way back."""
        return Step(self.line.sk, self.now, self.merged or self.line.item)


@dataclass
class _Sorted:
    """A record's items, sorted by what is found of them."""

    fates: dict[int, int] = field(default_factory=dict)
    checks: list[Step] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    undone: list[_Undone] = field(default_factory=list)
    missing: list[Line] = field(default_factory=list)  # never arrived
    gone: list[Line] = field(default_factory=list)
    changes: list[ApplicationChange] = field(default_factory=list)


def decide(
    record: Record,
    there: Items,
    before: Items,
    doubt: Doubt,
    *,
    used_by: str = "",
    completes: bool = True,
    repaired: Items = _NOTHING,
) -> Verdict:
    """What becomes of a record. `there` is what the table holds under its partition key, `before`
    what of it the load has replaced, `repaired` what a repair has written since otherwise than the
    load. A record that is kept is kept whole: what was undone of it is put back, and with
    `completes` what never arrived is added.
    """
    found = _Sorted()
    for line in record.lines:
        now = there.get(line.sk)
        if line.sk in repaired and is_same(now, repaired[line.sk]):
            _sort_repaired(line, repaired[line.sk], before.get(line.sk), found)
        else:
            _sort(line, now, before.get(line.sk), doubt, found)
    ours = {line.sk for line in record.lines}
    _sort_others(ours, there, before, found)
    gone = {line.sk for line in found.gone}
    header = there.get(HEADER)
    if gone and HEADER not in gone:
        found.changes += [ApplicationChange(sk, "deleted") for sk in sorted(gone)]
    if not (found.steps or found.undone) and not _is_there(record, there):
        return Verdict(found.fates, header=header)  # nothing of it is left
    if found.changes or (used_by and (found.steps or found.undone)):
        return _keep(record, there, before, found, used_by, completes=completes)
    steps = sorted(found.steps, key=lambda step: step.sk != HEADER)
    if any(step.write is None for step in steps):
        found.changes.append(ApplicationChange(HEADER, "changed"))
        return _keep(record, there, before, found, "", completes=False)
    checks = found.checks if steps and len(steps) + len(found.checks) <= MOST_WRITES else []
    return Verdict(found.fates, _writes([*steps, *checks]), header=header)


def undo_as_loaded(record: Record) -> Verdict | None:
    """What `decide` says of a record that holds just what the load has made of it (see
    Record.as_loaded); None where an item cannot be told in a condition."""
    writes = []
    for line in record.lines:
        condition = unchanged_text(record.pk, line.sk, line.attributes or [])
        if condition is None:
            return None
        key = {PARTITION_KEY: {"S": record.pk}, SORT_KEY: {"S": line.sk}}
        writes.append(TransactionWrite("Delete", key, condition, item_text(line.text)))
    writes.sort(key=lambda write: write.item[SORT_KEY]["S"] != HEADER)
    return Verdict({line.place: DELETED for line in record.lines}, tuple(writes))


def _is_there(record: Record, there: Items) -> bool:
    """Whether anything that the load has written is there in whatever form."""
    return any(line.sk in there for line in record.lines if line.mark not in LEFT_ALONE)


def _sort(line: Line, now: Item | None, old: Item | None, doubt: Doubt, found: _Sorted) -> None:
    """Sort one line's item."""
    if line.mark in LEFT_ALONE:
        if line.mark == SAME and doubt.is_as_loaded(line, now):
            found.checks.append(Step(line.sk, now, now))
        elif line.mark == SAME or (line.mark == KEPT and now is not None):
            found.changes.append(_difference(line.sk, line.item, now))
        return
    if now is None:
        _sort_absent(line, doubt, found, replaced=old is not None)
        return
    ours = line.item
    if is_same(now, ours):
        found.steps.append(Step(line.sk, now, old, item_text(line.text)))
        found.fates[line.place] = DELETED if old is None else RESTORED
    elif old is not None and is_same(now, old):
        _sort_as_before(line, now, doubt, found)
    else:
        found.changes.append(_difference(line.sk, ours, now))
        if doubt.by_us(line) and (whole := _merged(ours, now)):
            found.undone.append(_Undone(line, now, whole))


def _sort_repaired(line: Line, now: Item, old: Item | None, found: _Sorted) -> None:
    """Sort an item that a repair has written, because S9 had changed since the load."""
    if line.mark in LEFT_ALONE:
        found.steps.append(Step(line.sk, now, line.item))
        return
    found.steps.append(Step(line.sk, now, old))
    found.fates[line.place] = DELETED if old is None else RESTORED


def _sort_as_before(line: Line, now: Item, doubt: Doubt, found: _Sorted) -> None:
    """Sort an item that is as it was before the load: restored, or never replaced."""
    written = line.mark != CONFLICT
    found.fates[line.place] = RESTORED if written else KEPT
    if written and doubt.by_us(line):
        found.undone.append(_Undone(line, now))


def _sort_absent(line: Line, doubt: Doubt, found: _Sorted, *, replaced: bool) -> None:
    """Sort an item that is not there: undone, never arrived, or deleted by somebody else."""
    if replaced:
        found.fates[line.place] = GONE_REPLACED
        found.gone.append(line)
    elif doubt.by_us(line):
        found.fates[line.place] = DELETED
        found.undone.append(_Undone(line, None))
    elif doubt.absent_ok(line):
        found.fates[line.place] = NEVER
        found.missing.append(line)
    else:
        found.fates[line.place] = GONE
        found.gone.append(line)


def _sort_others(ours: set[str], there: Items, before: Items, found: _Sorted) -> None:
    """Sort what is under the key besides the record's own lines."""
    for sk, old in before.items():
        now = there.get(sk)
        if sk in ours or is_same(now, old):
            continue
        if now is None:  # the load has taken it away
            found.steps.append(Step(sk, None, old))
        else:
            found.changes.append(_difference(sk, old, now))
    for sk in there.keys() - before.keys() - ours:
        found.changes.append(ApplicationChange(sk, "added"))


def _keep(
    record: Record,
    there: Items,
    before: Items,
    found: _Sorted,
    used_by: str,
    *,
    completes: bool,
) -> Verdict:
    """The verdict on a record that stays as the application has it."""
    steps = [each.back for each in found.undone]
    back = {step.sk for step in steps}
    fates = dict(found.fates)
    for line in record.lines:
        if line.mark in LEFT_ALONE or fates.get(line.place) in (GONE, GONE_REPLACED, KEPT):
            continue
        replaced = line.sk in before
        if line.sk in back:
            fates[line.place] = RETURNED_REPLACED if replaced else RETURNED
        elif line.sk in there:
            fates[line.place] = STAYS_REPLACED if replaced else STAYS
    if completes and HEADER in there.keys() | back:
        for line in found.missing:
            steps.append(Step(line.sk, None, line.item))
            fates[line.place] = STAYS
    steps.sort(key=lambda step: step.sk != HEADER)
    changes = tuple(sorted(found.changes, key=lambda change: change.sk))
    header = next((step.new for step in steps if step.sk == HEADER), there.get(HEADER))
    return Verdict(fates, _writes(steps), changes, "" if changes else used_by, header)


def _difference(sk: str, ours: Item, now: Item | None) -> ApplicationChange:
    if now is None:
        return ApplicationChange(sk, "deleted")
    return ApplicationChange(sk, "changed", tuple(differing_attributes(ours, now)))


def _merged(ours: Item, now: Item) -> Item | None:
    """An update that came just after the deletion has made an item of its own attributes alone:
    these, on top of what was deleted. None when it is a whole item."""
    return None if ALWAYS_THERE in now else {**ours, **now}


class Uses(Protocol):
    """Who needs records."""

    def used_by(self, records: Sequence[Record]) -> list[str]:
        """For each record the partition key of one that names it, "" when there is none."""


@dataclass(frozen=True)
class _Look:
    """What is known of a record: what the table holds under its partition key (AS_KNOWN: what the
    load has made of it), what of it the load has replaced, and what a repair has written."""

    record: Record
    before: Items
    repaired: Items
    found: Found

    @property
    def there(self) -> Items:
        """What the table holds, by SK."""
        if self.found is AS_KNOWN:
            return {line.sk: line.item for line in self.record.lines}
        return {sk: item for (_, sk), item in self.found.items()}

    def decided(self, doubt: Doubt, *, completes: bool, used_by: str = "") -> Verdict:
        """What is to become of the record."""
        if self.found is AS_KNOWN and not used_by and (verdict := undo_as_loaded(self.record)):
            return verdict
        return decide(
            self.record,
            self.there,
            self.before,
            doubt,
            used_by=used_by,
            completes=completes,
            repaired=self.repaired,
        )


@dataclass(frozen=True)
class Undo:
    """Undoes the load of records of one table; safe to share between threads.

    With `writes` false it only says what would be done.
    """

    writer: ConditionalWriter
    transactions: Transactions
    before: ReplacedItems
    uses: Uses | None = None
    doubt: Doubt = field(default_factory=Doubt)
    completes: bool = True
    writes: bool = True

    @classmethod
    def on(cls, writer: ConditionalWriter, before: ReplacedItems, **options: Any) -> Undo:
        """An Undo of what was loaded into a writer's table; `options` are the fields."""
        return cls(writer, Transactions(writer), before, **options)

    def undo(self, records: Sequence[Record]) -> list[Verdict]:
        """Undo records (together some hundred items, or one record of any size); what became
        of each. Raises TargetError when DynamoDB cannot be used."""
        verdicts = self._decide(records, self.doubt)
        if not self.writes:
            return verdicts
        due = {n: verdict.writes for n, verdict in enumerate(verdicts) if verdict.writes}
        for n in due.keys() - self.transactions.write_together(due):
            verdicts[n] = self._alone(records[n])
        return verdicts

    def _alone(self, record: Record) -> Verdict:
        """Undo one record, again as long as somebody else is quicker."""
        done: set[str] = set()
        doubt = replace(self.doubt, by_us=lambda line: line.sk in done or self.doubt.by_us(line))
        for _ in range(_ROUNDS):
            (verdict,) = self._decide([record], doubt if done else self.doubt)
            if self._take(verdict, done):
                return verdict
        raise TargetError(
            f"{record.pk} keeps changing",
            remedy="find out who writes to it, then run the same command again",
        )

    def _take(self, verdict: Verdict, done: set[str]) -> bool:
        """Do the writes of a verdict, as many at once as a transaction takes; `done` are the SK
        of what is undone by that. False when one of them could not be done."""
        for portion in portions(verdict.writes):
            if not self.transactions.write(portion):
                return False
            sks = {write.item[SORT_KEY]["S"] for write in portion}
            done.symmetric_difference_update(sks & done if verdict.kept else sks - done)
        return True

    def _decide(self, records: Sequence[Record], doubt: Doubt) -> list[Verdict]:
        """What is to become of records, which are looked at together."""
        looks = self._look(records)
        verdicts = [look.decided(doubt, completes=self.completes) for look in looks]
        if self.uses is None:
            return verdicts
        asked = [n for n, each in enumerate(verdicts) if not each.changes and _deletes(each)]
        users = self.uses.used_by([records[n] for n in asked])
        for n, user in zip(asked, users, strict=True):
            if user:
                verdicts[n] = looks[n].decided(doubt, completes=self.completes, used_by=user)
        return verdicts

    def _look(self, records: Sequence[Record]) -> list[_Look]:
        """What the table holds under the partition key of each record."""
        pks = [record.pk for record in records]
        befores, repaired = self.before.of_records(pks), self.before.repaired_of(pks)
        kept = list(zip(records, befores, repaired, strict=True))
        found = self.writer.records(
            [
                ({PARTITION_KEY: {"S": each.pk}}, {line.sk for line in each.lines} | before.keys())
                for each, before, _ in kept
            ],
            known=[each.as_loaded(before, otherwise) for each, before, otherwise in kept],
        )
        return [_Look(*each, items) for each, items in zip(kept, found, strict=True)]


def _deletes(verdict: Verdict) -> bool:
    """Whether a record of which there was nothing before is taken away, or has been."""
    return any(mark == DELETED for mark in verdict.fates.values())


def _writes(steps: Iterable[Step]) -> tuple[TransactionWrite, ...]:
    return tuple(write for step in steps if (write := step.write) is not None)
