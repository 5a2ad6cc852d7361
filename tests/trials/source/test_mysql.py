"""S9 on MySQL: values as they are (C13), and a connection that does not come about (C25)."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import pytest

from extract.mysql import connection as mysql_connection
from extract.mysql.source import MySqlSource
from tests.conftest import S9Database, TableNames
from tests.scenarios.conftest import hire
from tests.support.operators.operator import Operator, insert, line, party, sale, small_trade
from tests.support.s9.glass import Pane, look
from tests.support.s9.reading import config_of
from utils.config import Secret, SourceConfig
from utils.embedded.aws import EmbeddedAws
from utils.embedded.postgresql import EmbeddedPostgres
from utils.error_handler import SourceError, SourceUnavailable

BOTH = pytest.mark.parametrize("database", ["s9", "s9_on_mysql"], ids=["postgresql", "mysql"])


@pytest.fixture
def desk(tmp_path: Path, s9_on_mysql: S9Database, aws: EmbeddedAws, tables: TableNames) -> Operator:
    return hire(tmp_path, s9_on_mysql, aws, tables)


def columns_of(operator: Operator, entity: str, table: str) -> Any:
    return operator.manifest()["phases"]["extract"][entity]["result"]["columns"][table]


# --- values ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["int(6) zerofill", "bigint unsigned zerofill"])
def test_keys_with_leading_zeros_are_the_numbers_that_they_are(
    desk: Operator, s9_on_mysql: S9Database, key: str
) -> None:
    small_trade(s9_on_mysql)
    s9_on_mysql.execute(f"ALTER TABLE msg_anag MODIFY first_id {key}")
    s9_on_mysql.execute(f"ALTER TABLE msg MODIFY buyer_id {key}, MODIFY first_id {key}")
    s9_on_mysql.execute(f"ALTER TABLE msg_line MODIFY msg_id {key}")
    desk.run("--full").ended(0)
    names = [row["buyer"]["name"] for row in desk.extracted("sales")]
    assert names == ["Officina 1 srl", "Officina 2 srl"]
    assert [len(row["lines"]) for row in desk.extracted("sales")] == [2, 1]


def test_amounts_in_floats_are_the_shortest_decimals_and_named(
    desk: Operator, s9_on_mysql: S9Database
) -> None:
    small_trade(s9_on_mysql)
    s9_on_mysql.execute("ALTER TABLE msg MODIFY total float, MODIFY subtotal double(9,2)")
    s9_on_mysql.execute("UPDATE msg SET total = 123.45, subtotal = 101.1")
    outcome = desk.run("--phase", "extract").ended(0)
    assert "msg has columns that are binary fractions" in outcome.stderr
    assert "subtotal, total" in outcome.stderr
    row = desk.extracted("sales")[0]
    assert (row["total"], row["subtotal"]) == ("123.45", "101.10")
    assert columns_of(desk, "sales", "msg")["approximate"] == ["subtotal", "total"]


def test_moments_of_the_hour_that_comes_twice_stay_apart(
    desk: Operator, s9_on_mysql: S9Database
) -> None:
    small_trade(s9_on_mysql)
    s9 = s9_on_mysql
    s9.execute(
        "ALTER TABLE msg MODIFY created_at timestamp(3) NULL, MODIFY updated_at timestamp NULL"
    )
    s9.execute("SET time_zone = '+00:00'")
    s9.execute(
        "UPDATE msg SET created_at = '2024-10-27 00:30:00.5', updated_at = '2024-10-27 01:30'"
    )
    desk.run("--full").ended(0)
    item = next(item for item in desk.items("sales") if item["SK"]["S"] == "METADATA")
    assert item["createdAt"]["S"] == "2024-10-27T00:30:00.500Z"
    assert item["updatedAt"]["S"] == "2024-10-27T01:30:00.000Z"


@BOTH
def test_of_two_names_of_a_column_the_first_that_has_a_value_counts(
    database: str,
    tmp_path: Path,
    aws: EmbeddedAws,
    tables: TableNames,
    request: pytest.FixtureRequest,
) -> None:
    s9: S9Database = request.getfixturevalue(database)
    insert(s9, "msg_anag", party(1, 2, sub_name=None), party(2, 2, sub_name="  "), party(3, 1))
    insert(s9, "msg_anag", party(4, 2, sub_name="Uno"), party(5, 2, sub_name="Due"))
    insert(s9, "msg", {**sale(10, 1, 3), "buyer_id": None}, sale(11, 4, 3))
    insert(s9, "msg_line", line(1, 10, quantity=None), line(2, 11))
    s9.execute("ALTER TABLE msg_anag ADD COLUMN indirizzo2 varchar(64)")
    s9.execute("ALTER TABLE msg ADD COLUMN cliente_id int")
    s9.execute("ALTER TABLE msg_line ADD COLUMN quantita numeric(9,1)")
    s9.execute("UPDATE msg_anag SET indirizzo2 = 'Altro' WHERE first_id <> 5")
    s9.execute("UPDATE msg SET cliente_id = 2")
    s9.execute("UPDATE msg_line SET quantita = 7.5")
    desk = hire(tmp_path, s9, aws, tables)
    outcome = desk.run("--phase", "extract").ended(0)
    parties = {row["first_id"]: row["sub_name"] for row in desk.extracted("buyers")}
    assert parties == {1: "Altro", 2: "Altro", 4: "Uno", 5: "Due"}
    sales = desk.extracted("sales")
    assert [(row["buyer_id"], row["buyer"]["name"]) for row in sales] == [
        (2, "Officina 2 srl"),
        (4, "Officina 4 srl"),
    ]
    assert [float(row["lines"][0]["quantity"]) for row in sales] == [7.5, 2]
    several = columns_of(desk, "buyers", "msg_anag")["several"]
    assert several == {"sub_name": {"names": ["sub_name", "indirizzo2"], "different": 1}}
    assert columns_of(desk, "sales", "msg")["several"]["buyer_id"]["different"] == 1
    assert columns_of(desk, "buyers", "msg_anag")["unmapped"] == []
    assert "msg_anag has both sub_name and indirizzo2" in outcome.stderr
    desk.run("--phase", "transform").ended(0)
    assert "several" in desk.report("mapping")["entities"]["buyers"]["msg_anag"]


def test_invisible_columns_are_read_and_in_the_report(
    desk: Operator, s9_on_mysql: S9Database
) -> None:
    small_trade(s9_on_mysql)
    s9_on_mysql.execute("ALTER TABLE msg_anag MODIFY vat_number varchar(32) INVISIBLE")
    s9_on_mysql.execute("ALTER TABLE msg_anag ADD COLUMN loyalty int INVISIBLE DEFAULT 7")
    s9_on_mysql.execute("ALTER TABLE msg_line MODIFY unit_price decimal(18,6) INVISIBLE")
    s9_on_mysql.execute("UPDATE msg_anag SET vat_number = 'IT01234567890'")
    desk.run("--phase", "extract").ended(0)
    for row in desk.extracted("buyers"):
        assert (row["vat_number"], row["loyalty"]) == ("IT01234567890", 7)
    assert columns_of(desk, "buyers", "msg_anag")["unmapped"] == ["loyalty"]
    row = desk.extracted("sales")[0]
    assert row["buyer"]["vat_number"] == "IT01234567890"
    assert row["lines"][0]["unit_price"] == "10.500000"


# --- the connection -------------------------------------------------------------------------------


@contextmanager
def stranger(behave: Callable[[socket.socket], None]) -> Iterator[int]:
    """Somebody who listens, and does with each connection what he likes; gives the port."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with closing(connection):
                try:
                    behave(connection)
                except OSError:
                    continue

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(5)


def dribble(connection: socket.socket) -> None:
    """Bytes of a greeting that never ends."""
    connection.sendall(b"\x4a\x00\x00\x00")
    for _ in range(100):
        connection.sendall(b"\x0a")
        sleep(0.1)


def say(words: bytes) -> Callable[[socket.socket], None]:
    def behave(connection: socket.socket) -> None:
        connection.sendall(words)
        connection.recv(1)

    return behave


@pytest.mark.parametrize(
    ("behave", "says"),
    [
        (lambda connection: connection.recv(1), "did not complete the login within 1 second"),
        (dribble, "did not complete the login within 1 second"),
        (
            say(b"SSH-2.0-OpenSSH_9.2p1 Debian\r\n"),
            "neither MySQL nor MariaDB|did not complete the login",
        ),
        (say(b"\x05\x00\x00\x00hello"), "is neither MySQL nor MariaDB"),
        (say(b"\x01\x00\x00\x00\x0a"), "is neither MySQL nor MariaDB"),
        (say(b"\x00\x00\x00\x00" * 9), "is neither MySQL nor MariaDB"),
        (lambda _connection: None, "accepts the connection and closes it"),
    ],
    ids=["silent", "dribbling", "ssh", "words", "cut", "nothing", "closing"],
)
def test_whoever_is_no_server_is_told_within_the_timeout(
    tmp_path: Path, behave: Callable[[socket.socket], None], says: str
) -> None:
    with stranger(behave) as port:
        config = SourceConfig(type="mysql", host="127.0.0.1", port=port, ssl=False)
        with pytest.raises(SourceUnavailable, match=says) as raised:
            MySqlSource(_hasty(config), None, tmp_path)
    assert "source.port" in raised.value.remedy


def _hasty(config: SourceConfig) -> SourceConfig:
    from dataclasses import replace

    return replace(config, connection_timeout=1)


def test_another_database_at_the_port_is_told_within_the_timeout(
    postgres: EmbeddedPostgres, tmp_path: Path
) -> None:
    config = SourceConfig(type="mysql", host=postgres.host, port=postgres.port, ssl=False)
    with pytest.raises(SourceUnavailable, match=r"login within 1 second|closes it"):
        MySqlSource(_hasty(config), None, tmp_path)


def test_once_let_in_a_query_may_take_longer_than_the_timeout(
    s9_on_mysql: S9Database, tmp_path: Path
) -> None:
    with MySqlSource(config_of(s9_on_mysql, connection_timeout=1), None, tmp_path) as source:
        assert source.tally("SELECT SLEEP(1.5)") == [(0,)]


@pytest.mark.parametrize(
    ("account", "remedy"),
    [
        ("ACCOUNT LOCK", "unlock the account"),
        ("PASSWORD EXPIRE", "new password"),
        ("REQUIRE SSL", "requires TLS"),
        ("WITH MAX_USER_CONNECTIONS -1", "source.password"),
    ],
)
def test_each_refusal_of_a_login_has_its_own_remedy(
    s9_on_mysql: S9Database, tmp_path: Path, account: str, remedy: str
) -> None:
    s9, user = s9_on_mysql, f"{s9_on_mysql.name}_login"
    s9.execute(f"CREATE USER {user} IDENTIFIED BY 'secret' {account}")
    s9.execute(f"GRANT SELECT ON `{s9.name}`.* TO {user}")
    password = "wrong" if "WITH" in account else "secret"
    try:
        with pytest.raises(SourceUnavailable) as raised:
            MySqlSource(config_of(s9, username=user, password=Secret(password)), None, tmp_path)
        assert remedy in raised.value.remedy
    finally:
        s9.execute(f"DROP USER {user}")


# --- what is in the way ---------------------------------------------------------------------------


def test_a_table_that_somebody_holds_is_waited_for_no_longer_than_the_tool_wants(
    s9_on_mysql: S9Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_trade(s9_on_mysql)
    monkeypatch.setattr(mysql_connection, "LOCK_WAIT_SECONDS", 1)
    s9_on_mysql.execute("LOCK TABLES msg WRITE")
    try:
        started = monotonic()
        with pytest.raises(SourceError) as raised:
            look(s9_on_mysql, tmp_path)
        assert monotonic() - started < 30
    finally:
        s9_on_mysql.execute("UNLOCK TABLES")
    assert "not free to be read" in raised.value.message
    assert "LOCK TABLES" in raised.value.remedy
    assert "--resume" in raised.value.remedy


def test_a_temporary_table_in_the_place_of_a_table_is_refused(
    s9_on_mysql: S9Database, tmp_path: Path
) -> None:
    s9, user = s9_on_mysql, f"{s9_on_mysql.name}_t"
    small_trade(s9)
    s9.execute(f"CREATE USER {user} IDENTIFIED BY 'secret'")
    s9.execute(f"GRANT SELECT, CREATE TEMPORARY TABLES ON `{s9.name}`.* TO {user}")
    s9.execute(
        "SET GLOBAL init_connect = 'CREATE TEMPORARY TABLE msg AS SELECT * FROM msg LIMIT 1'"
    )
    pane = Pane("temporary", source={"username": user, "password": Secret("secret")})
    try:
        with pytest.raises(SourceError, match="msg is a temporary table of this session"):
            look(s9, tmp_path, pane)
    finally:
        s9.execute("SET GLOBAL init_connect = ''")
        s9.execute(f"DROP USER {user}")


def test_columns_that_the_account_may_not_see_are_no_columns_that_are_left_out(
    s9_on_mysql: S9Database, tmp_path: Path
) -> None:
    s9, user = s9_on_mysql, f"{s9_on_mysql.name}_c"
    small_trade(s9)
    s9.execute(f"CREATE USER {user} IDENTIFIED BY 'secret'")
    for table in ("msg", "msg_line"):
        s9.execute(f"GRANT SELECT ON `{s9.name}`.{table} TO {user}")
    s9.execute(f"GRANT SELECT (first_id, kind, enabled, name) ON `{s9.name}`.msg_anag TO {user}")
    pane = Pane("columns", source={"username": user, "password": Secret("secret")})
    try:
        with pytest.raises(SourceError) as raised:
            look(s9, tmp_path, pane)
        assert "grant SELECT" in raised.value.remedy
    finally:
        s9.execute(f"DROP USER {user}")


def test_a_replica_that_does_not_follow_is_told(
    s9_on_mysql: S9Database, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    s9 = s9_on_mysql
    small_trade(s9)
    s9.execute(f"GRANT SLAVE MONITOR ON *.* TO {s9.server.reader}")
    s9.execute(
        "CHANGE MASTER TO MASTER_HOST='127.0.0.1', MASTER_PORT=1, MASTER_USER='x', "
        "MASTER_PASSWORD='x'"
    )
    try:
        sight = look(s9, tmp_path)
    finally:
        s9.execute("RESET SLAVE ALL")
        s9.execute(f"REVOKE SLAVE MONITOR ON *.* FROM {s9.server.reader}")
    assert "is not replicating at present" in sight.snapshot["guarantee"]
    assert "is not replicating at present" in caplog.text


def test_the_server_and_the_database_have_an_identity(
    s9_on_mysql: S9Database, tmp_path: Path
) -> None:
    """A2."""
    with MySqlSource(config_of(s9_on_mysql), None, tmp_path) as source:
        identity = source.snapshot.identity
    assert identity["database"] == s9_on_mysql.name
    assert len(identity) >= 2
    with MySqlSource(config_of(s9_on_mysql), None, tmp_path) as source:
        assert source.snapshot.identity == identity


def test_settings_that_do_not_hold_are_refused(
    s9_on_mysql: S9Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is asked back comes from another session: as from a pool that shares connections."""
    monkeypatch.setattr(mysql_connection, "pin", lambda *_: None)
    s9_on_mysql.execute("SET GLOBAL init_connect = 'SET group_concat_max_len = 8'")
    try:
        with pytest.raises(SourceError, match="group_concat_max_len is 8"):
            MySqlSource(config_of(s9_on_mysql), None, tmp_path)
    finally:
        s9_on_mysql.execute("SET GLOBAL init_connect = ''")


def test_what_a_function_says_of_a_row_is_not_repeated(
    s9_on_mysql: S9Database, tmp_path: Path
) -> None:
    """C14."""
    s9 = s9_on_mysql
    small_trade(s9)
    s9.execute(
        "CREATE FUNCTION refuse(n text) RETURNS int READS SQL DATA "
        "BEGIN SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'Ditta La Rosa di Mario'; RETURN 1; END"
    )
    s9.execute(f"GRANT EXECUTE ON `{s9.name}`.* TO {s9.server.reader}")
    with MySqlSource(config_of(s9), None, tmp_path) as source:
        for query in ("SELECT refuse(name) FROM msg_anag", "SELECT exp(name + 9999) FROM msg_anag"):
            with pytest.raises(SourceError) as raised:
                source.tally(query)
            assert "Ditta" not in raised.value.message
            assert "Officina" not in raised.value.message
            assert "error 1" in raised.value.message
