"""Jobs that mostly wait for DynamoDB, done by as many threads as it takes (load/in_flight.py)."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

from load.in_flight import InFlight
from load.pace import Answered
from utils.interrupt import Interrupted
from utils.session import AtWork

_AHEAD = 2  # jobs that are taken up for each one that is under way
Job = TypeVar("Job")
Result = TypeVar("Result")


class Crowd(Generic[Job, Result]):
    """Does jobs, at most `migration.workers` at once, and fewer where more do not do more."""

    def __init__(
        self,
        work: AtWork,
        do: Callable[[Job], Result],
        settle: Callable[[Job, Result], object],
        *,
        name: str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`do` does a job, in whatever thread; `settle` gets the results, one after the other, in
        the order of the jobs."""
        self._work = work
        self._do = do
        self._settle = settle
        self._name = name
        self._clock = clock
        self._flight = InFlight(work.config.migration.workers, clock=clock)
        self._under_way = 0
        self._changed = threading.Condition()

    def do_all(self, jobs: Iterable[Job]) -> None:
        """Do every job. Raises what `do` and `settle` raise, and Interrupted when a stop is asked
        for: nothing is under way any more then, and what has been done without a gap is settled."""
        waiting: deque[tuple[Job, Future[Result]]] = deque()
        with ThreadPoolExecutor(self._flight.most, thread_name_prefix=self._name) as pool:
            try:
                for job in jobs:
                    if self._work.stop.requested:
                        raise Interrupted
                    waiting.append((job, pool.submit(self._one, job)))
                    while len(waiting) >= _AHEAD * self._flight.number:
                        self._settle_first(waiting)
                while waiting:
                    self._settle_first(waiting)
            except BaseException:
                pool.shutdown(wait=True, cancel_futures=True)
                while waiting and _is_done(waiting[0][1]):
                    self._settle_first(waiting)
                raise

    def _settle_first(self, waiting: deque[tuple[Job, Future[Result]]]) -> None:
        job, result = waiting[0]
        self._settle(job, result.result())
        waiting.popleft()

    def _one(self, job: Job) -> Result:
        """Do a job when it is its turn."""
        with self._changed:
            while self._under_way >= self._flight.number:
                self._changed.wait()
            self._under_way += 1
        began = self._clock()
        try:
            result = self._do(job)
        except BaseException:
            self._over(Answered())
            raise
        self._over(Answered(1.0, 1, self._clock() - began))
        return result

    def _over(self, answered: Answered) -> None:
        with self._changed:
            self._under_way -= 1
            self._flight.heard(answered)
            self._flight.decide()
            self._changed.notify_all()


def _is_done(result: Future[Result]) -> bool:
    """Whether a job has come to its end, and that was none by an error."""
    return result.done() and not result.cancelled() and result.exception() is None
