"""Random histories of a target that follows the log of a living S9, while the application works.

As in histories.py, but `sync --follow` is at work from the first migration on, and everything that
happens, happens beside it. Words of its own, where the others have passes:

    in-step     it catches up with S9, is stopped, judged, and started again
    killed      SIGKILL, somewhere; and started again
    stopped     Ctrl-C, somewhere; things happen; and started again
    elsewhere   it is stopped, and an ordinary sync is run by hand
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.support.living.follower import FollowedS9
from tests.support.living.histories import History, life
from tests.support.living.judge import contents_of
from tests.support.operators.operator import scan_all

_LONGEST = 1.5  # seconds until it is killed


def followed_script(seed: int, *, looks: int) -> list[str]:
    """The words of a history, from its seed."""
    chance = random.Random(f"followed {seed}")
    words = [*life(chance), "full"]
    for _ in range(looks):
        words += life(chance)
        if chance.random() < 0.5:
            words += [chance.choice(("killed", "stopped", "elsewhere")), *life(chance)]
        words.append("in-step")
    return [f"{word}:{number}" for number, word in enumerate(words)]


@dataclass
class FollowedHistory(History):
    """One history; `operator` may follow the log of `s9`."""

    follower: FollowedS9 = field(init=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.follower = FollowedS9(self.operator, self.s9)
        self.doings: dict[str, Callable[[random.Random], list[str]]] = {
            **self.doings,
            "full": self._full_and_follow,
            "in-step": self._in_step,
            "killed": self._killed,
            "stopped": self._stopped,
            "elsewhere": self._elsewhere,
        }

    def play(self) -> list[str]:
        self.follower.settle()
        try:
            return super().play()
        finally:
            self.follower.leave()

    def _full_and_follow(self, chance: random.Random) -> list[str]:
        """A log is followed from when all transactions that are open at its begin have ended."""
        problems = self._full(chance)
        self.living.end_late(commit=chance.random() < 0.5)
        self.follower.start()
        self.follower.catch_up()
        return problems

    def _in_step(self, chance: random.Random) -> list[str]:
        self.application.finish()
        if self.living.made_anew:  # the log begins anew then, which waits for all that is open
            self.living.end_late(commit=chance.random() < 0.5)
            self.living.made_anew = False
        outcome = self.follower.stop_in_step()
        self._sees_what_was_written()
        problems = self._after(outcome.code, outcome.output)
        self.follower.start()
        return problems

    def _killed(self, chance: random.Random) -> list[str]:
        time.sleep(chance.random() * _LONGEST)
        self.follower.kill()
        self._sees_what_was_written()
        self.follower.start()
        return []

    def _stopped(self, chance: random.Random) -> list[str]:
        time.sleep(chance.random() * _LONGEST)
        outcome = self.follower.stop()
        self._sees_what_was_written()
        for _ in range(chance.randint(0, 3)):
            self._anything(chance)
        self.follower.start()
        return [] if outcome.code in (0, 5, 130) else [outcome.output]

    def _elsewhere(self, chance: random.Random) -> list[str]:
        self.application.finish()
        outcome = self.follower.stop()
        problems = [] if outcome.code in (0, 5, 130) else [outcome.output]
        problems += self._pass(chance)
        self.follower.start()
        return problems

    def _happens(self, word: str) -> list[str]:
        self._sees_what_was_written()
        return super()._happens(word)

    def _sees_what_was_written(self) -> None:
        """Passes come and go unseen: what is there, and not the application's, is theirs. So a
        record that stays although S9 has lost it is not judged here, but that it may (histories.py
        does)."""
        self._written.add(contents_of(scan_all(self.dynamodb, self.tables)))
