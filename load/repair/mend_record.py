"""What is to be done about one record that a verification has found otherwise than S9 has it.

It is decided anew by what the table holds now: meanwhile it may have healed, or the application may
have been there. The unit of the application's work is the record: where it has changed, added or
deleted anything of it, the whole record stays, and is told. So does what the load has left as it
was. What S9 has changed since the load, and nobody has damaged, is a matter for the next load.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import orjson

from load.conflicts.policy import Authors
from load.conflicts.repair_journal import RepairedRecord, RepairStep, digests
from load.rollback.undo_record import HEADER, ApplicationChange, Items, Step
from load.writing.batches import record_key, sort_key
from load.writing.transactions import MOST_WRITES, TransactionWrite
from utils.differences import (
    BY_SOURCE,
    CHANGED_IN_SOURCE,
    DAMAGE,
    DIFFERENT,
    EXTRA,
    KEPT,
    KEPT_ABSENT,
    MISSING,
    REFUSED,
    REMOVED_IN_SOURCE,
)
from utils.dynamodb.item_content import (
    STAMPS,
    Item,
    Moments,
    differ_only_in,
    differing_attributes,
)

# What is in no source any more: also what S9 has lost since the load, where it was read again.
TO_TAKE_AWAY = frozenset({EXTRA, REMOVED_IN_SOURCE})
# Why a record is left as it is.
CHANGED = "changed"  # by the application
IN_USE = "inUse"  # another record names it
IN_SOURCE = "changedInSource"  # since the load
KEPT_BY_LOAD = "keptByLoad"
IN_QUARANTINE = "inQuarantine"
NOT_TAKEN = "refused"  # by DynamoDB
UNTESTABLE = "tooManyAttributes"  # no condition can tell what is there
_LEFT = {KEPT: KEPT_BY_LOAD, KEPT_ABSENT: KEPT_BY_LOAD, REFUSED: IN_QUARANTINE}

# Whether somebody has signed that he has changed an item (the first) since it was loaded (the
# second): what verification goes by (validate/compare).
Signed = Callable[[Item, Item], bool]


@dataclass(frozen=True)
class FileLine:
    """A line of the transformed file."""

    sk: str
    text: bytes

    @classmethod
    def of(cls, line: bytes) -> FileLine:
        return cls(sort_key(line), line)

    @cached_property
    def item(self) -> Item:
        """Its item."""
        found: Item = orjson.loads(self.text)["Item"]
        return found


@dataclass(frozen=True)
class DamagedRecord:
    """A record with its lines in the transformed file (none: S9 no longer has it), and what the
    verification has said of its items (utils/differences.py), by SK."""

    pk: str
    legacy_id: str
    lines: tuple[FileLine, ...]
    hows: Mapping[str, str]

    @classmethod
    def of(
        cls, pk: str, legacy_id: str, hows: Mapping[str, str], lines: Sequence[bytes]
    ) -> DamagedRecord:
        assert all(record_key(line) == pk for line in lines[:1])
        return cls(pk, legacy_id, tuple(map(FileLine.of, lines)), hows)


@dataclass(frozen=True)
class Rules:
    """What is asked for (`mend`: what is missing or different; `extra`: what is only in the
    target), and how it is told whose an item is. `held` are the keys in S9 of the records in
    quarantine, `own_times` what this migration gives to rows without a time."""

    mend: bool
    extra: bool
    authors: Authors
    signed: Signed
    moments: Moments
    held: frozenset[str] = frozenset()
    own_times: frozenset[str] = frozenset()

    def differs_in_times_alone(self, now: Item, ours: Item) -> bool:
        """Whether nothing differs but times that a migration gives to rows without one: no content
        of S9. A verification that knows no load's files learns them from the table."""
        names = differing_attributes(ours, now)
        return set(names) <= set(STAMPS) and all(
            ours.get(name, {}).get("S") in self.own_times for name in names
        )

    def is_as_in_file(self, now: Item, ours: Item) -> bool:
        """Whether what is there is what the file says, also with another migration's time."""
        return self.moments.are_same(now, ours)


@dataclass(frozen=True)
class Mending:
    """What is to be done about a record: steps with what must still be as it was seen (`checks`);
    or the `reason` why it is left, with what the application has changed, or who names it
    (`used_by`). `other` are the digests of the items that are not written."""

    record: DamagedRecord
    steps: tuple[Step, ...] = ()
    checks: tuple[Step, ...] = ()
    other: Mapping[str, str] = field(default_factory=dict)
    reason: str = ""
    changes: tuple[ApplicationChange, ...] = ()
    used_by: str = ""

    def left(self, reason: str, used_by: str = "") -> Mending:
        """The record is left after all."""
        return replace(self, steps=(), checks=(), reason=reason, used_by=used_by)

    @property
    def takes_record(self) -> bool:
        """Whether the whole record is taken away."""
        return bool(self.steps) and not self.record.lines

    @property
    def writes(self) -> list[TransactionWrite]:
        """Its part of a transaction."""
        each = (step.write for step in (*self.steps, *self.checks))
        return [write for write in each if write is not None]

    @property
    def as_kept(self) -> RepairedRecord:
        """What is written down before it is done."""
        steps = tuple(RepairStep(step.sk, step.old, step.new) for step in self.steps)
        return RepairedRecord(self.record.pk, self.record.legacy_id, steps, self.other)


@dataclass
class _Sorted:
    """A record's items, sorted by what is found of them."""

    puts: list[Step] = field(default_factory=list)
    deletes: list[Step] = field(default_factory=list)
    changes: list[ApplicationChange] = field(default_factory=list)
    added: list[ApplicationChange] = field(default_factory=list)


def decide(record: DamagedRecord, there: Items, rules: Rules) -> Mending:
    """What is to be done about a record; `there` is what the table holds under its key."""
    mending = Mending(record)
    if reason := _settled(record, rules):
        return mending.left(reason)
    found = _Sorted()
    for line in record.lines:
        _sort(line, there.get(line.sk), record.hows.get(line.sk, ""), rules, found)
    own = {line.sk for line in record.lines}
    for sk in sorted(there.keys() - own):
        _sort_beyond(sk, there[sk], record.hows.get(sk, ""), rules, found)
    if found.changes or (found.added and not _only_renumbers(found)):
        changes = sorted((*found.changes, *found.added), key=lambda change: change.sk)
        return replace(mending.left(CHANGED), changes=tuple(changes))
    takes = rules.extra and not found.added
    steps = [*(found.puts if rules.mend else ()), *(found.deletes if takes else ())]
    steps.sort(key=lambda step: step.sk != HEADER)
    if any(step.write is None for step in steps):
        return mending.left(UNTESTABLE)
    written = {step.sk for step in steps}
    rest = {sk: item for sk, item in there.items() if sk not in written}
    checks = _checks(rest, MOST_WRITES - len(steps)) if steps else ()
    return replace(mending, steps=tuple(steps), checks=checks, other=digests(rest))


def _settled(record: DamagedRecord, rules: Rules) -> str:
    """Why a record is left, whatever the table holds now."""
    kinds = set(record.hows.values())
    is_gone = not record.lines and kinds <= TO_TAKE_AWAY
    # What is damaged is written whole as S9 has it now, unless S9 has more or fewer lines since.
    grown = kinds & (BY_SOURCE - {CHANGED_IN_SOURCE})
    is_mended = rules.mend and kinds & DAMAGE and not grown
    if kinds & BY_SOURCE and not (is_gone or is_mended):
        return IN_SOURCE
    if found := [reason for how, reason in _LEFT.items() if how in kinds]:
        return found[0]
    return IN_QUARANTINE if not record.lines and record.legacy_id in rules.held else ""


def _sort(line: FileLine, now: Item | None, how: str, rules: Rules, found: _Sorted) -> None:
    """Sort what is there of a line of the file."""
    ours = line.item
    if now is None:
        if how in (MISSING, DIFFERENT):
            found.puts.append(Step(line.sk, None, ours))
        else:  # since the verification
            found.changes.append(ApplicationChange(line.sk, "deleted"))
    elif rules.is_as_in_file(now, ours) or (not how and rules.differs_in_times_alone(now, ours)):
        return
    elif how in (DIFFERENT, CHANGED_IN_SOURCE) and not rules.signed(now, ours):
        found.puts.append(Step(line.sk, now, ours))
    else:
        names = tuple(differing_attributes(ours, now))
        found.changes.append(ApplicationChange(line.sk, "changed", names))


def _sort_beyond(sk: str, now: Item, how: str, rules: Rules, found: _Sorted) -> None:
    """Sort what is there and in no line of the file."""
    if how in TO_TAKE_AWAY and rules.authors.is_own(now):
        found.deletes.append(Step(sk, now, None))
    else:
        found.added.append(ApplicationChange(sk, "added"))


def _only_renumbers(found: _Sorted) -> bool:
    """Whether a sale's place in the numbering is all that is to be mended: other sales of its year
    decide that, whatever the application has hung on this one."""
    return bool(found.puts) and all(
        step.sk == HEADER and step.old and step.new and differ_only_in(step.old, step.new, "GSI4")
        for step in found.puts
    )


def _checks(rest: Mapping[str, Item], room: int) -> tuple[Step, ...]:
    """What must still be as it was seen: all other items of the record, or what opens it; the
    application changes that with everything that it does to a sale."""
    names: Iterable[str] = rest if len(rest) <= room else rest.keys() & {HEADER}
    steps = (Step(sk, rest[sk], rest[sk]) for sk in sorted(names))
    return tuple(step for step in steps if step.write is not None)
