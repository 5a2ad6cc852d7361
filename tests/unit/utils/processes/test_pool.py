"""Processes that share the work: order, errors, and how they end."""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from utils.error_handler import ArtifactError, MigrationError
from utils.interrupt import Interrupted
from utils.processes.pieces_runner import PiecesRunner, ThisProcess
from utils.processes.pool import Workers


def slower_first(number: int) -> tuple[int, int]:
    time.sleep(0.02 if number % 3 == 0 else 0)
    return number * number, os.getpid()


def doubled(data: bytes) -> bytes:
    return data + data


def refuses_seven(number: int) -> int:
    if number == 7:
        raise ArtifactError("seven is not there", remedy="look for it")
    return number


def dies_of_seven(number: int) -> int:
    if number == 7:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def note_and_wait(directory: str) -> None:
    (Path(directory) / str(os.getpid())).touch()
    time.sleep(60)


@pytest.fixture
def workers() -> Iterator[Workers]:
    with Workers(2) as pool:
        yield pool


@pytest.fixture(params=["processes", "this process"])
def runner(request: pytest.FixtureRequest) -> Iterator[PiecesRunner]:
    if request.param == "this process":
        yield ThisProcess()
        return
    with Workers(2) as pool:
        yield pool


def test_results_come_in_the_order_of_the_work_from_several_processes(workers: Workers) -> None:
    results = list(workers.in_order(slower_first, range(40)))
    assert [square for square, _ in results] == [number * number for number in range(40)]
    assert len({process for _, process in results} - {os.getpid()}) == 2
    some = list(workers.in_order(slower_first, range(8), at_most=1))
    assert [square for square, _ in some] == [number * number for number in range(8)]
    assert len({process for _, process in some}) == 1


def test_large_pieces_and_large_results_do_not_block_each_other(workers: Workers) -> None:
    pieces = [bytes([number]) * 3_000_000 for number in range(12)]
    assert list(workers.in_order(doubled, pieces)) == [piece + piece for piece in pieces]


def test_the_processes_serve_one_function_after_another(workers: Workers) -> None:
    first = {process for _, process in workers.in_order(slower_first, range(10))}
    assert list(workers.in_order(refuses_seven, range(6))) == list(range(6))
    assert {process for _, process in workers.in_order(slower_first, range(10))} <= first


def test_little_work_is_done_here(workers: Workers) -> None:
    assert {process for _, process in workers.in_order(slower_first, range(3))} == {os.getpid()}


def test_an_error_is_raised_at_its_turn_as_it_was(runner: PiecesRunner) -> None:
    seen = []
    with pytest.raises(ArtifactError, match="seven is not there") as raised:
        for number in runner.in_order(refuses_seven, range(20)):
            seen.append(number)
    assert seen == list(range(7))
    assert raised.value.remedy == "look for it"
    assert list(runner.in_order(refuses_seven, range(5))) == list(range(5))


def test_a_killed_process_is_an_error_with_a_remedy(workers: Workers) -> None:
    with pytest.raises(MigrationError, match=r"ended \(code -9\)") as raised:
        list(workers.in_order(dies_of_seven, range(20)))
    assert "--resume" in raised.value.remedy


def test_work_that_is_not_waited_for_ends_with_the_loop(workers: Workers, tmp_path: Path) -> None:
    results = workers.in_order(slower_first, range(100))
    next(results)
    results.close()
    assert list(workers.in_order(refuses_seven, range(5))) == list(range(5))


def test_the_processes_end_when_the_one_that_asks_is_killed(tmp_path: Path) -> None:
    asking = os.fork()
    if asking == 0:
        with Workers(2) as pool:
            list(pool.in_order(note_and_wait, [str(tmp_path)] * 8))
        os._exit(0)
    deadline = time.monotonic() + 20
    while len(noted := list(tmp_path.iterdir())) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert len(noted) == 2
    os.kill(asking, signal.SIGKILL)
    os.waitpid(asking, 0)
    for path in noted:
        while Path(f"/proc/{path.name}").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not Path(f"/proc/{path.name}").exists()


def collects_garbage(_: int) -> bool:
    return gc.isenabled()


def test_the_garbage_collector_keeps_out_of_the_work_and_comes_back(runner: PiecesRunner) -> None:
    for few_or_many in (1, 20):
        assert not any(runner.in_order(collects_garbage, range(few_or_many)))
    assert gc.isenabled()


def test_processes_that_were_started_before_do_the_work_that_comes(workers: Workers) -> None:
    workers.get_ready(refuses_seven)
    ready = {process.pid for process in multiprocessing.active_children()}
    assert len(ready) == workers.count
    assert {process for _, process in workers.in_order(slower_first, range(10))} <= ready


def has_imported(module: str) -> bool:
    return module in sys.modules


def test_processes_for_work_that_is_expected_have_imported_what_it_needs() -> None:
    with Workers(2, ["wave", "this"]) as workers:
        workers.expect(8)
        assert len(workers._started) == 2
        assert all(workers.in_order(has_imported, ["wave", "this"] * 4))
    with Workers(2) as others:
        assert not any(others.in_order(has_imported, ["wave", "this"] * 4))


@pytest.mark.parametrize(
    ("workers", "pieces"),
    [(Workers(2, ["wave"]), 3), (Workers(1, ["wave"]), 8), (Workers(2), 8)],
    ids=["little work", "one process", "unknown work"],
)
def test_no_process_is_started_for_work_that_will_not_be_shared(
    workers: Workers, pieces: int
) -> None:
    with workers:
        workers.expect(pieces)
        assert workers._started == []


def test_what_is_raised_while_processes_are_waited_for_ends_their_work(
    workers: Workers, tmp_path: Path
) -> None:
    def pause() -> None:
        raise Interrupted

    with pytest.raises(Interrupted):
        list(workers.in_order(note_and_wait, [str(tmp_path)] * 8, pause=pause))
    assert workers._started == []
