"""The suites of faults once more, with a target as far away as DynamoDB: 15 ms to every answer."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.aws.proxy import FAR
from tests.support.places import ROOT

SUITES = (
    *sorted(ROOT.glob("tests/scenarios/faults/test_*.py")),
    *sorted(ROOT.glob("tests/trials/recovery/test_*.py")),
    *(
        ROOT / "tests" / name
        for name in (
            "integration/load/test_backup_faults.py",
            "scenarios/commands/test_rollback.py",
            "scenarios/migration/test_conflicts.py",
            "torture/torture_kills.py",
            "torture/torture_target.py",
            "trials/target/test_cut_answers.py",
            "trials/target/test_requests_in_flight.py",
            "trials/target/test_two_loads.py",
        )
    ),
)


def _named(suite: Path) -> str:
    return suite.relative_to(ROOT / "tests").with_suffix("").as_posix()


@pytest.mark.parametrize("suite", SUITES, ids=_named)
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
