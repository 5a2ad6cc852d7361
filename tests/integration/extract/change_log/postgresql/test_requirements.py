"""What following PostgreSQL's log needs: told all at once, each with what a DBA runs for it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from extract.change_log.change_log import Followed
from extract.change_log.postgresql.stream import Replication
from extract.change_log.requirement import Requirement
from extract.following.opening import open_log, requirements
from tests.integration.extract.change_log.postgresql.conftest import LivingS9
from tests.support.s9.logged import FOLLOWED, everything
from tests.support.s9.pooler import pooler
from utils.config import Secret, SourceConfig
from utils.embedded.postgresql import EmbeddedPostgres
from utils.error_handler import SourceError, SourceUnavailable


def as_reader(living: LivingS9, **changes: Any) -> SourceConfig:
    """The account that S9 gives to a migration: it can select, and no more."""
    server = living.server
    password = Secret(server.reader_password)
    return replace(living.config, username=server.reader, password=password, **changes)


def missing(
    config: SourceConfig, followed: Sequence[Followed], name: str
) -> dict[str, Requirement]:
    found = requirements(config, followed, name)
    return {each.name: each for each in found if not each.holds}


def refusal(config: SourceConfig, name: str, followed: Sequence[Followed] = FOLLOWED) -> str:
    with pytest.raises(SourceError) as raised:
        open_log(config, None, followed, name, {})
    assert raised.value.remedy == (
        "python migrate.py sync --check prints what a DBA runs for it; "
        "python migrate.py sync --every 60 works without"
    )
    return raised.value.message


@contextmanager
def undone(living: LivingS9, *statements: str) -> Iterator[None]:
    try:
        yield
    finally:
        living.run(*statements)


def test_an_account_that_can_only_select_is_told_what_a_dba_runs_and_then_follows(
    living: LivingS9,
) -> None:
    config, name, reader = as_reader(living), living.name, living.server.reader
    found = missing(config, FOLLOWED, name)
    assert {*found} == {"replication", "publication"}
    assert found["replication"].own == (f'ALTER ROLE "{reader}" REPLICATION;',)
    assert found["replication"].rds == (f'GRANT rds_replication TO "{reader}";',)
    message = refusal(config, name)
    assert f"{reader} may not read the log" in message
    assert f"there is no publication {name}" in message

    with undone(living, f"ALTER ROLE {reader} NOREPLICATION"):
        living.run(*(line for each in found.values() for line in each.own))
        assert missing(config, FOLLOWED, name) == {}
        with open_log(config, None, FOLLOWED, name, {}) as log:
            living.run("DELETE FROM msg_line WHERE id = 10")
            assert everything(log).keys == {"msg_line": {10}}
        # What lacks a table is as good as none, and is not the account's to alter.
        living.run(f"ALTER PUBLICATION {name} DROP TABLE msg")
        [lacks] = missing(config, FOLLOWED, name).values()
        assert lacks.told.startswith(f"the publication {name} does not publish msg")
        living.run(*lacks.own)
        assert missing(config, FOLLOWED, name) == {}


@pytest.mark.parametrize(
    ("made", "lacks"),
    [
        ("FOR TABLE msg, msg_anag, msg_line WITH (publish = 'insert')", "update, delete, truncate"),
        ("FOR TABLE msg WHERE (first_id > 3), msg_anag, msg_line", "row filter"),
        ("FOR TABLE msg (first_id), msg_anag, msg_line", "column list"),
        ("FOR TABLES IN SCHEMA {schema}", ""),
    ],
)
def test_a_publication_that_is_there_is_used_if_it_tells_everything(
    living: LivingS9, made: str, lacks: str
) -> None:
    config, name, reader = as_reader(living), living.name, living.server.reader
    with undone(living, f"ALTER ROLE {reader} NOREPLICATION"):
        living.run(
            f"ALTER ROLE {reader} REPLICATION",
            f"CREATE PUBLICATION {name} {made.format(schema=living.schema)}",
        )
        found = missing(config, FOLLOWED, name)
        if lacks:
            assert lacks in found["publication"].told
            living.run(*found["publication"].own)
        assert missing(config, FOLLOWED, name) == {}


def test_tables_whose_changes_the_log_would_not_tell(living: LivingS9) -> None:
    """Every one of them would be broken by a publication, or is none."""
    name = living.name
    for statements, told, own in (
        (["CREATE TABLE t (id int)"], "primary key", "ADD PRIMARY KEY"),
        (["CREATE TABLE t (id int, n int PRIMARY KEY)"], "primary key", "REPLICA IDENTITY FULL"),
        (
            ["CREATE TABLE t (id int PRIMARY KEY)", "ALTER TABLE t REPLICA IDENTITY NOTHING"],
            "primary key",
            f"REPLICA IDENTITY USING INDEX {living.schema}.t_pkey",
        ),
        (["CREATE UNLOGGED TABLE t (id int PRIMARY KEY)"], "unlogged", ""),
        (["CREATE VIEW t AS SELECT 1 AS id"], "is no table", ""),
        (
            ["CREATE TABLE t (id int PRIMARY KEY)", "CREATE TABLE of_t () INHERITS (t)"],
            "inherit from t",
            "",
        ),
        (["CREATE TABLE t (first_id int PRIMARY KEY)"], "has no column id", ""),
        (["CREATE TABLE u (id int PRIMARY KEY)"], "there is no table t", ""),
    ):
        living.run(*statements)
        found = missing(living.config, [Followed("t", "id")], name)["table t"]
        assert told in found.told, statements
        assert own in " ".join(found.own), statements
        assert found.told in refusal(living.config, name, [Followed("t", "id")])
        living.run(
            "DROP VIEW IF EXISTS t"
            if "VIEW" in statements[0]
            else "DROP TABLE IF EXISTS t, u CASCADE"
        )
    assert living.rows("SELECT count(*) FROM pg_publication") == [(0,)]


def test_what_a_dba_runs_for_a_table_is_enough(living: LivingS9) -> None:
    living.run("CREATE TABLE t (id int NOT NULL, n int)", "CREATE UNIQUE INDEX of_t ON t (id, n)")
    followed = [Followed("t", "id")]
    own = missing(living.config, followed, living.name)["table t"].own
    for statement in own:
        living.run(statement.removeprefix("-- or: ")) if "of_t" not in statement else None
    assert missing(living.config, followed, living.name) == {}
    with living.follow(followed=followed) as log:
        living.run("INSERT INTO t VALUES (1)", "UPDATE t SET id = 2")
        assert everything(log).keys == {"t": {1, 2}}


def test_a_server_whose_log_is_not_logical(postgres: EmbeddedPostgres) -> None:
    config = SourceConfig(
        host=postgres.host,
        port=postgres.port,
        database=postgres.database,
        username=postgres.owner,
        password=Secret(postgres.owner_password),
        ssl=False,
    )
    found = missing(config, [], "never")
    assert {*found} == {"wal_level", "max_wal_senders"}
    assert found["wal_level"].own == (
        "ALTER SYSTEM SET wal_level = 'logical';",
        "then restart the server",
    )
    assert "rds.logical_replication" in found["wal_level"].rds[0]
    assert "CLUSTER" in found["wal_level"].aurora[0]


def test_a_server_that_would_wait_for_whoever_reads_its_log(living: LivingS9) -> None:
    """Its commits would last until what they change is in the target."""
    with undone(living, "ALTER SYSTEM RESET synchronous_standby_names", "SELECT pg_reload_conf()"):
        living.run(
            "SET synchronous_commit = local",
            "ALTER SYSTEM SET synchronous_standby_names = 'FIRST 1 (*)'",
            "SELECT pg_reload_conf()",
            "SELECT pg_sleep(0.1)",
        )
        [found] = missing(living.config, FOLLOWED, living.name).values()
        assert found.name == "synchronous_standby_names"


def test_what_the_server_says_to_who_may_not_read_its_log(
    living: LivingS9, postgres: EmbeddedPostgres
) -> None:
    """The right may go, and the last connection, after it was looked for."""
    with pytest.raises(SourceUnavailable, match="does not let s9_reader read its log"):
        Replication(as_reader(living))
    password = Secret(postgres.owner_password)
    with pytest.raises(SourceUnavailable, match="no connection left that reads its log"):
        Replication(replace(living.config, port=postgres.port, password=password))


def test_slots_that_are_all_taken(living: LivingS9) -> None:
    taken = [f"taken_{n}" for n in range(6)]
    drops = [f"SELECT pg_drop_replication_slot('{name}')" for name in taken]
    with undone(living, *drops):
        living.run(*(f"SELECT pg_create_physical_replication_slot('{name}')" for name in taken))
        [found] = missing(living.config, FOLLOWED, living.name).values()
        assert found.own[0] == "ALTER SYSTEM SET max_replication_slots = 11;"


def test_a_pooler_carries_no_log(living: LivingS9) -> None:
    with pooler(living.server) as port:
        found = missing(as_reader(living, port=port), FOLLOWED, living.name)
        assert "pooler" in found["direct"].told
