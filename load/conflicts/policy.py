"""Whose content stays where the table already holds another under one of our keys.

`load.onConflict` decides, for a record as a whole: a sale of which the header is kept is not to get
new lines, and one that is replaced loses the lines that S9 no longer has. `fail` stops before the
first write; `skip` keeps what is there; `overwrite` replaces it; `newer` replaces it when S9's
newest row of the record is younger than the newest in the table, by `updatedAt`. What the
application has hung on a record keeps it, whatever the policy: it belongs to the record as the
table has it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from utils.config import FAIL, NEWER, OVERWRITE, TransformationConfig
from utils.dynamodb.item_content import Item
from utils.files.line_marks import (
    CONDITIONAL,
    CONFLICT,
    EDITED,
    KEPT,
    KEPT_ABSENT,
    NEW,
    OURS,
    REPLACED,
    SAME,
    TO_ADD,
    UPDATE,
)

IN_CONFLICT = frozenset({CONFLICT, UPDATE})
_KEPT = {CONFLICT: KEPT, UPDATE: EDITED, NEW: KEPT_ABSENT, TO_ADD: KEPT_ABSENT}
_LOOKED_AT = {SAME: CONFLICT, REPLACED: CONFLICT, OURS: UPDATE}


@dataclass(frozen=True)
class LineStanding:
    """How a line stands with the table: `theirs` and `ours` are the two `updatedAt`, "" where
    there is none. `renumbered`: the table's content is ours but for the place in the numbering
    (utils/sale_numbering.py), which other sales of the year decide. That is nobody's change and no
    conflict: it is written under every policy. So is what is there `as_written`, exactly as it was
    written last. `deleted`: it was written, and is there no more."""

    mark: int
    theirs: str = ""
    ours: str = ""
    renumbered: bool = False
    as_written: bool = False
    deleted: bool = False

    @property
    def disputed(self) -> bool:
        """Whether the table has it with a content that is another's, or somebody has deleted it."""
        differs = self.mark in IN_CONFLICT and not (self.renumbered or self.as_written)
        return differs or self.deleted


@dataclass(frozen=True)
class Rest:
    """What the table holds under a record's partition key that the record does not have: `own`
    are lines of a migration that nobody has changed, `others` what the application has added or
    changed."""

    own: tuple[Item, ...] = ()
    others: tuple[Item, ...] = ()


NO_REST = Rest()


@dataclass(frozen=True)
class Authors:
    """By what a migration's own items are known (`is_own`). `as_of` is a moment before which the
    application had no migrated item to change, "" when none is known."""

    migration: str
    mapped: Collection[str]
    as_of: str = ""

    @classmethod
    def of(cls, config: TransformationConfig, as_of: str) -> Authors:
        return cls(config.migration_user, frozenset(config.user_mapping.values()), as_of)

    def is_own(self, item: Item) -> bool:
        """Whether a migration wrote an item and the application has not changed it since.

        The application writes its user into `updatedBy` with every change. A user of S9 may have
        the same name (`transformation.userMapping`): then only the time tells them apart, and
        where that is not known an item counts as changed.
        """
        if "legacyId" not in item or "deletedAt" in item:
            return False
        by, at = _text(item, "updatedBy"), _text(item, "updatedAt")
        if by == self.migration:
            return True
        return by in self.mapped and bool(at) and at[:19] < self.as_of[:19]


def rest_of(
    there: Mapping[tuple[str, str], Item],
    keys: Collection[tuple[str, str]],
    is_own: Callable[[Item], bool],
) -> Rest:
    """What of everything under a partition key is none of a record's `keys`; `is_own` says whether
    an item is as it was written."""
    sorted_out: dict[bool, list[Item]] = {True: [], False: []}
    for key, item in there.items():
        if key not in keys:
            sorted_out[is_own(item)].append(item)
    return Rest(tuple(sorted_out[True]), tuple(sorted_out[False]))


def newer(record: Sequence[LineStanding], rest: Rest = NO_REST) -> str:
    """Who has changed a record last, by the newest row that is not the same on both sides:
    "table", "s9", "neither" or "unknown". That S9 no longer has a line is a change without a time
    of its own: in doubt it is the last one."""
    disputed = [each for each in record if each.disputed]
    if not all(each.theirs and each.ours for each in disputed):
        return "unknown"
    theirs = [each.theirs for each in disputed]
    theirs += [_text(item, "updatedAt") for item in rest.others]
    ours = [each.ours for each in record if each.disputed or each.mark == NEW]
    newest = max(theirs, default=""), max(ours, default="")
    if newest[0] == newest[1]:
        return "s9" if rest.own else "neither"
    return "table" if newest[0] > newest[1] else "s9"


def in_conflict(record: Sequence[LineStanding], rest: Rest = NO_REST) -> bool:
    """Whether the table has a record in another way than S9: with other content, with lines that
    S9 no longer has, or with items of the application where S9 has got further lines."""
    marks = {each.mark for each in record}
    grows = NEW in marks and record[0].mark != NEW
    differs = any(each.disputed for each in record)
    return bool(rest.own or (rest.others and grows) or differs)


def may_replace(record: Sequence[LineStanding], policy: str, rest: Rest = NO_REST) -> bool:
    """Whether a policy has a record in conflict replaced."""
    if rest.others:
        return False
    return policy == OVERWRITE or (policy == NEWER and newer(record, rest) == "s9")


def decide(
    record: Sequence[LineStanding], policy: str, rest: Rest = NO_REST, *, chosen: bool = True
) -> list[int]:
    """The marks of a record's lines under a policy. A record that is not `chosen` is not to be
    written at all: what differs has been changed since it was.

    Of a record that is to be replaced at least one line has a mark of CONDITIONAL: that is how the
    load knows it.
    """
    marks = [each.mark for each in record]
    if not in_conflict(record, rest) or (policy == FAIL and chosen):
        return marks
    if not chosen:
        return [_KEPT[mark] if mark in IN_CONFLICT else mark for mark in marks]
    if not may_replace(record, policy, rest):
        return kept(marks)
    marks = [TO_ADD if mark == NEW else mark for mark in marks]
    if not CONDITIONAL.intersection(marks):
        marks[0] = _LOOKED_AT[marks[0]]
    return marks


def kept(marks: Sequence[int]) -> list[int]:
    """The marks of a record that stays as the table has it."""
    return [_KEPT.get(mark, mark) for mark in marks]


def _text(item: Item, name: str) -> str:
    return str(item.get(name, {}).get("S", ""))
