"""A target that is kept in step with a living S9."""

from __future__ import annotations

import pytest
from mypy_boto3_dynamodb import DynamoDBClient

from tests.conftest import S9Database, TableNames
from tests.scenarios.conftest import Hire  # noqa: F401
from tests.support.application.application import Application
from tests.support.operators.operator import Operator, small_trade


@pytest.fixture
def application(dynamodb: DynamoDBClient, tables: TableNames) -> Application:
    return Application(dynamodb, tables)


def test_a_sync_writes_what_has_changed(
    alone: Operator, s9: S9Database, application: Application
) -> None:
    small_trade(s9)
    alone.run("--full").ended(0)
    before = application.scan()
    print(alone.run("sync").ended(0).stdout)
    assert application.scan() == before
    s9.execute("UPDATE msg SET notes = 'urgente' WHERE first_id = 10")
    s9.execute("DELETE FROM msg_line WHERE id = 2")
    print(alone.run("sync", "--dry-run").ended(0).stdout)
    assert application.scan() == before
    print(alone.run("sync").ended(0).stdout)
    print(alone.report("sync"))
    print(alone.run("--phase", "verify").ended(0).stdout)
