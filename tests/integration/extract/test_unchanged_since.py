"""Two snapshots of S9 that are provably the same, and those that are not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg2.extensions
import pytest

from extract.postgresql.source import PostgresSource
from tests.conftest import S9Database
from tests.support.s9.many_sales import many_sales
from utils.config import Secret, SourceConfig

TABLES = ("msg", "msg_anag", "msg_line")


@pytest.fixture
def config(s9: S9Database) -> SourceConfig:
    many_sales(s9, 50)
    server = s9.server
    return SourceConfig(
        host=server.host,
        port=server.port,
        database=s9.name,
        username=server.reader,
        password=Secret(server.reader_password),
        ssl=False,
    )


def witness(config: SourceConfig) -> tuple[str, dict[str, int]]:
    """What an extract notes of its snapshot."""
    with PostgresSource(config) as source:
        return source.snapshot.transactions, source.rows_of(TABLES)


def unchanged(config: SourceConfig, earlier: tuple[str, dict[str, int]]) -> bool:
    with PostgresSource(config) as source:
        return source.unchanged_since(*earlier)


def test_when_nothing_happens_it_is_unchanged(config: SourceConfig) -> None:
    earlier = witness(config)
    assert earlier[1] == {"msg": 50, "msg_anag": 30, "msg_line": 100}
    assert unchanged(config, earlier)


def test_what_other_tables_and_readers_do_changes_nothing(
    config: SourceConfig, s9: S9Database
) -> None:
    earlier = witness(config)
    s9.execute("CREATE TABLE other (id int)")
    s9.execute("INSERT INTO other SELECT generate_series(1, 100)")
    s9.execute("SELECT first_id FROM msg FOR UPDATE")
    assert unchanged(config, earlier)


@pytest.mark.parametrize(
    "change",
    [
        "INSERT INTO msg_anag (first_id, kind, enabled, name) VALUES (9999, 2, true, 'Nuova')",
        "UPDATE msg SET total = 12 WHERE first_id = 7",
        "UPDATE msg_line SET quantity = quantity WHERE id = 31",
        "DELETE FROM msg_line WHERE id = 31",
        "TRUNCATE msg_line",
        "ALTER TABLE msg ALTER COLUMN sale_number TYPE bigint",
    ],
)
def test_any_change_is_noticed(config: SourceConfig, s9: S9Database, change: str) -> None:
    earlier = witness(config)
    s9.execute(change)
    assert not unchanged(config, earlier)
    assert unchanged(config, witness(config))


def test_a_row_that_leaves_while_another_comes_is_noticed(
    config: SourceConfig, s9: S9Database
) -> None:
    earlier = witness(config)
    s9.execute("DELETE FROM msg_line WHERE id = 31")
    s9.execute("INSERT INTO msg_line (id, msg_id, line_number) VALUES (31, 10, 1)")
    assert not unchanged(config, earlier)


@contextmanager
def transaction(s9: S9Database) -> Iterator[psycopg2.extensions.cursor]:
    """One that has written when the snapshot is taken, and commits afterwards."""
    session = s9.server.connect(s9.name)
    try:
        with session.cursor() as cursor:
            yield cursor
        session.commit()
    finally:
        session.close()


@pytest.mark.parametrize("within_savepoint", [False, True])
def test_what_was_being_written_at_the_first_snapshot_is_noticed(
    config: SourceConfig, s9: S9Database, within_savepoint: bool
) -> None:
    with transaction(s9) as other:
        other.execute("UPDATE msg SET total = 1 WHERE first_id = 1")
        if within_savepoint:
            # Its rows bear a number of their own, which no list of running transactions has.
            other.execute("ROLLBACK")
            other.execute("BEGIN")
            other.execute("SELECT txid_current()")
            other.execute("SAVEPOINT inner_part")
            other.execute("UPDATE msg SET total = 1 WHERE first_id = 1")
            other.execute("RELEASE SAVEPOINT inner_part")
            s9.execute("SELECT txid_current()")  # a later one, that is over
        earlier = witness(config)
    assert not unchanged(config, earlier)


def test_what_was_being_written_and_was_rolled_back_changes_nothing(
    config: SourceConfig, s9: S9Database
) -> None:
    with transaction(s9) as other:
        other.execute("UPDATE msg SET total = 1 WHERE first_id = 1")
        earlier = witness(config)
        other.execute("ROLLBACK")
    assert unchanged(config, earlier)


def test_of_a_view_nothing_can_be_proved(config: SourceConfig, s9: S9Database) -> None:
    s9.execute("ALTER TABLE msg_line RENAME TO lines")
    s9.execute("CREATE VIEW msg_line AS SELECT * FROM lines")
    earlier = witness(config)
    assert earlier[1]["msg_line"] == 100
    assert not unchanged(config, earlier)


def test_a_table_that_has_gone_is_not_unchanged(config: SourceConfig, s9: S9Database) -> None:
    earlier = witness(config)
    s9.execute("DROP TABLE msg_line")
    assert not unchanged(config, earlier)
    assert "msg_line" not in witness(config)[1]


@pytest.mark.parametrize(
    ("ahead", "expected"),
    [(0, True), (-3, False), (1 << 32, True), (5 << 32, True), (1 << 31, False)],
    ids=["now", "before the rows", "an epoch on", "five epochs on", "half a circle on"],
)
def test_numbers_that_wrap_around_are_compared_on_the_circle(
    config: SourceConfig, ahead: int, expected: bool
) -> None:
    """A row has the low 32 bits of its transaction's number only; a snapshot has all of them."""
    transactions, rows = witness(config)
    oldest = int(transactions.split(":")[0]) + ahead
    assert unchanged(config, (f"{oldest}:{oldest}:", rows)) is expected


def test_a_snapshot_just_after_the_numbers_wrapped_sees_the_rows_before_it_as_old(
    config: SourceConfig,
) -> None:
    _, rows = witness(config)
    assert unchanged(config, (f"{(1 << 32) + 2**30}:{(1 << 32) + 2**30}:", rows))
    assert not unchanged(config, (f"{(1 << 32) - 100}:{(1 << 32) - 100}:", rows))
