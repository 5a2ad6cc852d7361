"""What the last line says to type about a difference helps, and undoes nothing of the application's
(trials B and C1)."""

from __future__ import annotations

import shlex

import pytest
from mypy_boto3_dynamodb import DynamoDBClient

from tests.conftest import S9Database, TableNames
from tests.support.application.application import LATER, Application
from tests.support.operators.operator import Operator, Outcome, small_trade
from tests.support.operators.undone import headers, lines


@pytest.fixture
def application(dynamodb: DynamoDBClient, tables: TableNames) -> Application:
    return Application(dynamodb, tables)


@pytest.fixture
def done(alone: Operator, s9: S9Database) -> Operator:
    small_trade(s9)
    alone.run("--full").ended(0)
    return alone


def typed(tool: Operator, outcome: Outcome) -> Outcome:
    """Type what the last line says."""
    return tool.run(*shlex.split(outcome.last_line.rpartition("python migrate.py ")[2]))


def test_what_is_missing_or_different_comes_back_and_what_was_changed_stays(
    done: Operator, application: Application
) -> None:
    whole = application.scan()
    gone, spoiled = headers(done, "buyers")[0], headers(done, "producers")[0]
    application.delete("buyers", gone)
    outcome = done.run("--phase", "verify").ended(4)
    assert "items missing: 1" in outcome.last_line
    typed(done, outcome).ended(0)
    assert application.scan() == whole

    application.put("producers", {**spoiled, "city": {"S": "Lecco"}})
    outcome = typed(done, done.run("--phase", "verify").ended(4)).ended(0)
    assert application.scan() == whole
    assert outcome.last_line == "Done: every record arrived."


def test_beside_the_application_s_changes_nothing_is_said_that_would_undo_them(
    done: Operator, application: Application
) -> None:
    first = headers(done, "sales")[0]
    application.change("sales", first, status={"S": "paid"})
    line = lines(done)[-1]
    application.delete("sales", line)
    outcome = done.run("--phase", "verify").ended(4)
    assert "items missing: 1" in outcome.last_line
    assert "The application has changed, deleted or added 1 item" in outcome.stdout
    typed(done, outcome).ended(0)
    after = application.scan()["sales"]
    assert after[first["PK"]["S"], "METADATA"]["status"] == {"S": "paid"}
    assert (line["PK"]["S"], line["SK"]["S"]) in after

    # Of a sale that the application has changed, nothing is written: it is corrected there.
    application.delete("sales", lines(done)[0])
    outcome = typed(done, done.run("--phase", "verify").ended(4)).ended(4)
    assert "What a repair has left" in outcome.last_line
    application.put("sales", lines(done)[0])
    assert typed(done, outcome).code == 0


def test_what_left_s9_is_named_and_goes_when_it_is_deleted_in_the_sale_module(
    done: Operator, s9: S9Database, application: Application
) -> None:
    gone = headers(done, "sales")[1]
    s9.execute("UPDATE msg SET enabled = false WHERE first_id = 11")
    outcome = done.run("--full").ended(4)
    assert "only in the target: 1 sale and 1 line (S9 no longer has them)" in outcome.last_line
    assert "Write that again" not in outcome.output
    application.change("sales", gone, deletedAt={"S": LATER})
    assert "every record arrived" in typed(done, outcome).ended(0).last_line
