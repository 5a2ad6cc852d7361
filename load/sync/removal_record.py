"""What becomes of one record that was migrated and that S9 no longer has.

It goes only if the table still has it as we wrote it last. The unit of the application's work is
the record: where it has changed, added or deleted anything of it, the whole record stays. Nobody's
change is the place in the numbering, which other sales of the year decide, nor the time that
another migration has given to a row without one.

It is decided by what the table holds now and by what was kept before anything was taken away. So
it may be decided again and again: after a kill, or when somebody was quicker, or to look once more.
What we have taken of a record that is to stay after all comes back.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace

from load.rollback.undo_record import ALWAYS_THERE, HEADER, ApplicationChange, Items, Record, Step
from load.writing.transactions import MOST_WRITES, TransactionWrite
from utils.config import KEEP, SOFT_DELETE
from utils.dynamodb.item_content import (
    Item,
    Moments,
    differ_only_in,
    differing_attributes,
    is_same,
)

# What became of a record.
DELETED, SOFT_DELETED, KEPT = "deleted", "softDeleted", "kept"
# Why it was kept.
CHANGED = "changed"  # by the application
IN_USE = "inUse"  # another record names it
REFUSED = "refused"  # it is in quarantine: sync.refused
POLICY = "policy"  # sync.removed, or it was deleted softly before
_DELETED_AT, _UPDATED_AT = "deletedAt", "updatedAt"
_NOTHING: Items = {}


@dataclass(frozen=True)
class Rules:
    """What the settings say: `removed` and `refused` are those of `sync`, `held` the keys in S9 of
    the records in quarantine, `at` the time of soft deletes, `moments` the times of other
    migrations in what was left as it was."""

    removed: str
    refused: str
    at: str
    held: Collection[str] = frozenset()
    moments: Moments = field(default_factory=Moments)

    def why_kept(self, record: Record) -> str:
        """Why a record is not to be touched at all; "" when it is to go."""
        if self.refused == KEEP and self.held and record.legacy_id in self.held:
            return REFUSED
        return POLICY if self.removed == KEEP else ""

    def is_as_written(self, item: Item, now: Item) -> bool:
        """Whether what is there is what we have written last."""
        return self.moments.are_same(now, item)

    def soft(self, header: Item) -> Item:
        """What opens a record that is deleted softly, as the Sale Module does it."""
        return {**header, _DELETED_AT: {"S": self.at}, _UPDATED_AT: {"S": self.at}}


@dataclass(frozen=True)
class Kept:
    """What this pass has kept of a record before it changed anything: the items that were there,
    and what opens it since it was deleted softly, each by SK."""

    was: Items = field(default_factory=dict)
    softened: Items = field(default_factory=dict)

    def is_softened(self, sk: str, now: Item | None) -> bool:
        """Whether an item is what the soft delete has made of it."""
        return is_same(now, self.softened.get(sk))


@dataclass(frozen=True)
class Fate:
    """What becomes of a record: the steps to that with what must still be as it was seen
    (`checks`); why it is kept, what the application has changed, and who names it (`used_by`).
    `takes` are the items that are to be kept before the steps are done, `items` how many are taken
    away by it. Of one that stays `header` is what opens it in the table, and `rewritten` says that
    this is what we have written last, not its first line."""

    record: Record
    what: str
    reason: str = ""
    steps: tuple[Step, ...] = ()
    checks: tuple[Step, ...] = ()
    changes: tuple[ApplicationChange, ...] = ()
    used_by: str = ""
    takes: tuple[Item, ...] = ()
    items: int = 0
    header: Item | None = None
    rewritten: bool = False

    @property
    def softens(self) -> tuple[Item, ...]:
        """What is about to be written in the place of what opened the record."""
        steps = self.steps if self.what == SOFT_DELETED else ()
        return tuple(step.new for step in steps if step.new is not None)

    @property
    def writes(self) -> list[TransactionWrite]:
        """Its part of a transaction."""
        each = (step.write for step in (*self.steps, *self.checks))
        return [write for write in each if write is not None]


def decide(record: Record, there: Items, kept: Kept, rules: Rules) -> Fate:
    """What becomes of a record; `there` is what the table holds under its partition key, `kept`
    what this pass has kept of it. One that is not there any more is removed already."""
    if not there:
        return Fate(record, DELETED, items=len(kept.was))
    if reason := rules.why_kept(record):
        return stay(record, there, kept, reason)
    if changes := tuple(_changes(record, there, kept, rules)):
        return replace(stay(record, there, kept, CHANGED), changes=changes)
    fate = (
        _softly(record, there, kept, rules)
        if rules.removed == SOFT_DELETE and HEADER in there
        else _whole(record, there, kept)
    )
    if any(step.write is None for step in fate.steps):  # no condition can tell what is there
        change = ApplicationChange(HEADER, "changed")
        return replace(stay(record, there, kept, CHANGED), changes=(change,))
    return fate


def _whole(record: Record, there: Items, kept: Kept) -> Fate:
    """All of a record goes, what opens it first."""
    sks = sorted(there, key=lambda sk: (sk != HEADER, sk))
    steps = tuple(Step(sk, there[sk], None) for sk in sks)
    items = len(kept.was.keys() | there.keys())
    return Fate(record, DELETED, steps=steps, takes=tuple(there.values()), items=items)


def _softly(record: Record, there: Items, kept: Kept, rules: Rules) -> Fate:
    """A record is deleted as the Sale Module does it: its lines stay as they are."""
    now = there[HEADER]
    if kept.is_softened(HEADER, now):
        return Fate(record, SOFT_DELETED, items=1, header=now, rewritten=True)
    if _DELETED_AT in now:  # by an earlier pass
        return stay(record, there, kept, POLICY)
    step = Step(HEADER, now, rules.soft(now))
    checks = tuple(Step(sk, there[sk], there[sk]) for sk in sorted(there.keys() - {HEADER}))
    return Fate(
        record,
        SOFT_DELETED,
        steps=(step,),
        # The application changes what opens a sale with everything that it does to it.
        checks=checks if len(checks) < MOST_WRITES else (),
        takes=tuple(there.values()),
        items=1,
        header=step.new,
        rewritten=True,
    )


def stay(record: Record, there: Items, kept: Kept, reason: str, used_by: str = "") -> Fate:
    """A record stays: what this pass has taken of it comes back."""
    steps = sorted(_back(there, kept), key=lambda step: step.sk != HEADER)
    header = next((step.new for step in steps if step.sk == HEADER), there.get(HEADER))
    return Fate(record, KEPT, reason, steps=tuple(steps), used_by=used_by, header=header)


def _back(there: Items, kept: Kept) -> Iterator[Step]:
    for sk, was in kept.was.items():
        now = there.get(sk)
        soft = kept.softened.get(sk, _NOTHING)
        if now is None or is_same(now, soft):
            yield Step(sk, now, was)
        elif ALWAYS_THERE not in now:  # what an update has made of an item that was gone
            yield Step(sk, now, {**was, **now})
        elif soft and now.get(_DELETED_AT) == soft.get(_DELETED_AT):  # edited after it
            yield Step(sk, now, {name: now[name] for name in now.keys() - {_DELETED_AT}})


def _changes(record: Record, there: Items, kept: Kept, rules: Rules) -> Iterator[ApplicationChange]:
    """What the application has done with a record since we wrote it."""
    own = {line.sk for line in record.lines}
    for line in record.lines:
        now = there.get(line.sk)
        if now is None:
            if line.sk not in kept.was:
                yield ApplicationChange(line.sk, "deleted")
        elif not _is_ours(line.sk, line.item, now, kept, rules):
            names = tuple(differing_attributes(kept.softened.get(line.sk, line.item), now))
            yield ApplicationChange(line.sk, "changed", names)
    for sk in sorted(there.keys() - own):
        yield ApplicationChange(sk, "added")


def _is_ours(sk: str, item: Item, now: Item, kept: Kept, rules: Rules) -> bool:
    if rules.is_as_written(item, now) or kept.is_softened(sk, now):
        return True
    return sk == HEADER and differ_only_in(rules.moments.as_ours(now), item, "GSI4")
