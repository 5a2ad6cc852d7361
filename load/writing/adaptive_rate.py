"""The rate of a load in write units a second, shared by all its senders: found and kept to.

The number is the operator's `maxWriteUnits`, or what DynamoDB shows that it can take: what it
accepted while it throttled is what it can take, so the rate goes a little below that, comes back to
it, stays about there, and then looks further and further above it, until DynamoDB throttles again
(the curve of CUBIC, RFC 9438, section 4.2). It comes back to a number in as many seconds as this
was measured for: one that was found in a moment may be a good deal too low, because what the
senders have had accepted is told in portions, and would be kept to for long. Well above what was
once too much, only the operator's limit is left.

One throttle decides on the rate; each sender keeps to its share of it
(load/writing/rate_limiter.py).
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable

from load.writing.rate_limiter import RateLimiter
from utils.logger import get_logger

_MEASURED_SECONDS = 5.0
_MEASURED_AT_LEAST = 0.25
_MEASURED_AT_MOST = 30.0  # seconds, where in fewer too few requests have been accepted
_TELLING = 10  # so many accepted requests or reports tell a rate
_TOGETHER = 0.01  # those within so many seconds are taken for one
_SILENCE = 1.0  # after so long without an answer nobody has been sending
_CUT = 0.15
_BACK_AT_LEAST, _BACK_AT_MOST = 3.0, 8.0  # seconds
_CUT_EVERY = 1.0  # the senders that one wave of throttling hits are one sign, not many
_CUT_AGAIN = 0.3  # but sooner where much less is accepted than is sent
_MUCH_LESS = 0.7
_LEAST = 25.0
_ENOUGH = 2.0  # times what was once too much
_TELL_EVERY = 5.0


class AdaptiveRate:
    """Decides how many write units a second may be sent: at most `units_per_second` (None for as
    many as anybody wants), and less for as long as DynamoDB throttles. `say` tells the operator
    `what` is done at which rate.
    """

    def __init__(
        self,
        units_per_second: int | None,
        *,
        clock: Callable[[], float] = time.monotonic,
        say: Callable[[str], object] | None = None,
        what: str = "sending {} write units",
    ) -> None:
        self._ceiling = None if units_per_second is None else float(units_per_second)
        self._rate = self._ceiling
        self._clock = clock
        self._say = say or get_logger().warning
        self._what = what
        self._accepted: deque[tuple[float, float]] = deque()
        self._heard_at = self._sending_since = float("-inf")
        self._peak: float | None = None  # what was too much; None while nothing is
        self._back = _BACK_AT_MOST  # seconds after a cut in which it comes back to that
        self._cut_at = self._told_at = float("-inf")

    def rate(self) -> float | None:
        """The units a second that are granted now; None: as many as anybody wants."""
        if self._peak is not None:
            self._raise(self._peak)
        return self._rate

    def accepted(self, units: float) -> None:
        """DynamoDB has accepted so much."""
        if not units:
            return
        now = self._hear()
        at = now
        if self._accepted and now - self._accepted[-1][0] < _TOGETHER:
            at, before = self._accepted.pop()
            units += before
        self._accepted.append((at, units))
        while self._accepted[0][0] <= now - _MEASURED_AT_MOST:
            self._accepted.popleft()

    def throttled(self, reason: str) -> None:
        """DynamoDB has throttled a request; `reason` says why and what, for the operator."""
        now = self._hear()
        known_for = now - max(self._cut_at, self._sending_since)
        if known_for >= _CUT_EVERY or (known_for >= _CUT_AGAIN and self._is_far_too_high(now)):
            self._cut(now)
        if now - self._told_at >= _TELL_EVERY:
            self._told_at = now
            self._say(f"DynamoDB throttles ({reason}): {self._doing()}")

    def _hear(self) -> float:
        """Take note of an answer; returns the time. What was sent before a silence (a connection
        that was lost, items that had to be asked for one by one) tells nothing of now."""
        now = self._clock()
        if now - self._heard_at > _SILENCE:
            self._sending_since = now
        self._heard_at = now
        return now

    def _doing(self) -> str:
        if self._rate is None:  # it is too early to say more
            return "trying again"
        return self._what.format(f"{self._rate:,.0f}") + " a second"

    def _cut(self, now: float) -> None:
        """What has been accepted since the last cut is what DynamoDB can take."""
        taken, measured = self._taken(now)
        self._back = min(max(measured, _BACK_AT_LEAST), _BACK_AT_MOST)
        self._peak = max(taken if self._rate is None else min(taken, self._rate), _LEAST)
        self._cut_at = now
        self._raise(self._peak)

    def _is_far_too_high(self, now: float) -> bool:
        return self._taken(now)[0] < _MUCH_LESS * (self._rate or 0.0)

    def _taken(self, now: float) -> tuple[float, float]:
        """The units a second accepted lately, and over how many seconds: since the last cut, unless
        too little has been accepted since then to tell."""
        since = max(self._sending_since, self._cut_at, now - _MEASURED_SECONDS)
        if sum(at > since for at, _ in self._accepted) < _TELLING:
            since = max(self._sending_since, now - _MEASURED_AT_MOST)
            if len(self._accepted) > _TELLING:
                since = max(since, self._accepted[-1 - _TELLING][0])
        units = sum(units for at, units in self._accepted if at > since)
        seconds = max(now - since, _MEASURED_AT_LEAST)
        return units / seconds, seconds

    def _raise(self, peak: float) -> None:
        """Follow the curve; once it is far enough above the peak, nothing is too much."""
        place = (self._clock() - self._cut_at) / self._back - 1
        self._rate = max(peak * (1 + _CUT * place**3), _LEAST)
        if self._rate < min(_ENOUGH * peak, self._ceiling or float("inf")):
            return
        self._rate = self._ceiling
        if place > 0:
            self._peak = None
            self._say("DynamoDB no longer throttles: sending as before")


class AdaptiveLimiter(RateLimiter):
    """Adaptive rate and limiter in one, for what a single process sends or reads; safe to share
    between threads."""

    def __init__(
        self,
        units_per_second: int | None,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        say: Callable[[str], object] | None = None,
        what: str = "sending {} write units",
    ) -> None:
        self._adaptive = AdaptiveRate(units_per_second, clock=clock, say=say, what=what)
        self._deciding = threading.Lock()
        super().__init__(self._adaptive.rate(), throttled=self._cut, clock=clock, sleep=sleep)

    def _cut(self, reason: str) -> None:
        with self._deciding:
            self._adaptive.accepted(self.take_accepted().units)
            self._adaptive.throttled(reason)

    def borrow(self, units: float) -> float:
        with self._deciding:
            self._adaptive.accepted(self.take_accepted().units)
            self.change(self._adaptive.rate())
        return super().borrow(units)
