"""The machines of a cluster have no folder of the tool: its code comes to them with the job.
tests/torture/fleet/torture_travelling_code.py has the rarer cases."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.conftest import Sample
from tests.scenarios.fleet.conftest import SparkHire
from tests.support.faults.sabotage import told
from tests.support.fleet.cluster import Cluster
from tests.support.fleet.spark import far
from tests.support.operators.operator import Operator


def test_a_migration_on_machines_without_the_tool_is_that_of_one_machine(
    far_cluster: Cluster, sample: Sample, spark_operator: SparkHire, finished: Operator
) -> None:
    operator = far(spark_operator(sample.s9), far_cluster.url)
    operator.run("--full").ended(5)
    assert operator.files() == finished.files()
    assert told(operator) == told(finished)


def test_a_machine_without_a_package_is_named_with_the_remedy(
    far_cluster: Cluster, sample: Sample, spark_operator: SparkHire, tmp_path: Path
) -> None:
    packages = Path(next(path for path in sys.path if path.endswith("site-packages")))
    some = tmp_path / "packages"
    some.mkdir()
    for each in packages.iterdir():
        if not each.name.startswith(("isal", "pyrage", "_distutils", "distutils")):
            (some / each.name).symlink_to(each)
    bare = Path(sys.base_prefix) / "bin" / f"python{sys.version_info[0]}.{sys.version_info[1]}"
    settings = {"spark.executorEnv.PYTHONPATH": str(some)}
    operator = far(spark_operator(sample.s9), far_cluster.url, **settings)
    operator.environment["PYSPARK_PYTHON"] = str(bare)
    said = operator.run("--phase", "extract").ended(1).output
    assert "lacks packages that this needs" in said
    assert "isal" in said
    assert "pyrage" in said
    assert "install requirements.txt there" in said
    assert "ModuleNotFoundError" not in said
