"""What changes under a snapshot of PostgreSQL: tables that were rewritten since show it nothing of
what it should see, and are found; an index that came, went or was made anew since does no harm."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import pytest

from extract.postgresql.source import PostgresSource
from extract.source import Reads
from tests.conftest import S9Database
from tests.support.s9.reading import config_of
from utils.error_handler import BackOff

_BEFORE = (
    "CREATE TABLE t (id integer PRIMARY KEY, place text, grown numeric)",
    "INSERT INTO t SELECT n, 'Via ' || n, n FROM generate_series(1, 2000) AS n",
    "CREATE INDEX t_place ON t (place)",
    "CREATE TABLE p (id integer PRIMARY KEY, place text) PARTITION BY RANGE (id)",
    "CREATE INDEX p_place ON p (place)",
    "CREATE TABLE p_low PARTITION OF p FOR VALUES FROM (0) TO (1001)",
    "CREATE TABLE p_high PARTITION OF p FOR VALUES FROM (1001) TO (3000)",
    "INSERT INTO p SELECT id, place FROM t",
    "CREATE MATERIALIZED VIEW m AS SELECT * FROM t",
    "CREATE UNIQUE INDEX m_id ON m (id)",
    "CREATE VIEW v AS SELECT * FROM t",
    "ANALYZE",
)
_OF_INDEXES = {
    "created": ("t", "CREATE INDEX di_passaggio ON t (grown)"),
    "created instead": ("t", "CREATE INDEX di_passaggio ON t (place)", "DROP INDEX t_place"),
    "created on an expression": ("t", "CREATE INDEX di_passaggio ON t (lower(place))"),
    "dropped": ("t", "DROP INDEX t_place"),
    "made anew": ("t", "REINDEX INDEX t_place"),
    "of a table made anew": ("t", "REINDEX TABLE t"),
    "made anew beside": ("t", "REINDEX INDEX CONCURRENTLY t_place"),
    "created beside": ("t", "CREATE INDEX CONCURRENTLY di_passaggio ON t (place)"),
    "renamed": ("t", "ALTER INDEX t_place RENAME TO t_where"),
    "renamed, its name another's": (
        "t",
        "ALTER INDEX t_place RENAME TO t_where",
        "CREATE INDEX t_place ON t (grown)",
    ),
    "of partitions created": ("p", "CREATE INDEX di_passaggio ON p (place, id)"),
    "of partitions dropped": ("p", "DROP INDEX p_place"),
    "of a partition made anew": ("p", "REINDEX TABLE p_low"),
    "of partitions renamed": ("p", "ALTER INDEX p_place RENAME TO p_where"),
    "of a materialized view created": ("m", "CREATE INDEX di_passaggio ON m (place)"),
    "of a view's table created": ("v", "CREATE INDEX di_passaggio ON t (place)"),
}
_OF_TABLES = {
    "emptied": ("t", "TRUNCATE t"),
    "sorted": ("t", "CLUSTER t USING t_place"),
    "packed": ("t", "VACUUM FULL t"),
    "retyped": (
        "t",
        "DROP MATERIALIZED VIEW m",
        "DROP VIEW v",
        "ALTER TABLE t ALTER COLUMN grown TYPE double precision",
    ),
    "replaced": ("t", "DROP TABLE t CASCADE", "CREATE TABLE t AS SELECT * FROM p"),
    "swapped": (
        "t",
        "CREATE TABLE new_t (LIKE t INCLUDING ALL)",
        "INSERT INTO new_t TABLE t",
        "ALTER TABLE t RENAME TO old_t",
        "ALTER TABLE new_t RENAME TO t",
    ),
    "another's name": ("t", "ALTER TABLE t RENAME TO old_t", "ALTER TABLE p RENAME TO t"),
    "a partition emptied": ("p", "TRUNCATE p_low"),
    "a partition sorted": ("p", "CLUSTER p_low USING p_low_pkey"),
    "a partition replaced": (
        "p",
        "ALTER TABLE p DETACH PARTITION p_low",
        "CREATE TABLE p_new (LIKE p)",
        "ALTER TABLE p ATTACH PARTITION p_new FOR VALUES FROM (0) TO (1001)",
    ),
    "a partition of the same name": (
        "p",
        "DROP TABLE p_low",
        "CREATE TABLE p_low PARTITION OF p FOR VALUES FROM (0) TO (1001)",
    ),
    "a materialized view refreshed": ("m", "REFRESH MATERIALIZED VIEW m"),
    "a materialized view replaced": (
        "m",
        "DROP MATERIALIZED VIEW m",
        "CREATE MATERIALIZED VIEW m AS SELECT * FROM t",
    ),
    "a view's table emptied": ("v", "TRUNCATE t"),
    "a view replaced": ("v", "DROP VIEW v", "CREATE VIEW v AS SELECT id, place FROM p"),
}


@pytest.fixture
def tables(s9: S9Database) -> S9Database:
    for statement in _BEFORE:
        s9.execute(statement)
    done_alone(s9, ("ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO " + s9.server.reader,))
    s9.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {s9.server.reader}")
    return s9


def done_alone(s9: S9Database, statements: Sequence[str]) -> None:
    """Each in a transaction of its own, as CONCURRENTLY and VACUUM want it."""
    opened: Any = s9.server.connect(s9.name)
    opened.autocommit = True
    with closing(opened), opened.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def read_after(s9: S9Database, table: str, statements: Sequence[str], *reads: str) -> set[str]:
    """Read a table in a snapshot that was taken before the statements; returns which indexes the
    server has locked for that. Where they wait for whoever reads, it reads while they do."""
    with (
        ThreadPoolExecutor(1) as beside,
        PostgresSource(config_of(s9), reads=Reads(reads)) as source,
    ):
        done = beside.submit(done_alone, s9, statements)
        deadline = time.monotonic() + 30
        while not done.done() and not s9.rows("SELECT 1 FROM pg_locks WHERE NOT granted"):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        found = source.tally(f"SELECT count(*) FROM {table} WHERE place = 'Via 77'")
        locked = s9.rows(
            "SELECT DISTINCT l.relation::regclass::text FROM pg_locks AS l JOIN pg_class AS c "
            "ON c.oid = l.relation WHERE l.pid = %s AND c.relkind IN ('i', 'I')",
            source.connection_number,
        )
    done.result()
    assert [str(count) for (count,) in found] == ["1"]
    return {str(name) for (name,) in locked}


@pytest.mark.parametrize("holds", [True, False], ids=["held", "free"])
@pytest.mark.parametrize("change", _OF_INDEXES)
def test_what_happens_to_an_index_does_no_harm(
    tables: S9Database, change: str, holds: bool
) -> None:
    table, *statements = _OF_INDEXES[change]
    locked = read_after(tables, table, statements, *([table] if holds else []))
    if "di_passaggio" in statements[0] and table != "p":
        assert "di_passaggio" in locked


@pytest.mark.parametrize("change", _OF_TABLES)
def test_a_table_that_was_rewritten_after_the_snapshot_is_found(
    tables: S9Database, change: str
) -> None:
    table, *statements = _OF_TABLES[change]
    with pytest.raises(BackOff) as found:
        read_after(tables, table, statements)
    assert found.value.reason == "TableRewritten"
