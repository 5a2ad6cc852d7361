"""PostgreSQL's side of the glass (tests/trials/glass.py): what an account may not see, and must."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.conftest import S9Database
from tests.scenarios.operator import small_trade
from tests.trials.glass import Pane, assert_seen_through, look
from utils.embedded.postgresql import EmbeddedPostgres
from utils.embedded.s9_schema import create_tables


def role(setting: str, value: str) -> Pane:
    """A setting that the account brings along in this database."""
    alter = "ALTER ROLE $reader IN DATABASE $database"
    return Pane(
        f"role: {setting} = {value}",
        put_up=(f"{alter} SET {setting} = {value}",),
        taken_down=(f"{alter} RESET {setting}",),
    )


SETTINGS = (
    role("search_path", "elsewhere, public"),
    role("DateStyle", "'German, DMY'"),
    role("TimeZone", "'Asia/Tokyo'"),
    role("extra_float_digits", "-5"),
    role("bytea_output", "escape"),
    role("IntervalStyle", "sql_standard"),
    role("client_encoding", "LATIN1"),
)


def fill(s9: S9Database) -> None:
    """A small trade."""
    small_trade(s9)


@pytest.fixture(scope="module")
def shared(postgres: EmbeddedPostgres) -> Iterator[S9Database]:
    """A database for the panes that are taken down again."""
    postgres.create_database("glass")
    connection = postgres.connect("glass")
    s9 = S9Database(postgres, "glass", connection)
    create_tables(connection)
    fill(s9)
    yield s9
    connection.close()
    postgres.drop_database("glass")


@pytest.fixture(scope="module")
def expected(shared: S9Database, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, bytes]:
    """What is read where nothing stands between."""
    return look(shared, tmp_path_factory.mktemp("plain")).rows


@pytest.mark.parametrize("pane", SETTINGS, ids=lambda pane: pane.name)
def test_settings_of_the_account_and_the_database_change_no_row(
    pane: Pane, shared: S9Database, expected: Mapping[str, bytes], tmp_path: Path
) -> None:
    assert_seen_through(pane, shared, tmp_path, expected)
