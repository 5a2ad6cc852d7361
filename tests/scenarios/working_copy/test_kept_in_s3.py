"""A migration whose files are kept in S3: begun on one machine, gone on with on another."""

from __future__ import annotations

from mypy_boto3_dynamodb import DynamoDBClient

from tests.conftest import TableNames
from tests.scenarios.conftest import DONE_TABLES
from tests.support.aws.s3_places import PlaceInS3, lose_the_machine
from tests.support.faults.sabotage import Result
from tests.support.operators.operator import Operator


def test_a_migration_in_s3_ends_as_one_on_disk_and_is_seen_from_a_new_machine(
    operator: Operator,
    finished: Operator,
    place: PlaceInS3,
    dynamodb: DynamoDBClient,
    tables: TableNames,
) -> None:
    operator.configure(data={"directory": str(place)})
    operator.run("--full").ended(5)
    expected = Result.of(finished, dynamodb, DONE_TABLES)
    assert Result.of(operator, dynamodb, tables) == expected
    place.assert_whole()
    lose_the_machine(operator)
    status = operator.run("status").ended(0)
    assert "has ended" in status.output
    assert not (operator.data / "transformed").is_dir() or not list(
        (operator.data / "transformed").iterdir()
    )
    operator.run("--phase", "verify").ended(5)
    assert Result.of(operator, dynamodb, tables) == expected
    lose_the_machine(operator)
    operator.run("rollback", "--yes").ended(0)
