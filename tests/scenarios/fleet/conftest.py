"""Operators whose engine is Spark, beside those who work with this machine alone."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.conftest import S9Database, TableNames
from tests.scenarios.conftest import hire
from tests.support.operators.operator import Operator
from utils.embedded.aws import EmbeddedAws

MISSING = "needs pyspark and a Java runtime: make .venv/.stamps/spark"


@pytest.fixture(scope="session", autouse=True)
def _spark() -> None:
    if find_spec("pyspark") is None or shutil.which("java") is None:
        pytest.skip(MISSING)


SparkHire = Callable[[S9Database], Operator]


@pytest.fixture
def spark_operator(tmp_path: Path, aws: EmbeddedAws, tables: TableNames) -> SparkHire:
    """Hires an operator whose engine is Spark, on two cores of this machine."""

    def hired(s9: S9Database) -> Operator:
        directory = tmp_path / "spark"
        directory.mkdir()
        return hire(directory, s9, aws, tables).configure(
            engine={"type": "spark", "master": "local[2]", "parts": 5}
        )

    return hired
