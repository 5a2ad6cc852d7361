"""A disk with less and less room: stopped with a remedy, and when there is room, the same bytes."""

from __future__ import annotations

import os
import random
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from mypy_boto3_dynamodb import DynamoDBClient

from tests.conftest import TableNames
from tests.scenarios.conftest import DONE_TABLES
from tests.support.faults.sabotage import Result, SabotagedOperator
from tests.support.operators.operator import Operator

DISK = 8 << 20


@pytest.fixture
def small_disk(operator: Operator) -> Iterator[Operator]:
    """An operator whose data directory is a disk of its own."""
    operator.data.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", str(operator.data)]
    mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.strip()}")
    yield operator
    subprocess.run(["umount", "--lazy", str(operator.data)], check=True)


def leave(disk: Path, room: int) -> Path:
    """Use the disk up to `room` bytes; returns the file to be deleted."""
    ballast = disk / "ballast"
    there = os.statvfs(disk)
    ballast.write_bytes(b"\0" * max(there.f_bavail * there.f_frsize - room, 0))
    return ballast


@pytest.mark.parametrize("share", range(0, 100, 5))
def test_full_after_a_share_of_what_is_needed(
    share: int,
    small_disk: Operator,
    finished: Operator,
    dynamodb: DynamoDBClient,
    tables: TableNames,
    seed: int,
) -> None:
    needed = sum(path.stat().st_size for path in finished.data.rglob("*") if path.is_file())
    room = int(needed * (share + random.Random(seed + share).random() * 5) / 100)
    tool = SabotagedOperator.like(small_disk.configure(checkpoint={"interval": 10}))
    ballast = leave(tool.data, room)
    outcome = tool.run("--full")
    if outcome.code == 5:
        return
    outcome.failed(1, "no space left on the disk", "free some space")
    again = tool.go_on()
    if again.code != 5:
        again.failed(1, "no space left on the disk", "free some space")
    ballast.unlink()
    tool.go_on().ended(5)
    assert Result.of(tool, dynamodb, tables) == Result.of(finished, dynamodb, DONE_TABLES)
