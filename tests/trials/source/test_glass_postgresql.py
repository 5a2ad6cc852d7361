"""PostgreSQL's side of the glass (support/s9/glass.py): what an account may not see, and must."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import S9Database
from tests.support.operators.operator import small_trade
from tests.support.s9.glass import Pane, assert_seen_through, look
from utils.demo.sample.schema import create_tables
from utils.embedded.postgresql import EmbeddedPostgres


def role(setting: str, value: str, **outcome: Any) -> Pane:
    """A setting that the account brings along in this database."""
    alter = "ALTER ROLE $reader IN DATABASE $database"
    return Pane(
        f"role: {setting} = {value}",
        put_up=(f"{alter} SET {setting} = {value}",),
        taken_down=(f"{alter} RESET {setting}",),
        **outcome,
    )


def database(setting: str, value: str, **outcome: Any) -> Pane:
    """A setting that the database gives to everybody."""
    return Pane(
        f"database: {setting} = {value}",
        put_up=(f"ALTER DATABASE $database SET {setting} = {value}",),
        taken_down=(f"ALTER DATABASE $database RESET {setting}",),
        **outcome,
    )


SETTINGS = (
    role("search_path", "elsewhere, public"),
    database("search_path", "elsewhere"),
    role("row_security", "on"),
    role("DateStyle", "'German, DMY'"),
    database("DateStyle", "'SQL, DMY'"),
    role("TimeZone", "'Asia/Tokyo'"),
    role("extra_float_digits", "-5"),
    database("extra_float_digits", "0"),
    role("bytea_output", "escape"),
    role("IntervalStyle", "sql_standard"),
    role("xmlbinary", "hex"),
    role("client_encoding", "LATIN1"),
    database("client_encoding", "SQL_ASCII"),
    role("default_transaction_isolation", "'read committed'"),
    database("default_transaction_isolation", "serializable"),
    role("default_transaction_read_only", "off"),
    database("default_transaction_deferrable", "on"),
    role("statement_timeout", "'1s'"),
    role("lock_timeout", "'1ms'"),
    role("idle_in_transaction_session_timeout", "'1ms'"),
    role("transaction_timeout", "'2s'"),
    role("standard_conforming_strings", "off"),
    role("transform_null_equals", "on"),
    role("array_nulls", "off"),
    role("quote_all_identifiers", "on"),
    role("gin_fuzzy_search_limit", "1"),
    role("enable_seqscan", "off"),
    role("enable_memoize", "off"),
    role("synchronize_seqscans", "on"),
    role("lc_monetary", "'C'"),
    role("lc_numeric", "'C'"),
    database("zero_damaged_pages", "on", refused=("zero_damaged_pages", "must be off")),
)

HIDDEN = ("row level security on", "BYPASSRLS")
POLICY = (
    "ALTER TABLE msg ENABLE ROW LEVEL SECURITY",
    "CREATE POLICY low ON msg USING (first_id < 11)",
)
RENAMED = "ALTER TABLE msg RENAME TO real"
READABLE = "GRANT SELECT ON msg TO $reader"
FOREIGN = (
    "CREATE EXTENSION file_fdw",
    "CREATE SERVER files FOREIGN DATA WRAPPER file_fdw",
)
OTHERS = (
    Pane("a policy that hides sales", POLICY, refused=(*HIDDEN, "msg", "s9_reader")),
    Pane(
        "a policy that hides no sale",
        ("ALTER TABLE msg ENABLE ROW LEVEL SECURITY", "CREATE POLICY whole ON msg USING (true)"),
        refused=HIDDEN,
    ),
    Pane("no policy, which hides everything", POLICY[:1], refused=HIDDEN),
    Pane(
        "a policy on what lines are read from",
        ("ALTER TABLE msg_line ENABLE ROW LEVEL SECURITY",),
        refused=(*HIDDEN, "msg_line"),
    ),
    Pane(
        "a policy that the owner of a view is free of",
        (RENAMED, "ALTER TABLE real ENABLE ROW LEVEL SECURITY", "CREATE VIEW msg AS TABLE real"),
    ),
    Pane(
        "a policy behind a view that asks for the reader's rights",
        (
            RENAMED,
            "ALTER TABLE real ENABLE ROW LEVEL SECURITY",
            "CREATE VIEW msg WITH (security_invoker) AS TABLE real",
        ),
        refused=(*HIDDEN, "real"),
    ),
    Pane("a view", (RENAMED, "CREATE VIEW msg AS TABLE real", "REVOKE ALL ON real FROM $reader")),
    Pane(
        "a view with a barrier",
        (RENAMED, "CREATE VIEW msg WITH (security_barrier) AS TABLE real"),
    ),
    Pane(
        "a view of another schema's table",
        (
            "CREATE SCHEMA inner_part",
            "ALTER TABLE msg SET SCHEMA inner_part",
            "CREATE VIEW msg AS TABLE inner_part.msg",
        ),
    ),
    Pane(
        "a materialized view",
        (RENAMED, "CREATE MATERIALIZED VIEW msg AS TABLE real"),
    ),
    Pane(
        "an empty table of the same name, for whoever looks there first",
        (
            "CREATE SCHEMA elsewhere",
            "CREATE TABLE elsewhere.msg (LIKE public.msg)",
            "GRANT SELECT ON elsewhere.msg TO $reader",
            "ALTER ROLE $reader IN DATABASE $database SET search_path = elsewhere, public",
        ),
    ),
    Pane(
        "rows in a table that inherits",
        (
            "CREATE TABLE older () INHERITS (msg)",
            "WITH moved AS (DELETE FROM ONLY msg WHERE first_id = 10 RETURNING *) "
            "INSERT INTO older SELECT * FROM moved",
        ),
    ),
    Pane(
        "partitions",
        (
            RENAMED,
            "CREATE TABLE msg (LIKE real) PARTITION BY RANGE (first_id)",
            "CREATE TABLE low PARTITION OF msg FOR VALUES FROM (MINVALUE) TO (11)",
            "CREATE TABLE high PARTITION OF msg FOR VALUES FROM (11) TO (MAXVALUE)",
            "INSERT INTO msg TABLE real",
            READABLE,
        ),
    ),
    Pane(
        "a column that the account may not read",
        (
            "REVOKE SELECT ON msg_anag FROM $reader",
            "GRANT SELECT (first_id, kind, enabled, name) ON msg_anag TO $reader",
        ),
        refused=("msg_anag", "grant SELECT"),
    ),
    Pane(
        "a schema that the account may not enter",
        ("REVOKE USAGE ON SCHEMA public FROM PUBLIC", "REVOKE ALL ON SCHEMA public FROM $reader"),
        refused=("public", "grant"),
    ),
    Pane("an unlogged table", ("ALTER TABLE msg SET UNLOGGED",)),
    Pane(
        "domains over plain types",
        (
            "CREATE DOMAIN whole AS integer CHECK (VALUE > 0)",
            "CREATE DOMAIN words AS varchar(150)",
            "ALTER TABLE msg ALTER sale_number TYPE whole",
            "ALTER TABLE msg_anag ALTER name TYPE words",
        ),
    ),
    Pane(
        "a column in another collation",
        (
            "CREATE COLLATION strict (provider = builtin, locale = 'C')",
            'ALTER TABLE msg_anag ALTER name TYPE text COLLATE "strict"',
        ),
    ),
    Pane("texts of a fixed length", ("ALTER TABLE msg ALTER status TYPE char(10)",)),
)

# The embedded PostgreSQL has no foreign tables: Debian's does.
FOREIGN_TABLES = (
    Pane(
        "a foreign table",
        (
            *FOREIGN,
            RENAMED,
            # LIKE is not there for foreign tables before version 18.
            "DO $d$ BEGIN EXECUTE (SELECT 'CREATE FOREIGN TABLE msg (' || string_agg(attname || "
            "' ' || format_type(atttypid, atttypmod), ', ' ORDER BY attnum) || ') SERVER files "
            "OPTIONS (filename ''$directory/msg.csv'', format ''csv'')' FROM pg_attribute "
            "WHERE attrelid = 'real'::regclass AND attnum > 0); END $d$",
            "COPY real TO '$directory/msg.csv' (FORMAT csv)",
            READABLE,
        ),
        stated=("foreign tables", "public.msg"),
    ),
    Pane(
        "a foreign partition behind a view",
        (
            *FOREIGN,
            RENAMED,
            "CREATE TABLE parts (LIKE real) PARTITION BY RANGE (first_id)",
            "CREATE FOREIGN TABLE far PARTITION OF parts FOR VALUES FROM (MINVALUE) TO (MAXVALUE) "
            "SERVER files OPTIONS (filename '$directory/far.csv', format 'csv')",
            "COPY real TO '$directory/far.csv' (FORMAT csv)",
            "CREATE VIEW msg AS TABLE parts",
        ),
        stated=("foreign tables", "public.far"),
    ),
    Pane(
        "a foreign table that only a condition names",
        (
            *FOREIGN,
            "CREATE FOREIGN TABLE chosen (id bigint) SERVER files "
            "OPTIONS (filename '$directory/chosen.csv', format 'csv')",
            "COPY (SELECT first_id FROM msg) TO '$directory/chosen.csv' (FORMAT csv)",
            "GRANT SELECT ON chosen TO $reader",
        ),
        stated=("foreign tables", "public.chosen"),
        extraction={"sales": {"where": "first_id IN (SELECT id FROM chosen)"}},
    ),
)


@pytest.fixture(scope="module")
def shared(postgres: EmbeddedPostgres) -> Iterator[S9Database]:
    """A database for the panes that are taken down again."""
    postgres.create_database("glass")
    connection = postgres.connect("glass")
    s9 = S9Database(postgres, "glass", connection)
    create_tables(connection)
    small_trade(s9)
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


@pytest.mark.parametrize("pane", OTHERS, ids=lambda pane: pane.name)
def test_what_stands_before_the_tables_hides_no_row_in_silence(
    pane: Pane, s9: S9Database, expected: Mapping[str, bytes], tmp_path: Path
) -> None:
    small_trade(s9)
    assert_seen_through(pane, s9, tmp_path, expected)


@pytest.fixture(scope="module")
def debian(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    """Debian's PostgreSQL, an older version, with its extensions."""
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not installed:
        pytest.skip("needs Debian's postgresql: apt-get install postgresql")
    programs = installed[-1].parent
    with EmbeddedPostgres(tmp_path_factory.mktemp("debian"), programs=programs) as server:
        yield server


@pytest.mark.parametrize("pane", (Pane("nothing"), *FOREIGN_TABLES), ids=lambda pane: pane.name)
def test_foreign_tables_are_read_and_never_called_consistent(
    pane: Pane, debian: EmbeddedPostgres, expected: Mapping[str, bytes], tmp_path: Path
) -> None:
    debian.create_database("far")
    connection = debian.connect("far")
    s9 = S9Database(debian, "far", connection)
    create_tables(connection)
    small_trade(s9)
    put_up = tuple(each.replace("$directory", debian.data_directory) for each in pane.put_up)
    try:
        assert_seen_through(replace(pane, put_up=put_up), s9, tmp_path, expected)
    finally:
        connection.close()
        debian.drop_database("far")
