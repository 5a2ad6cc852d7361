"""Which names an operator's SQL may have of things in the database."""

from __future__ import annotations

import pytest

from utils.settings.sql_text import names_in


@pytest.mark.parametrize(
    ("database", "sql", "found"),
    [
        ("postgresql", "a IN (SELECT b FROM Other.Chosen)", {"a", "in", "select", "b", "from"}),
        ("postgresql", "'one' || $$two$$ -- three\n/* four /* five */ */ + \"Six\"", {"six"}),
        ("postgresql", 'SELECT "say ""so""" FROM e', {"select", 'say "so"', "from", "e"}),
        ("mysql", "'one' \"two\" # three\n `Four` /* five */", {"four"}),
    ],
)
def test_names(database: str, sql: str, found: set[str]) -> None:
    named = names_in(sql, database)
    assert named == found | ({"other", "chosen"} if "Chosen" in sql else set())
