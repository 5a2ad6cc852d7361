"""What a writer has sent and taken, told bit by bit: with each piece of work what it has since."""

from __future__ import annotations

from threading import Lock

from load.writing.conditional_writer import ConditionalWriter


class UnitsTold:
    """The requests and write units of a writer, as far as they have been told; safe to share
    between threads."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._told = 0, 0.0

    def since(self, writer: ConditionalWriter) -> tuple[int, float]:
        """Those that it has had since this was last asked."""
        with self._lock:
            (requests, units), self._told = self._told, (writer.requests, writer.units)
            return self._told[0] - requests, self._told[1] - units
