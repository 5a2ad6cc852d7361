"""One run at a time in a data directory, and what the second is told of the first."""

import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from utils.error_handler import MigrationError
from utils.run.lock import run_lock


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / ".lock"


@pytest.fixture
def held(path: Path) -> Iterator[None]:
    """The lock is held by a run that has not signed it."""
    with path.open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        yield


def refusal(path: Path) -> str:
    with pytest.raises(MigrationError, match="another run is at work") as refused, run_lock(path):
        pass
    return str(refused.value)


def test_the_second_is_told_which_process_holds_it(path: Path) -> None:
    with run_lock(path):
        assert f"(process {os.getpid()}, since 20" in refusal(path)
    with run_lock(path):
        pass


@pytest.mark.usefixtures("held")
@pytest.mark.parametrize("before", ["", "process 1, since 2026-01-30T08:00:00Z\n", "process 47"])
def test_it_waits_for_a_signature_that_is_on_its_way(
    path: Path, monkeypatch: pytest.MonkeyPatch, before: str
) -> None:
    path.write_text(before)
    monkeypatch.setattr(
        "utils.run.lock.time.sleep", lambda _: path.write_text("process 4711, since now\n")
    )
    assert "(process 4711, since now)" in refusal(path)


@pytest.mark.usefixtures("held")
@pytest.mark.parametrize("unfinished", ["", "process 47", "\n"])
def test_it_does_not_wait_for_ever(
    path: Path, monkeypatch: pytest.MonkeyPatch, unfinished: str
) -> None:
    path.write_text(unfinished)
    waited: list[float] = []
    monkeypatch.setattr("utils.run.lock.time.sleep", waited.append)
    assert "(an unnamed process)" in refusal(path)
    assert sum(waited) == pytest.approx(1)
