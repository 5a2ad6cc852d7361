"""What the cut-over has done by the phases: callables, and what they come back with.

migrate.py composes them, since they cross phases; utils/cutover knows no phase.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from utils.cutover.acceptance import Open
from utils.error_handler import ExitCode


@dataclass(frozen=True)
class CaughtUp:
    """The target was brought up to S9: `how` (comparing pass, S9's log), by which run, as of which
    moment, in how many seconds, with how many `changes` (records), and how it ended. `reports`
    have the SHA-256 of each report by its name; `fence` is the mark in S9's log up to which it was
    followed, "" where it was not."""

    how: str
    run_id: str
    snapshot: str
    seconds: float
    changes: int
    code: ExitCode
    reports: Mapping[str, str] = field(default_factory=dict)
    fence: str = ""

    @property
    def ended_well(self) -> bool:
        return self.code in (ExitCode.DONE, ExitCode.QUARANTINED)

    def as_json(self) -> dict[str, Any]:
        return {
            "how": self.how,
            "fence": self.fence or None,
            "runId": self.run_id,
            "snapshot": self.snapshot,
            "seconds": round(self.seconds, 3),
            "changes": self.changes,
            "exitCode": int(self.code),
            "reports": dict(self.reports),
        }


@dataclass(frozen=True)
class Look:
    """S9 as it was at a moment: of each extracted file the SHA-256. Two looks with the same files
    have found the same rows, column by column."""

    snapshot: str
    files: Mapping[str, str]


@dataclass(frozen=True)
class Writers:
    """Who holds an open transaction that has written into S9's tables, a name each; `unseen` says
    why that cannot be told, "" where it can."""

    names: tuple[str, ...] = ()
    unseen: str = ""

    def as_json(self) -> dict[str, Any]:
        return {"openTransactions": list(self.names), "notSeen": self.unseen or None}


@dataclass(frozen=True)
class Compared:
    """The target was compared with S9, which was read again for it.

    `look` is S9 as it was read for that, `last_pass` as the last pass has read it. `figures` are
    items by what was found of them, `moved` names what S9 has changed since the last
    load (at most the first of them), `damaged` what is otherwise and nobody's work, `problems` are
    those of whole tables. `open` is what somebody must accept by name. `ledger` has the figures of
    each entity, `numbers` the next sale number of each year, `reached` who has answered.
    """

    look: Look
    last_pass: Look
    at: str
    seconds: float
    figures: Mapping[str, int]
    moved: tuple[str, ...]
    damaged: tuple[str, ...]
    problems: tuple[str, ...]
    open: tuple[Open, ...]
    ledger: Mapping[str, Any]
    totals: tuple[str, ...]
    numbers: Mapping[str, int]
    drift: Mapping[str, Any]
    reached: Mapping[str, Any]
    head: Mapping[str, Any]
    reports: Mapping[str, str] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """The evidence of a verification; what is open is in a list of its own."""
        return {
            "snapshot": self.look.snapshot,
            "comparedAt": self.at,
            "files": dict(self.look.files),
            "figures": dict(self.figures),
            "ledger": dict(self.ledger),
            "totals": list(self.totals),
            "nextNumbers": dict(self.numbers),
            "drift": dict(self.drift),
            "reached": dict(self.reached),
            "reports": dict(self.reports),
        }


@dataclass(frozen=True)
class Ways:
    """How it is done: `sync` brings the target up to S9, `foresee` says what that would change,
    `look` reads S9's rows, `writers` asks who may still write there, `verify` verifies the target
    by S9; `compare` does the same, leaves the reports of the migration as they are, and writes
    drift_report.json; `unfollow` takes away what S9 keeps for who follows its log, and says what
    that was. `mark` has the tables say that a cut-over has switched at a moment, to whatever data
    directory reaches them; `unmark` takes that back, and says what it has left."""

    sync: Callable[[], CaughtUp]
    foresee: Callable[[], CaughtUp]
    look: Callable[[], Look]
    writers: Callable[[], Writers]
    verify: Callable[[], Compared]
    compare: Callable[[], Compared]
    unfollow: Callable[[], list[str]]
    mark: Callable[[str, str], None]
    unmark: Callable[[str], list[str]]
    sleep: Callable[[float], None] = time.sleep
