"""A machine of a fleet that does not see the run's files asks the first one for what is in them;
one that cannot do that either says so, and does nothing."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from utils.error_handler import StorageError
from utils.files.elsewhere import are_here, bind, brought, range_of
from utils.fleet.machines.file_service import FileService, FirstMachineSilent
from utils.fleet.machines.task import AGAIN, DONE, FAILED, Outcome, Task
from utils.fleet.machines.witness import Witness

_HERE = ("127.0.0.1", "127.0.0.1")


@pytest.fixture(autouse=True)
def _back_at_the_files() -> Iterator[None]:
    yield
    bind(None)


@pytest.fixture
def witness(tmp_path: Path) -> Witness:
    return Witness.left_in(tmp_path / "data" / ".scratch")


def elsewhere(witness: Witness) -> Witness:
    """The witness of a machine where that path leads to nothing."""
    return replace(witness, path=witness.path.with_name("other"))


def test_who_sees_the_file_goes_on(witness: Witness) -> None:
    witness.find_files()
    assert are_here()
    witness.remove()
    assert list(witness.path.parent.iterdir()) == []


@pytest.mark.parametrize("there", ["nothing", "another"])
def test_who_sees_another_directory_of_that_name_is_named(witness: Witness, there: str) -> None:
    if there == "nothing":
        witness.remove()
    else:
        witness.path.write_text("a word of somebody else's", encoding="utf-8")
    with pytest.raises(StorageError, match="does not see the files") as raised:
        witness.find_files()
    assert str(witness.path.parents[1]) in raised.value.message
    assert "file system that all machines of the fleet have" in raised.value.remedy


def test_a_task_there_does_nothing(witness: Witness) -> None:
    witness.remove()
    done: list[int] = []
    [outcome] = Task.of(done.append, witness)([(3, 1)])
    assert (outcome.place, outcome.state, done) == (3, FAILED, [])
    with pytest.raises(StorageError):
        outcome.raised()


def test_who_does_not_see_it_asks(witness: Witness) -> None:
    beside = witness.path.with_name("sales.json")
    beside.write_bytes(b"0123456789")
    other = multiprocessing.get_context("spawn")
    with FileService(_HERE) as service, ProcessPoolExecutor(1, other) as machine:
        task = Task.of(range_in, witness.asking(service.at))
        [outcome] = machine.submit(done_blindly, task, beside).result()
    assert (outcome.state, outcome.value) == (DONE, (False, b"345"))


def test_who_needs_a_file_by_its_path_gets_a_copy(witness: Witness) -> None:
    beside = witness.path.with_name("authority.pem")
    beside.write_bytes(b"certificate")
    other = multiprocessing.get_context("spawn")
    with FileService(_HERE) as service, ProcessPoolExecutor(1, other) as machine:
        task = Task.of(copied, witness.asking(service.at))
        [outcome] = machine.submit(done_blindly, task, beside).result()
    place, content = outcome.value
    assert content == b"certificate"
    assert place != str(beside)
    assert not Path(place).exists()


def copied(path: Path) -> tuple[str, bytes]:
    """Where a file is, and what is in it."""
    with brought(None) as nothing, brought(str(path)) as place:
        assert nothing is None
        assert place is not None
        return place, Path(place).read_bytes()


def done_blindly(task: Task, path: Path) -> list[Outcome]:
    """What a machine makes of a task that does not see the files."""
    setattr(Witness, "_is_here", lambda _: False)  # noqa: B010
    return list(task([(0, path)]))


def range_in(path: Path) -> tuple[bool, bytes]:
    """What a task finds: whether it sees the files, and a range of one."""
    return are_here(), range_of(path, 3, 3)


def test_a_first_machine_that_is_gone_is_asked_again_later(
    witness: Witness, monkeypatch: pytest.MonkeyPatch
) -> None:
    with FileService(_HERE) as service:
        there = service.at
    monkeypatch.setattr(Witness, "_is_here", lambda _: False)
    [outcome] = Task.of(range_in, witness.asking(there))([(0, witness.path)])
    assert outcome.state == AGAIN
    assert isinstance(outcome.raised(), FirstMachineSilent)


def test_the_first_machine_of_another_run_is_none(witness: Witness) -> None:
    with FileService(_HERE) as service:
        other = replace(service.at, key=b"of another run")
        with pytest.raises(FirstMachineSilent):
            elsewhere(witness).asking(other).find_files()


def test_a_first_machine_that_has_not_these_files_is_told(witness: Witness) -> None:
    with FileService(_HERE) as service:
        away = elsewhere(witness).asking(service.at)
        with pytest.raises(StorageError, match="other"):
            away.find_files()
