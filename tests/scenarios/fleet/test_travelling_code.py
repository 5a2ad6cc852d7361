"""The machines of a cluster have no folder of the tool: its code comes to them with the job."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Sample
from tests.scenarios.fleet.conftest import SparkHire
from tests.support.faults.sabotage import told
from tests.support.fleet.cluster import Cluster
from tests.support.fleet.spark import spark_home
from tests.support.operators.operator import Operator
from tests.support.places import ROOT

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


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with Cluster(spark_home(), tmp_path_factory.mktemp("cluster")) as running:
        yield running


def far(operator: Operator, cluster: Cluster, **settings: str) -> Operator:
    """The same operator, whose cluster's machines see neither the tool nor the files."""
    conf = operator.directory / "conf"
    conf.mkdir()
    written = {
        "spark.executor.memory": "512m",
        "spark.driver.host": "127.0.0.1",
        "spark.executorEnv.PYTHONPATH": "/nowhere",
        **settings,
    }
    (conf / "spark-defaults.conf").write_text(
        "".join(f"{name} {value}\n" for name, value in written.items()), encoding="utf-8"
    )
    operator.environment["SPARK_CONF_DIR"] = str(conf)
    return operator.configure(engine={"master": cluster.url})


def test_a_task_imports_the_tool_from_what_came_with_the_job(
    cluster: Cluster, sample: Sample, spark_operator: SparkHire
) -> None:
    operator = far(spark_operator(sample.s9), cluster)
    ended = subprocess.run(
        [sys.executable, "-c", _LOOK, cluster.url],
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


def test_a_migration_on_machines_without_the_tool_is_that_of_one_machine(
    cluster: Cluster, sample: Sample, spark_operator: SparkHire, finished: Operator
) -> None:
    operator = far(spark_operator(sample.s9), cluster)
    operator.run("--full").ended(5)
    assert operator.files() == finished.files()
    assert told(operator) == told(finished)


def test_another_version_of_the_tool_on_a_machine_is_not_looked_at(
    cluster: Cluster, sample: Sample, spark_operator: SparkHire, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    for name in ("utils", "extract", "transform", "load", "validate"):
        (other / name).mkdir(parents=True)
        (other / name / "__init__.py").write_text("raise RuntimeError('another version')\n")
    settings = {"spark.executorEnv.PYTHONPATH": str(other)}
    far(spark_operator(sample.s9), cluster, **settings).run("--phase", "extract").ended(0)


def test_a_machine_without_a_package_is_named_with_the_remedy(
    cluster: Cluster, sample: Sample, spark_operator: SparkHire, tmp_path: Path
) -> None:
    packages = Path(next(path for path in sys.path if path.endswith("site-packages")))
    some = tmp_path / "packages"
    some.mkdir()
    for each in packages.iterdir():
        if not each.name.startswith(("isal", "pyrage", "_distutils", "distutils")):
            (some / each.name).symlink_to(each)
    bare = Path(sys.base_prefix) / "bin" / f"python{sys.version_info[0]}.{sys.version_info[1]}"
    settings = {"spark.executorEnv.PYTHONPATH": str(some)}
    operator = far(spark_operator(sample.s9), cluster, **settings)
    operator.environment["PYSPARK_PYTHON"] = str(bare)
    said = operator.run("--phase", "extract").ended(1).output
    assert "lacks packages that this needs" in said
    assert "isal" in said
    assert "pyrage" in said
    assert "install requirements.txt there" in said
    assert "ModuleNotFoundError" not in said


def test_a_machine_with_another_python_is_named_with_the_remedy(
    cluster: Cluster, sample: Sample, spark_operator: SparkHire
) -> None:
    beside = Path(sys.base_prefix).parent  # as pyenv has them
    found = [*map(str, beside.glob("3.1*/bin/python3.1?")), *INSTALLED]
    other = next((each for each in found if works(each)), None)
    if other is None:
        pytest.skip("needs another Python beside this one")
    operator = far(spark_operator(sample.s9), cluster)
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
    cluster: Cluster, sample: Sample, spark_operator: SparkHire
) -> None:
    operator = far(spark_operator(sample.s9), cluster)
    operator.environment["PYSPARK_PYTHON"] = "/nowhere/python3"
    said = operator.run("--phase", "extract").ended(1).output
    assert "has no /nowhere/python3" in said
