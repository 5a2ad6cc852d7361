"""What goes wrong between this process and DynamoDB in ways that pass, until somebody tells it.

Whoever tries a request again says so here, in whatever thread; what a process has to tell goes out
with what it reports anyway, and to the stream of events from there (`Tasks.heard`).
"""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, field

from utils.error_handler import BackOff, Throttled

Shortage = tuple[str, str]
"""What is short (a table or an index of one), and the word for why."""


@dataclass
class Troubles:
    """How often something was tried again, by the reason; how often DynamoDB has throttled, by what
    is short, and for how many seconds that was waited for (all who waited together)."""

    retried: Counter[str] = field(default_factory=Counter)
    throttled: Counter[Shortage] = field(default_factory=Counter)
    waited: Counter[Shortage] = field(default_factory=Counter)

    def __bool__(self) -> bool:
        return bool(self.retried or self.throttled or self.waited)

    def add(self, other: Troubles) -> None:
        """Add what somebody else has had."""
        self.retried.update(other.retried)
        self.throttled.update(other.throttled)
        self.waited.update(other.waited)


_LOCK = threading.Lock()
_HERE = Troubles()


def tries_again(problem: BackOff, table: str = "") -> None:
    """A request (to `table`, where that is known) has failed and will be tried again."""
    with _LOCK:
        _HERE.retried[problem.reason] += 1
        if isinstance(problem, Throttled):
            _HERE.throttled.update(_shortages(problem, table))


def has_waited(seconds: float, problem: BackOff | None, table: str = "") -> None:
    """So long was waited before the next try."""
    if isinstance(problem, Throttled):
        short = _shortages(problem, table)
        with _LOCK:
            for each in short:
                _HERE.waited[each] += seconds / len(short)  # type: ignore[assignment]


def take_troubles() -> Troubles | None:
    """What there was in this process since this was last asked; None for nothing."""
    global _HERE
    with _LOCK:
        if not _HERE:
            return None
        taken, _HERE = _HERE, Troubles()
    return taken


def _shortages(problem: Throttled, table: str) -> tuple[Shortage, ...]:
    return problem.shortages or ((table, problem.reason),)
