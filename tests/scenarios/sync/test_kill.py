"""A sync that is killed anywhere ends, by the same command, where an undisturbed one ends; and a
rollback of it, where it has begun."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest
from mypy_boto3_dynamodb import DynamoDBClient

from tests.conftest import S9Database, TableNames
from tests.scenarios.sync.changes import change_everything
from tests.support.damage.tables import Contents, MigratedTables, differing
from tests.support.faults.sabotage import SabotagedOperator, events, moments
from tests.support.operators.operator import Operator, insert, line, party, sale, small_trade

SEED = 20260612
RENAMES = 5
MOMENTS = 3  # all of them are in tests/torture/living/torture_sync.py


@pytest.fixture
def held(
    alone: Operator, s9: S9Database, dynamodb: DynamoDBClient, tables: TableNames
) -> tuple[SabotagedOperator, MigratedTables]:
    """An operator who has migrated, and then much has changed in S9; and the tables."""
    small_trade(s9)
    insert(s9, "msg_anag", party(4, 2))
    insert(s9, "msg", sale(12, 1, 3), sale(13, 4, 3))
    insert(s9, "msg_line", line(4, 12), line(5, 12), line(6, 13))
    alone.configure(checkpoint={"interval": 1})
    alone.run("--full").ended(0)
    names = {"sales": tables.sales, "buyers": tables.buyers, "producers": tables.producers}
    change_everything(s9)
    return SabotagedOperator.like(alone), MigratedTables(dynamodb, names)


def test_it_ends_as_an_undisturbed_one(held: tuple[SabotagedOperator, MigratedTables]) -> None:
    tool, there = held
    before, kept = there.scan(), tool.directory / "kept"
    shutil.copytree(tool.data, kept)
    happened = events(tool, "sync")
    after = there.scan()
    assert differing(before, after)["sales"]
    for moment in random.Random(SEED).sample(moments(happened), MOMENTS):
        _as_they_were(tool.data, kept, there, before)
        tool.killed("sync", after=moment)
        tool.run("sync").ended(0)
        assert there.scan() == after, happened[moment - 1]
        tool.run("rollback", "--yes").ended(0)
        assert there.scan() == before, happened[moment - 1]


def test_between_the_end_of_a_load_and_what_is_taken_away(
    held: tuple[SabotagedOperator, MigratedTables],
) -> None:
    """What is known has become what was loaded by then, and what has left S9 is not in that."""
    tool, there = held
    before, kept = there.scan(), tool.directory / "kept"
    shutil.copytree(tool.data, kept)
    happened = events(tool, "sync")
    after = there.scan()
    assert happened.count("load sales after rename") > RENAMES
    for rename in range(1, RENAMES + 1):  # at the third the load is complete, and nobody knows
        _as_they_were(tool.data, kept, there, before)
        tool.killed("sync", phase="load", entity="sales", what="after rename", after=rename)
        tool.run("sync").ended(0)
        assert there.scan() == after, rename


def _as_they_were(data: Path, kept: Path, there: MigratedTables, before: Contents) -> None:
    shutil.rmtree(data)
    shutil.copytree(kept, data)
    there.become(before)
