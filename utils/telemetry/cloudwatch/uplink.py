"""What goes to a service beside the run: from a thread of its own, so that nobody waits for it.

Whatever the service does (it is down, it is slow, it forbids), the run goes on as without it. At
the end what is left may go out for so long as the caller says, and no longer.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

from utils.aws.session import ask_nothing
from utils.logger import hush_this_thread
from utils.telemetry.cloudwatch.troubles import Troubles

FIRST_AFTER = 2.0  # seconds: by then a run has asked for its credentials itself
_REST = 15.0  # seconds after a failure, doubled with every further one
_LONGEST_REST = 120.0


class Uplink:
    """Calls `send` every so many seconds, and when it is settled."""

    def __init__(
        self,
        service: str,
        send: Callable[[], None],
        is_empty: Callable[[], bool],
        troubles: Troubles,
        *,
        every: float,
        first_after: float = FIRST_AFTER,
    ) -> None:
        """`send` sends all that there is to send, and raises whatever went wrong; what is left is
        its own to keep. `is_empty` says whether there is anything. `every` is in seconds."""
        self.service = service
        self.is_empty = is_empty
        self._send = send
        self._troubles = troubles
        self._every = every
        self._first_after = first_after
        self._asked = self._answered = 0
        self._closing = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._work, name=service, daemon=True)

    def start(self) -> None:
        """Begin to send. A machine that has no thread left is one more trouble."""
        try:
            self._thread.start()
        except RuntimeError as error:
            self._troubles.met(self.service, error, last=True)

    def ask(self, *, closing: bool = False) -> int:
        """Have everything sent now; with `closing` for the last time. Returns what to wait for."""
        with self._changed:
            self._closing = self._closing or closing
            self._asked += 1
            self._changed.notify_all()
            return self._asked

    def wait(self, number: int, seconds: float) -> bool:
        """Wait until what was asked for was tried, for so long at most; whether it was."""
        with self._changed:
            return self._changed.wait_for(
                lambda: self._answered >= number or not self._thread.is_alive(), max(0.0, seconds)
            )

    def _work(self) -> None:
        hush_this_thread()
        ask_nothing()
        pause, failures = self._first_after, 0
        while not self._closing or self._answered < self._asked:
            asked = self._next(pause)
            try:
                self._send()
            except Exception as error:
                failures += 1
                last = asked > self._answered
                self._troubles.met(self.service, error, last=last)
                pause = min(_REST * 2 ** (failures - 1), _LONGEST_REST)
            else:
                if failures:
                    self._troubles.over(self.service)
                pause, failures = self._every, 0
            with self._changed:
                self._answered = asked
                self._changed.notify_all()

    def _next(self, pause: float) -> int:
        """Wait for the next time; returns what had been asked for until then."""
        with self._changed:
            self._changed.wait_for(lambda: self._asked > self._answered, pause)
            return self._asked


def settle(uplinks: Sequence[Uplink], seconds: float, *, closing: bool = False) -> float:
    """Let them send what is left, all at once; returns how many of the `seconds` are left, 0.0
    where one of them has not come to an end."""
    began = time.monotonic()
    asked = [
        (each, each.ask(closing=closing)) for each in uplinks if closing or not each.is_empty()
    ]
    for uplink, number in asked:
        if uplink.is_empty():
            continue
        with suppress(KeyboardInterrupt):
            uplink.wait(number, seconds - (time.monotonic() - began))
    return max(0.0, seconds - (time.monotonic() - began))
