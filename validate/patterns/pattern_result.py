"""What the replay of an access pattern has found."""

from __future__ import annotations

from collections.abc import Iterable
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

    def sentences(self) -> list[str]:
        if not self.failures:
            return []
        return [f"{self.name}: {self.failed:,} failed, the first: {self.failures[0]}"]


def asked_for(patterns: Iterable[PatternResult]) -> str:
    """Of how many of each kind the patterns were asked for, if there are others that were not: "20
    of 284 sales, 20 of 48 buyers"; "" where it was every one."""
    told: dict[tuple[str, str], str] = {}
    for each in patterns:
        if each.of is not None and each.what is not None and each.sampled < each.of:
            told.setdefault(each.what, f"{each.sampled:,} of {counted(each.of, *each.what)}")
    return ", ".join(told.values())
