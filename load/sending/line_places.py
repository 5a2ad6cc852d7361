"""Where in the file the lines are that the requests for a batch have written: for the log of the
requests (load/history/request_log.py)."""

from __future__ import annotations

import time
from collections.abc import Sequence
from itertools import accumulate

from load.history.request_log import Kind, RequestLog, Stretch, Together
from utils.files.artifacts import starts_record

Answers = Sequence[tuple[Sequence[bytes], str, bool]]
"""As load.writing.batch_writer.Outcome has them."""


class SentTogether:
    """What becomes of consecutive lines of the file, from byte `place` on, that one thread sends:
    first what belongs to records, then what opens them, each in the order of the file.

    Nearly always all of them are sent and each request takes all that is in it: then it is noted
    how many lines each had, and nobody works out places. `sent` are the numbers of the lines that
    are to be sent, rising; `size` is that of all lines, in bytes.
    """

    def __init__(self, place: int, lines: Sequence[bytes], sent: Sequence[int], size: int) -> None:
        self._place = place
        self._lines = lines
        self._sent = sent
        self._end = place + size
        self._noted: list[tuple[bool, int, int, Answers]] = []

    def note(self, count: int, answers: Answers, *, opens: bool) -> None:
        """The next `count` lines of a sort have been dealt with, and these answers have come just
        now."""
        self._noted.append((opens, count, time.time_ns() // 1_000_000, answers))

    def tell(self, log: RequestLog) -> None:
        """Put into the log what was noted."""
        requests: list[Together] = []
        if len(self._sent) == len(self._lines):
            for opens, count, at, answers in self._noted:
                if len(answers) != 1 or len(answers[0][0]) != count or answers[0][2]:
                    break
                requests.append((opens, count, at, answers[0][1]))
        if len(requests) == len(self._noted):
            if requests:
                log.add_together((self._place, self._end), requests)
        else:
            self._tell_exactly(log)

    def _tell_exactly(self, log: RequestLog) -> None:
        edges = list(accumulate(map(len, self._lines), initial=self._place))
        sorts: dict[bool, list[int]] = {False: [], True: []}
        for number in self._sent:
            sorts[starts_record(self._lines[number])].append(number)
        gaps = {number: number - n for n, number in enumerate(self._sent)}  # lines left out before
        first = {False: 0, True: 0}
        for opens, count, at, answers in self._noted:
            batch = sorts[opens][first[opens] : first[opens] + count]
            first[opens] += count
            for written, request_id, conditional in answers:
                known = frozenset(written)
                chosen = [n for n in batch if self._lines[n].rstrip(b"\n") in known]
                kind = Kind.CONDITIONAL if conditional else Kind.BATCH
                stretches = _joined(chosen, batch, edges, gaps)
                log.add(kind, stretches, request_id, opens=opens, at=at)


def _joined(
    chosen: Sequence[int], batch: Sequence[int], edges: Sequence[int], gaps: dict[int, int]
) -> list[Stretch]:
    """The stretches of the file that hold some lines of a batch: one goes on where the next line
    that is written is the next of the batch, and all lines between the two are sent as well."""
    place = {number: n for n, number in enumerate(batch)}
    stretches: list[Stretch] = []
    last: int | None = None
    for number in chosen:
        start, end = edges[number], edges[number + 1]
        if last is not None and (place[number], gaps[number]) == (place[last] + 1, gaps[last]):
            stretches[-1] = (stretches[-1][0], end)
        else:
            stretches.append((start, end))
        last = number
    return stretches
