"""The target is away for a while in the middle of a load, however many batches are in flight."""

from __future__ import annotations

import time
from dataclasses import dataclass

import pytest
from mypy_boto3_dynamodb import DynamoDBClient

from tests.conftest import TableNames
from tests.scenarios.conftest import DONE_TABLES
from tests.support.aws.proxy import Answer, FaultyProxy, Plan, Request, unavailable
from tests.support.faults.sabotage import Result, SabotagedOperator, retries
from tests.support.operators.operator import Operator
from utils.config import MigrationConfig
from utils.dynamodb.backoff import RetryPolicy
from utils.embedded.aws import EmbeddedAws

AFTER = 40  # batches: in the sales


@dataclass
class Outage:
    """From the batch after `AFTER` on no write is answered but with 503, for so many seconds."""

    seconds: float
    seen: int = 0
    until: float = 0.0

    def __call__(self, request: Request) -> Answer | None:
        if request.operation not in ("BatchWriteItem", "PutItem"):
            return None
        self.seen += request.operation == "BatchWriteItem"
        if self.seen == AFTER and not self.until:
            self.until = time.monotonic() + self.seconds
        away = time.monotonic() < self.until
        return unavailable(request, lambda _: Answer(200, b"")) if away else None


def endured(
    operator: Operator, aws: EmbeddedAws, seconds: float, workers: int, **migration: object
) -> SabotagedOperator:
    """Who has loaded, with so many batches in flight, through an outage of so many seconds."""
    outage = Outage(seconds)
    with FaultyProxy(aws, Plan(always=outage)) as proxy:
        operator.configure(
            target={"endpoint": proxy.url},
            migration={"workers": workers, "batchSize": 5, **migration},
        )
        tool = SabotagedOperator.like(operator)
        tool.run("--full").ended(5)
    assert outage.until, "there was no outage"
    assert retries(tool)["HTTP 503"] >= min(workers, 8)
    return tool


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
