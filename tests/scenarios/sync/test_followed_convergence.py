"""Whatever a living S9 and a living application do, and however often who follows its log is killed
or stopped: in step, the tables hold what a fresh `--full` into empty ones would hold, plus what is
the application's. tests/torture/living/torture_follow.py plays hundreds of longer histories."""

from __future__ import annotations

from pathlib import Path

import pytest
from mypy_boto3_dynamodb import DynamoDBClient

from tests.conftest import S9Database, TableNames
from tests.scenarios.conftest import hire
from tests.support.living.followed_histories import FollowedHistory, followed_script
from utils.embedded.aws import EmbeddedAws

LOOKS = 2
_OTHERWISE = {2: {"removed": "softDelete"}}


@pytest.mark.parametrize(
    ("database", "seed"),
    [("s9_with_log", 0), ("s9_with_log", 2), ("s9_with_binlog", 3)],
)
def test_it_converges(
    database: str,
    seed: int,
    request: pytest.FixtureRequest,
    tmp_path: Path,
    aws: EmbeddedAws,
    dynamodb: DynamoDBClient,
    tables: TableNames,
) -> None:
    s9: S9Database = request.getfixturevalue(database)
    operator = hire(tmp_path, s9, aws, tables)
    words, settings = followed_script(seed, looks=LOOKS), _OTHERWISE.get(seed, {})
    history = FollowedHistory(operator, s9, dynamodb, tables, aws, seed, words, settings)
    history.assert_converges()
