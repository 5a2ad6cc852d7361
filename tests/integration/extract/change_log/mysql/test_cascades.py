"""Rows that the database changes by itself are in no log: whose change would be missed is told."""

from __future__ import annotations

import pytest

from extract.change_log.change_log import Followed
from extract.following.opening import open_log, requirements
from tests.conftest import S9Database
from utils.config import Secret, SourceConfig
from utils.error_handler import SourceError

FOLLOWED = (
    Followed("party", "id"),
    Followed("sale", "id"),
    Followed("line", "id", "sale_id"),
)
TABLES = (
    "CREATE TABLE office (id BIGINT PRIMARY KEY, code BIGINT UNIQUE)",
    "CREATE TABLE party (id BIGINT PRIMARY KEY, number BIGINT UNIQUE)",
    "CREATE TABLE sale "
    "(id BIGINT PRIMARY KEY, party_id BIGINT, office_id BIGINT, before_id BIGINT)",
    "CREATE TABLE line (id BIGINT PRIMARY KEY, sale_id BIGINT, party_id BIGINT)",
    "CREATE TABLE note "
    "(id BIGINT PRIMARY KEY, sale_id BIGINT REFERENCES sale (id) ON DELETE CASCADE)",
)


def config_of(database: S9Database, *, owner: bool = True) -> SourceConfig:
    server = database.server
    return SourceConfig(
        type="mysql",
        host=server.host,
        port=server.port,
        database=database.name,
        username=server.owner if owner else server.reader,
        password=Secret(server.owner_password if owner else server.reader_password),
        ssl=False,
        connection_timeout=3,
    )


@pytest.fixture
def tables(s9_with_binlog: S9Database) -> S9Database:
    for statement in TABLES:
        s9_with_binlog.execute(statement)
    return s9_with_binlog


@pytest.mark.parametrize("owner", [True, False])
@pytest.mark.parametrize(
    ("table", "column", "to", "rule", "is_told"),
    [
        ("sale", "office_id", "office (id)", "ON DELETE CASCADE", False),
        ("sale", "office_id", "office (id)", "ON DELETE SET NULL", False),
        ("sale", "office_id", "office (code)", "ON UPDATE CASCADE", False),
        ("sale", "office_id", "office (id)", "ON DELETE RESTRICT", True),
        ("sale", "office_id", "office (id)", "", True),
        ("sale", "before_id", "sale (id)", "ON DELETE SET NULL", False),
        ("sale", "party_id", "party (id)", "ON DELETE SET NULL ON UPDATE CASCADE", True),
        ("sale", "party_id", "party (number)", "ON UPDATE CASCADE", False),
        ("line", "sale_id", "sale (id)", "ON DELETE CASCADE", True),
        ("line", "party_id", "party (id)", "ON DELETE CASCADE", False),
    ],
)
def test_foreign_keys_that_change_followed_rows(
    tables: S9Database, *, table: str, column: str, to: str, rule: str, is_told: bool, owner: bool
) -> None:
    tables.execute(
        f"ALTER TABLE {table} ADD CONSTRAINT it FOREIGN KEY ({column}) REFERENCES {to} {rule}"
    )
    found = requirements(config_of(tables, owner=owner), FOLLOWED)
    missing = [each.name for each in found if not each.holds and each.name != "replication slave"]
    assert missing == ([] if is_told else ["foreign key it"])


def test_what_the_database_deletes_by_itself_is_not_missed(tables: S9Database) -> None:
    """Of the sale there is nothing in the log: the log is not followed."""
    tables.execute(
        "ALTER TABLE sale ADD FOREIGN KEY (office_id) REFERENCES office (id) ON DELETE CASCADE"
    )
    with pytest.raises(SourceError, match=r"sale\.office_id follows office\.id by itself"):
        open_log(config_of(tables), None, FOLLOWED, "cascades", {})
    with open_log(config_of(tables), None, [Followed("party", "id")], "cascades", {}) as log:
        tables.execute("INSERT INTO party VALUES (1, 1)")
        assert log.read(5).keys == {"party": {1}}
