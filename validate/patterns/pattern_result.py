"""What the replay of an access pattern has found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

NEXT_NUMBER = "next sale number"


@dataclass(frozen=True)
class PatternResult:
    """An access pattern replayed: the DynamoDB call, how many samples, and which failed."""

    entity: str
    name: str
    request: str
    sampled: int
    failures: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        return {
            "entity": self.entity,
            "name": self.name,
            "request": self.request,
            "sampled": self.sampled,
            "passed": not self.failures,
            "failures": list(self.failures),
        }

    def sentences(self) -> list[str]:
        if not self.failures:
            return []
        return [f"{self.name}: {len(self.failures)} failed, the first: {self.failures[0]}"]
