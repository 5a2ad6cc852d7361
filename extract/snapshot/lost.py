"""S9 is lost while it is read: what has happened, in words, and trying again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from utils.dynamodb.backoff import Attempts, RetryPolicy
from utils.error_handler import BackOff, SourceUnavailable
from utils.logger import get_logger
from utils.run.run import Run

_CONNECTION = (
    "the connection to S9 was lost",
    "and could not be opened again",
    "when S9 answers again, run",
)
_TABLES = {  # by the reason of a BackOff
    "TableLocked": (
        "a table of S9's is locked",
        "and stays so",
        "when whoever changes the table is done, run",
    ),
    "TableRewritten": (
        "a table of S9's was changed after the snapshot was taken",
        "again and again",
        "when whoever changes the table is done, run",
    ),
}

Result = TypeVar("Result")


@dataclass
class Losses:
    """How often in a row S9 has been lost while it was read, with a wait after each, as the
    configuration has them. `then` is what is typed to go on after the last."""

    run: Run
    then: str
    _attempts: Attempts = field(init=False)

    def __post_init__(self) -> None:
        self.begin_anew()

    def begin_anew(self) -> None:
        """There was a step forward: what was lost before does not count any more."""
        self._attempts = Attempts(RetryPolicy.of(self.run.config.migration, self.run.stop.sleep))

    def count(self, lost: BackOff | SourceUnavailable) -> None:
        """Tell of one more, and wait. Raises SourceUnavailable when it was the last."""
        reason = lost.reason if isinstance(lost, BackOff) else "SourceUnavailable"
        happened, further, remedy = _TABLES.get(reason, _CONNECTION)
        if not self._attempts.fail():
            raise SourceUnavailable(
                f"{happened}, {further}: {lost}", remedy=f"{remedy}: {self.then}"
            ) from lost
        self.run.progress.retried(reason)
        said = happened[0].upper() + happened[1:]
        get_logger().warning("%s (%s), trying again", said, lost)
        self._attempts.wait()


def read_in_spite_of_losses(run: Run, read: Callable[[], Result], then: str) -> Result:
    """What `read` returns, which opens S9 and is begun again from there when S9 is lost on the way.
    An S9 that does not answer at all is told at once.

    Raises SourceUnavailable when it stays away or cannot be read; what else `read` raises.
    """
    losses, was_there = Losses(run, then), False
    while True:
        try:
            return read()
        except BackOff as lost:
            was_there = True
            losses.count(lost)
        except SourceUnavailable as away:
            if not was_there:
                raise
            losses.count(away)
