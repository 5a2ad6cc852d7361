"""Random environments of AWS's: each is used as botocore uses it, or refused by name."""

from __future__ import annotations

import os
from pathlib import Path

from tests.support.aws.environments import environments_that_fail

CASES = int(os.environ.get("TORTURE_CASES", "500"))


def test_environments(tmp_path: Path, seed: int) -> None:
    assert not list(environments_that_fail(tmp_path, seed, 4 * CASES))
