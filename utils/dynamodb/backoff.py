"""Backing off: how long to wait before a call is tried again.

Jitter spreads the senders that were throttled together (see "Exponential Backoff And Jitter", AWS
Architecture Blog). With the usual full jitter, a random part of an exponentially growing delay, the
unluckiest of many senders gives up long before the delays would be over, and ends the work of all.
So the delays are laid end to end here, and each retry comes at a random moment of its own, the last
at the end of all: whoever begins to wait survives an outage as long as all delays together, as
surely as alone.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from utils.config import MigrationConfig

_WISHES_ADD = 5.0  # seconds
LONGEST_DELAY = 20.0
"""Seconds; how far a delay grows, unless it was longer to begin with."""


@dataclass(frozen=True)
class RetryPolicy:
    """How often and after which delays a request is retried. Seconds throughout."""

    max_retries: int
    base_delay: float
    exponential: bool = True
    sleep: Callable[[float], None] = time.sleep
    uniform: Callable[[float, float], float] = field(default=random.uniform)

    @classmethod
    def of(
        cls, config: MigrationConfig, sleep: Callable[[float], None] = time.sleep
    ) -> RetryPolicy:
        """The policy that the configuration asks for."""
        return cls(config.max_retries, config.retry_delay, config.exponential_backoff, sleep)

    def bound(self, attempt: int) -> float:
        """The longest delay before retry number `attempt`."""
        factor = 2 ** min(attempt - 1, 30) if self.exponential else 1
        return min(max(LONGEST_DELAY, self.base_delay), self.base_delay * factor)


class Attempts:
    """The attempts at one request: how many have failed, and the waits between them."""

    def __init__(self, policy: RetryPolicy) -> None:
        self._policy = policy
        self._rest = 0.0  # of the delay in which the last retry came
        self._waits = 0
        self._wish = 0.0
        self.failed = 0

    def fail(self, wish: float = 0.0) -> bool:
        """One more has failed; whether it may be tried again. `wish` are the seconds that the
        service would like to be left alone for."""
        self.failed += 1
        self._wish = wish
        return self.failed <= self._policy.max_retries

    def wait(self) -> None:
        """Sleep before the next attempt; of what the service wishes for, five seconds more than
        without are the most, as in botocore."""
        self._waits += 1
        policy = self._policy
        bound = policy.bound(self._waits)
        is_last = self.failed == policy.max_retries
        drawn = bound if is_last else policy.uniform(0.0, bound)
        delay, self._rest = self._rest + drawn, bound - drawn
        policy.sleep(max(delay, min(self._wish, delay + _WISHES_ADD)))

    def begin_anew(self) -> None:
        """What has failed so far does not count any more; the delays go on growing."""
        self.failed = 0
