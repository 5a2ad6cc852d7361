"""An S9 that cannot be read: one message, a remedy, and everything that was there stays."""

from __future__ import annotations

import socket
import time

import pytest

from extract.snapshot.rights import require_read_only
from tests.conftest import S9Database
from tests.support.operators.operator import Operator, small_trade
from utils.error_handler import SourceError


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def test_a_port_where_nobody_listens(operator: Operator) -> None:
    port = closed_port()
    operator.configure(source={"port": port})
    outcome = operator.run("--phase", "extract")
    outcome.failed(1, f"S9 at 127.0.0.1:{port} cannot be reached", "source.host", "source.port")


def test_a_host_that_does_not_exist(operator: Operator) -> None:
    operator.configure(source={"host": "s9.invalid"})
    operator.run("--phase", "extract").failed(1, "s9.invalid", "cannot be reached", "source.host")


def test_a_host_that_never_answers_is_given_up_in_time(operator: Operator) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        operator.configure(source={"port": silent.getsockname()[1], "connectionTimeout": 2})
        start = time.monotonic()
        operator.run("--phase", "extract").failed(1, "127.0.0.1")
    assert time.monotonic() - start < 15


def test_a_wrong_password_is_not_repeated(operator: Operator) -> None:
    operator.environment["S9_PASSWORD"] = "not-the-pass-word"
    operator.secrets.append("not-the-pass-word")
    outcome = operator.run("--full").failed(1, operator.config["source"]["username"], "password")
    operator.assert_keeps_its_secrets(outcome)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"database": "s9_elsewhere"}, ("s9_elsewhere", "source.database")),
        ({"schema": "elsewhere"}, ("msg_anag", "source.schema")),
        ({"ssl": True}, ("SSL", "source.ssl")),
    ],
    ids=["database", "schema", "ssl"],
)
def test_a_wrong_setting_of_the_source_is_named(
    operator: Operator, change: dict[str, object], words: tuple[str, ...]
) -> None:
    operator.configure(source=change)
    operator.run("--phase", "extract").failed(1, *words)


def test_a_missing_table_is_named(alone: Operator, s9: S9Database) -> None:
    alone.configure(migration={"continueOnError": False})
    s9.execute("DROP TABLE msg_line")
    alone.run("--full").failed(1, "msg_line", "source.schema")


def test_a_missing_column_is_named_with_all_its_names(alone: Operator, s9: S9Database) -> None:
    alone.configure(migration={"continueOnError": False})
    small_trade(s9)
    s9.execute("ALTER TABLE msg DROP COLUMN status")
    alone.run("--full").failed(1, "msg", "status or stato")


def test_a_table_that_may_not_be_read_is_named_with_the_right_to_grant(
    alone: Operator, s9: S9Database
) -> None:
    alone.configure(migration={"continueOnError": False})
    s9.execute(f"REVOKE SELECT ON msg_line FROM {s9.server.reader}")
    alone.run("--full").failed(1, "msg_line", "grant SELECT")


@pytest.mark.parametrize(
    "sales",
    [
        {"where": "sale_nummer > 5"},
        {"query": "SELECT m.* FROM msg m CROSS JOIN msg_anag"},
        {"query": "SELECT NULL::bigint AS first_id, m.* FROM (SELECT sale_number FROM msg) m"},
        {"query": "DELETE FROM msg RETURNING *"},
    ],
    ids=["column", "twice-each", "no-key", "delete"],
)
def test_a_wrong_query_is_refused_and_s9_stays_as_it_is(
    alone: Operator, s9: S9Database, sales: dict[str, str]
) -> None:
    small_trade(s9)
    alone.configure(extraction={"sales": sales}, migration={"continueOnError": False})
    alone.run("--phase", "extract", "--entity", "sales").failed(1, "extraction.")
    assert s9.rows("SELECT count(*) FROM msg") == [(2,)]


def test_what_was_extracted_before_survives_a_source_that_is_gone(after_a_run: Operator) -> None:
    files, port = after_a_run.files(), closed_port()
    identity = after_a_run.config["source"]["port"]
    manifest = after_a_run.data / "manifest.json"
    text = manifest.read_text().replace(f'"port": {identity}', f'"port": {port}')
    manifest.write_text(text)
    after_a_run.configure(source={"port": port})
    after_a_run.run("--full").failed(1, "cannot be reached")
    assert after_a_run.files() == files
    after_a_run.run("--phase", "verify").ended(5)  # what was known of them is still known


def test_an_account_that_could_write_is_warned_of_and_can_not(
    alone: Operator, s9: S9Database
) -> None:
    small_trade(s9)
    assert "may change" not in alone.run("--phase", "extract").ended(0).stderr
    s9.execute(f"GRANT UPDATE (name) ON msg_anag TO {s9.server.reader}")
    s9.execute(f"GRANT DELETE ON msg TO {s9.server.reader}")
    outcome = alone.run("--phase", "extract").ended(0)
    assert "s9_reader may change msg, msg_anag. Nothing in S9 is changed" in outcome.stderr
    alone.environment["S9_PASSWORD"] = s9.server.owner_password
    alone.configure(source={"username": s9.server.owner})
    outcome = alone.run("--phase", "extract").ended(0)
    assert "may change msg, msg_anag, msg_line" in outcome.stderr


def test_not_even_the_owners_session_can_write(alone: Operator, s9: S9Database) -> None:
    small_trade(s9)
    s9.execute(
        "CREATE FUNCTION meddle() RETURNS boolean LANGUAGE sql AS "
        "'UPDATE msg SET notes = notes RETURNING true'"
    )
    alone.environment["S9_PASSWORD"] = s9.server.owner_password
    alone.configure(
        source={"username": s9.server.owner}, extraction={"buyers": {"where": "meddle()"}}
    )
    assert "read-only transaction" in alone.run("--phase", "extract").ended(1).stderr


@pytest.mark.parametrize("answers", [{}, {"transaction_read_only": "off"}, {"tx_read_only": "0"}])
def test_the_server_must_say_itself_that_nothing_can_be_written(answers: dict[str, str]) -> None:
    with pytest.raises(SourceError, match="read-only"):
        require_read_only(answers)
