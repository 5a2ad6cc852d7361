"""The machines of a cluster have no folder of the tool: its code comes to them with the job."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import Sample
from tests.scenarios.fleet.conftest import SparkHire, far_cluster, spark_operator
from tests.support.fleet.cluster import Cluster
from tests.support.fleet.spark import far
from tests.support.places import ROOT

__all__ = ["far_cluster", "spark_operator"]

INSTALLED = [path for minor in (10, 12, 13, 14) if (path := shutil.which(f"python3.{minor}"))]
_WHERE = "sys.modules['utils.version'].__file__ + ' ' + sys.modules['load'].__file__"
_LOOK = f"""
import sys
from functools import partial
from pathlib import Path
sys.path.insert(0, {str(ROOT)!r})
from utils.config import EngineConfig
from utils.dynamodb.backoff import RetryPolicy
from utils.fleet.engines import fleet_of

here = Path.cwd()
engine = EngineConfig(type="spark", master=sys.argv[1])
fleet = fleet_of(engine, RetryPolicy(3, 0.01), here / "spark.log", here / "data" / ".scratch")
look = partial(eval, "[__import__(name) for name in ('sys', 'load')] and " + {_WHERE!r}.replace(
    "sys.", "__import__('sys')."))
try:
    print("\\n".join(value for _, value in fleet.each(look, [{{}}, {{}}])))
finally:
    fleet.close()
"""


def test_a_task_imports_the_tool_from_what_came_with_the_job(
    far_cluster: Cluster, sample: Sample, spark_operator: SparkHire
) -> None:
    operator = far(spark_operator(sample.s9), far_cluster.url)
    ended = subprocess.run(
        [sys.executable, "-c", _LOOK, far_cluster.url],
        cwd=operator.directory,
        env=operator.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    lines = ended.stdout.splitlines()
    assert len(lines) == 2, ended.stderr
    for line in lines:
        for path in line.split():
            assert "/fleet-" in path
            assert ".zip/" in path
            assert not path.startswith(str(operator.directory))
    assert not list((operator.directory / "data" / ".scratch").glob("*.zip"))


def test_another_version_of_the_tool_on_a_machine_is_not_looked_at(
    far_cluster: Cluster, sample: Sample, spark_operator: SparkHire, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    for name in ("utils", "extract", "transform", "load", "validate"):
        (other / name).mkdir(parents=True)
        (other / name / "__init__.py").write_text("raise RuntimeError('another version')\n")
    settings = {"spark.executorEnv.PYTHONPATH": str(other)}
    far(spark_operator(sample.s9), far_cluster.url, **settings).run("--phase", "extract").ended(0)


def test_a_machine_with_another_python_is_named_with_the_remedy(
    far_cluster: Cluster, sample: Sample, spark_operator: SparkHire
) -> None:
    beside = Path(sys.base_prefix).parent  # as pyenv has them
    found = [*map(str, beside.glob("3.1*/bin/python3.1?")), *INSTALLED]
    other = next((each for each in found if works(each)), None)
    if other is None:
        pytest.skip("needs another Python beside this one")
    operator = far(spark_operator(sample.s9), far_cluster.url)
    operator.environment["PYSPARK_PYTHON"] = other
    said = operator.run("--phase", "extract").ended(1).output
    assert "has Python 3." in said
    assert f"this machine has {sys.version_info[0]}.{sys.version_info[1]}" in said
    assert "the same minor version of Python" in said


def works(python: str) -> bool:
    """Whether it is one, and not what stands for one that is not chosen (pyenv)."""
    minor = int(python.rpartition(".")[2])
    ended = subprocess.run([python, "-V"], capture_output=True, text=True, check=False)
    return minor != sys.version_info[1] and f"3.{minor}." in ended.stdout


def test_a_machine_without_that_python_is_told_of(
    far_cluster: Cluster, sample: Sample, spark_operator: SparkHire
) -> None:
    operator = far(spark_operator(sample.s9), far_cluster.url)
    operator.environment["PYSPARK_PYTHON"] = "/nowhere/python3"
    said = operator.run("--phase", "extract").ended(1).output
    assert "has no /nowhere/python3" in said
