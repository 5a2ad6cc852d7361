"""Machines that share a run's work: one interface, whoever they are.

They run pieces, as the processes of one machine do (utils/processes/pieces_runner.py). And they do
parts: large pieces of an entity, each of which is worth a task of its own. What becomes of a part
is written beside what becomes of the others, and only figures come back. A piece or a part may be
done twice, or by two at the same time: what it leaves is the same (utils/fleet/part_files.py).
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Protocol, TypeVar

from utils.processes.pieces_runner import PiecesRunner

Part = TypeVar("Part")
Result = TypeVar("Result")

ITEMS_A_PART = 100_000


def dealt(parts: Sequence[Part], tasks: int) -> list[Sequence[Part]]:
    """Parts as so many tasks do them, one after the other: they are dealt out as cards are, because
    those that follow each other are alike large, and the largest come first."""
    return [parts[number::tasks] for number in range(min(tasks, len(parts)))]


class Fleet(PiecesRunner, Protocol):
    """Runs pieces, and does parts. What it is given survives pickling, and finds the same files
    wherever it runs: itself, or by asking this machine (utils/files/elsewhere.py)."""

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
        are done at the same time.

        A part of which `function` raises a BackOff, or whose machine is lost, is tried again. What
        else it raises is raised here, as soon as it is known. `pause` is called several times a
        second; what it raises ends the work, and so does closing the generator.
        """

    def begun(self, function: Callable[[Part], object], parts: Sequence[Part]) -> Underway:
        """Have work begun on parts, each of them at the same time as the others, which nobody waits
        for."""

    def beside(self, function: Callable[[Part], Result], parts: Sequence[Part]) -> Beside[Result]:
        """Have work begun on parts, beside whatever is done next; what it finds is asked for
        later."""

    @property
    def addresses(self) -> tuple[str, str]:
        """Where this machine can be called by the others: the address to listen at, and the one by
        which they know it."""

    @property
    def sees_files(self) -> bool:
        """Whether all machines see the run's files themselves."""

    def close(self) -> None:
        """Let the machines go."""


Found_co = TypeVar("Found_co", covariant=True)


class Beside(Protocol[Found_co]):
    """Work that has begun, and that somebody will ask for."""

    def results(self, pause: Callable[[], object] | None) -> Iterator[Found_co]:
        """What became of the parts, in their order. Raises as `Fleet.each` does; `pause` is as
        there."""

    def close(self) -> None:
        """End what is still at work."""


class Underway(Protocol):
    """Work that has begun."""

    def wait(self, seconds: float) -> None:
        """Wait for its end, at most for so long."""

    def close(self) -> None:
        """End it, whatever it is doing."""
