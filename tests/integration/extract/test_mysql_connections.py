"""Several connections to S9 on MariaDB see the same, or there is only one."""

from __future__ import annotations

import random
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from extract.engine import extract
from extract.entities import entities_of
from extract.mysql import agreement
from extract.mysql import session as mysql_session
from extract.mysql import source as mysql_source
from extract.mysql.agreement import begin
from extract.mysql.connection import connect
from extract.mysql.protocol_rows import Arriving
from extract.mysql.session import Session
from extract.mysql.source import MySqlSource
from extract.reading.records import records_of
from extract.selection import plan
from extract.source import Reads
from tests.conftest import S9Database, database_of
from tests.support.records.content import content_of
from tests.support.s9.logged import BINLOG
from tests.support.s9.reading import config_of
from utils.config import Config, EntityExtraction, MigrationConfig, Secret
from utils.demo.sample.data import SampleSize, generate
from utils.embedded.mariadb import EmbeddedMariaDB, installed
from utils.error_handler import MigrationError
from utils.files.workspace import Workspace
from utils.interrupt import StopFlag
from utils.run.manifest import Manifest
from utils.run.run import Run

ENTITIES = entities_of("s9")
THREE = Reads(connections=3)
_ACCOUNTS, _SUM = 50, 5_000


@pytest.fixture(scope="module", params=["without a log", "with a log"])
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[EmbeddedMariaDB]:
    """A server of this module's own: its tests restart it."""
    if installed() is None:
        pytest.skip("needs mariadbd: apt-get install mariadb-server")
    options = BINLOG if request.param == "with a log" else ()
    with EmbeddedMariaDB(tmp_path_factory.mktemp("own"), options=options) as started:
        yield started


@pytest.fixture
def s9(server: EmbeddedMariaDB) -> Iterator[S9Database]:
    with database_of(server) as database:
        yield database


@pytest.fixture
def trade(s9: S9Database) -> S9Database:
    """Some thousand sales and their lines, with some that belong to nobody."""
    generate(s9.server.connect(s9.name), SampleSize(40, 15, 1500), seed=3)
    s9.execute("INSERT INTO msg_line (id, msg_id, line_number) VALUES (-1, NULL, 1), (-2, -7, 1)")
    s9.execute("INSERT INTO msg_line (id, msg_id, line_number) VALUES (99999999, 99999999, 1)")
    return s9


# --- while others write ---------------------------------------------------------------------------


class Bank:
    """Accounts among which money is moved all the time: their sum is always the same, and every
    transfer is counted."""

    def __init__(self, s9: S9Database, seed: int, *, pause: float, logged: bool) -> None:
        s9.execute("CREATE TABLE account (id int PRIMARY KEY, money int, moved bigint)")
        s9.execute(f"INSERT INTO account SELECT seq, 100, 0 FROM seq_1_to_{_ACCOUNTS}")
        self._s9 = s9
        self._over = threading.Event()
        self._pause = pause
        self._logged = logged
        self._seeds = [seed * 10 + number for number in range(2)]

    @contextmanager
    def at_work(self) -> Iterator[None]:
        threads = [threading.Thread(target=self._move, args=(seed,)) for seed in self._seeds]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._over.set()
            for thread in threads:
                thread.join()

    def _move(self, seed: int) -> None:
        chance = random.Random(seed)
        opened: Any = self._s9.server.connect(self._s9.name)
        with closing(opened) as connection:
            connection.autocommit(False)
            with connection.cursor() as cursor:
                cursor.execute(f"SET SESSION sql_log_bin = {int(self._logged)}")
                while not self._over.is_set():
                    one, other = sorted(chance.sample(range(1, _ACCOUNTS + 1), 2))
                    amount = chance.randint(-9, 9)
                    for key, by in ((one, amount), (other, -amount)):
                        cursor.execute(
                            "UPDATE account SET money = money + %s, moved = moved + 1 "
                            "WHERE id = %s",
                            (by, key),
                        )
                    if chance.random() < 0.1:
                        connection.rollback()
                    else:
                        connection.commit()
                    self._over.wait(chance.random() * 2 * self._pause)


_SEEN = "SELECT sum(money), sum(moved), bit_xor(crc32(concat(id, ' ', money, ' ', moved))) "


@pytest.mark.parametrize("logged", [True, False], ids=["logged", "kept out of the log"])
@pytest.mark.parametrize("pause", [0.0, 0.02, 0.2])
def test_connections_that_agree_see_the_same_however_much_is_written_meanwhile(
    s9: S9Database, monkeypatch: pytest.MonkeyPatch, pause: float, logged: bool
) -> None:
    monkeypatch.setattr(agreement, "_TRIES", 3)
    agreed = differed = 0
    with ExitStack() as opened:
        sessions = [Session(config_of(s9), StopFlag()) for _ in range(3)]
        for session in sessions:
            opened.callback(session.close)
        bank = Bank(s9, 1, pause=pause, logged=logged)
        opened.enter_context(bank.at_work())
        until = time.monotonic() + 4
        while time.monotonic() < until:
            begun = begin(sessions, StopFlag())
            seen = [session.all(f"{_SEEN} FROM account")[0] for session in sessions]
            assert {money for money, *_ in seen} == {_SUM}
            if not begun.differ:
                assert len(set(seen)) == 1
                agreed += 1
            else:
                differed += 1
    assert agreed or pause < 0.2
    assert differed or pause > 0.0


def test_what_is_written_between_two_of_them_is_found_each_time(
    s9: S9Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The criterion itself, with a commit in just that place."""
    s9.execute("CREATE TABLE t (id int PRIMARY KEY, c int)")
    s9.execute("INSERT INTO t VALUES (1, 0)")
    sessions = [Session(config_of(s9), StopFlag()) for _ in range(2)]
    begins = Session.begin
    writes: list[Callable[[], None]] = []

    def with_a_write(self: Session) -> None:
        begins(self)
        if self is sessions[0] and writes:
            writes.pop()()

    monkeypatch.setattr(Session, "begin", with_a_write)
    monkeypatch.setattr(agreement, "_TRIES", 1)
    for log in (1, 0):
        writes.append(lambda: s9.execute("UPDATE t SET c = c + 1"))
        s9.execute(f"SET SESSION sql_log_bin = {log}")
        assert "being written to" in begin(sessions, StopFlag()).differ
        assert len({session.all("SELECT c FROM t")[0] for session in sessions}) == 2
    s9.execute("SET SESSION sql_log_bin = 1")
    monkeypatch.setattr(agreement, "_TRIES", 20)
    writes.append(lambda: s9.execute("UPDATE t SET c = c + 1"))
    assert begin(sessions, StopFlag()).differ == ""  # at the second try
    assert {session.all("SELECT c FROM t")[0] for session in sessions} == {(3,)}
    for session in sessions:
        session.close()


# --- when there is only one -----------------------------------------------------------------------


def connections_of(s9: S9Database, scratch: Path, **changes: Any) -> str:
    with MySqlSource(config_of(s9, **changes), None, scratch, THREE) as source:
        return source.snapshot.connections


def test_an_account_that_may_only_select_has_several(s9: S9Database, tmp_path: Path) -> None:
    assert connections_of(s9, tmp_path) == "3 connections that see the same snapshot"


def test_an_account_with_one_connection_reads_over_one_and_it_is_said(
    trade: S9Database, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    s9, user = trade, f"{trade.name}_one"
    s9.execute(f"CREATE USER {user} IDENTIFIED BY 'secret' WITH MAX_USER_CONNECTIONS 1")
    s9.execute(f"GRANT SELECT ON `{s9.name}`.* TO {user}")
    try:
        alone = extracted(s9, tmp_path / "one", username=user, password=Secret("secret"))
    finally:
        s9.execute(f"DROP USER {user}")
    [said] = [message for message in caplog.messages if "over one connection" in message]
    assert "S9 gives no further ones" in said
    assert files_of(alone) == files_of(extracted(s9, tmp_path / "three"))


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("_LSN", ("Innodb_no_such_status",), "does not tell where InnoDB's log is"),
        ("_WITH_TRANSACTIONS", {"SEQUENCE"}, "other engines with transactions than InnoDB: InnoDB"),
    ],
)
def test_a_server_of_which_nothing_can_be_proved_is_read_over_one(
    s9: S9Database,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    value: object,
    says: str,
) -> None:
    monkeypatch.setattr(agreement, name, value)
    said = connections_of(s9, tmp_path)
    assert said.startswith("one connection")
    assert says in said


def test_nobody_waits_behind_somebody_who_waits_for_the_extract_to_end(
    trade: S9Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An ALTER waits for the first connection, and the others would wait for the ALTER."""
    expected = files_of(extracted(trade, tmp_path / "undisturbed"))
    holds = agreement.hold
    opened: Any = trade.server.connect(trade.name)
    alter = threading.Thread(target=opened.query, args=("ALTER TABLE msg_line ADD COLUMN z int",))

    def held_up(sessions: Sequence[Session], queries: Sequence[str]) -> str:
        assert holds(sessions[:1], queries) == ""
        alter.start()
        while not trade.rows(
            "SELECT 1 FROM information_schema.PROCESSLIST WHERE STATE LIKE '%metadata lock%'"
        ):
            time.sleep(0.01)
        return holds(sessions, queries)

    monkeypatch.setattr(mysql_source, "hold", held_up)
    began = time.monotonic()
    assert files_of(extracted(trade, tmp_path / "disturbed")) == expected
    assert time.monotonic() - began < 20
    alter.join()


def test_further_connections_to_another_server_are_left_out(
    trade: S9Database,
    mariadb: EmbeddedMariaDB,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """What a balancer in front of two servers does; the other one has the same database."""
    caplog.set_level("INFO")
    count = 0

    def balanced(config: Any) -> Any:
        nonlocal count
        count += 1
        if count % 3 != 2:
            return connect(config)
        secret = Secret(mariadb.reader_password)
        return connect(replace(config, port=mariadb.port, password=secret))

    expected = files_of(extracted(trade, tmp_path / "one"))
    mariadb.create_database(trade.name)
    try:
        monkeypatch.setattr(mysql_session, "connect", balanced)
        assert files_of(extracted(trade, tmp_path / "balanced")) == expected
    finally:
        mariadb.drop_database(trade.name)
    assert "further connections lead to another server" in caplog.text


# --- an extract -----------------------------------------------------------------------------------


def extracted(s9: S9Database, root: Path, **changes: Any) -> Workspace:
    """Extract everything."""
    files = Workspace(root)
    files.prepare()
    config = Config(source=config_of(s9, **changes), migration=MigrationConfig(retry_delay=0.1))
    run = Run(config, files, Manifest.new())
    extract(run, ENTITIES, list(ENTITIES), _raise)
    return files


def _raise(_phase: str, _name: str, error: MigrationError) -> None:
    raise error


def files_of(files: Workspace) -> dict[str, bytes]:
    found = {name: content_of(files.extracted(name)) for name in ENTITIES}
    return {**found, "sums": files.source_sums("sales").read_bytes()}


def test_over_three_connections_and_over_one_the_files_are_the_same(
    trade: S9Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    several = files_of(extracted(trade, tmp_path / "several"))
    monkeypatch.setattr(agreement, "_LSN", ("Innodb_no_such_status",))
    assert files_of(extracted(trade, tmp_path / "one")) == several
    assert several["sales"].count(b"\n") > 1_000


def test_every_connection_takes_its_leave(trade: S9Database, tmp_path: Path) -> None:
    """One that is merely gone is a warning in S9's log."""
    query = "SHOW GLOBAL STATUS LIKE 'Aborted_clients'"
    before = trade.rows(query)
    extracted(trade, tmp_path)
    assert trade.rows(query) == before


@pytest.mark.parametrize("connections", [1, 3])
def test_of_a_few_sales_the_lines_are_looked_up_and_of_many_sorted(
    trade: S9Database, tmp_path: Path, caplog: pytest.LogCaptureFixture, connections: int
) -> None:
    caplog.set_level("DEBUG")
    trade.execute("ANALYZE TABLE msg_line")
    [(key,)] = trade.rows("SELECT first_id FROM msg ORDER BY first_id DESC LIMIT 1 OFFSET 30")
    found = {}
    for after in (None, int(str(key))):
        caplog.clear()
        with MySqlSource(
            config_of(trade), None, tmp_path, replace(THREE, connections=connections)
        ) as source:
            planned = plan(ENTITIES["sales"], "exclude", EntityExtraction(), source)
            with records_of(source, planned, after) as records:
                found[after] = [line for *_, line in records]
        asked = [each for each in caplog.messages if "msg_line" in each and "Asking S9" in each]
        assert any(" IN (" in each for each in asked) is (after is not None)
    few = found.pop(int(str(key)))
    [every] = found.values()
    assert 10 < len(few) <= 30
    assert every[-len(few) :] == few


def meanwhile(
    monkeypatch: pytest.MonkeyPatch, asked: Callable[[str], object], how: Callable[[int], object]
) -> list[int]:
    """Once, when the tool has just asked such a query, do something to the connection with this
    number; gives the numbers of those that it was done to."""
    done: list[int] = []
    ask = Session.ask

    def disturbed(self: Session, query: str) -> Arriving:
        if done or not asked(query):
            return ask(self, query)
        # So little room that most of it is still to come.
        channel: Any = self.connection
        channel._sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
        arriving = ask(self, query)
        done.append(int(self.number))
        how(done[0])
        return arriving

    monkeypatch.setattr(Session, "ask", disturbed)
    return done


def _is_of_records(query: str) -> bool:
    """Not that of the records without all amounts, which is asked by the sums."""
    ordered = "FROM (SELECT * FROM `msg` WHERE" in query and "ORDER BY q.`first_id`" in query
    return ordered and "WHERE NOT (" not in query


def _is_of_lines(query: str) -> bool:
    return "FROM (SELECT * FROM `msg_line`) AS q" in query


def _is_of_sums(query: str) -> bool:
    return "COUNT(*) AS r," in query


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        (_is_of_records, "The connection to S9 was lost"),
        (_is_of_lines, "The connection to S9 was lost"),
        (_is_of_sums, "S9 is asked again for what it adds up"),
    ],
    ids=["records", "lines", "sums"],
)
def test_whichever_connection_is_killed_the_files_are_the_same(
    trade: S9Database,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    asked: Callable[[str], bool],
    says: str,
) -> None:
    caplog.set_level("INFO")
    widened(trade)
    expected = files_of(extracted(trade, tmp_path / "undisturbed"))
    assert says not in caplog.text
    killed = meanwhile(monkeypatch, asked, lambda number: trade.execute(f"KILL {number}"))
    found = files_of(extracted(trade, tmp_path / "disturbed"))
    assert killed
    assert says in caplog.text
    assert found == expected


def test_a_server_that_starts_again_meanwhile_is_read_anew(
    trade: S9Database,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    widened(trade)
    expected = files_of(extracted(trade, tmp_path / "undisturbed"))
    seen = meanwhile(monkeypatch, _is_of_lines, lambda _: trade.server.restart(immediate=True))
    found = files_of(extracted(trade, tmp_path / "disturbed"))
    assert seen
    assert "The connection to S9 was lost" in caplog.text
    assert found == expected


def widened(s9: S9Database) -> None:
    """More rows than what the network has room for."""
    for table, times in {"msg": 1_500, "msg_line": 1_000}.items():
        s9.execute(f"ALTER TABLE {table} MODIFY notes longtext")
        s9.execute(f"UPDATE {table} SET notes = REPEAT('nota ', {times})")
