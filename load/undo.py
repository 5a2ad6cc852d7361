"""Undoing what a load did with one item, unless the application has changed it since.

Whether it has is looked at first, and then once more in the same request that deletes the item or
puts back what was there: that request is done only if the item is exactly what was loaded.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import Any

import orjson

from load.before import Before
from load.conditional_writer import READ_AT_ONCE, ConditionalWriter, is_same, text_key
from load.conditions import unchanged
from load.guard import Planned
from utils.load_plan import CONFLICT, KEPT, KEPT_ABSENT, REPLACED, SAME, WITHDRAWN

LEFT_ALONE = frozenset({SAME, KEPT, KEPT_ABSENT, WITHDRAWN})
_HAD_ANOTHER = frozenset({REPLACED, CONFLICT})


class Fate(enum.Enum):
    """What became of an item that a load created or replaced."""

    DELETED = "deleted"
    RESTORED = "restored"
    KEPT = "kept"  # changed by the application since
    GONE = "gone"  # deleted by the application, or never sent
    LEFT_ALONE = "leftAlone"  # it was there before, and was not written


class Undo:
    """Undoes the load of single lines. With `writes` false it says what would become of them."""

    def __init__(self, before: Before, writer: ConditionalWriter, *, writes: bool = True) -> None:
        self._before = before
        self._writer = writer
        self._writes = writes

    def undo(self, lines: Sequence[Planned]) -> list[tuple[Fate, dict[str, Any] | None]]:
        """Undo lines (at most 100); for each what became of it, and what is there if it was kept.

        Raises TargetError when DynamoDB cannot be used.
        """
        assert len(lines) <= READ_AT_ONCE
        mine = [each.item for each in lines if each.mark not in LEFT_ALONE]
        there = self._writer.find(mine) if mine else {}
        return [self._one(each, there.get(text_key(each.item))) for each in lines]

    def _one(
        self, planned: Planned, there: dict[str, Any] | None
    ) -> tuple[Fate, dict[str, Any] | None]:
        if planned.mark in LEFT_ALONE:
            return Fate.LEFT_ALONE, None
        if there is None:
            return Fate.GONE, None
        if planned.mark in _HAD_ANOTHER:
            return self._restore(planned, there)
        if not is_same(there, planned.item):
            return Fate.KEPT, there
        return self._delete(planned, there)

    def _delete(
        self, planned: Planned, there: dict[str, Any]
    ) -> tuple[Fate, dict[str, Any] | None]:
        condition = unchanged(planned.item)
        if condition is None:
            return Fate.KEPT, there
        if not self._writes:
            return Fate.DELETED, None
        written = self._writer.delete(planned.item, condition)
        if written.done or (written.repeated and written.found is None):
            return Fate.DELETED, None
        return (Fate.KEPT if written.found else Fate.GONE), written.found

    def _restore(
        self, planned: Planned, there: dict[str, Any]
    ) -> tuple[Fate, dict[str, Any] | None]:
        before = self._before.find(planned.item)
        if is_same(before, there):
            return (Fate.RESTORED if planned.mark == REPLACED else Fate.LEFT_ALONE), None
        if before is None and planned.mark == CONFLICT:
            return Fate.LEFT_ALONE, None  # it was never replaced
        condition = unchanged(planned.item)
        if before is None or condition is None or not is_same(there, planned.item):
            return Fate.KEPT, there
        if not self._writes:
            return Fate.RESTORED, None
        written = self._writer.put(orjson.dumps(before), condition)
        if written.done or is_same(written.found, before):
            return Fate.RESTORED, None
        return (Fate.KEPT if written.found else Fate.GONE), written.found
