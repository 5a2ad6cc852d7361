"""Positions in PostgreSQL's log, and numbers of transactions in what a snapshot sees."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

_HALF = 1 << 31
_CIRCLE = 1 << 32


def position_of(text: str) -> int:
    """A position as PostgreSQL writes it (16/B374D848). Raises ValueError."""
    high, _, low = text.partition("/")
    return (int(high, 16) << 32) + int(low, 16)


def position_text(position: int) -> str:
    """A position as PostgreSQL writes it."""
    return f"{position >> 32:X}/{position & 0xFFFFFFFF:X}"


@dataclass(frozen=True)
class Visible:
    """What a snapshot sees: every transaction before `end` that was not running then."""

    end: int
    running: frozenset[int]
    text: str = ""

    @classmethod
    def of(cls, text: str) -> Visible:
        """From the server's words, which stay as `text`: first:end:running,running."""
        _, end, running = text.split(":")
        return cls(int(end), frozenset(map(int, filter(None, running.split(",")))), text)

    def covers(self, other: Visible) -> bool:
        """Whether it sees whatever the other one sees."""
        older = {xid for xid in self.running if xid < other.end}
        return self.end >= other.end and older <= other.running

    def sees(self, xid: int) -> bool:
        """Whether it sees a committed transaction, by the low 32 bits of its number: it is the one
        that is nearest to this snapshot's own."""
        whole = self.end + ((xid - self.end + _HALF) % _CIRCLE) - _HALF
        return whole < self.end and whole not in self.running

    def unseen(self, xids: Iterable[int]) -> list[int]:
        """Those that it does not see."""
        return [xid for xid in xids if not self.sees(xid)]
