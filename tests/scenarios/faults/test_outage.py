"""The target is away for a while in the middle of a load, however many batches are in flight."""

from __future__ import annotations

import pytest
from mypy_boto3_dynamodb import DynamoDBClient

from tests.conftest import TableNames
from tests.scenarios.conftest import DONE_TABLES
from tests.support.faults.outage import endured
from tests.support.faults.sabotage import Result
from tests.support.operators.operator import Operator
from utils.config import MigrationConfig
from utils.dynamodb.backoff import RetryPolicy
from utils.embedded.aws import EmbeddedAws


@pytest.mark.parametrize(
    "workers", [1, pytest.param(4, marks=pytest.mark.far), pytest.param(64, marks=pytest.mark.far)]
)
def test_an_outage_shorter_than_all_delays_is_survived_with_any_number_in_flight(
    workers: int,
    operator: Operator,
    finished: Operator,
    aws: EmbeddedAws,
    dynamodb: DynamoDBClient,
    tables: TableNames,
) -> None:
    patient = {"maxRetries": 5, "retryDelay": 0.1}
    policy = RetryPolicy.of(MigrationConfig(max_retries=5, retry_delay=0.1))
    endurance = sum(policy.bound(retry) for retry in range(1, policy.max_retries + 1))
    tool = endured(operator, aws, 0.9 * endurance, workers, **patient)
    assert Result.of(tool, dynamodb, tables) == Result.of(finished, dynamodb, DONE_TABLES)
