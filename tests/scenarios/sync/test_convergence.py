"""After any sync the target holds exactly what a fresh `--full` into empty tables would hold, plus
what is the application's: short histories of a living S9 with a living application.

tests/torture/living/torture_sync.py plays hundreds of longer ones.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from mypy_boto3_dynamodb import DynamoDBClient

from tests.conftest import S9Database, TableNames
from tests.scenarios.conftest import hire
from tests.support.living.histories import History, script
from utils.embedded.aws import EmbeddedAws

PASSES = 3
_OTHERWISE = {
    1: {"removed": "softDelete"},
    3: {"refused": "remove"},
    5: {"removed": "keep"},
}


def assert_converges(
    directory: Path,
    s9: S9Database,
    aws: EmbeddedAws,
    dynamodb: DynamoDBClient,
    tables: TableNames,
    seed: int,
) -> None:
    operator = hire(directory, s9, aws, tables)
    settings = _OTHERWISE.get(seed, {})
    words = script(seed, passes=PASSES)
    history = History(operator, s9, dynamodb, tables, aws, seed, words, settings)
    history.assert_converges()


@pytest.mark.parametrize("seed", range(6))
def test_of_a_postgresql(
    seed: int,
    tmp_path: Path,
    s9: S9Database,
    aws: EmbeddedAws,
    dynamodb: DynamoDBClient,
    tables: TableNames,
) -> None:
    assert_converges(tmp_path, s9, aws, dynamodb, tables, seed)


@pytest.mark.parametrize("seed", (8, 9))
def test_of_a_mariadb(
    seed: int,
    tmp_path: Path,
    s9_on_mysql: S9Database,
    aws: EmbeddedAws,
    dynamodb: DynamoDBClient,
    tables: TableNames,
) -> None:
    assert_converges(tmp_path, s9_on_mysql, aws, dynamodb, tables, seed)
