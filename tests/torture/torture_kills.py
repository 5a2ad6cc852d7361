"""SIGKILL at every event of a small migration, and at random moments of bigger ones.

An event (tests/support/faults/at_work.py) is a file synced, renamed or removed, a request, a
step: there are a few hundred in a migration of five records, and each is a last one here once.
"""

from __future__ import annotations

import random
import time

import pytest
from mypy_boto3_dynamodb import DynamoDBClient

from tests.conftest import S9Database, TableNames
from tests.scenarios.conftest import DONE_TABLES
from tests.support.faults.sabotage import (
    Result,
    SabotagedOperator,
    events,
    moments,
    seeded_kills,
    start_over,
)
from tests.support.operators.operator import Operator, insert, line, small_trade


def trade_with_a_refused_record(s9: S9Database) -> None:
    """As small_trade, with a sale that transform refuses and one that validation refuses."""
    small_trade(s9)
    s9.execute("UPDATE msg_anag SET country = 'XQ' WHERE first_id = 2")
    insert(s9, "msg_line", line(4, 11, line_number=2))


@pytest.mark.parametrize("refusing", [False, True])
def test_killed_at_every_event(
    refusing: bool,
    alone: Operator,
    s9: S9Database,
    dynamodb: DynamoDBClient,
    tables: TableNames,
    seed: int,
) -> None:
    (trade_with_a_refused_record if refusing else small_trade)(s9)
    tool = SabotagedOperator.like(alone.configure(checkpoint={"interval": 1}))
    happened = events(tool, "--full")
    expected = Result.of(tool, dynamodb, tables)
    code = tool.outcomes[-1].code
    chance = random.Random(seed)
    for moment in moments(happened):
        start_over(tool, dynamodb, tables)
        tool.killed("--full", after=moment)
        if chance.random() < 0.3:  # once more, on the way on; it may be over before
            tool.is_killed(tool.way_on, after=chance.randint(1, 40))
        tool.go_on().ended(code)
        assert Result.of(tool, dynamodb, tables) == expected, happened[moment - 1]


def test_killed_a_hundred_times_in_one_migration(
    operator: Operator,
    finished: Operator,
    dynamodb: DynamoDBClient,
    tables: TableNames,
    seed: int,
) -> None:
    operator.configure(migration={"batchSize": 10, "workers": 4}, checkpoint={"interval": 10})
    tool = SabotagedOperator.like(operator)
    happened = events(tool, "--full")
    start_over(tool, dynamodb, tables)
    command = "--full"
    for kill in seeded_kills(random.Random(seed), happened, 100):
        tool.killed(command, **kill)
        command = "--resume"
    tool.run("--resume").ended(5)
    assert Result.of(tool, dynamodb, tables) == Result.of(finished, dynamodb, DONE_TABLES)


@pytest.mark.parametrize("migration", range(5))
def test_killed_from_outside_at_any_moment(
    migration: int,
    operator: Operator,
    finished: Operator,
    dynamodb: DynamoDBClient,
    tables: TableNames,
    seed: int,
) -> None:
    chance = random.Random(seed * 1000 + migration)
    workers, interval = chance.randint(1, 8), chance.choice([1, 10, 100])
    operator.configure(migration={"workers": workers}, checkpoint={"interval": interval})
    command, kills = "--full", 0
    while True:
        with operator.start(command) as running:
            time.sleep(chance.uniform(0.3, 1.8))
            running.process.kill()
            outcome = running.end()
        if outcome.code != -9:
            outcome.ended(5)
            break
        kills += 1
        command = "--resume" if (operator.data / "manifest.json").exists() else "--full"
    assert kills < 100
    assert Result.of(operator, dynamodb, tables) == Result.of(finished, dynamodb, DONE_TABLES)


def test_killed_at_moments_of_a_retry_of_the_quarantine(
    alone: Operator,
    s9: S9Database,
    dynamodb: DynamoDBClient,
    tables: TableNames,
    seed: int,
) -> None:
    """The retry is not brought to its end by `--resume`, but the run is; then it is tried again."""
    trade_with_a_refused_record(s9)
    tool = SabotagedOperator.like(alone.configure(checkpoint={"interval": 1}))

    def migrate_and_mend() -> None:
        s9.execute("UPDATE msg_anag SET country = 'XQ' WHERE first_id = 2")
        tool.run("--full").ended(5)
        s9.execute("UPDATE msg_anag SET country = 'DE' WHERE first_id = 2")

    migrate_and_mend()
    happened = events(tool, "retry-quarantine")
    tool.outcomes[-1].ended(0)
    expected = Result.of(tool, dynamodb, tables)
    for moment in random.Random(seed).sample(moments(happened), 12):
        start_over(tool, dynamodb, tables)
        migrate_and_mend()
        tool.killed("retry-quarantine", after=moment)
        if tool.run("--resume").code != 0:
            tool.outcomes[-1].ended(5)
            tool.run("retry-quarantine").ended(0)
        assert Result.of(tool, dynamodb, tables) == expected, happened[moment - 1]
