"""A finding: one result of a check on one record, as the reports list it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Severity = Literal["error", "warning"]


@dataclass(frozen=True)
class Finding:
    """What a check found. `legacy_id` is S9's key; `message` never holds a raw personal value."""

    entity: str
    legacy_id: str
    field: str
    rule: str
    severity: Severity
    message: str

    @classmethod
    def of_json(cls, stored: Mapping[str, Any]) -> Finding:
        """What `as_json` gave."""
        return cls(
            stored["entity"],
            stored["legacyId"],
            stored["field"],
            stored["rule"],
            stored["severity"],
            stored["message"],
        )

    def as_json(self) -> dict[str, str]:
        """The shape of a finding in every report."""
        return {
            "entity": self.entity,
            "legacyId": self.legacy_id,
            "field": self.field,
            "rule": self.rule,
            "severity": self.severity,
            "message": self.message,
        }
