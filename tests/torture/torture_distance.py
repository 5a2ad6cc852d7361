"""The suites of faults once more, with a target as far away as DynamoDB: 15 ms to every answer."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.proxy import FAR

ROOT = Path(__file__).parents[2]
SUITES = (
    *sorted(ROOT.glob("tests/scenarios/test_faults_*.py")),
    *(
        ROOT / "tests" / name
        for name in (
            "scenarios/test_conflicts.py",
            "scenarios/test_interruption.py",
            "scenarios/test_load_processes.py",
            "scenarios/test_rollback.py",
            "integration/test_backup_faults.py",
            "trials/test_a_cut_answers.py",
            "trials/test_a_requests_in_flight.py",
            "trials/test_a_restore.py",
            "trials/test_a_rollback.py",
            "trials/test_a_two_loads.py",
            "torture/torture_kills.py",
            "torture/torture_target.py",
        )
    ),
)


@pytest.mark.parametrize("suite", SUITES, ids=lambda suite: suite.stem)
def test_the_same_at_a_distance(suite: Path, seed: int) -> None:
    command = [sys.executable, "-m", "pytest", "-c", "tests/pytest.ini", "--rootdir=.", "-q"]
    done = subprocess.run(
        [*command, "--timeout=0", str(suite.relative_to(ROOT))],
        cwd=ROOT,
        env={**os.environ, "TARGET_DISTANCE": str(FAR), "TORTURE_SEED": str(seed)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-20_000:]
