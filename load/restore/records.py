"""Restoring records of a table that is in use: only what is still as it was looked at is changed.

The unit is the record, all items under one partition key. It is looked at once more before it is
written, and what is to be changed of it goes out in one transaction, on condition that everything
is still there as it was then. If the application has changed, added or deleted an item of it since
the look that somebody has agreed to, the record stays whole, as the application has it. What is
already as the backup has it is no change: an earlier restore that was cut short has written it.

A record with more changes than a transaction can hold goes in several, its header in the first:
the application changes that with everything that it does to a sale. What it does between two of
these transactions keeps the rest of the record as it is.

A record that another one names, as a sale its parties, is not taken away. Whoever has restored
looks again later (`again`): at what the application had read before and has written to since
(load/restore/later_changes.py), and at records that it has made meanwhile which name one that was
taken away.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

import orjson

from load.conflicts.replaced_items import ReplacedItems
from load.restore.later_changes import Items, digest_of, is_header, put_together, takes_header_away
from load.restore.plan import RestorePlan
from load.restore.seen_records import SeenRecord
from load.rollback.undo_record import Record, Uses
from load.writing.conditional_writer import ConditionalWriter
from load.writing.conditions import ABSENT, Condition, unchanged
from load.writing.transactions import Transactions, TransactionWrite, portions
from utils.dynamodb.client import RequestRefused
from utils.dynamodb.item_content import Item
from utils.dynamodb.table_spec import PARTITION_KEY, SORT_KEY

ADDED, REPLACED, DELETED = "added", "replaced", "deleted"
_TRIES = 5
# What the application changes in an item with whatever it changes, and what it never takes away.
_MARKS = ("updatedAt", "updatedBy", "createdAt", "deletedAt")


@dataclass(frozen=True)
class RecordPart:
    """What is to be written of a record: these items of the backup, and all deletions."""

    look: SeenRecord
    items: tuple[dict[str, Any], ...] = ()

    @property
    def due(self) -> int:
        """How many items are to be changed."""
        return len(self.items) + sum(1 for _ in _to_delete(self.look))


@dataclass(frozen=True)
class PartRestored:
    """What became of a part of a `record` (JSON of its partition key): the numbers of items by what
    was done, or that it was `kept`, as the application has it or because `used_by`, another record,
    names it; `due` is how many items were to be changed."""

    record: bytes
    due: int
    kept: bool = False
    counts: Counter[str] = field(default_factory=Counter)
    used_by: str = ""


def parts_of(plan: RestorePlan, lines: Iterable[bytes]) -> Iterator[RecordPart]:
    """All that a plan has to change, by records. `lines` are those of the backup that are to be
    written; the items of a record follow each other in them, as a Scan gives them."""
    for look in plan.looks:
        if look.only_deletes:
            yield RecordPart(look)
    items = (orjson.loads(line)["Item"] for line in lines)
    for record, group in groupby(items, lambda item: orjson.dumps([item[PARTITION_KEY]])):
        if look_at := plan.looks.of(record):
            yield RecordPart(look_at, tuple(group))


class Restoring:
    """Restores records of a table; safe to share between threads.

    `before` keeps what there was of the records that it changes, `uses` knows which of the table's
    records are named by others.
    """

    def __init__(
        self, writer: ConditionalWriter, before: ReplacedItems, uses: Uses | None = None
    ) -> None:
        self._reader = writer
        self._transactions = Transactions(writer)
        self._before = before
        self._uses = uses

    def restore(self, parts: Sequence[RecordPart]) -> list[PartRestored]:
        """Write parts of records, unless the application has changed the record since, or another
        record needs it.

        Raises RequestRefused when DynamoDB does not take an item, and TargetError.
        """
        users = self._used_by([part.look for part in parts])
        outcomes = {
            n: PartRestored(part.look.record, part.due, kept=True, used_by=user)
            for n, (part, user) in enumerate(zip(parts, users, strict=True))
            if user
        }
        there = self._there({n: each.look for n, each in enumerate(parts) if n not in outcomes})
        first = there
        for _ in range(_TRIES):
            outcomes |= self._try(parts, first, there)
            # Somebody was quicker, or it was done and the answer lost: what is there now tells.
            there = self._there({n: parts[n].look for n in there.keys() - outcomes.keys()})
            if not there:
                break
        outcomes |= {n: _stays(parts[n], first[n], now) for n, now in there.items()}
        return [outcomes[n] for n in range(len(parts))]

    def _try(
        self, parts: Sequence[RecordPart], first: Mapping[int, Items], there: Mapping[int, Items]
    ) -> dict[int, PartRestored]:
        """Write the parts of which there is that now (at `first` there was this); what became of
        those that nobody has changed in between."""
        outcomes = {
            n: _stays(parts[n], first[n], now)
            for n, now in there.items()
            if _is_changed(parts[n].look, now)
        }
        due = {n: now for n, now in there.items() if n not in outcomes}
        there_now = (item for now in due.values() for item in now.values())
        self._before.keep((item, orjson.dumps(item)) for item in there_now)
        done = self._write({n: _writes(parts[n], now) for n, now in due.items()})
        for n in done:
            counts = Counter(_counted(parts[n], first[n]))
            outcomes[n] = PartRestored(parts[n].look.record, parts[n].due, counts=counts)
        return outcomes

    def again(self, looks: Sequence[tuple[SeenRecord, bool]]) -> list[PartRestored | None]:
        """Look again at records that were changed (with True: that could be changed only in part);
        what was put back of each, None for nothing. The counts are of what is no longer restored.

        Raises TargetError.
        """
        outcomes: dict[int, PartRestored | None] = {}
        befores = [self._kept(look) for look, _ in looks]
        for _ in range(_TRIES):
            left = {n: look for n, (look, _) in enumerate(looks) if n not in outcomes}
            if not left:
                break
            wanted, users, writes = {}, {}, {}
            for n, now in self._there(left).items():
                look, in_parts = looks[n]
                wanted[n] = put_together(look, befores[n], now, in_parts=in_parts)
                users[n] = "" if wanted[n] else self._used_by([look])[0]
                if users[n]:
                    wanted[n] = befores[n]
                writes[n] = list(_changes(now, wanted[n]))
                if not writes[n]:
                    outcomes[n] = None
            for n in self._write({n: each for n, each in writes.items() if each}):
                back = Counter(_put_back(left[n], befores[n], wanted[n]))
                outcomes[n] = PartRestored(
                    left[n].record, 0, kept=True, counts=back, used_by=users[n]
                )
        return [outcomes.get(n) for n in range(len(looks))]

    def _write(self, writes: Mapping[int, Sequence[TransactionWrite]]) -> list[int]:
        """Do what is to be written of some records; the numbers of those with which all went well.
        Raises RequestRefused, and TargetError."""
        cut = {n: list(portions(each)) for n, each in writes.items()}
        whole = [n for n, each in cut.items() if len(each) == 1]
        outcomes = self._transactions.write_all([cut[n][0] for n in whole])
        done = [n for n, each in cut.items() if not each]
        for n, outcome in zip(whole, outcomes, strict=True):
            if isinstance(outcome, RequestRefused):
                raise outcome
            if outcome:
                done.append(n)
        large = (n for n, each in cut.items() if len(each) > 1)
        return done + [n for n in large if all(map(self._transactions.write, cut[n]))]

    def _used_by(self, looks: Sequence[SeenRecord]) -> list[str]:
        """For each record one that names it, if it is to be taken away; "" for none."""
        asked = [look for look in looks if self._uses is not None and takes_header_away(look)]
        if self._uses is None or not asked:
            return [""] * len(looks)
        users = self._uses.used_by([Record(_pk(look)) for look in asked])
        known = dict(zip((look.record for look in asked), users, strict=True))
        return [known.get(look.record, "") for look in looks]

    def _there(self, looks: Mapping[int, SeenRecord]) -> dict[int, dict[bytes, dict[str, Any]]]:
        """What the table has of records, each by key."""
        asked = []
        for look in looks.values():
            (value,) = orjson.loads(look.record)
            keys = (key for key, seen in look.items.items() if seen.found)
            asked.append(({PARTITION_KEY: value}, {orjson.loads(key)[1]["S"] for key in keys}))
        found = self._reader.records(asked)
        return {
            n: {_key(item): item for item in items.values()}
            for n, items in zip(looks, found, strict=True)
        }

    def _kept(self, look: SeenRecord) -> dict[bytes, dict[str, Any]]:
        """What there was of a record when it was changed, by key."""
        return {_key(item): dict(item) for item in self._before.of_record(_pk(look)).values()}


def _stays(part: RecordPart, first: Items, now: Items) -> PartRestored:
    """A part of which the rest stays as the application has it."""
    counts = Counter(_counted(part, first, now))
    return PartRestored(part.look.record, part.due, kept=True, counts=counts)


def _pk(look: SeenRecord) -> str:
    (value,) = orjson.loads(look.record)
    return str(value["S"])


def _is_changed(look: SeenRecord, there: Mapping[bytes, Item]) -> bool:
    """Whether something of a record is neither as it was looked at nor as it is to be."""
    now = {key: digest_of(item) for key, item in there.items()}
    if not now.keys() <= look.items.keys():
        return True
    return any(
        now.get(key, "") not in (seen.found, seen.wanted) for key, seen in look.items.items()
    )


def _writes(part: RecordPart, there: Mapping[bytes, dict[str, Any]]) -> list[TransactionWrite]:
    """What is still to be written, what opens the record first; an item of it that stays as it is
    has to be as it is."""
    writes = [
        TransactionWrite("Put", item, _still(there.get(_key(item))))
        for item in part.items
        if not _is_as(part.look, _key(item), there)
    ]
    gone = (there.get(key) for key in _to_delete(part.look))
    writes += [TransactionWrite("Delete", item, _still(item)) for item in gone if item is not None]
    return _with_head(writes, there)


def _changes(now: Items, wanted: Items) -> Sequence[TransactionWrite]:
    """What makes of what there is `now` what is wanted."""
    writes = [
        TransactionWrite("Put", item, _still(now.get(key)))
        for key, item in wanted.items()
        if key not in now or digest_of(now[key]) != digest_of(item)
    ]
    writes += [
        TransactionWrite("Delete", item, _still(item))
        for key, item in now.items()
        if key not in wanted
    ]
    return _with_head(writes, now)


def _with_head(writes: list[TransactionWrite], there: Items) -> list[TransactionWrite]:
    """Writes with that of what opens the record, first: it has to be as it is."""
    head = next(filter(is_header, there.values()), None)
    if head is not None and writes and not any(is_header(write.item) for write in writes):
        writes.append(TransactionWrite("Put", head, _still(head)))
    return sorted(writes, key=lambda write: not is_header(write.item))


def _put_back(look: SeenRecord, before: Items, wanted: Items) -> Iterator[str]:
    """What is no longer done of what was done with the items of a record."""
    for key, seen in look.items.items():
        if not seen.differs:
            continue
        if not seen.wanted and key in wanted:
            yield DELETED
        elif not seen.found and key not in wanted:
            yield ADDED
        elif seen.found and seen.wanted and _is_same(wanted.get(key), before.get(key)):
            yield REPLACED


def _is_same(one: Item | None, other: Item | None) -> bool:
    return one is not None and other is not None and digest_of(one) == digest_of(other)


def _is_as(look: SeenRecord, key: bytes, there: Mapping[bytes, Item]) -> bool:
    """Whether an item is as the backup has it already."""
    item = there.get(key)
    return item is not None and digest_of(item) == look.items[key].wanted


def _to_delete(look: SeenRecord) -> Iterator[bytes]:
    return (key for key, seen in look.items.items() if not seen.wanted)


def _counted(
    part: RecordPart, first: Mapping[bytes, Item], there: Mapping[bytes, Item] | None = None
) -> Iterator[str]:
    """What was done with each item since it was found as in `first`; all that was to be done unless
    `there` says what the table has now."""
    for key in map(_key, part.items):
        done = there is None or _is_as(part.look, key, there)
        if done and not _is_as(part.look, key, first):
            yield REPLACED if key in first else ADDED
    for key in _to_delete(part.look):
        if key in first and (there is None or key not in there):
            yield DELETED


def _key(item: Item) -> bytes:
    return orjson.dumps([item[PARTITION_KEY], item[SORT_KEY]])


def _still(item: dict[str, Any] | None) -> Condition:
    """The condition that an item is as it is; of one with more attributes than an expression can
    compare, that its marks are."""
    if item is None:
        return ABSENT
    return unchanged(item) or _with_its_marks(item)


def _with_its_marks(item: Item) -> Condition:
    names = {"#k": PARTITION_KEY} | {f"#{n}": name for n, name in enumerate(_MARKS)}
    values = {f":{n}": item[name] for n, name in enumerate(_MARKS) if name in item}
    parts = [
        f"#{n}=:{n}" if name in item else f"attribute_not_exists(#{n})"
        for n, name in enumerate(_MARKS)
    ]
    return Condition.of(" AND ".join(["attribute_exists(#k)", *parts]), names, values)
