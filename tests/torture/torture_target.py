"""A target that misbehaves more and more, tools that are killed meanwhile, refused items."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from mypy_boto3_dynamodb import DynamoDBClient

from tests.conftest import S9Database, TableNames
from tests.scenarios.conftest import DONE_TABLES
from tests.support.aws.proxy import REASONS, FaultyProxy, Plan, hang, refusing, take_and_hang
from tests.support.faults.outage import endured
from tests.support.faults.sabotage import Result, events, retries, start_over, through
from tests.support.operators.operator import Operator, small_trade
from utils.embedded.aws import EmbeddedAws


@pytest.mark.parametrize("migration", range(8))
def test_faults_at_random_rates_and_every_retry_counted(
    migration: int,
    operator: Operator,
    finished: Operator,
    aws: EmbeddedAws,
    dynamodb: DynamoDBClient,
    tables: TableNames,
    seed: int,
) -> None:
    chance = random.Random(seed * 1000 + migration)
    rates = {fault: chance.uniform(0, 0.08) for fault in REASONS}
    rates |= {hang: 0.01, take_and_hang: 0.01}
    with FaultyProxy(aws, Plan(rates, seed=chance.randrange(10**6))) as proxy:
        tool = through(proxy, operator)
        size, workers = chance.choice([2, 5, 25]), chance.randint(1, 16)
        tool.configure(migration={"batchSize": size, "workers": workers, "maxRetries": 1000})
        tool.run("--full").ended(5)
        assert retries(tool) == proxy.reasons, (size, workers, rates)
    assert Result.of(tool, dynamodb, tables) == Result.of(finished, dynamodb, DONE_TABLES)


@pytest.mark.parametrize("workers", [1, 4, 64])
def test_half_a_minute_without_the_target_is_survived_as_it_is_configured_by_default(
    workers: int,
    operator: Operator,
    finished: Operator,
    aws: EmbeddedAws,
    dynamodb: DynamoDBClient,
    tables: TableNames,
) -> None:
    tool = endured(operator, aws, 30.0, workers)
    assert Result.of(tool, dynamodb, tables) == Result.of(finished, dynamodb, DONE_TABLES)


@pytest.mark.parametrize("migration", range(5))
def test_faults_and_kills_together(
    migration: int,
    operator: Operator,
    finished: Operator,
    aws: EmbeddedAws,
    dynamodb: DynamoDBClient,
    tables: TableNames,
    seed: int,
) -> None:
    chance = random.Random(seed * 1000 + migration)
    rates = {fault: 0.04 for fault in REASONS if fault not in (hang, take_and_hang)}
    with FaultyProxy(aws, Plan(rates, seed=chance.randrange(10**6))) as proxy:
        tool = through(proxy, operator)
        tool.configure(checkpoint={"interval": chance.choice([1, 20])})
        tool.killed("--full", phase="load", entity="buyers", after=chance.randint(1, 20))
        for _ in range(10):
            tool.killed("--resume", phase="load", entity="sales", after=chance.randint(1, 60))
        tool.run("--resume").ended(5)
    assert Result.of(tool, dynamodb, tables) == Result.of(finished, dynamodb, DONE_TABLES)


def test_killed_at_every_event_of_a_load_in_which_an_item_is_refused(
    alone: Operator,
    s9: S9Database,
    aws: EmbeddedAws,
    dynamodb: DynamoDBClient,
    tables: TableNames,
) -> None:
    small_trade(s9)
    with FaultyProxy(aws) as proxy:
        tool = through(proxy, alone.configure(checkpoint={"interval": 1}))
        tool.configure(migration={"batchSize": 2})
        tool.run("--full").ended(0)
        proxy.plan = Plan(always=refusing(tool.items("sales")[1]))
        start_over(tool, dynamodb, tables)
        happened = events(tool, "--full")
        expected = Result.of(tool, dynamodb, tables)
        assert sum(map(len, expected.items.values())) == 3 + 2
        kills, missed = kills_in(happened, "load", "sales"), 0
        for kill in kills:
            start_over(tool, dynamodb, tables)
            if tool.is_killed("--full", **kill):
                tool.run("--resume").ended(5)
            else:  # how many syncs there are depends on which answer comes first
                tool.outcomes[-1].ended(5)
                missed += 1
            assert Result.of(tool, dynamodb, tables) == expected, kill
        assert missed < len(kills) / 10


def kills_in(happened: list[str], phase: str, entity: str) -> list[dict[str, object]]:
    """A kill for every event in a place."""
    count = Counter(" ".join(event.split()[:2]) for event in happened)[f"{phase} {entity}"]
    return [{"phase": phase, "entity": entity, "after": n} for n in range(1, count + 1)]
