"""PostgreSQL: exact values, texts that are none, errors that quote, SQL in several pieces."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from extract.postgresql.connection import connect
from tests.conftest import S9Database, Sample
from tests.support.operators.operator import Operator, small_trade
from tests.support.s9.glass import Pane, look
from utils.config import Secret, SourceConfig
from utils.demo.sample.schema import create_tables
from utils.embedded.postgresql import EmbeddedPostgres
from utils.error_handler import MigrationError, SourceUnavailable
from utils.settings.sql_text import one_piece
from utils.wording import masking

VALUES = {
    "json": ('{"a": 12345678901234567.89,\n "a": 1e400, "b": "\\ud800"}', None),
    "jsonb": ('{"a": 12345678901234567.89}', '{"a": 12345678901234567.89}'),
    "numeric[]": ("{12345678901234567.89,0.10}", "{12345678901234567.89,0.10}"),
    "real": ("123456.78", "123456.78"),
    "double precision": ("0.1", "0.1"),
    "money": ("-1234.5", "-1234.50"),
    "numrange": ("[1.10,12345678901234567.89)", "[1.10,12345678901234567.89)"),
    "interval": ("1 mon 2 days 03:04:05.6", "1 mon 2 days 03:04:05.6"),
    "timetz": ("10:00:00.5+02", "10:00:00.5+02"),
    "timestamptz": ("2026-10-25 00:30:00.25+00", "2026-10-25T00:30:00.25Z"),
    "timestamptz[]": ("{2026-10-25 00:30:00+00}", '{"2026-10-25 02:30:00+02"}'),
    "date": ("infinity", "infinity"),
    "pair": ("(12345678901234567.89,x)", "(12345678901234567.89,x)"),
    "plain": ("7", 7),
    "uuid": ("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
    "inet": ("10.0.0.1/8", "10.0.0.1/8"),
}


def test_what_is_no_plain_column_comes_as_the_very_text_that_the_server_holds(
    s9: S9Database, tmp_path: Path
) -> None:
    """Trials A8 and C11: no number inside goes through a double, and no line break breaks out."""
    small_trade(s9)
    s9.execute("CREATE TYPE pair AS (amount numeric, name text)")
    s9.execute("CREATE DOMAIN plain AS integer")
    deep = "[" * 5_000 + "]" * 5_000
    for number, (kind, (text, _)) in enumerate(VALUES.items()):
        s9.execute(f"ALTER TABLE msg_anag ADD COLUMN extra_{number} {kind}")
        s9.execute(f"UPDATE msg_anag SET extra_{number} = %s WHERE first_id = 1", text)
    s9.execute("ALTER TABLE msg_anag ADD COLUMN deep json")
    s9.execute("UPDATE msg_anag SET deep = %s WHERE first_id = 1", deep)
    row = orjson.loads(look(s9, tmp_path).rows["buyers"].splitlines()[0])
    for number, (kind, (text, expected)) in enumerate(VALUES.items()):
        assert row[f"extra_{number}"] == (text if expected is None else expected), kind
    assert row["deep"] == deep


def test_instants_outside_of_the_calendar_are_kept_in_the_servers_words(
    s9: S9Database, tmp_path: Path
) -> None:
    small_trade(s9)
    s9.execute("ALTER TABLE msg_anag ADD COLUMN at timestamptz")
    for key, moment in ((1, "-infinity"), (2, "0044-03-15 12:00:00+00 BC")):
        s9.execute("UPDATE msg_anag SET at = %s WHERE first_id = %s", moment, key)
    rows = look(s9, tmp_path).rows["buyers"].splitlines()
    assert [orjson.loads(row)["at"][-2:] for row in rows] == ["ty", "BC"]


@pytest.fixture
def encoded(
    postgres: EmbeddedPostgres, request: pytest.FixtureRequest
) -> Iterator[tuple[S9Database, Any]]:
    """A database of another encoding with S9's tables, and a connection that sends it bytes."""
    name = f"encoded_{request.param.lower()}"
    admin: Any = postgres.connect()
    admin.autocommit = True
    with admin.cursor() as cursor:
        cursor.execute(
            f"CREATE DATABASE {name} ENCODING '{request.param}' TEMPLATE template0 "
            "LOCALE 'C' LOCALE_PROVIDER libc"
        )
    connection = postgres.connect(name)
    create_tables(connection)
    with connection, connection.cursor() as cursor:
        cursor.execute(f"GRANT USAGE ON SCHEMA public TO {postgres.reader}")
        cursor.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {postgres.reader}")
    yield S9Database(postgres, name, connection), connection
    connection.close()
    postgres.drop_database(name)
    admin.close()


@pytest.mark.parametrize("encoded", ["SQL_ASCII", "WIN1252", "LATIN1"], indirect=True)
def test_a_byte_that_is_no_text_costs_its_own_record_only(
    alone: Operator, encoded: tuple[S9Database, Any]
) -> None:
    """Trial C12."""
    s9, connection = encoded
    encoding = s9.name.rpartition("_")[2]
    small_trade(s9)
    connection.set_client_encoding("SQL_ASCII")
    name = {"ascii": b"Citt\xe0", "win1252": b"Citt\xe0\x81", "latin1": b"Citt\xe0"}[encoding]
    with connection, connection.cursor() as cursor:
        cursor.execute(b"UPDATE msg_anag SET name = '" + name + b"' WHERE first_id = 2")
        cursor.execute(b"UPDATE msg_line SET product_description = '" + name + b"' WHERE id = 2")
    alone.configure(source={"database": s9.name})
    if encoding == "latin1":
        alone.run("--phase", "extract").ended(0)
        assert alone.extracted("buyers")[1]["name"] == "Città"
        return
    alone.run("--phase", "extract").ended(0)
    alone.run("--phase", "transform").ended(5)
    [refused] = alone.quarantine("buyers").values()
    assert (refused["legacyId"], refused["rule"], refused["field"]) == ("2", "invalid-text", "name")
    assert refused["record"]["name"].startswith("Citt")
    sales = alone.quarantine("sales")
    assert sales["10"]["rule"] == "invalid-text"
    assert sales["10"]["field"] == "lines[2].product_description"
    assert sales["10"]["items"] == 3
    counts = [len(alone.items(name)) for name in ("buyers", "producers")]
    assert counts == [1, 1]
    with connection, connection.cursor() as cursor:
        cursor.execute("UPDATE msg_anag SET name = 'Citta'")
        cursor.execute("UPDATE msg_line SET product_description = 'Vite'")
    alone.run("--phase", "extract")
    alone.run("--phase", "transform").ended(0)


SECRET = 'Ditta "La Rosa" di Bianchi'
TEXTS = {
    "enum": "name::mood = 'sad'",
    "number": "name::integer = 1",
    "search": "name::tsquery @@ 'a'",
    "raised": "shout(name)",
    "raised under another name": "shout_as(name)",
    "json": "(name::json ->> 'a') = 'b'",
    "looked up": "look_up(name)",
}


@pytest.mark.parametrize("condition", TEXTS.values(), ids=TEXTS)
def test_an_error_over_s9s_rows_quotes_none_of_them(
    s9: S9Database, tmp_path: Path, condition: str
) -> None:
    """Trial C14."""
    small_trade(s9)
    s9.execute("UPDATE msg_anag SET name = %s", SECRET)
    s9.execute("CREATE TYPE mood AS ENUM ('sad')")
    body = "LANGUAGE plpgsql AS $$BEGIN RAISE EXCEPTION 'no %%: here it is', x"
    s9.execute(f"CREATE FUNCTION shout(x text) RETURNS boolean {body.replace('%%', '%')}; END$$")
    code = "USING ERRCODE = 'undefined_table', DETAIL = x, HINT = x"
    s9.execute(
        f"CREATE FUNCTION shout_as(x text) RETURNS boolean {body.replace('%%', '%')} {code}; END$$"
    )
    s9.execute(
        "CREATE FUNCTION look_up(x text) RETURNS boolean LANGUAGE plpgsql AS "
        "$$BEGIN EXECUTE 'SELECT ' || quote_ident(x); RETURN true; END$$"
    )
    pane = Pane("error", extraction={"buyers": {"where": condition}})
    with pytest.raises(MigrationError) as refusal:
        look(s9, tmp_path, pane)
    said = f"{refusal.value.message} {refusal.value.remedy}"
    assert "SQLSTATE" in said
    for word in ("Ditta", "Rosa", "Bianchi"):
        assert word not in said


def test_where_personal_data_may_be_shown_the_servers_words_are(
    s9: S9Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(masking._state, "personal", False)
    small_trade(s9)
    s9.execute("UPDATE msg_anag SET name = %s", SECRET)
    pane = Pane("error", extraction={"buyers": {"where": "name::integer = 1"}})
    with pytest.raises(MigrationError, match="La Rosa"):
        look(s9, tmp_path, pane)


SEVERAL = {
    "two": {"query": "SELECT * FROM msg; DELETE FROM msg"},
    "a bracket that closes the tool's": {"where": "true); DELETE FROM msg; SELECT (1"},
    "a text that goes on": {"where": "notes = E'a'\n'\\''; DELETE FROM msg; --'"},
    "a commit": {"query": "SELECT * FROM msg) AS q; COMMIT; DELETE FROM msg; SELECT * FROM (msg"},
}


@pytest.mark.parametrize("sales", SEVERAL.values(), ids=SEVERAL)
def test_configured_sql_in_several_pieces_is_refused_and_none_is_executed(
    alone: Operator, s9: S9Database, sales: dict[str, str]
) -> None:
    """Trial C15: with an account that could write."""
    small_trade(s9)
    alone.environment["S9_PASSWORD"] = s9.server.owner_password
    alone.configure(source={"username": s9.server.owner}, extraction={"sales": sales})
    alone.run("--phase", "extract").failed(2, "extraction.sales.")
    assert s9.rows("SELECT count(*) FROM msg") == [(2,)]


@pytest.mark.parametrize(
    "sql",
    ["SELECT * FROM msg) AS q; DELETE FROM msg; SELECT 1 FROM (SELECT 1", "TABLE msg; TABLE msg"],
)
def test_the_server_itself_takes_one_select_only(
    s9: S9Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sql: str
) -> None:
    """Where the tool's own look at the text were mistaken."""
    small_trade(s9)
    monkeypatch.setattr("extract.selection.one_piece", lambda sql, _database: sql)
    with pytest.raises(MigrationError):
        look(s9, tmp_path, Pane("several", extraction={"sales": {"query": sql}}))
    assert s9.rows("SELECT count(*) FROM msg") == [(2,)]


def test_sql_that_changes_the_transactions_settings_is_refused(
    s9: S9Database, tmp_path: Path
) -> None:
    small_trade(s9)
    condition = "set_config('search_path', 'elsewhere', true) <> ''"
    with pytest.raises(MigrationError, match="does not confirm"):
        look(s9, tmp_path, Pane("setting", extraction={"sales": {"where": condition}}))


def test_on_mysql_as_well_nothing_of_several_statements_is_executed(
    s9_on_mysql: S9Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_trade(s9_on_mysql)
    several = {"sales": {"query": "SELECT * FROM msg; DELETE FROM msg"}}
    with pytest.raises(MigrationError, match="several statements"):
        look(s9_on_mysql, tmp_path / "looked at", Pane("several", extraction=several))
    monkeypatch.setattr("extract.selection.one_piece", lambda sql, _database: sql)
    with pytest.raises(MigrationError):
        look(s9_on_mysql, tmp_path / "sent", Pane("several", extraction=several))
    assert s9_on_mysql.rows("SELECT count(*) FROM msg") == [(2,)]


@pytest.mark.parametrize(
    ("database", "sql"),
    [
        ("postgresql", "name = 'a;b)' -- it's )"),
        ("postgresql", "$$;)$$ = $t$ ; $$ ) $t$ /* ; /* ) */ ' */"),
        ("postgresql", r"name = E'\';)' AND name <> '\'"),
        ("postgresql", '"a;)" = 1;;  -- the end;'),
        ("mysql", r"name = 'a\';)' # it's )"),
        ("mysql", '`a;)` = ";)" -- ;'),
        ("mysql", "a--1 = 2 /* ) */"),
    ],
)
def test_sql_in_one_piece_is_taken(database: str, sql: str) -> None:
    assert one_piece(sql, database)


@pytest.mark.parametrize(
    ("database", "sql"),
    [
        ("postgresql", "1; 2"),
        ("postgresql", "1) OR (1"),
        ("postgresql", "(1"),
        ("postgresql", "'a"),
        ("postgresql", "$t$ a"),
        ("postgresql", "/* /* */ a"),
        ("postgresql", "E'a'\n'\\''; DROP TABLE msg; --'"),
        ("mysql", "/*! ) */ 1"),
        ("mysql", "/*M!100100 ) */ 1"),
        ("mysql", r"name = '\'"),
        ("mysql", "a--1; DROP TABLE msg"),
        ("mysql", "a\0b"),
    ],
)
def test_sql_in_several_pieces_or_none_is_not(database: str, sql: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        one_piece(sql, database)


def source(server: Any, **changes: Any) -> SourceConfig:
    values: dict[str, Any] = {
        "host": server.host,
        "port": server.port,
        "username": server.reader,
        "password": Secret(server.reader_password),
        "ssl": False,
        "connection_timeout": 2,
        **changes,
    }
    return SourceConfig(**values)


CONNECTIONS: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "password": ({"password": Secret("not this one")}, ("password", "source.password")),
    "account": ({"username": "nobody_here"}, ("nobody_here", "source.username")),
    "database": ({"database": "nowhere"}, ("nowhere", "source.database")),
    "name": ({"host": "s9.invalid"}, ("cannot be resolved", "source.host")),
    "tls": ({"ssl": "require"}, ("offers no TLS", "source.ssl")),
    "no file": (
        {"ssl": True, "ssl_root_cert": "/nowhere/ca.pem"},
        ("source.sslRootCert", "/nowhere"),
    ),
    "no certificate": ({"ssl": True, "ssl_root_cert": __file__}, ("no certificate", "PEM")),
}


@pytest.mark.parametrize(("changes", "words"), CONNECTIONS.values(), ids=CONNECTIONS)
def test_every_failure_to_connect_has_its_own_sentence(
    sample: Sample, changes: dict[str, Any], words: tuple[str, ...]
) -> None:
    """Trial C25."""
    with pytest.raises(SourceUnavailable) as refusal:
        connect(source(sample.s9.server, **{"database": "sample", **changes}))
    said = f"{refusal.value.message}\n{refusal.value.remedy}"
    for word in words:
        assert word in said
    assert "sslmode" not in said
    if "ssl" in changes:
        assert "source.username" not in said


def test_who_does_not_answer_or_is_no_postgresql_is_told_so() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        server = SourceConfig(host="127.0.0.1", port=silent.getsockname()[1], connection_timeout=2)
        with pytest.raises(SourceUnavailable, match="does not answer: s9_reader was not logged in"):
            connect(server)
    with pytest.raises(SourceUnavailable, match="nothing listens there"):
        connect(server)


def test_the_environment_leads_to_no_other_server(
    sample: Sample, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGHOSTADDR", "127.0.0.2")
    monkeypatch.setenv("PGOPTIONS", "-c search_path=elsewhere")
    monkeypatch.setenv("PGDATESTYLE", "German")
    opened = connect(source(sample.s9.server, database="sample"))
    with opened.cursor() as cursor:
        cursor.execute("SELECT host(inet_server_addr()), current_setting('search_path')")
        assert cursor.fetchone() == ("127.0.0.1", '"$user", public')
    opened.close()
