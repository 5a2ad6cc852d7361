"""PostgreSQL: tables that are rewritten at that moment, poolers, and another server's S9."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from extract.engine import extract
from extract.postgresql import session as postgresql_session
from extract.postgresql import source as postgresql
from tests.conftest import S9Database
from tests.support.operators.operator import Operator, small_trade
from tests.support.s9.glass import ENTITIES, Pane, look, run_in, stop
from tests.support.s9.pooler import pooler
from utils.error_handler import MigrationError

RELOAD = (
    "CREATE TEMP TABLE kept AS TABLE msg",
    "TRUNCATE msg",
    "INSERT INTO msg TABLE kept",
)
RETYPE = ("ALTER TABLE msg ALTER COLUMN sale_number TYPE bigint",)
SWAP = (
    "CREATE TABLE new_msg (LIKE msg INCLUDING ALL)",
    "INSERT INTO new_msg TABLE msg",
    "GRANT SELECT ON new_msg TO {reader}",
    "DROP TABLE msg",
    "ALTER TABLE new_msg RENAME TO msg",
)


@contextmanager
def under_way(s9: S9Database, *statements: str) -> Iterator[Callable[[], None]]:
    """A transaction that has done this, and commits when it is called, or in the end."""
    with closing(s9.server.connect(s9.name)) as session:
        with session.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement.replace("{reader}", s9.server.reader))
        yield session.commit
        session.rollback()


def is_waited_for(s9: S9Database) -> bool:
    return s9.rows("SELECT count(*) FROM pg_locks WHERE NOT granted") != [(0,)]


def commit_when_waited_for(s9: S9Database, commit: Callable[[], None]) -> threading.Thread:
    def wait() -> None:
        opened: Any = s9.server.connect(s9.name)
        opened.autocommit = True
        with closing(opened) as session, session.cursor() as cursor:
            for _ in range(1_000):
                cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
                if cursor.fetchone() != (0,):
                    break
                time.sleep(0.01)
        commit()

    thread = threading.Thread(target=wait)
    thread.start()
    return thread


KINDS = ("table", "view", "materialized", "query", "condition")
REWRITES = {"reload": RELOAD, "retype": RETYPE, "swap": SWAP}
CASES = {
    f"{kind}, {name}": (kind, statements)
    for kind in KINDS
    for name, statements in REWRITES.items()
    if (kind, name) != ("view", "swap") and (kind != "materialized" or name == "reload")
}


@pytest.mark.parametrize(("kind", "statements"), CASES.values(), ids=CASES)
def test_a_table_that_is_being_rewritten_is_waited_for_and_read_whole(
    s9: S9Database, tmp_path: Path, kind: str, statements: tuple[str, ...]
) -> None:
    """Trial A5: none of the rows is lost, however the query comes to the table."""
    small_trade(s9)
    expected = look(s9, tmp_path / "before").rows
    pane = Pane(kind)
    reader = s9.server.reader
    if kind == "view":
        s9.execute("ALTER TABLE msg RENAME TO real")
        s9.execute("CREATE VIEW msg AS TABLE real")
        s9.execute(f"REVOKE ALL ON real FROM {reader}")
        statements = tuple(text.replace("msg", "real") for text in statements)
        if statements[0].startswith("ALTER"):  # neither that nor a swap where a view depends on it
            statements = ("CLUSTER real USING msg_pkey",)
    if kind == "materialized":
        s9.execute("ALTER TABLE msg RENAME TO real")
        s9.execute("CREATE MATERIALIZED VIEW msg AS TABLE real")
        statements = ("REFRESH MATERIALIZED VIEW msg",)
    if kind == "query":
        s9.execute("ALTER TABLE msg RENAME TO real")
        s9.execute("CREATE TABLE msg (LIKE real)")
        statements = tuple(text.replace("msg", "real") for text in statements)
        pane = Pane(kind, extraction={"sales": {"query": "SELECT * FROM real"}})
    if kind == "condition":
        pane = Pane(
            kind, extraction={"sales": {"where": "first_id IN (SELECT first_id FROM public.msg)"}}
        )
    with under_way(s9, *statements) as commit:
        waiting = commit_when_waited_for(s9, commit)
        assert look(s9, tmp_path / "run", pane).rows == expected
        waiting.join()


def test_a_table_that_stays_held_is_named_with_its_holder(
    s9: S9Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgresql, "LOCK_SECONDS", 0)
    monkeypatch.setattr(postgresql_session, "_SLICE_SECONDS", 1)
    small_trade(s9)
    with under_way(s9, "LOCK TABLE msg_line IN ACCESS EXCLUSIVE MODE"):
        with pytest.raises(MigrationError) as refusal:
            look(s9, tmp_path)
        [(pid,)] = s9.rows("SELECT pid FROM pg_locks WHERE mode = 'AccessExclusiveLock'")
    assert f'"msg_line" is locked by process {pid} of {s9.server.owner}' in refusal.value.message
    assert "--resume" in refusal.value.remedy


def test_somebody_who_waits_to_rewrite_a_table_keeps_nobody_from_reading_the_rest(
    s9: S9Database, tmp_path: Path
) -> None:
    """Both connections have their locks from the beginning: the second cannot come to wait for
    somebody who waits for the first."""
    small_trade(s9)
    expected = look(s9, tmp_path / "before").rows
    truncation = threading.Thread(target=lambda: s9.execute("TRUNCATE msg_line, msg"))

    class Truncating(postgresql.PostgresSource):
        def rows_of(self, tables: Any) -> dict[str, int]:
            truncation.start()
            with closing(s9.server.connect(s9.name)) as session, session.cursor() as cursor:
                for _ in range(1_000):
                    cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
                    if cursor.fetchone() != (0,):
                        break
                    session.rollback()
                    time.sleep(0.01)
            return super().rows_of(tables)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(postgresql, "PostgresSource", Truncating)
        assert look(s9, tmp_path / "run").rows == expected
    truncation.join()
    assert s9.rows("SELECT count(*) FROM msg") == [(0,)]


SETTINGS = (
    "search_path",
    "TimeZone",
    "row_security",
    "extra_float_digits",
    "statement_timeout",
    "lock_timeout",
    "transaction_read_only",
    "transaction_isolation",
    "application_name",
)
WILD = (
    "SET search_path = elsewhere, public",
    "SET DateStyle = 'German'",
    "SET TimeZone = 'Asia/Tokyo'",
    "SET extra_float_digits = -5",
    "SET statement_timeout = '20s'",
    "SET default_transaction_isolation = 'serializable'",
)


def test_through_a_pooler_the_right_rows_are_read_and_the_application_notices_nothing(
    s9: S9Database, tmp_path: Path
) -> None:
    """Trial A6: sessions that the application has changed, and gets back after the tool."""
    small_trade(s9)
    s9.execute("CREATE SCHEMA elsewhere")
    for name in ("msg_anag", "msg", "msg_line"):
        s9.execute(f"CREATE TABLE elsewhere.{name} (LIKE public.{name})")
    expected = look(s9, tmp_path / "direct").rows
    with pooler(s9.server) as port:
        application = _application(s9, port)
        with application.cursor() as cursor:
            for statement in WILD:
                cursor.execute(statement)
        known = _settings(application)
        seen: set[tuple[Any, ...]] = set()
        over = threading.Event()

        def work() -> None:
            while not over.is_set():
                seen.add(_settings(application))

        worker = threading.Thread(target=work)
        worker.start()
        for number in range(4):
            pane = Pane("pooler", source={"port": port})
            assert look(s9, tmp_path / str(number), pane).rows == expected
        over.set()
        worker.join()
        others = [_application(s9, port) for _ in range(3)]
        for _ in range(3):
            seen |= {_settings(other) for other in others}
        for opened in (application, *others):
            opened.close()
    allowed = zip(known, _settings_of_a_new_session(s9), strict=True)
    for name, values, theirs in zip(SETTINGS, zip(*seen, strict=True), allowed, strict=True):
        assert set(values) <= set(theirs), name


def _application(s9: S9Database, port: int) -> Any:
    server = s9.server
    opened = psycopg2.connect(
        host=server.host,
        port=port,
        dbname=s9.name,
        user=server.reader,
        password=server.reader_password,
        sslmode="disable",
    )
    opened.autocommit = True
    return opened


def _settings(opened: Any) -> tuple[Any, ...]:
    asked = ", ".join(f"current_setting('{name}')" for name in SETTINGS)
    with opened.cursor() as cursor:
        cursor.execute(f"SELECT {asked}")
        return tuple(cursor.fetchone())


def _settings_of_a_new_session(s9: S9Database) -> tuple[Any, ...]:
    opened = _application(s9, s9.server.port)
    try:
        return _settings(opened)
    finally:
        opened.close()


def test_a_pooler_that_takes_transactions_apart_is_refused(s9: S9Database, tmp_path: Path) -> None:
    small_trade(s9)
    with pooler(s9.server, mode="statement") as port, pytest.raises(MigrationError) as refusal:
        look(s9, tmp_path, Pane("pooler", source={"port": port}))
    assert "connect to the database directly" in refusal.value.remedy


def test_a_pooler_without_room_for_two_connections_is_refused(
    s9: S9Database, tmp_path: Path
) -> None:
    small_trade(s9)
    with pooler(s9.server, size=1) as port, pytest.raises(MigrationError) as refusal:
        look(s9, tmp_path, Pane("pooler", source={"port": port}))
    assert "two at a time" in refusal.value.remedy


def test_a_resumed_extract_goes_on_with_the_same_database_only(
    s9: S9Database, sample: Any, tmp_path: Path
) -> None:
    """Trial A2: the configuration's words are the same, what answers is not."""
    small_trade(s9)
    run = run_in(tmp_path, s9)
    extract(run, ENTITIES, tuple(ENTITIES), stop)
    assert set(run.manifest.reached["source"]) >= {"system", "databaseOid", "inRecovery"}
    run.manifest.reached["source"]["inRecovery"] = "true"  # a replica has taken over
    run.manifest.reached["source"]["timeline"] = "7"
    extract(run, ENTITIES, ("buyers",), stop, by_hand=True)
    run.manifest.reached["source"]["system"] = "1234567890"
    with pytest.raises(MigrationError, match="system 1234567890, this is"):
        extract(run, ENTITIES, ("buyers",), stop, by_hand=True)


def test_no_run_over_a_directory_reads_another_server_than_the_one_before(
    alone: Operator, s9: S9Database
) -> None:
    small_trade(s9)
    alone.run("--full").ended(0)
    manifest = alone.data / "manifest.json"
    system = alone.manifest()["reached"]["source"]["system"]
    manifest.write_text(manifest.read_text().replace(system, "1234567890"))
    for command in (("--full",), ("--phase", "extract"), ("--full", "--restart")):
        alone.run(*command).failed(1, "is not the database", "1234567890", system, "data.directory")
