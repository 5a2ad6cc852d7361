"""Random configurations, environments and data directories: none of them is "unexpected"."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from random import Random

import pytest

from tests.conftest import S9Database
from tests.scenarios.operator import Operator, small_trade
from tests.unexpected import COMMANDS, configuration, disturb, environment, typed, verdict

CASES = 200


@pytest.fixture
def settled(alone: Operator, s9: S9Database) -> Operator:
    """An operator with a small S9, a finished run, and little patience."""
    small_trade(s9)
    s9.execute("UPDATE msg SET status = '???' WHERE first_id = 11")
    alone.configure(
        migration={"maxRetries": 0, "retryDelay": 0.001, "processes": 1},
        source={"connectionTimeout": 2},
    )
    alone.run("--full")
    return alone


@pytest.mark.parametrize("number", range(CASES))
def test_configurations(settled: Operator, seed: int, number: int) -> None:
    chance = Random(f"configuration {seed} {number}")
    for _ in range(5):
        content = configuration(chance, settled.config)
        (settled.directory / "config.json").write_bytes(content)
        wrong = typed(chance.choice(COMMANDS), settled.directory, settled.environment)
        assert not wrong, f"{content!r}\n{wrong}"


@pytest.mark.parametrize("number", range(CASES))
def test_data_directories(settled: Operator, seed: int, number: int) -> None:
    chance = Random(f"data {seed} {number}")
    kept = settled.directory / "kept"
    shutil.copytree(settled.data, kept)
    for _ in range(5):
        shutil.rmtree(settled.data)
        shutil.copytree(kept, settled.data)
        done = disturb(chance, settled.data)
        command = chance.choice(COMMANDS)
        wrong = typed(command, settled.directory, settled.environment)
        assert not wrong, f"{done}, {command}\n{wrong}"


@pytest.mark.parametrize("number", range(CASES // 4))
def test_environments(settled: Operator, seed: int, number: int, tmp_path: Path) -> None:
    """Each in a process of its own: much of it is read when a process starts."""
    chance = Random(f"environment {seed} {number}")
    for _ in range(5):
        further = environment(chance)
        command = chance.choice(COMMANDS)
        done = subprocess.run(
            settled.command(*command.split()),
            cwd=settled.directory,
            env={**settled.environment, **further},
            capture_output=True,
            stdin=subprocess.DEVNULL,
            text=True,
            errors="replace",
            timeout=120,
            check=False,
        )
        wrong = verdict(done.returncode, done.stdout + done.stderr)
        assert not wrong, f"{further}, {command}\n{wrong}"
