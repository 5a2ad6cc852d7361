"""Why a record cannot be migrated: every reason of one record, gathered and raised once.

A value knows nothing of the column that it came from, so it raises `Unconvertible`; whoever walks
the columns adds the column and continues with the next. An operator who repairs S9 then sees all of
a record's mistakes in one run, not one mistake a run.
"""

from __future__ import annotations

from collections.abc import Iterable

from utils.error_handler import Rejection


class Unconvertible(Exception):
    """A single value has no counterpart in the target.

    `rule` is a short kebab-case name, `reason` a sentence without personal data.
    """

    def __init__(self, rule: str, reason: str) -> None:
        super().__init__(f"{rule}: {reason}")
        self.rule = rule
        self.reason = reason


class RejectedRecord(Exception):
    """A record goes to quarantine. `rejections` holds all that is wrong with it, never empty."""

    def __init__(self, rejections: tuple[Rejection, ...]) -> None:
        super().__init__("; ".join(str(rejection) for rejection in rejections))
        self.rejections = rejections

    def __reduce__(self) -> tuple[type[RejectedRecord], tuple[tuple[Rejection, ...]]]:
        """Rejected records cross process boundaries whole."""
        return (type(self), (self.rejections,))


class Rejections:
    """The rejections of one record while it is being converted."""

    __slots__ = ("_found", "_line")

    def __init__(self) -> None:
        self._found: list[Rejection] = []
        self._line: tuple[int, object] | None = None

    def __len__(self) -> int:
        """How much is wrong so far."""
        return len(self._found)

    def at_line(self, position: int, key: object) -> None:
        """Say that the next columns are those of a line: the n-th, counted from 1, and its key."""
        self._line = (position, key)

    def at_record(self) -> None:
        """Say that the next columns are those of the record itself."""
        self._line = None

    def add(self, column: str, rule: str, reason: str) -> None:
        """Note that `column`, of the current line or of the record, breaks `rule`."""
        if self._line:
            position, key = self._line
            column = f"lines[{position}].{column}"
            reason = f"line {key}: {reason}"
        self._found.append(Rejection(column, rule, reason))

    def add_value(self, column: str, problem: Unconvertible) -> None:
        """Note that the value of `column` cannot be converted."""
        self.add(column, problem.rule, problem.reason)

    def add_missing(self, column: str) -> None:
        """Note that `column`, which the target cannot do without, is NULL, blank or absent."""
        self.add(column, "required", f"{column} is missing, and the Sale Module needs it")

    def add_others(self, found: Iterable[Rejection]) -> None:
        """Note what else was found, on columns that nothing is known of so far."""
        known = {rejection.field for rejection in self._found}
        self._found += [rejection for rejection in found if rejection.field not in known]

    def raise_if_any(self) -> None:
        """Raise RejectedRecord when anything has been noted."""
        if self._found:
            raise RejectedRecord(tuple(self._found))
