"""A machine of a fleet that does not see the run's files says so, and does nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from utils.error_handler import StorageError
from utils.fleet.task import FAILED, Task
from utils.fleet.witness import Witness


def test_who_sees_the_file_goes_on(tmp_path: Path) -> None:
    witness = Witness.left_in(tmp_path / "data" / ".scratch")
    witness.require()
    witness.remove()
    assert list((tmp_path / "data" / ".scratch").iterdir()) == []


@pytest.mark.parametrize("there", ["nothing", "another"])
def test_who_sees_another_directory_of_that_name_is_named(tmp_path: Path, there: str) -> None:
    witness = Witness.left_in(tmp_path / "data" / ".scratch")
    if there == "nothing":
        witness.remove()
    else:
        witness.path.write_text("a word of somebody else's", encoding="utf-8")
    with pytest.raises(StorageError, match="does not see the files") as raised:
        witness.require()
    assert str(tmp_path / "data") in raised.value.message
    assert "file system that all machines of the fleet have" in raised.value.remedy


def test_a_task_there_does_nothing(tmp_path: Path) -> None:
    witness = Witness.left_in(tmp_path / "data" / ".scratch")
    witness.remove()
    done: list[int] = []
    [outcome] = Task.of(done.append, witness)([(3, 1)])
    assert (outcome.place, outcome.state, done) == (3, FAILED, [])
    with pytest.raises(StorageError):
        outcome.raised()
