"""The way through a transformed file: lanes that begin far apart, each worked through in order.

In S9's order sales are nearly in the order of their dates, and an index partition holds a range of
dates (or of names) under one status or year. A loader that walks through the file from its
beginning to its end would send everything to one partition after another, each of which takes no
more than 1,000 write units a second. Lanes spread the writes over all of the file.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from load.writing.batch_writer import Outcome
from utils.files.parts import Content
from utils.files.pieces import record_end

LANES = 16
PIECE_BYTES = 1 << 20


@dataclass(frozen=True)
class Piece:
    """Whole records of a file: its bytes from `start` to `end`."""

    number: int
    start: int
    end: int


@dataclass
class _InHand:
    """A piece that is being sent: the first `size` bytes are done, and this became of them."""

    piece: Piece
    size: int = 0
    outcome: Outcome = field(default_factory=Outcome)


@dataclass
class _Lane:
    """Everything before `offset` is acknowledged, everything before `place` handed out."""

    offset: int
    end: int
    place: int
    in_hand: deque[_InHand] = field(default_factory=deque)


class FileLanes:
    """Hands out the pieces of a file, lane by lane in turn, and knows what is acknowledged.

    `ranges` are the lanes' bytes that are still to be done, from a checkpoint or `cut`.
    """

    def __init__(self, path: Path, ranges: Sequence[tuple[int, int]]) -> None:
        self._path = path
        self._lanes = [_Lane(start, end, start) for start, end in ranges]
        self._of_piece: dict[int, _Lane] = {}
        self._turn = deque(lane for lane in self._lanes if lane.place < lane.end)
        self._given = 0

    @classmethod
    def cut(cls, path: Path) -> FileLanes:
        """The lanes of a whole file; a small file has fewer."""
        with Content(path) as content:
            size = content.size
            count = max(1, min(LANES, size // PIECE_BYTES))
            cuts = [record_end(content, size * n // count, size) for n in range(1, count)]
        edges = sorted({0, *cuts, size})
        return cls(path, list(pairwise(edges)))

    @property
    def ranges(self) -> list[tuple[int, int]]:
        """What is not acknowledged yet."""
        return [(lane.offset, lane.end) for lane in self._lanes if lane.offset < lane.end]

    @property
    def left(self) -> int:
        """How many bytes are not acknowledged yet."""
        return sum(end - start for start, end in self.ranges)

    @property
    def not_given(self) -> list[tuple[int, int]]:
        """What has not been handed out."""
        return [(lane.place, lane.end) for lane in self._lanes if lane.place < lane.end]

    def rest_of(self, number: int, place: int) -> tuple[int, int]:
        """Which bytes of the file a piece in hand has from its byte `place` on."""
        in_hand = self._of_piece[number].in_hand
        piece = next(each.piece for each in in_hand if each.piece.number == number)
        return piece.start + place, piece.end

    def pieces(self) -> Iterator[Piece]:
        """Pieces to be sent, each from another lane than the one before it."""
        with Content(self._path) as content:
            while self._turn:
                lane = self._turn.popleft()
                end = record_end(content, lane.place + PIECE_BYTES - 1, lane.end)
                piece = Piece(self._given, lane.place, end)
                self._given += 1
                lane.in_hand.append(_InHand(piece))
                self._of_piece[piece.number] = lane
                lane.place = end
                if end < lane.end:
                    self._turn.append(lane)
                yield piece

    def acknowledge(self, number: int, place: int, size: int, outcome: Outcome) -> Outcome:
        """Of a piece the `size` bytes from its byte `place` on are done; returns what became of
        everything that is acknowledged by that.

        What comes after a gap in a lane waits for the gap, and what comes after one in a piece
        does not count: it will be sent again.
        """
        lane = self._of_piece[number]
        sent = next(each for each in lane.in_hand if each.piece.number == number)
        if sent.size != place:
            return Outcome()
        sent.size += size
        sent.outcome.add(outcome)
        acknowledged = Outcome()
        while lane.in_hand:
            first = lane.in_hand[0]
            acknowledged.add(first.outcome)
            first.outcome = Outcome()
            lane.offset = first.piece.start + first.size
            if lane.offset < first.piece.end:
                break
            lane.in_hand.popleft()
            del self._of_piece[first.piece.number]
        return acknowledged
