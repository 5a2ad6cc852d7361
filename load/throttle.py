"""Holding the load to a number of write units a second that all its senders share.

The number is the operator's `maxWriteUnits`, or what DynamoDB shows that it can take: when it
throttles, the rate is cut to a part of what it has accepted lately, and rises step by step while
it is quiet (additive increase, multiplicative decrease: "Congestion Avoidance and Control", Van
Jacobson, 1988). Well above what was once too much, the limit goes.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable

from utils.logger import get_logger

_BURST_SECONDS = 0.25
_MEASURED_SECONDS = 2.0
_CUT = 0.7
_CUT_EVERY = 1.0  # the senders that one wave of throttling hits are one sign, not many
_QUIET_SECONDS = 1.0
_STEP = 0.05  # of what was accepted at the cut, each second
_LEAST = 25.0
_ENOUGH = 2.0  # times what was once too much
_TELL_EVERY = 5.0


class Throttle:
    """Grants write units at `units_per_second`, None for as many as anybody wants, and at less
    for as long as DynamoDB throttles.

    A sender asks before it sends with what it expects, and settles afterwards with what DynamoDB
    says it consumed; the difference is carried over to the next. `say` tells the operator `what`
    is done at which rate.
    """

    def __init__(
        self,
        units_per_second: int | None,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        say: Callable[[str], object] | None = None,
        what: str = "sending {} write units",
    ) -> None:
        self._ceiling = None if units_per_second is None else float(units_per_second)
        self._rate = self._ceiling
        self._clock = clock
        self._sleep = sleep
        self._say = say or get_logger().warning
        self._what = what
        self._lock = threading.Lock()
        self._available = 0.0
        self._updated = self._started = clock()
        self._accepted: deque[tuple[float, float]] = deque()
        self._peak = 0.0
        self._throttled_at: float | None = None
        self._cut_at = self._told_at = float("-inf")

    @property
    def rate(self) -> float | None:
        """The units a second that are granted now; None: as many as anybody wants."""
        return self._rate

    def acquire(self, units: float) -> None:
        """Wait until `units` may be consumed."""
        with self._lock:
            debt = self._borrow(units)
        if debt > 0:
            self._sleep(debt)

    def settle(self, expected: float, consumed: float) -> None:
        """Correct an earlier `acquire(expected)` by what was really consumed."""
        with self._lock:
            self._available -= consumed - expected
            self._accepted.append((self._clock(), consumed))
            self._forget_old()

    def slow_down(self, reason: str) -> None:
        """DynamoDB has throttled a request; `reason` says why and what, for the operator."""
        with self._lock:
            now = self._throttled_at = self._clock()
            if now - self._cut_at >= _CUT_EVERY:
                self._cut_at = now
                self._cut(now)
            rate = self._rate
            tells = now - self._told_at >= _TELL_EVERY
            if tells:
                self._told_at = now
        if tells:
            doing = self._what.format(f"{rate:,.0f}")
            self._say(f"DynamoDB throttles ({reason}): {doing} a second")

    def _cut(self, now: float) -> None:
        seconds = min(_MEASURED_SECONDS, max(now - self._started, _BURST_SECONDS))
        self._forget_old()
        accepted = sum(units for _, units in self._accepted) / seconds
        taken = accepted if self._rate is None else min(accepted, self._rate)
        self._peak = max(taken, _LEAST)
        self._rate = max(_CUT * taken, _LEAST)
        if self._ceiling is not None:
            self._rate = min(self._rate, self._ceiling)
        self._available = min(self._available, 0.0)

    def _borrow(self, units: float) -> float:
        """Take `units` out of the bucket; returns for how many seconds it is in debt then."""
        now = self._clock()
        passed, self._updated = now - self._updated, now
        self._raise(now, passed)
        if self._rate is None:
            return 0.0
        earned = self._available + passed * self._rate
        self._available = min(earned, self._rate * _BURST_SECONDS) - units
        return -self._available / self._rate

    def _raise(self, now: float, passed: float) -> None:
        """Come back up while DynamoDB is quiet."""
        if self._throttled_at is None or self._rate is None:
            return
        if now - self._throttled_at < _QUIET_SECONDS:
            return
        self._rate += passed * _STEP * self._peak
        enough = _ENOUGH * self._peak if self._ceiling is None else self._ceiling
        if self._rate >= enough:
            self._rate = self._ceiling
            self._available = 0.0
            self._throttled_at = None
            self._say(f"DynamoDB throttles no longer: {self._what.partition(' ')[0]} as before")

    def _forget_old(self) -> None:
        oldest = self._clock() - _MEASURED_SECONDS
        while self._accepted and self._accepted[0][0] < oldest:
            self._accepted.popleft()
