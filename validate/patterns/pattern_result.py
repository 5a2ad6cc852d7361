"""What the replay of an access pattern has found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from utils.wording.figures import counted

MOST_FAILURES = 1_000  # that are listed
NEXT_NUMBER = "next sale number"


@dataclass(frozen=True)
class PatternResult:
    """An access pattern replayed: the DynamoDB call, how many samples (`of` so many that there
    are, if it is known), how many `failed`, and the first of their failures. `what` are the
    samples: one, and many."""

    entity: str
    name: str
    request: str
    sampled: int
    failures: tuple[str, ...] = ()
    failed: int = 0
    of: int | None = None
    what: tuple[str, str] | None = None

    def as_json(self) -> dict[str, Any]:
        return {
            "entity": self.entity,
            "name": self.name,
            "request": self.request,
            "sampled": self.sampled,
            "of": self.of,
            "passed": not self.failures,
            "failed": self.failed,
            "failures": list(self.failures),
        }

    @property
    def asked_for(self) -> str:
        """How many were asked for; "" when that is none of those that can be counted."""
        if self.of is None or self.what is None or not self.of:
            return ""
        if self.sampled >= self.of:
            return f"{self.name}: asked for {counted(self.sampled, *self.what)}, every one"
        return f"{self.name}: asked for {self.sampled:,} of {counted(self.of, *self.what)}"

    def sentences(self) -> list[str]:
        if not self.failures:
            return []
        return [f"{self.name}: {self.failed:,} failed, the first: {self.failures[0]}"]
