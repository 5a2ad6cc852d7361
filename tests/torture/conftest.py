"""The battery's operators are those of the scenarios; its chances come from one seed."""

from __future__ import annotations

import os
import random

import pytest

from tests.scenarios.conftest import alone, finished, operator
from tests.scenarios.imports.conftest import _importing, importing, new_tables

__all__ = ["_importing", "alone", "finished", "importing", "new_tables", "operator"]

SEED = int(os.environ.get("TORTURE_SEED") or random.SystemRandom().randrange(1_000_000))


def pytest_report_header() -> str:
    """How to have the same once more."""
    return f"torture: seed {SEED} (again: make torture TORTURE_SEED={SEED})"


@pytest.fixture(scope="session")
def seed() -> int:
    return SEED
