"""SIGKILL at every event of a load by import, from the upload on."""

from __future__ import annotations

import random
from pathlib import Path

from mypy_boto3_dynamodb import DynamoDBClient

from tests.conftest import S9Database
from tests.scenarios.imports.conftest import NEW, importer, keys_in, prepared
from tests.support.faults.imports import ALL_SETTINGS, of_load, result, sabotaged
from tests.support.faults.sabotage import events, start_over
from tests.support.operators.operator import small_trade
from utils.embedded.aws import EmbeddedAws


def test_killed_at_every_event_of_an_import(
    tmp_path: Path,
    s9: S9Database,
    importing: EmbeddedAws,
    new_tables: DynamoDBClient,
    seed: int,
) -> None:
    small_trade(s9)
    tool = sabotaged(importer(tmp_path, s9, importing).configure(load=ALL_SETTINGS))
    happened = events(tool, "--full")
    expected = result(tool, new_tables, NEW)
    chance = random.Random(seed)
    for moment in of_load(happened):
        start_over(tool, new_tables, NEW)
        prepared(importing)
        tool.killed("--full", after=moment)
        if chance.random() < 0.3:  # once more, on the way on; it may be over before
            tool.is_killed("--resume", after=chance.randint(1, 40))
        tool.run("--resume").ended(0)
        assert result(tool, new_tables, NEW) == expected, happened[moment - 1]
        assert keys_in(importing) == [], happened[moment - 1]
