"""What has arrived from PostgreSQL's log and was not given out yet, and up to where it may be
forgotten: between the thread that reads the log and whoever takes from it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic

from extract.change_log.postgresql.positions import Visible
from extract.change_log.postgresql.touched import Touched
from utils.interrupt import StopFlag

_LOOK_EVERY = 0.1
MOST_XIDS = 10_000


@dataclass
class Inbox:
    """`reached` is the end of what has arrived whole, of one slot; `forgettable` of what S9 may
    forget. `is_given_out`: something was taken."""

    reached: int = 0
    forgettable: int = 0
    is_given_out: bool = False
    _touched: Touched = field(default_factory=Touched)
    _awaited: int = 0
    _looked_at: int = 0
    _woken: bool = False
    _changed: threading.Condition = field(default_factory=threading.Condition)

    def starts_at(self, position: int) -> None:
        """The slot is read from here."""
        with self._changed:
            self.reached = self.forgettable = position

    def put(self, touched: Touched, end: int, visible: Callable[[], Visible]) -> None:
        """A transaction has arrived whole. `visible` is asked when there are so many that those
        which everybody sees are better forgotten."""
        with self._changed:
            self._touched.join(touched)
            self.reached = max(self.reached, end)
            crowded = len(self._touched.xids) > MOST_XIDS
            self._changed.notify_all()
        if crowded:
            seen = visible()
            with self._changed:
                self._touched.xids = set(seen.unseen(self._touched.xids))

    def arrived(self, end: int) -> None:
        """Up to here nothing is on its way."""
        with self._changed:
            if end > self.reached:
                self.reached = end
                self._changed.notify_all()

    def compare_all(self, reason: str) -> None:
        """What changed cannot be told by single records."""
        with self._changed:
            self._touched.whole.add(reason)
            self._changed.notify_all()

    def await_position(self, position: int) -> None:
        """Whoever waits wants to know of this position."""
        with self._changed:
            self._awaited = position

    def wake(self) -> None:
        """Something has happened that is to be told at once."""
        with self._changed:
            self._woken = True
            self._changed.notify_all()

    def wait(self, seconds: float, stop: StopFlag) -> None:
        """Until something has arrived, for so many seconds at most, or a stop is asked for."""
        deadline = monotonic() + seconds
        with self._changed:
            while (
                self._touched.is_empty
                and not self._woken
                and not self._looked_at < self._awaited <= self.reached
                and not stop.requested
                and (left := deadline - monotonic()) > 0
            ):
                self._changed.wait(min(left, _LOOK_EVERY))
            self._woken = False

    def take(self, looked_at: int) -> tuple[Touched, int]:
        """All that was not given out yet, and the position it reaches; `looked_at` is what had been
        reached when S9 was last looked at."""
        with self._changed:
            touched, self._touched = self._touched, Touched()
            self._looked_at = looked_at
            self.is_given_out = True
            return touched, self.reached

    def has_shown(self, position: int) -> bool:
        """Whether all up to there was given out, with what S9 looked like behind it."""
        return position <= self._looked_at

    def let_forget(self, position: int) -> None:
        """What is up to there is done, and known to be."""
        with self._changed:
            self.forgettable = max(self.forgettable, position)
