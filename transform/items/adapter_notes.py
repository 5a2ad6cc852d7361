"""What the adapter of a layout has to say of a row besides the row itself."""

from __future__ import annotations

from transform.rejections import Rejections


class Notes:
    """Refusals, doubts, and values to carry along, of one row."""

    __slots__ = ("_rejections", "doubts", "kept")

    def __init__(self, rejections: Rejections) -> None:
        self.doubts: dict[str, str] = {}
        self.kept: dict[str, object] = {}
        self._rejections = rejections

    def refuse(self, column: str, rule: str, reason: str) -> None:
        """The record cannot be migrated because of `column`; the reason quotes nothing personal."""
        self._rejections.add(column, rule, reason)

    def doubt(self, column: str, rule: str, reason: str) -> None:
        """The record is migrated, and the gate is to warn of `column`: by a rule of the group
        `layout` in validate/rules/catalogue.py, in a sentence that quotes nothing personal."""
        self.doubts[column] = f"{rule}: {reason}"

    def keep(self, column: str, value: object) -> None:
        """Carry `value` in `legacy` under `column`, although (some of) it has found a place."""
        self.kept[column] = value
