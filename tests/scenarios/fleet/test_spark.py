"""A migration whose engine is Spark leaves what one leaves that works on one machine alone."""

from __future__ import annotations

from mypy_boto3_dynamodb import DynamoDBClient

from tests.conftest import Sample, TableNames
from tests.scenarios.fleet.conftest import SparkHire
from tests.support.faults.sabotage import told
from tests.support.operators.operator import Operator


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
