"""Operators whose engine is Spark, beside those who work with this machine alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import S9Database, TableNames
from tests.scenarios.conftest import hire
from tests.support.fleet.cluster import Cluster
from tests.support.fleet.spark import require_spark, spark_home
from tests.support.operators.operator import Operator
from utils.embedded.aws import EmbeddedAws


@pytest.fixture(scope="session", autouse=True)
def _spark() -> None:
    require_spark()


@pytest.fixture(scope="module")
def far_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster of two machines, of a core each."""
    with Cluster(spark_home(), tmp_path_factory.mktemp("cluster")) as running:
        yield running


# Most of what a small run takes is the start of a JVM.
QUICK_TO_START = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Xshare:auto"
SparkHire = Callable[[S9Database], Operator]


@pytest.fixture
def spark_operator(tmp_path: Path, aws: EmbeddedAws, tables: TableNames) -> SparkHire:
    """Hires an operator whose engine is Spark, on two cores of this machine."""

    def hired(s9: S9Database) -> Operator:
        directory = tmp_path / "spark"
        directory.mkdir()
        return hire(directory, s9, aws, tables).configure(
            engine={"type": "spark", "master": "local[2,4]", "parts": 5, "readers": 2}
        )

    return hired
