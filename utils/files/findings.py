"""A finding: one result of a check on one record, as the reports list it.

Whoever finds something, the transform, the gate or the load, says it in this shape: where it is in
S9 (table, column, key), where in the record (field), what is there, and what it comes from.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Severity = Literal["error", "warning"]

Why = Literal["refused", "not-selected", "absent", "copied"]
"""How a finding comes from another record: that one is refused (in quarantine, or with errors), S9
has it and it was not read, S9 has none, or a value was copied from it."""


@dataclass(frozen=True)
class Cause:
    """The record that a finding is the consequence of: one of `entity`, by S9's `key` ("" where
    nobody knows it any more). `reason` is the rule that refused it, or why it was not selected."""

    entity: str
    key: str
    why: Why
    reason: str = ""

    @classmethod
    def of_json(cls, stored: Mapping[str, Any] | None) -> Cause | None:
        """What `as_json` gave."""
        return cls(**stored) if stored else None

    def as_json(self) -> dict[str, str]:
        """The shape of a cause in every report."""
        return {"entity": self.entity, "key": self.key, "why": self.why, "reason": self.reason}


@dataclass(frozen=True)
class Finding:
    """What a check found. `legacy_id` is S9's key of the record; `message` never holds a raw
    personal value.

    `field` names an attribute of the item, or a column under its canonical name; `table` and
    `column` are where that is in this S9, and `key` is that of the row there: the record's, or of
    a line of it, or of a party that it copies. They are "" where nobody knows or nothing is there.
    `value` is what was found, masked if it is personal.
    """

    entity: str
    legacy_id: str
    field: str
    rule: str
    severity: Severity
    message: str
    table: str = ""
    column: str = ""
    key: str = ""
    value: str = ""
    cause: Cause | None = None

    @classmethod
    def of_json(cls, stored: Mapping[str, Any]) -> Finding:
        """What `as_json` gave, also that of an earlier version, which knew less."""
        get = stored.get
        return cls(
            stored["entity"],
            stored["legacyId"],
            stored["field"],
            stored["rule"],
            stored["severity"],
            stored["message"],
            get("table", ""),
            get("column", ""),
            get("key", ""),
            get("value", ""),
            Cause.of_json(get("cause")),
        )

    def as_json(self) -> dict[str, Any]:
        """The shape of a finding in every report."""
        return {
            "entity": self.entity,
            "legacyId": self.legacy_id,
            "table": self.table,
            "column": self.column,
            "key": self.key,
            "field": self.field,
            "rule": self.rule,
            "severity": self.severity,
            "value": self.value,
            "message": self.message,
            "cause": self.cause.as_json() if self.cause else None,
        }
