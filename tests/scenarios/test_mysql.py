"""The whole tool with S9 on MySQL: what arrives is what arrives from PostgreSQL."""

from __future__ import annotations

from pathlib import Path

import pytest
from mypy_boto3_dynamodb import DynamoDBClient

from tests.conftest import Sample, TableNames
from tests.scenarios.conftest import DONE_TABLES, hire
from tests.scenarios.operator import ENTITIES, Operator, scan_all
from utils.embedded.aws import EmbeddedAws


@pytest.fixture
def on_mysql(
    tmp_path: Path, sample_on_mysql: Sample, aws: EmbeddedAws, tables: TableNames
) -> Operator:
    """An operator with the shared sample on MariaDB (for reading)."""
    return hire(tmp_path, sample_on_mysql.s9, aws, tables)


def test_the_same_data_give_the_same_items_as_on_postgresql(
    on_mysql: Operator,
    finished: Operator,
    sample_on_mysql: Sample,
    dynamodb: DynamoDBClient,
    tables: TableNames,
) -> None:
    on_mysql.run("--dry-run").ended(5)
    assert on_mysql.rehearsal.transformed() == finished.transformed()
    on_mysql.run("--full").ended(5)
    assert on_mysql.transformed() == finished.transformed()
    assert scan_all(dynamodb, tables) == scan_all(dynamodb, DONE_TABLES)
    assert on_mysql.report("verification")["passed"]
    for entity in ENTITIES:
        assert set(on_mysql.quarantine(entity)) == sample_on_mysql.report.quarantined(entity)
    snapshot = on_mysql.manifest()["snapshot"]
    assert snapshot["consistent"]
    assert "CONSISTENT SNAPSHOT" in snapshot["guarantee"]


def test_an_account_that_could_write_is_warned_of(
    on_mysql: Operator, sample_on_mysql: Sample
) -> None:
    assert "may change" not in on_mysql.run("--phase", "extract").ended(0).stderr
    server = sample_on_mysql.s9.server
    on_mysql.environment["S9_PASSWORD"] = server.owner_password
    on_mysql.configure(source={"username": server.owner})
    outcome = on_mysql.run("--phase", "extract").ended(0)
    assert "may change msg, msg_anag, msg_line" in outcome.stderr
