"""Killed with SIGKILL, again and again, and resumed to what an undisturbed run gives."""

from __future__ import annotations

import random

from mypy_boto3_dynamodb import DynamoDBClient

from tests.conftest import S9Database, TableNames
from tests.scenarios.conftest import DONE_TABLES
from tests.support.faults.sabotage import (
    PHASES,
    Result,
    SabotagedOperator,
    events,
    moments,
    seeded_kills,
    start_over,
)
from tests.support.operators.operator import Operator, small_trade

SEED = 20260130
KILLS = 16
WITH_OTHERS = 4  # of so many kills one is in a run that other processes share
EVENTS = 3
ENDINGS = 6  # all of them are in tests/torture/torture_kills.py


def test_killed_in_every_phase_and_entity_and_resumed_to_the_same_bytes(
    operator: Operator, finished: Operator, dynamodb: DynamoDBClient, tables: TableNames
) -> None:
    operator.configure(migration={"batchSize": 10, "workers": 2}, checkpoint={"interval": 10})
    tool = SabotagedOperator.like(operator)
    happened = events(tool, "--full")
    start_over(tool, dynamodb, tables)
    command = "--full"
    for number, kill in enumerate(seeded_kills(random.Random(SEED), happened, KILLS)):
        # Most are alone at work: to start another process takes longer than all the rest.
        tool.configure(migration={"processes": 1 if number % WITH_OTHERS else None})
        tool.killed(command, **kill)
        command = "--resume"
    tool.configure(migration={"processes": None})
    tool.run("--resume").ended(5)
    assert Result.of(tool, dynamodb, tables) == Result.of(finished, dynamodb, DONE_TABLES)


def test_killed_beside_a_sync_or_a_rename_and_resumed_to_the_same_bytes(
    alone: Operator, s9: S9Database, dynamodb: DynamoDBClient, tables: TableNames
) -> None:
    small_trade(s9)
    tool = SabotagedOperator.like(alone.configure(checkpoint={"interval": 1}))
    happened = events(tool, "--full")
    expected = Result.of(tool, dynamodb, tables)
    for moment in random.Random(SEED).sample(moments(happened), EVENTS):
        start_over(tool, dynamodb, tables)
        tool.killed("--full", after=moment)
        tool.go_on().ended(0)
        assert Result.of(tool, dynamodb, tables) == expected, happened[moment - 1]


def test_killed_where_a_phase_ends_it_leaves_all_that_an_undisturbed_run_leaves(
    alone: Operator, s9: S9Database, dynamodb: DynamoDBClient, tables: TableNames
) -> None:
    small_trade(s9)
    tool = SabotagedOperator.like(alone)
    happened = events(tool, "--full")
    expected = Result.of(tool, dynamodb, tables)
    for phase, after in random.Random(SEED).sample(endings(happened), ENDINGS):
        start_over(tool, dynamodb, tables)
        tool.killed("--full", phase=phase, entity="sales", what="after rename", after=after)
        tool.run("--resume").ended(0)
        assert Result.of(tool, dynamodb, tables) == expected, (phase, after)


def endings(happened: list[str]) -> list[tuple[str, int]]:
    """In each phase, the renames in sales that follow its last step: what it leaves is published
    and recorded there. As (phase, how manieth rename in sales)."""
    found = []
    for phase in PHASES:
        there = [event for event in happened if event.startswith(f"{phase} sales ")]
        last = max((n for n, event in enumerate(there) if event.endswith("step")), default=0)
        renames = [n for n, event in enumerate(there) if event.endswith("after rename")]
        found += [(phase, count) for count, n in enumerate(renames, 1) if n > last]
    return found
