"""A table is scanned while S9 is read, which has no work for the processes that share it.

What is not the same in S9 and in the table is read again before it is said
(validate/verify/looks.py), so it does not matter that the table was read a little before S9. How
far the scan comes does not matter either: what is left is scanned in its turn, and when it fails,
all of it is.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field

from utils.processes.pieces_runner import PiecesRunner
from utils.telemetry.troubles import Troubles
from validate.verify.passes import TablePart

Segments = Sequence[int]
Scanned = tuple[TablePart, Troubles | None]


class _Abandoned(Exception):
    """Nobody wants it any more."""


@dataclass
class ScanAhead:
    """Scans pieces of a table, from a thread of its own, while the context lasts: `parts` are what
    it has scanned, in order, `left` the pieces that it has not. Nobody else may have work for the
    processes meanwhile. What `pause` raises, which is called several times a second, ends it."""

    runner: PiecesRunner
    work: Callable[[Segments], Scanned]
    left: deque[Segments]
    at_most: int
    pause: Callable[[], object]
    parts: list[Scanned] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._enough, self._abandoned = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._scan, name="scan-ahead", daemon=True)

    def __enter__(self) -> None:
        self.runner.get_ready(self.work)
        self._thread.start()

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        """What is under way is waited for, unless there is an error."""
        self._enough.set()
        if error is not None:
            self._abandoned.set()
        self._thread.join()

    def _scan(self) -> None:
        all_pieces = [*self.left]
        scanned = self.runner.in_order(
            self.work, self._pieces(), pause=self._leave, at_most=self.at_most
        )
        try:
            with closing(scanned):
                self.parts.extend(scanned)
        except Exception:  # it is told when the table is scanned in its turn
            self.parts, self.left = [], deque(all_pieces)

    def _pieces(self) -> Iterator[Segments]:
        while self.left and not self._enough.is_set():
            yield self.left.popleft()

    def _leave(self) -> None:
        if self._abandoned.is_set():
            raise _Abandoned
        self.pause()
