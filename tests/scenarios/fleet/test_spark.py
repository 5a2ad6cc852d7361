"""A migration whose engine is Spark leaves what one leaves that works on one machine alone."""

from __future__ import annotations

from pathlib import Path

from mypy_boto3_dynamodb import DynamoDBClient

from tests.conftest import S9Database, Sample, TableNames
from tests.scenarios.fleet.conftest import SparkHire
from tests.support.faults.sabotage import SabotagedOperator, shared, told
from tests.support.fleet.cluster import Cluster
from tests.support.fleet.sabotage import assert_nothing_is_left, sabotaged, set_conf
from tests.support.fleet.spark import spark_home
from tests.support.operators.operator import Operator, scan_all, small_trade


def test_files_reports_and_items_are_those_of_one_machine(
    sample: Sample,
    spark_operator: SparkHire,
    finished: Operator,
    dynamodb: DynamoDBClient,
    tables: TableNames,
) -> None:
    operator = spark_operator(sample.s9)
    operator.run("--full").ended(5)
    assert operator.files() == finished.files()
    assert told(operator) == told(finished)
    left = {path.name for path in (operator.data / "transformed").iterdir()}
    assert left == {"buyers.json", "producers.json", "sales.json"}


def test_machines_that_do_not_see_the_files_work_with_them_all_the_same(
    sample: Sample, spark_operator: SparkHire, finished: Operator
) -> None:
    operator = spark_operator(sample.s9)
    tool = shared(sabotaged(operator, blind=str(operator.data)))
    outcome = tool.run("--full").ended(5)
    assert "through this one" in outcome.output
    assert tool.files() == finished.files()
    assert told(tool) == told(finished)
    assert_nothing_is_left(tool)


def test_a_cluster_that_has_nothing_of_the_tool_is_brought_its_code(
    tmp_path: Path,
    s9: S9Database,
    spark_operator: SparkHire,
    dynamodb: DynamoDBClient,
    tables: TableNames,
) -> None:
    small_trade(s9)
    operator = shared(SabotagedOperator.like(spark_operator(s9)))
    conf = tmp_path / "conf"
    conf.mkdir()
    operator.environment["SPARK_CONF_DIR"] = str(conf)
    with Cluster(spark_home(), tmp_path / "cluster", workers=1) as cluster:
        operator.configure(engine={"master": cluster.url})
        set_conf(
            operator,
            spark_executor_memory="512m",
            spark_driver_host="127.0.0.1",
            spark_executorEnv_PYTHONPATH=str(tmp_path / "nothing"),
        )
        operator.run("--full").ended(0)
    assert {name: len(items) for name, items in scan_all(dynamodb, tables).items()} == {
        "buyers": 2,
        "producers": 1,
        "sales": 5,
    }
    assert operator.report("verification")["passed"]
    assert not list(operator.data.rglob("fleet-*"))
