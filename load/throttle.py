"""Holding the load to a number of write units a second: a token bucket that all senders share."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

_BURST_SECONDS = 0.25


class Throttle:
    """Grants write units at `units_per_second`, None for as many as anybody wants.

    A sender asks before it sends with what it expects, and settles afterwards with what DynamoDB
    says it consumed; the difference is carried over to the next.
    """

    def __init__(
        self,
        units_per_second: int | None,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._rate = units_per_second
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()
        self._available = 0.0
        self._updated = clock()

    def acquire(self, units: float) -> None:
        """Wait until `units` may be consumed."""
        if self._rate is None:
            return
        with self._lock:
            self._refill(self._rate)
            self._available -= units
            debt = -self._available / self._rate
        if debt > 0:
            self._sleep(debt)

    def settle(self, expected: float, consumed: float) -> None:
        """Correct an earlier `acquire(expected)` by what was really consumed."""
        if self._rate is not None:
            with self._lock:
                self._available -= consumed - expected

    def _refill(self, rate: int) -> None:
        now = self._clock()
        earned = (now - self._updated) * rate
        self._available = min(self._available + earned, rate * _BURST_SECONDS)
        self._updated = now
