"""The switch is known to whoever reaches the tables, from whatever data directory."""

from __future__ import annotations

import shutil
from pathlib import Path

import orjson
import pytest
from mypy_boto3_dynamodb import DynamoDBClient

from tests.conftest import S9Database, TableNames
from tests.scenarios.conftest import hire
from tests.scenarios.cutover.marks import MARK, marks
from tests.support.application.application import Application
from tests.support.faults.sabotage import SabotagedOperator
from tests.support.operators.operator import Operator
from utils.embedded.aws import EmbeddedAws
from utils.files.artifacts import utc_now

STOPPED = ("cutover", "--s9-is-stopped")
EARLY = 12  # which file is put in place then; some later one is that of the cut-over


@pytest.fixture
def colleague(
    tmp_path: Path, migrated: Operator, s9: S9Database, aws: EmbeddedAws, tables: TableNames
) -> Operator:
    """Somebody with a copy of the data directory from before the switch."""
    directory = tmp_path / "colleague"
    directory.mkdir()
    other = hire(directory, s9, aws, tables)
    other.configure(load={"onConflict": "skip"})
    shutil.copytree(migrated.data, other.data)
    return other


def test_a_colleague_is_refused_and_told(
    migrated: Operator,
    colleague: Operator,
    s9: S9Database,
    application: Application,
    dynamodb: DynamoDBClient,
    tables: TableNames,
) -> None:
    migrated.run(*STOPPED).ended(0)
    migrated.run("cutover", "--switched").ended(0)
    state = orjson.loads((migrated.data / "cutover.json").read_bytes())
    assert marks(dynamodb, tables) == [state["switchedAt"]] * 3
    s9.execute("UPDATE msg SET notes = 'urgente' WHERE first_id = 10")
    before = application.scan()
    backup = next(iter((colleague.data / "backups").iterdir())).name
    for words in (
        ("sync",),
        ("--full", "--restart"),
        ("rollback", "--yes"),
        ("restore", backup, "--yes"),
        STOPPED,
    ):
        refused = colleague.run(*words).failed(
            2, "S9 is history", "cutover --back", "--after-switch"
        )
        assert f"by cut-over {state['cutover']}" in refused.stderr
    assert application.scan() == before
    shut = colleague.run("check").ended(1)
    assert "S9 is history" in shut.output
    colleague.run("sync", "--after-switch").ended(0)
    assert "urgente" in str(application.scan()["sales"])
    assert marks(dynamodb, tables) == [state["switchedAt"]] * 3
    migrated.run("--phase", "verify").ended(4)
    migrated.run("cutover", "--back", "--yes").ended(0)
    assert marks(dynamodb, tables) == [None] * 3
    colleague.run("sync").ended(0)


def test_while_somebody_writes_there_is_no_switch(
    migrated: Operator, dynamodb: DynamoDBClient, tables: TableNames
) -> None:
    migrated.run(*STOPPED).ended(0)
    held = {"owner": {"S": "else"}, "work": {"S": "a load"}, "renewals": {"N": "1"}}
    dynamodb.put_item(TableName=tables.sales, Item={**MARK, **held, "renewed": {"S": utc_now()}})
    refused = migrated.run("cutover", "--switched").failed(
        1, "is being written to by somebody else"
    )
    assert "S9 owns the data" in refused.stderr
    assert marks(dynamodb, tables) == [None] * 3
    dynamodb.delete_item(TableName=tables.sales, Key=MARK)
    migrated.run("cutover", "--switched").ended(0)


def test_a_switch_that_was_killed_when_the_tables_were_told_is_completed_or_given_up(
    migrated: Operator, colleague: Operator, dynamodb: DynamoDBClient, tables: TableNames
) -> None:
    """It is not made, and nobody writes meanwhile."""
    migrated.run(*STOPPED).ended(0)
    operator = SabotagedOperator.like(migrated)
    moment = EARLY
    while None in marks(dynamodb, tables):
        operator.killed("cutover", "--switched", what="before rename", after=moment)
        moment += 1
    dynamodb.delete_item(TableName=tables.buyers, Key=MARK)  # that one would have been the last
    assert "S9 owns the data" in migrated.run("cutover", "--status").ended(0).last_line
    for each in (colleague, migrated):
        each.run("sync").failed(2, "S9 is history", "where the switch was not completed")
    migrated.run("cutover", "--abort").ended(0)
    assert marks(dynamodb, tables) == [None] * 3
    colleague.run("sync").ended(0)


def test_a_table_that_is_gone_is_not_switched_to(
    migrated: Operator, dynamodb: DynamoDBClient, tables: TableNames
) -> None:
    migrated.run(*STOPPED).ended(0)
    dynamodb.delete_table(TableName=tables.sales)
    refused = migrated.run("cutover", "--switched").failed(1, "is not the table that this run has")
    assert "S9 owns the data" in refused.stderr
    assert "S9 owns the data" in migrated.run("cutover", "--abort").ended(0).last_line
