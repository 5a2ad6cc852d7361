"""A disk that is full, files that may not grow, and who may read what is written."""

from __future__ import annotations

import os
import resource
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import S9Database
from tests.support.operators.operator import Operator, small_trade


@pytest.fixture
def small_disk(operator: Operator) -> Iterator[Operator]:
    """An operator whose data directory is a disk of its own, of 4 MB."""
    operator.data.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(operator.data)]
    mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.strip()}")
    yield operator
    subprocess.run(["umount", "--lazy", str(operator.data)], check=True)


def test_a_disk_that_is_full_from_the_start_is_told(small_disk: Operator) -> None:
    fill(small_disk.data, leave=0)
    small_disk.run("--full").failed(1, "no space left on the disk", "free some space")


def test_a_disk_that_fills_up_stops_the_run_and_when_it_is_freed_the_run_goes_on(
    small_disk: Operator, finished: Operator
) -> None:
    small_disk.configure(migration={"validateAfterLoad": False})
    ballast = fill(small_disk.data, leave=60 << 10)
    small_disk.run("--full").failed(1, "no space left on the disk", "extracted", "--resume")
    ballast.unlink()
    small_disk.run("--resume").ended(5)
    assert small_disk.files() == finished.files()


def test_every_phase_survives_a_full_disk(small_disk: Operator, finished: Operator) -> None:
    for phase, code in (("extract", 0), ("transform", 5), ("validate", 5), ("load", 5)):
        ballast = fill(small_disk.data, leave=0 if phase == "load" else 60 << 10)
        small_disk.run("--phase", phase).failed(1, "no space left on the disk")
        ballast.unlink()
        small_disk.run("--phase", phase).ended(code)
    assert small_disk.files() == finished.files()


def fill(disk: Path, *, leave: int) -> Path:
    """Use a disk up to `leave` bytes; returns the file to be deleted."""
    ballast = disk / "ballast"
    room = os.statvfs(disk)
    ballast.write_bytes(b"\0" * (room.f_bavail * room.f_frsize - leave))
    return ballast


def test_a_file_that_may_not_grow_stops_the_run_with_a_remedy(
    operator: Operator, finished: Operator
) -> None:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))

    operator.configure(migration={"validateAfterLoad": False})
    operator.run("--full", preexec=limit).failed(1, "sales.json", "data.directory")
    operator.run("--resume").ended(5)
    assert operator.files() == finished.files()


def test_a_data_directory_that_cannot_be_made_is_told(operator: Operator) -> None:
    (operator.directory / "data").write_text("a file is in the way")
    operator.run("--full").failed(1, "data", "data.directory")


@pytest.mark.parametrize("umask", [0o000, 0o077, 0o777])
def test_only_the_owner_can_read_what_is_written(
    alone: Operator, s9: S9Database, umask: int
) -> None:
    def mask() -> None:
        os.umask(umask)

    small_trade(s9)
    alone.run("--dry-run", preexec=mask).ended(0)
    assert_private(alone.data)
    alone.run("--full", preexec=mask).ended(0)
    assert_private(alone.data)


def assert_private(root: Path) -> None:
    for path in (root, *root.rglob("*")):
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode == (0o700 if path.is_dir() else 0o600), f"{path} has the mode {mode:o}"


def test_nothing_is_left_lying_about_after_a_run(finished: Operator) -> None:
    names = {path.relative_to(finished.data).as_posix() for path in finished.data.rglob("*")}
    assert not [name for name in names if name.endswith((".partial", ".tmp"))]
    assert ".scratch" not in names
    assert ".checkpoint.json" not in names
