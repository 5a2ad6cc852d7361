"""What was looked at before a migration: each thing as it was found, and what to do about it."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from utils.wording.masking import scrub

SOURCE, TARGET, MACHINE = "source", "target", "machine"


class State(enum.Enum):
    """How a thing is: `skipped` was not looked at, because something else is not as it must be."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    `side` is SOURCE, TARGET or MACHINE, `name` what it is. `found` says how it is, or of what was
    skipped why; `remedy` what to do unless it is as it should be. `figures` are for programs.
    Freed of secrets and personal data, because they may quote what others have worded.
    """

    side: str
    name: str
    state: State
    found: str
    remedy: str = ""
    figures: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "found", scrub(self.found))
        object.__setattr__(self, "remedy", scrub(self.remedy))

    def as_json(self) -> dict[str, Any]:
        """As `check --json` and plan.json have it."""
        values: dict[str, Any] = {
            "side": self.side,
            "name": self.name,
            "state": self.state.value,
            "found": self.found,
        }
        if self.remedy:
            values["remedy"] = self.remedy
        if self.figures:
            values["figures"] = dict(self.figures)
        return values


def count_of(checks: Iterable[Check], state: State) -> int:
    """How many are in a state."""
    return sum(each.state is state for each in checks)


def failures(checks: Iterable[Check]) -> list[Check]:
    """Those that failed, in their order: causes come before what follows from them."""
    return [each for each in checks if each.state is State.FAILED]


def told_apart(checks: Sequence[Check]) -> list[Check]:
    """The checks, of which no two have one side and name."""
    seen: dict[tuple[str, str], int] = {}
    found = []
    for each in checks:
        key = each.side, each.name
        seen[key] = seen.get(key, 0) + 1
        again = seen[key] > 1
        found.append(replace(each, name=f"{each.name} ({seen[key]})") if again else each)
    return found
