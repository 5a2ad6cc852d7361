"""Whose content stays where the table already holds another under one of our keys.

`load.onConflict` decides, for a record as a whole: a sale of which the header is kept is not to get
new lines. `fail` stops before the first write; `skip` keeps what is there; `overwrite` replaces it;
`newer` replaces it when every item in conflict is older than ours by `updatedAt`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from utils.config import FAIL, NEWER, OVERWRITE
from utils.load_plan import (
    CONFLICT,
    EDITED,
    KEPT,
    KEPT_ABSENT,
    NEW,
    TO_ADD,
    UPDATE,
)

IN_CONFLICT = frozenset({CONFLICT, UPDATE})
_KEPT = {CONFLICT: KEPT, UPDATE: EDITED, NEW: KEPT_ABSENT, TO_ADD: KEPT_ABSENT}


@dataclass(frozen=True)
class Standing:
    """How a line stands with the table. For one in conflict `theirs` and `ours` are the two
    `updatedAt`, "" where there is none."""

    mark: int
    theirs: str = ""
    ours: str = ""

    @property
    def newer(self) -> str:
        """Who was changed last: "table", "s9", "neither" or "unknown"."""
        if not self.theirs or not self.ours:
            return "unknown"
        if self.theirs == self.ours:
            return "neither"
        return "table" if self.theirs > self.ours else "s9"


def decide(record: Sequence[Standing], policy: str, *, chosen: bool = True) -> list[int]:
    """The marks of a record's lines under a policy. A record that is not `chosen` is not to be
    written at all: what differs has been changed since it was."""
    disputed = [each for each in record if each.mark in IN_CONFLICT]
    marks = [each.mark for each in record]
    if not disputed or (policy == FAIL and chosen):
        return marks
    if not chosen:
        return [_KEPT[mark] if mark in IN_CONFLICT else mark for mark in marks]
    if policy == OVERWRITE or (policy == NEWER and all(e.newer == "s9" for e in disputed)):
        return [TO_ADD if mark == NEW else mark for mark in marks]
    return kept(marks)


def kept(marks: Sequence[int]) -> list[int]:
    """The marks of a record that stays as the table has it."""
    return [_KEPT.get(mark, mark) for mark in marks]
