"""A small trade that is migrated, for its cut-over."""

from __future__ import annotations

import pytest
from mypy_boto3_dynamodb import DynamoDBClient

from tests.conftest import S9Database, TableNames
from tests.support.application.application import Application
from tests.support.operators.operator import Operator, small_trade


@pytest.fixture
def application(dynamodb: DynamoDBClient, tables: TableNames) -> Application:
    return Application(dynamodb, tables)


@pytest.fixture
def migrated(alone: Operator, s9: S9Database) -> Operator:
    """An operator who has migrated two sales with three lines; the application's work wins."""
    small_trade(s9)
    alone.configure(load={"onConflict": "skip"})
    alone.run("--full").ended(0)
    return alone
