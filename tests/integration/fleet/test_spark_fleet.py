"""Spark as the fleet, on two cores of this machine: what it does with parts that fail, in whatever
way."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.support.fleet.spark import require_spark
from utils.config import EngineConfig
from utils.dynamodb.backoff import RetryPolicy
from utils.error_handler import BackOff, MigrationError, SourceError
from utils.fleet.engines import fleet_of
from utils.fleet.fleet import Fleet
from utils.interrupt import Interrupted

MASTER = "local[2,4]"


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    require_spark()
    directory = tmp_path_factory.mktemp("spark")
    policy = RetryPolicy(3, 0.01)
    made = fleet_of(
        EngineConfig(type="spark", master=MASTER),
        policy,
        directory / "spark.log",
        directory / "data" / ".scratch",
    )
    assert made is not None
    yield made
    made.close()


def test_each_part_is_done_and_told(fleet: Fleet) -> None:
    assert dict(fleet.each(_squared, [3, 1, 2])) == {0: 9, 1: 1, 2: 4}


def test_a_part_is_told_of_when_it_is_done_and_not_when_all_are(
    fleet: Fleet, tmp_path: Path
) -> None:
    told = fleet.each(partial(_waiting_for, tmp_path / "go"), [0.0, 1.0])
    assert next(told) == (0, 0.0)
    (tmp_path / "go").touch()
    assert list(told) == [(1, 1.0)]


def test_so_many_at_the_same_time(fleet: Fleet, tmp_path: Path) -> None:
    most = dict(fleet.each(partial(_counting, tmp_path), [0, 1, 2], at_most=1)).values()
    assert set(most) == {1}


def test_what_passes_is_tried_again(fleet: Fleet, tmp_path: Path) -> None:
    work = partial(_failing_once, tmp_path, "back off")
    assert dict(fleet.each(work, [1, 2])) == {0: 1, 1: 2}


def test_what_does_not_pass_is_raised_as_it_is(fleet: Fleet) -> None:
    with pytest.raises(BackOff, match="busy"):
        list(fleet.each(_always_busy, [1, 2]))


def test_an_error_of_the_tool_is_raised_at_once_with_its_remedy(
    fleet: Fleet, tmp_path: Path
) -> None:
    with pytest.raises(SourceError) as raised:
        list(fleet.each(partial(_refusing, tmp_path), [1]))
    assert raised.value.remedy == "give it back"
    assert (tmp_path / "tried").read_text(encoding="utf-8") == "x"


@pytest.mark.parametrize("how", ["killed", "exception"])
def test_a_task_that_is_lost_is_done_by_another(fleet: Fleet, tmp_path: Path, how: str) -> None:
    assert dict(fleet.each(partial(_failing_once, tmp_path, how), [1, 2, 3])) == {0: 1, 1: 2, 2: 3}


def test_a_task_that_is_lost_again_and_again_is_given_up(fleet: Fleet) -> None:
    with pytest.raises(MigrationError, match="Spark has given up on a step") as raised:
        list(fleet.each(_dying, [1, 2]))
    assert "spark.log" in raised.value.remedy


def test_a_stop_ends_what_is_running(fleet: Fleet) -> None:
    started = time.monotonic()
    with pytest.raises(Interrupted):
        list(fleet.each(_sleeping, [60, 60, 60], pause=_stop))
    assert time.monotonic() - started < 30
    assert dict(fleet.each(_squared, [2])) == {0: 4}


def test_pieces_come_in_their_order_whatever_they_are(fleet: Fleet) -> None:
    pieces = list(range(40))
    assert list(fleet.in_order(_squared, pieces)) == [n * n for n in pieces]
    assert list(fleet.in_order(_squared, pieces[:3])) == [0, 1, 4]


def test_a_piece_that_fails_once_keeps_its_place(fleet: Fleet, tmp_path: Path) -> None:
    work = partial(_failing_once, tmp_path, "back off")
    assert list(fleet.in_order(work, range(1, 20))) == list(range(1, 20))


def test_whoever_takes_no_more_pieces_ends_the_work(fleet: Fleet) -> None:
    taken = fleet.in_order(_squared, range(1_000))
    assert next(taken) == 0
    taken.close()
    assert dict(fleet.each(_squared, [2])) == {0: 4}


def _squared(part: int) -> int:
    return part * part


def _waiting_for(path: Path, part: float) -> float:
    while part and not path.exists():
        time.sleep(0.05)
    return part


def _counting(directory: Path, part: int) -> int:
    mine = directory / str(part)
    mine.touch()
    time.sleep(0.2)
    at_work = len(list(directory.iterdir()))
    mine.unlink()
    return at_work


def _failing_once(directory: Path, how: str, part: int) -> int:
    try:
        (directory / str(part)).touch(exist_ok=False)
    except FileExistsError:
        return part
    if how == "back off":
        raise BackOff("busy")
    if how == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    raise RuntimeError(how)


def _always_busy(part: int) -> int:
    raise BackOff("busy", str(part))


def _refusing(directory: Path, part: int) -> int:
    with (directory / "tried").open("a", encoding="utf-8") as file:
        file.write("x")
    raise SourceError(f"S9 refuses {part}", remedy="give it back")


def _dying(part: int) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return part


def _sleeping(part: int) -> int:
    time.sleep(part)
    return part


def _stop() -> None:
    raise Interrupted
