"""Keeping to a rate: the share of one sender in what all of them may send."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

_BURST_SECONDS = 0.2
_AT_ONCE = 0.1  # of a second's units in one request


@dataclass
class Answered:
    """What DynamoDB has accepted: `units`, by so many `answers`, which took `seconds` in all."""

    units: float = 0.0
    answers: int = 0
    seconds: float = 0.0


class RateLimiter:
    """Grants write units at `rate` a second (None: as many as anybody wants); safe to share
    between threads.

    A sender asks before it sends with what it expects, and settles afterwards with what DynamoDB
    says; the difference is carried over to the next. `throttled` is told of every
    request that DynamoDB throttles.
    """

    def __init__(
        self,
        rate: float | None = None,
        *,
        throttled: Callable[[str], object] = lambda _reason: None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.slow_down = throttled
        self._rate = rate
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()
        self._available = 0.0
        self._updated = clock()
        self.accepted = 0.0  # units in all
        self.elsewhere = 0.0  # units of those that share the table
        self._untold = Answered()

    @property
    def most_at_once(self) -> float | None:
        """The units that one request should not exceed, so that a low rate is kept to, too, and a
        low capacity has room for it; None: as many as there are."""
        rate = self._rate
        return None if rate is None else rate * _AT_ONCE

    def portions(
        self, costs: Sequence[float], most: int
    ) -> Callable[[Sequence[int]], Iterator[Sequence[int]]]:
        """Which of requests by number, of which each costs so many units, go out together: `most`
        of them, and no more units than should be taken at once. Each portion waits for its turn."""

        def portions(numbers: Sequence[int]) -> Iterator[Sequence[int]]:
            first = 0
            while first < len(numbers):
                limit = self.most_at_once
                last, units = first + 1, costs[numbers[first]]
                while last < min(first + most, len(numbers)):
                    more = units + costs[numbers[last]]
                    if limit is not None and more > limit:
                        break
                    last, units = last + 1, more
                self.acquire(units)
                yield numbers[first:last]
                first = last

        return portions

    def change(self, rate: float | None) -> None:
        """From now on grant so many units a second; what was saved at a higher rate is lost."""
        with self._lock:
            self._earn()
            if rate is None or self._rate is None:
                self._available = 0.0
            elif rate < self._rate:
                self._available = min(self._available, rate * _BURST_SECONDS)
            self._rate = rate

    def acquire(self, units: float) -> None:
        """Wait until `units` may be consumed."""
        debt = self.borrow(units)
        if debt > 0:
            self._sleep(debt)

    def borrow(self, units: float) -> float:
        """Take `units`; returns after how many seconds they may be consumed."""
        with self._lock:
            if self._rate is None:
                return 0.0
            self._earn()
            self._available -= units
            return -self._available / self._rate

    def settle(
        self, expected: float, used: float, accepted: float | None = None, seconds: float = 0.0
    ) -> None:
        """Correct an earlier `acquire(expected)`: `used` is what DynamoDB was asked for in the
        end, whether it has `accepted` it (None: all of it) or not, after how many `seconds`.

        What it refuses is not given back: asking again at once for as much would fail again.
        """
        accepted = used if accepted is None else accepted
        with self._lock:
            self.accepted += accepted
            if accepted:
                untold = self._untold
                untold.units += accepted
                untold.answers += 1
                untold.seconds += seconds
            if self._rate is not None:
                self._available += expected - used

    def take_accepted(self) -> Answered:
        """What DynamoDB has accepted since this was last asked."""
        with self._lock:
            untold, self._untold = self._untold, Answered()
        return untold

    def _earn(self) -> None:
        """What time gives is kept for a short while only; what was given back is always kept."""
        now = self._clock()
        passed, self._updated = now - self._updated, now
        if self._rate is None:
            return
        most = max(self._available, self._rate * _BURST_SECONDS)
        self._available = min(self._available + passed * self._rate, most)
