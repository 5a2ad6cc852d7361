"""Where in the file the lines are that a request has written: for the log of the requests
(load/history/request_log.py)."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from itertools import accumulate

from load.history.request_log import Stretch
from load.writing.batches import batches
from utils.files.artifacts import starts_record


class SortedLines:
    """What is to be sent of consecutive lines of the file, by sort: what belongs to records, and
    what `opens` them."""

    def __init__(self, place: int, lines: Sequence[bytes], sent: Sequence[int]) -> None:
        """The first of `lines` begins at byte `place`; `sent` are the numbers of those to be sent,
        rising."""
        self._edges = list(accumulate(map(len, lines), initial=place))
        self._is_whole = len(sent) == len(lines)
        self._numbers: tuple[list[int], list[int]] = ([], [])
        self._lines: tuple[list[bytes], list[bytes]] = ([], [])
        for number in sent:
            line = lines[number]
            opens = starts_record(line)
            self._numbers[opens].append(number)
            self._lines[opens].append(line)

    def batches(self, size: int) -> Iterator[tuple[bool, int, list[bytes]]]:
        """In the order in which they are sent, batches of at most `size` lines of one sort: whether
        they open records, which of their sort the first of them is, and the lines."""
        for opens in (False, True):
            first = 0
            for lines in batches(self._lines[opens], size):
                yield opens, first, lines
                first += len(lines)

    def stretches(
        self, first: int, lines: Sequence[bytes], written: Collection[bytes], *, opens: bool
    ) -> list[Stretch]:
        """The stretches of the file that hold those of a batch's lines that were `written` (without
        their line breaks), and no others of their sort."""
        numbers = self._numbers[opens]
        if len(written) == len(lines):
            chosen = numbers[first : first + len(lines)]
            if self._is_whole:
                return [(self._edges[chosen[0]], self._edges[chosen[-1] + 1])]
        else:
            known = frozenset(written)
            chosen = [
                numbers[first + n] for n, line in enumerate(lines) if line.rstrip(b"\n") in known
            ]
        return self._joined(chosen, numbers)

    def _joined(self, chosen: Sequence[int], sort: Sequence[int]) -> list[Stretch]:
        """The stretches of some lines of a sort: one goes on where the next line that is written is
        the next of its sort, and all lines between the two are sent as well."""
        place = {number: n for n, number in enumerate(sort)}
        sent = sorted((*self._numbers[0], *self._numbers[1]))
        gaps = {number: number - n for n, number in enumerate(sent)}  # lines before, left out
        stretches: list[Stretch] = []
        last: int | None = None
        for number in chosen:
            start, end = self._edges[number], self._edges[number + 1]
            if last is not None and (place[number], gaps[number]) == (place[last] + 1, gaps[last]):
                stretches[-1] = (stretches[-1][0], end)
            else:
                stretches.append((start, end))
            last = number
        return stretches
