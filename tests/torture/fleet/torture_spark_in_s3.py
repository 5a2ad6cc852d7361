"""A fleet's run whose files are kept in S3: the first machine is lost, and another goes on."""

from __future__ import annotations

from mypy_boto3_dynamodb import DynamoDBClient

from tests.conftest import S9Database, TableNames
from tests.scenarios.fleet.conftest import SparkHire, spark_operator
from tests.support.application.application import Application
from tests.support.aws.s3_places import PlaceInS3, forget_the_lock, lose_the_machine
from tests.support.faults.sabotage import SabotagedOperator, shared
from tests.support.s9.many_sales import many_sales
from utils.embedded.aws import EmbeddedAws

__all__ = ["spark_operator"]


def test_a_driver_that_is_lost_is_followed_by_another_and_what_it_replaced_comes_back(
    spark_operator: SparkHire,
    s9: S9Database,
    aws: EmbeddedAws,
    dynamodb: DynamoDBClient,
    tables: TableNames,
) -> None:
    many_sales(s9, 60)
    place = PlaceInS3(aws)
    operator = spark_operator(s9).configure(data={"directory": str(place)})
    application = Application(dynamodb, tables)
    operator.run("--full").ended(0)
    place.assert_whole()
    first = application.scan()
    s9.execute("UPDATE msg_anag SET city = 'Lecco'")
    operator.configure(load={"onConflict": "overwrite"})
    tool = shared(SabotagedOperator.like(operator))
    tool.killed("--full", phase="load", entity="sales", after=6)
    lose_the_machine(tool)
    forget_the_lock(place)
    operator.run("--resume").ended(0)
    assert application.scan() != first
    lose_the_machine(operator)
    operator.run("rollback", "--yes").ended(0)
    assert application.scan() == first
