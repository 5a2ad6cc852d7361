"""How many batches are in flight at once: as many as it takes, found while the load goes on.

Over a network a sender mostly waits, so that more of them send more, until the machine, the line or
the table is full; from there on more of them only get in each other's way. Where that is depends on
the latency, the machine and the table. So the number is doubled as long as that sends a good deal
more (or more than doubled, up to what any machine can send at the latency that is measured), and is
tried a little higher and a little lower from time to time after that (hill climbing).

While a rate is kept to (load/writing/adaptive_rate.py), it is the rate that decides: then there are
as many as the rate needs at the latency that is measured (Little's law, with as many again in
reserve), and nothing is tried, because nothing could be seen by it.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from load.writing.rate_limiter import Answered
from utils.config import MOST_IN_FLIGHT

FIRST, LEAST, MOST = 4, 2, MOST_IN_FLIGHT
_WINDOW = 0.15  # seconds that are measured, at least
_SECOND_WINDOW = 0.4  # the same where the first look has disappointed
_CALM_WINDOW = 1.0  # the same where there is time: a trial from a number that has stood the test
_ANSWERS = 4  # to each of those in flight in a window, at least
_LONGEST = 5.0  # seconds after which a window in which little comes is given up
_DOUBLED, _UP, _DOWN = 2.0, 1.4, 0.8
_SURELY, _LEAP = 1000.0, 4  # batches a second that any machine sends, and how far to go for that
_WORTH = 0.25  # of the growth in number, at least, that must show in what is sent
_AS_MUCH = 0.97  # of what was sent before is not less
_TRY_AFTER, _TRY_AT_LAST = 2.0, 30.0  # seconds
_FULL = 0.85  # of the rate that is kept to


@dataclass
class _Seen(Answered):
    """What a window has shown, in `span` seconds of the clock."""

    span: float = 0.0

    @property
    def speed(self) -> float:
        """Units a second."""
        return self.units / self.span

    @property
    def latency(self) -> float:
        """Seconds to an answer, on average."""
        return self.seconds / self.answers


@dataclass
class _Trial:
    """A step from `number`, at which so much was sent, to another. A short window is easily
    disturbed: `looks_again` once it has disappointed."""

    number: int
    speed: float
    looks_again: bool = False


class InFlight:
    """Decides on the number of batches in flight, to begin with `first` (None: FIRST): at most
    `ceiling` (None: MOST), and at least one for each of the `senders`, who cannot have fewer."""

    def __init__(
        self,
        ceiling: int | None = None,
        *,
        senders: int = 1,
        first: int | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.most = MOST if ceiling is None else ceiling
        self._least = min(max(LEAST, senders), self.most)
        self._clock = clock
        self.number = self._within(first or FIRST)
        self._doubling = True
        self._trial: _Trial | None = None
        self._rise = True  # whether the next trial goes up
        self._pause = _TRY_AFTER
        self._rest_until = 0.0
        self._begin(settle=0.0)

    def heard(self, answered: Answered) -> None:
        """Take note of what was accepted."""
        if self._clock() < self._since:
            return
        seen = self._seen
        seen.units += answered.units
        seen.answers += answered.answers
        seen.seconds += answered.seconds

    def decide(self, rate: float | None = None) -> int:
        """The number from now on; `rate` is what is being kept to (units a second), None when as
        much is sent as anybody wants."""
        seen = self._window()
        if seen is None:
            return self.number
        if rate is not None and self._is_paced(seen, rate):
            self._trial = None
            self._begin(settle=0.0)
        elif self._trial is not None:
            self._judge(self._trial, seen)
        elif self._doubling or self._clock() >= self._rest_until:
            self._try(seen)
        else:
            self._begin(settle=0.0)
        return self.number

    def _window(self) -> _Seen | None:
        """What the window has shown; None while it is too early to tell."""
        seen = self._seen
        seen.span = self._clock() - self._since
        if seen.span >= _LONGEST:
            self._trial = None  # an outage, or hardly any answers: nothing is told by that
            self._begin(settle=0.0)
            return None
        least = _WINDOW if self._doubling else _CALM_WINDOW
        if self._trial is not None and self._trial.looks_again:
            least = _SECOND_WINDOW
        if seen.span < least or seen.answers < _ANSWERS * self.number or not seen.units:
            return None
        return seen

    def _begin(self, *, settle: float) -> None:
        self._since = self._clock() + settle
        self._seen = _Seen()

    def _is_paced(self, seen: _Seen, rate: float) -> bool:
        """Whether the rate is what holds the load back; there are no more than it needs then."""
        needed = rate / (seen.units / seen.answers) * seen.latency
        enough = self._within(math.ceil(2 * needed) + 1, least=FIRST)
        if enough >= self.number and seen.speed < _FULL * rate:
            return False
        self.number = min(enough, self.number)
        self._doubling = True  # as soon as it is not the rate that decides
        return True

    def _try(self, seen: _Seen) -> None:
        """Go one step from here, and look whether it is better there."""
        step = _DOUBLED if self._doubling else _UP if self._rise else _DOWN
        number = round(self.number * step)
        if self._doubling:  # what any machine can send at this latency needs fewer trials
            number = max(number, min(int(_SURELY * seen.latency), _LEAP * self.number))
        number = self._within(number)
        if number == self.number:
            self._doubling = False
            self._rise = not self._rise
            self._rest()
            return
        self._trial = _Trial(self.number, seen.speed)
        self.number = number
        self._begin(settle=_settled_after(seen))

    def _judge(self, trial: _Trial, seen: _Seen) -> None:
        """Whether it is better here than before the last step; otherwise go back."""
        is_better = seen.speed >= trial.speed * self._due(self.number / trial.number)
        if self._doubling and not is_better and not trial.looks_again:
            trial.looks_again = True
            self._begin(settle=0.0)
            return
        self._trial = None
        if is_better:
            if self._doubling:
                self._try(seen)
                return
            self._pause = _TRY_AFTER
        else:
            self.number = trial.number
            if self._doubling:  # too far: it may be between the two
                self._doubling, self._rise = False, True
                self._begin(settle=_settled_after(seen))
                return
            self._rise = not self._rise
        self._rest()

    def _due(self, growth: float) -> float:
        """How much faster a number must be that is `growth` times another."""
        return 1 + _WORTH * (growth - 1) if growth > 1 else _AS_MUCH

    def _rest(self) -> None:
        self._rest_until = self._clock() + self._pause
        self._pause = min(2 * self._pause, _TRY_AT_LAST)
        self._begin(settle=0.0)

    def _within(self, number: int, *, least: int | None = None) -> int:
        least = self._least if least is None else min(max(least, self._least), self.most)
        return max(least, min(number, self.most))


def _settled_after(seen: _Seen) -> float:
    """Seconds after which nothing that was sent before a step is still to come."""
    return 2 * seen.latency + 0.03
