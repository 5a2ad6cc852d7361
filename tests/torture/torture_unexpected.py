"""Random configurations, environments and data directories: none of them is "unexpected"."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.conftest import S9Database
from tests.support.aws import environments as of_aws
from tests.support.documents.lessened import pages_that_fail
from tests.support.operators.operator import Operator
from tests.support.operators.unexpected import (
    configurations_that_fail,
    data_directories_that_fail,
    environments_that_fail,
    settle,
)

CASES = int(os.environ.get("TORTURE_CASES", "500"))


@pytest.fixture
def settled(alone: Operator, s9: S9Database) -> Operator:
    return settle(alone, s9)


def test_configurations(settled: Operator, seed: int) -> None:
    assert not list(configurations_that_fail(settled, seed, CASES))


def test_data_directories(settled: Operator, seed: int) -> None:
    assert not list(data_directories_that_fail(settled, seed, CASES))


def test_reports(settled: Operator, tmp_path: Path, seed: int) -> None:
    settled.run("--dry-run").ended(5)
    assert not list(pages_that_fail(settled.data, tmp_path / "less", seed, CASES // 5))


def test_environments(settled: Operator, seed: int) -> None:
    assert not list(environments_that_fail(settled, seed, CASES // 5))


def test_environments_of_aws(tmp_path: Path, seed: int) -> None:
    """Each is used as botocore uses it, or refused by name."""
    assert not list(of_aws.environments_that_fail(tmp_path, seed, 4 * CASES))
