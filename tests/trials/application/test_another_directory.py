"""The same S9 from another data directory: rows without times are no conflict (trial C22)."""

from __future__ import annotations

import pytest
from mypy_boto3_dynamodb import DynamoDBClient

from tests.conftest import S9Database, TableNames
from tests.support.application.application import Application
from tests.support.operators.operator import Operator, insert, line, small_trade

THEIRS, OURS = "2025-02-01T08:00:00.000Z", "2026-01-30T08:00:00.000Z"


@pytest.fixture
def application(dynamodb: DynamoDBClient, tables: TableNames) -> Application:
    return Application(dynamodb, tables)


def test_another_migrations_time_is_no_change_of_s9(
    alone: Operator, s9: S9Database, application: Application
) -> None:
    """The lines, a sale and a buyer have no times; another sale has, and is changed."""
    small_trade(s9)
    s9.execute("UPDATE msg SET created_at = NULL, updated_at = NULL WHERE first_id = 10")
    s9.execute("UPDATE msg_anag SET created_at = NULL, updated_at = NULL WHERE first_id = 1")
    alone.configure(transformation={"migrationTimestamp": THEIRS})
    alone.run("--full").ended(0)
    before = application.scan()
    alone.configure(data={"directory": "data-2"}, transformation={"migrationTimestamp": OURS})
    outcome = alone.run("--full").ended(0)
    assert THEIRS in outcome.output
    assert "transformation.migrationTimestamp" in outcome.output
    assert application.scan() == before
    loaded = alone.report("load")["entities"]
    assert (loaded["sales"]["alreadyThere"], loaded["buyers"]["alreadyThere"]) == (5, 2)
    assert alone.report("verification")["passed"]

    s9.execute("UPDATE msg SET notes = 'new', updated_at = '2031-01-01' WHERE first_id = 11")
    insert(s9, "msg_line", line(4, 11, line_number=2))
    alone.configure(load={"onConflict": "newer"})
    alone.run("--full").ended(0)
    sales = application.scan()["sales"]
    changed = {
        item["legacyId"]["S"] for key, item in sales.items() if item != before["sales"].get(key)
    }
    assert changed == {"11", "4"}
    alone.run("rollback", "--yes").ended(0)
    assert application.scan() == before
