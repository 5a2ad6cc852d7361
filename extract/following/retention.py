"""What S9 keeps of its log for whoever follows it: looked at all the time, told, and bounded by
`sync.maxRetainedLog`."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from extract.change_log.change_log import Retained
from utils.error_handler import MigrationError
from utils.interrupt import Interrupted
from utils.logger import get_logger

_MEGABYTE = 1_000_000


class TooMuch(Exception):
    """S9 keeps more of its log than it may, although it was told that it may forget it; says how
    much, and who needs it."""


@dataclass
class Bound:
    """`most` megabytes that S9 may keep. With `is_kept_for_us` it keeps them until it is told that
    they are done; else it keeps them anyhow, for as long as it is set to."""

    most: int
    is_kept_for_us: bool
    _is_told: bool = False

    def is_over(self, kept: Retained) -> bool:
        """Whether that is more."""
        return kept.bytes > self.most * _MEGABYTE

    def tell(self, kept: Retained) -> None:
        """Warn when it is, once each time."""
        is_over = self.is_over(kept)
        if is_over and not self._is_told:
            get_logger().warning("%s", self._warning(kept))
        self._is_told = is_over

    def check(self, kept: Retained) -> None:
        """Raise TooMuch when it is, and nothing that is still to be done is the reason."""
        if kept.stuck > self.most * _MEGABYTE:
            raise TooMuch(
                f"S9 keeps {kept.bytes / _MEGABYTE:,.0f} MB of its log to be followed, more than "
                f"sync.maxRetainedLog allows ({self.most:,} MB), although all of it is brought "
                f"over{_needed_by(kept)}"
            )

    def _warning(self, kept: Retained) -> str:
        size = f"{kept.bytes / _MEGABYTE:,.0f} MB"
        allowed = f"more than sync.maxRetainedLog names ({self.most:,} MB)"
        if not self.is_kept_for_us:
            return (
                f"{size} of S9's log are still to be brought over, {allowed}: S9 keeps them for as "
                "long as it is set to, whoever reads them"
            )
        return (
            f"S9 keeps {size} of its log to be followed, {allowed}{_needed_by(kept)}: it is given "
            "free if that is still so a minute after all is brought over"
        )


def _needed_by(kept: Retained) -> str:
    if not kept.holders:
        return ""
    return f": it needs it for open transactions ({', '.join(kept.holders)})"


@contextmanager
def beside(look: Callable[[], object], every: float) -> Iterator[None]:
    """While this lasts, `look` every so many seconds, in a thread of its own: what cannot be looked
    at is looked at again, and ends nothing."""
    is_over = threading.Event()

    def go_on() -> None:
        while not is_over.wait(every):
            try:
                look()
            except (MigrationError, Interrupted) as error:
                get_logger().debug("What S9 keeps of its log is not known: %s", error)

    thread = threading.Thread(target=go_on, name="retained log", daemon=True)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()
