"""Three hundred random histories of a target that follows the log of a living S9, while the
application works: who follows is killed and stopped at random moments, and an ordinary sync comes
in between. In step, the tables are those of a fresh `--full`, plus what is the application's."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from mypy_boto3_dynamodb import DynamoDBClient

from tests.conftest import S9Database, TableNames
from tests.scenarios.conftest import hire
from tests.support.living.followed_histories import FollowedHistory, followed_script
from utils.embedded.aws import EmbeddedAws

HISTORIES, ON_MARIADB = 200, 100
LOOKS = 5
REMOVED = ("delete", "delete", "delete", "softDelete", "keep")
REFUSED = ("keep", "keep", "remove")


def assert_converges(
    directory: Path,
    s9: S9Database,
    aws: EmbeddedAws,
    dynamodb: DynamoDBClient,
    tables: TableNames,
    seed: int,
) -> None:
    chance = random.Random(-seed)
    settings = {"removed": chance.choice(REMOVED), "refused": chance.choice(REFUSED)}
    words = followed_script(seed, looks=chance.randint(1, LOOKS))
    operator = hire(directory, s9, aws, tables)
    policy = chance.choice(("exclude", "referenced", "all"))
    operator.configure(extraction={"disabledParties": policy})
    history = FollowedHistory(operator, s9, dynamodb, tables, aws, seed, words, settings)
    history.assert_converges()


@pytest.mark.parametrize("number", range(HISTORIES))
def test_a_postgresql_is_followed(
    number: int,
    tmp_path: Path,
    s9_with_log: S9Database,
    aws: EmbeddedAws,
    dynamodb: DynamoDBClient,
    tables: TableNames,
    seed: int,
) -> None:
    assert_converges(tmp_path, s9_with_log, aws, dynamodb, tables, seed * 1000 + number)


@pytest.mark.parametrize("number", range(ON_MARIADB))
def test_a_mariadb_is_followed(
    number: int,
    tmp_path: Path,
    s9_with_binlog: S9Database,
    aws: EmbeddedAws,
    dynamodb: DynamoDBClient,
    tables: TableNames,
    seed: int,
) -> None:
    assert_converges(tmp_path, s9_with_binlog, aws, dynamodb, tables, seed * 2000 + number)
