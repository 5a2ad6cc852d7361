"""Jobs that processes share: all of them once, settled in order, whatever goes wrong where."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from load.sending.job_pool import WORTH_IT, JobPool, Share
from utils.config import Config, MigrationConfig
from utils.error_handler import MigrationError
from utils.interrupt import Interrupted, StopFlag
from utils.processes.pool import Workers
from utils.telemetry.tasks import Tasks

JOBS = 60


class Broken(Exception):
    pass


@dataclass(frozen=True)
class Noting:
    """Doubles numbers, notes in a directory which process has done which, and in a file of its own
    that it was closed. Job `bad` fails."""

    directory: Path
    bad: int = -1
    seconds: float = 0.002

    @contextmanager
    def opened(self, stop: StopFlag, share: Share) -> Iterator[Callable[[int], int]]:
        del stop

        def do(job: int) -> int:
            if job == self.bad:
                raise Broken(f"job {job}")
            time.sleep(self.seconds)
            (self.directory / f"{job}").write_text(str(os.getpid()))
            return 2 * job

        yield do
        (self.directory / f"closed-{os.getpid()}").write_text(f"{share.jobs} {share.width}")

    @property
    def done(self) -> dict[int, int]:
        """Which process has done which job."""
        found = (path for path in self.directory.iterdir() if path.name.isdigit())
        texts = {int(path.name): path.read_text() for path in found}
        return {job: int(text) for job, text in texts.items() if text}  # not being written


@dataclass
class AtWork:
    """As much of a run as a crowd looks at."""

    workers: Workers
    most: int | None = None
    stop: StopFlag = field(default_factory=StopFlag)
    progress: Tasks = field(default_factory=Tasks)

    @property
    def config(self) -> Config:
        return Config(migration=MigrationConfig(workers=self.most))


@pytest.fixture(scope="module")
def two() -> Iterator[Workers]:
    with Workers(2) as workers:
        yield workers


def pool(
    work: Noting, two: Workers, settled: list[int], at_work: AtWork | None = None
) -> JobPool[int, int]:
    def settle(job: int, result: int) -> None:
        assert result == 2 * job
        settled.append(job)

    return JobPool(at_work or AtWork(two), work, settle, size=WORTH_IT)  # type: ignore[arg-type] # it needs no more of a run


def test_all_jobs_are_done_once_by_all_processes_and_settled_in_order(
    two: Workers, tmp_path: Path
) -> None:
    work, settled = Noting(tmp_path, seconds=0.02), list[int]()
    pool(work, two, settled).do_all(range(JOBS))
    assert settled == list(range(JOBS))
    assert sorted(work.done) == settled
    assert len(set(work.done.values())) == 2
    assert len(list(tmp_path.glob("closed-*"))) == 2
    assert os.getpid() in work.done.values()


def test_a_little_work_is_done_here(two: Workers, tmp_path: Path) -> None:
    settled: list[int] = []

    def settle(job: int, _: int) -> None:
        settled.append(job)

    work = Noting(tmp_path)
    JobPool(AtWork(two), work, settle, size=WORTH_IT - 1).do_all(range(JOBS))  # type: ignore[arg-type]
    assert settled == list(range(JOBS))
    assert set(work.done.values()) == {os.getpid()}


@pytest.mark.parametrize("bad", [0, 7, JOBS - 1])
def test_what_a_job_raises_is_raised_at_its_turn_and_nothing_goes_on(
    two: Workers, tmp_path: Path, bad: int
) -> None:
    work, settled = Noting(tmp_path, bad=bad), list[int]()
    with pytest.raises(Broken, match=f"job {bad}"):
        pool(work, two, settled).do_all(range(JOBS))
    assert settled == list(range(bad))
    done = work.done
    time.sleep(0.05)
    assert work.done == done, "a job was under way behind our back"


def test_what_settling_raises_ends_it_and_no_later_result_is_settled(
    two: Workers, tmp_path: Path
) -> None:
    settled: list[int] = []

    def settle(job: int, _: int) -> None:
        settled.append(job)
        if job == 5:
            raise Broken("the disk is full")

    with pytest.raises(Broken, match="full"):
        JobPool(AtWork(two), Noting(tmp_path), settle, size=WORTH_IT).do_all(range(JOBS))  # type: ignore[arg-type]
    assert settled == list(range(6))


def test_what_the_jobs_themselves_raise_lets_those_end_that_are_under_way(
    two: Workers, tmp_path: Path
) -> None:
    def jobs() -> Iterator[int]:
        yield from range(10)
        raise Broken("the file is gone")

    work, settled = Noting(tmp_path), list[int]()
    with pytest.raises(Broken, match="gone"):
        pool(work, two, settled).do_all(jobs())
    assert settled == sorted(settled)
    assert set(settled) <= set(work.done)


def test_a_stop_lets_what_is_under_way_end_and_settles_it(two: Workers, tmp_path: Path) -> None:
    work, settled, at_work = Noting(tmp_path, seconds=0.02), list[int](), AtWork(two)

    def jobs() -> Iterator[int]:
        for job in range(10_000):
            if job == 30:
                at_work.stop.request()
            yield job

    with pytest.raises(Interrupted):
        pool(work, two, settled, at_work).do_all(jobs())
    done = work.done
    assert settled == list(range(len(settled)))
    assert len(done) < 100
    time.sleep(0.1)
    assert work.done == done


def test_a_killed_process_is_told_and_what_was_done_before_is_settled(tmp_path: Path) -> None:
    work, settled = Noting(tmp_path, seconds=0.01), list[int]()

    def jobs() -> Iterator[int]:
        for job in range(10_000):
            others = set(work.done.values()) - {os.getpid()}
            if job > 20 and others:
                with suppress(ProcessLookupError):  # once is enough
                    os.kill(others.pop(), signal.SIGKILL)
            yield job

    with Workers(2) as workers, pytest.raises(MigrationError, match="share the work ended"):
        pool(work, workers, settled).do_all(jobs())
    assert settled == list(range(len(settled)))
    assert set(settled) <= set(work.done)


@pytest.mark.parametrize(
    ("workers", "processes", "share"),
    [
        (None, 2, Share(4, 64)),
        (1, 1, Share(1, 1)),
        (4, 2, Share(1, 2)),
        (65, 1, Share(1, 64)),
        (128, 2, Share(1, 64)),
        (128, 1, Share(2, 64)),
    ],
)
def test_requests_under_way_are_no_more_than_what_is_allowed(
    workers: int | None, processes: int, share: Share
) -> None:
    assert Share.of(workers, processes) == replace(share, processes=processes)


@pytest.mark.parametrize(
    ("workers", "processes", "jobs"), [(None, 2, 64), (None, 1, 128), (3, 2, 1), (40, 4, 10)]
)
def test_jobs_of_one_request_each_are_as_many_as_requests_may_be(
    workers: int | None, processes: int, jobs: int
) -> None:
    assert Share.of(workers, processes, wide=False) == Share(jobs, 1, processes)


def test_processes_keep_to_a_rate_together() -> None:
    limited = Share(processes=3).in_rate(MigrationConfig(max_write_units=100))
    assert limited.max_write_units == 33
    assert Share(processes=3).in_rate(MigrationConfig()).max_write_units is None


@dataclass(frozen=True)
class Counting:
    """Finds the most jobs that are under way at once."""

    found: list[int]

    @contextmanager
    def opened(self, stop: StopFlag, share: Share) -> Iterator[Callable[[int], int]]:
        del stop, share
        under_way, lock = 0, threading.Lock()

        def do(job: int) -> int:
            nonlocal under_way
            with lock:
                under_way += 1
                self.found.append(under_way)
            time.sleep(0.001)
            with lock:
                under_way -= 1
            return job

        yield do


def test_one_request_is_one_at_a_time(two: Workers) -> None:
    done: list[int] = []
    counting = Counting([])

    def settle(job: int, _: int) -> None:
        done.append(job)

    JobPool(AtWork(two, most=1), counting, settle, size=WORTH_IT, wide=False).do_all(range(20))  # type: ignore[arg-type]
    assert done == list(range(20))
    assert set(counting.found) == {1}
