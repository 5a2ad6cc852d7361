"""Who runs the pieces of a phase's pure work: one interface, whoever it is.

A phase names the pieces of its input (utils/files/pieces.py) and a function that makes something of
one of them. The function and what it returns survive pickling, and it needs nothing but the piece
and the files: so it may run in this process, in others of this machine (utils/processes/pool.py),
or wherever else the same files can be read.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from typing import Any, Protocol, TypeVar

from utils.processes.actors import undisturbed

Piece = TypeVar("Piece")
Result = TypeVar("Result")


class PiecesRunner(Protocol):
    """Runs pieces of work. Told of them before they come, it may start what takes a while."""

    @property
    def at_once(self) -> int:
        """How many pieces are worked on at the same time, if there are enough."""

    def shares(self, pieces: int) -> bool:
        """Whether so many pieces are shared out, so that it is worth it to `get_ready`."""

    def expect(self, pieces: int) -> None:
        """About so many pieces of work are to come, of a kind that is known already."""

    def get_ready(self, function: Callable[[Any], object]) -> None:
        """Pieces of this work are to come."""

    def in_order(
        self,
        function: Callable[[Piece], Result],
        pieces: Iterable[Piece],
        *,
        pause: Callable[[], object] | None = None,
        at_most: int | None = None,
    ) -> Generator[Result, None, None]:
        """Yield `function(piece)` of every piece, in their order, whoever did which; a few at a
        time are taken from `pieces`. `at_most` so many are done at the same time.

        What `function` raises is raised here at the piece's turn. `pause` is called several times
        a second while others are waited for; what it raises ends the work, and so does closing the
        generator. Raises MigrationError when whoever did the work is gone.
        """


class ThisProcess:
    """The runner that is always there: this process, which does one piece after the other."""

    at_once = 1

    def shares(self, pieces: int) -> bool:
        del pieces
        return False

    def expect(self, pieces: int) -> None:
        del pieces

    def get_ready(self, function: Callable[[Any], object]) -> None:
        del function

    def in_order(
        self,
        function: Callable[[Piece], Result],
        pieces: Iterable[Piece],
        *,
        pause: Callable[[], object] | None = None,
        at_most: int | None = None,
    ) -> Generator[Result, None, None]:
        """See PiecesRunner; nobody is waited for."""
        del pause, at_most
        for piece in pieces:
            yield undisturbed(function, piece)
