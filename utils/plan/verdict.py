"""With which exit code `--full` would end, and what is in its way.

A rehearsal notes every obstacle that it meets, in whatever order. `--full` comes upon them in the
order of the stages below; the first one with an exit code of its own decides.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from utils.error_handler import ExitCode, MigrationError


class Stage(enum.IntEnum):
    """Where `--full` meets an obstacle, in its order. What it only says at its end comes last."""

    BEGIN = 0  # the data directory
    TARGET = 1  # the tables, before S9 is read
    SOURCE = 2
    VALIDATE = 3
    LOAD = 4  # before the first write, or at one
    VERIFY = 5
    SET_ASIDE = 6  # an entity that has failed as a whole, while others went on
    HELD_BACK = 7  # records of S9 that are in no table, by intention
    ADVICE = 8  # in nobody's way


@dataclass(frozen=True)
class Obstacle:
    """Something to be done something about: `what` it is, the `remedy` with commands to type, and
    the exit code with which `--full` ends for it (None: it does not end for it). `rank` orders the
    obstacles of one stage, causes before what follows from them; `count` is of how many."""

    stage: Stage
    what: str
    remedy: str
    code: ExitCode | None = None
    rank: int = 0
    count: int = 1

    @classmethod
    def of(cls, stage: Stage, error: MigrationError) -> Obstacle:
        """The obstacle that an error is."""
        return cls(stage, error.message, error.remedy, error.exit_code)

    def as_json(self) -> dict[str, Any]:
        return {
            "stage": self.stage.name.lower().replace("_", "-"),
            "exitCode": None if self.code is None else int(self.code),
            "count": self.count,
            "what": self.what,
            "remedy": self.remedy,
        }


MEANINGS = {
    ExitCode.DONE: "every record arrives",
    ExitCode.FAILED: "it fails",
    ExitCode.USAGE: "it does not begin",
    ExitCode.VALIDATION_FAILED: "validation finds errors, and nothing is loaded",
    ExitCode.VERIFICATION_FAILED: "everything is loaded, and verify finds differences",
    ExitCode.QUARANTINED: "it is done, with records in quarantine or kept out",
}


@dataclass
class Verdict:
    """What a rehearsal has found to be in the way of `--full`."""

    obstacles: list[Obstacle] = field(default_factory=list)

    def note(self, *obstacles: Obstacle) -> None:
        """Note obstacles."""
        self.obstacles += obstacles

    @property
    def code(self) -> ExitCode:
        """The exit code that `--full` would have."""
        decides = self.decides
        return ExitCode.DONE if decides is None or decides.code is None else decides.code

    @property
    def decides(self) -> Obstacle | None:
        """The obstacle for which `--full` would end with its exit code."""
        return next((each for each in self.to_do if each.code is not None), None)

    @property
    def to_do(self) -> Sequence[Obstacle]:
        """What to do, in the order in which to do it: causes before consequences."""
        return sorted(self.obstacles, key=lambda each: (each.stage, each.rank, -each.count))

    def as_json(self) -> dict[str, Any]:
        decides = self.decides
        return {
            "exitCode": int(self.code),
            "meaning": MEANINGS[self.code],
            "because": decides.what if decides else None,
        }


def to_do_json(obstacles: Iterable[Obstacle]) -> list[dict[str, Any]]:
    """The list of what to do as plan.json has it."""
    return [each.as_json() for each in obstacles]
