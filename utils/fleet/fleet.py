"""Machines that share a run's work, part by part: one interface, whoever they are.

An entity is cut into parts, each of which is worth a task of its own somewhere. A part is named and
read by whoever does it, what becomes of it is written beside what becomes of the others, and only
figures come back. A part may be done twice, or by two at the same time: what it leaves is the same
(utils/fleet/part_files.py).
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import Protocol, TypeVar

Part = TypeVar("Part")
Result = TypeVar("Result")

ITEMS_A_PART = 100_000


class Fleet(Protocol):
    """Does parts of work."""

    def start(self) -> None:
        """Be there, now and not when there is work. Raises MigrationError when it cannot be."""

    def each(
        self,
        function: Callable[[Part], Result],
        parts: Sequence[Part],
        *,
        at_most: int | None = None,
        pause: Callable[[], object] | None = None,
    ) -> Generator[tuple[int, Result], None, None]:
        """Yield the place of each part and `function(part)`, as they are done; `at_most` so many
        are done at the same time. `function`, parts and results survive pickling.

        A part of which `function` raises a BackOff, or whose machine is lost, is tried again. What
        else it raises is raised here, as soon as it is known. `pause` is called several times a
        second; what it raises ends the work, and so does closing the generator.
        """

    def close(self) -> None:
        """Let the machines go."""
