"""What `check` has found to be in the way, as obstacles."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from utils.checking.check import Check
from utils.error_handler import ExitCode
from utils.plan.verdict import Obstacle, Stage


def obstacles_of_checks(failed: Iterable[Check]) -> Iterator[Obstacle]:
    """The failed checks, in their order: causes come before what follows from them."""
    for place, each in enumerate(failed):
        yield Obstacle(
            Stage.TARGET,
            f"{each.name}: {each.found}",
            each.remedy,
            ExitCode.FAILED,
            rank=place,
        )
