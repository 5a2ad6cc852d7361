"""Settings that are asked about, whether they were meant."""

from __future__ import annotations

from dataclasses import replace

import pytest

from utils.config import BATCH, IMPORT, Config, LoadConfig, NewTablesConfig
from utils.settings.config_safety import questions


@pytest.mark.parametrize(
    ("method", "settings", "asked"),
    [
        (BATCH, NewTablesConfig(), 0),
        (BATCH, NewTablesConfig(deletion_protection=True), 1),
        (IMPORT, NewTablesConfig(deletion_protection=True), 0),
    ],
)
def test_settings_of_new_tables_are_asked_about_where_none_are_imported(
    method: str, settings: NewTablesConfig, asked: int
) -> None:
    config = replace(Config(), load=LoadConfig(method=method, new_tables=settings))
    found = [each for each in questions(config) if "load.newTables" in each]
    assert len(found) == asked
