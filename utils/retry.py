"""Backing off: how long to wait before a call is tried again.

Full jitter (a uniformly random part of an exponentially growing bound) spreads the senders that
were throttled together; see "Exponential Backoff And Jitter", AWS Architecture Blog.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from utils.config import MigrationConfig

_WISHES_ADD = 5.0
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

    def exhausted(self, attempt: int) -> bool:
        """Whether retry number `attempt` (from 1) is one too many."""
        return attempt > self.max_retries

    def wait(self, attempt: int, at_least: float = 0.0) -> None:
        """Sleep before retry number `attempt` (from 1); `at_least` is what the service wishes for
        (five seconds more than without it are the most that botocore waits)."""
        delay = self.uniform(0.0, self.bound(attempt))
        self.sleep(max(delay, min(at_least, delay + _WISHES_ADD)))

    def bound(self, attempt: int) -> float:
        """The longest delay before retry number `attempt`."""
        factor = 2 ** min(attempt - 1, 30) if self.exponential else 1
        return min(max(LONGEST_DELAY, self.base_delay), self.base_delay * factor)
