"""How long a step still takes, by how fast it has been.

What is to come is done at the rate of late: every part of the step so far counts, the less the
longer ago it was. How long ago is long grows with the step, so that a slow start is forgotten and a
rate that has changed counts before long; it is never less than some seconds, or each pause of
throttling would be taken for the end of all progress.
"""

from __future__ import annotations

from itertools import pairwise
from math import exp

_SHARE = 0.15  # of the step so far
_LEAST = 8.0  # seconds
_MOST_SAMPLES = 400
_PATIENCE = 5.0  # usual gaps between two reports after which silence counts as standstill
_LEAST_PATIENCE = 2.0  # seconds
_UNKNOWN_BEFORE = 0.5  # seconds


class Pace:
    """How far a step was at which moments; moments are seconds of whatever clock."""

    def __init__(self, at: float, done: int) -> None:
        """The step begins, or goes on where `done` says."""
        self._samples = [(at, done)]

    def reached(self, at: float, done: int) -> None:
        """So far it is at this moment."""
        last, before = self._samples[-1]
        if at <= last:
            self._samples[-1] = last, max(done, before)
            return
        if done == before and len(self._samples) > 1 and self._samples[-2][1] == done:
            self._samples.pop()  # two samples are enough to say that it does not move
        self._samples.append((at, done))
        if len(self._samples) > _MOST_SAMPLES:
            half = len(self._samples) // 2
            self._samples[1:half] = self._samples[1:half:2]

    def rate(self, now: float) -> float:
        """How much a second is done of late; 0 when nothing is."""
        until = self._until(now)
        span = max(_SHARE * (until - self._samples[0][0]), _LEAST)
        done = weight = 0.0
        for (since, before), (at, reached) in pairwise([*self._samples, (until, self._done)]):
            # The weight of a moment falls by e with each span that it lies back.
            share = exp((at - until) / span) - exp((since - until) / span)
            if at > since:
                done += (reached - before) / (at - since) * share
                weight += share
        return done / weight if weight else 0.0

    def left(self, now: float, total: int | None) -> float | None:
        """The seconds until `total` is reached; None when nobody can say."""
        if total is None:
            return None
        rest = total - self._done
        if rest <= 0:
            return 0.0
        until, last = self._until(now), self._samples[-1][0]
        if until - self._samples[0][0] < _UNKNOWN_BEFORE or now - last > 3 * self._patience:
            return None
        rate = self.rate(now)
        return max(rest / rate - (now - until), 0.0) if rate > 0 else None

    @property
    def _done(self) -> int:
        return self._samples[-1][1]

    def _until(self, now: float) -> float:
        """The end of what is known: the last report, unless there has been none for so long that
        the silence says something itself."""
        last = self._samples[-1][0]
        return last if now - last <= self._patience else now

    @property
    def _patience(self) -> float:
        """How long there may be no report, by how long it has taken from one to the next."""
        usual = (self._samples[-1][0] - self._samples[0][0]) / max(len(self._samples) - 1, 1)
        return max(_PATIENCE * usual, _LEAST_PATIENCE)
