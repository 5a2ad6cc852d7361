"""S9 on MariaDB: what only MySQL has, and what can go wrong with it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from extract.mysql import connection as mysql_connection
from extract.mysql import source as mysql
from extract.mysql.source import MySqlSource
from extract.selection import Field, Selection
from extract.source import Reads
from tests.conftest import S9Database
from tests.support.s9.reading import config_of, opened, read
from utils.config import Secret
from utils.embedded.mariadb import EmbeddedMariaDB
from utils.error_handler import BackOff, SourceError, SourceUnavailable
from utils.interrupt import Interrupted, StopFlag

Table = Callable[..., S9Database]


@pytest.fixture
def table(s9_on_mysql: S9Database) -> Table:
    """Makes the table t with a column and a row in it."""

    def make(column: str, value: str, *, more: str = "") -> S9Database:
        s9_on_mysql.execute("SET SESSION sql_mode = ''")
        s9_on_mysql.execute(f"CREATE TABLE t (id bigint PRIMARY KEY, c {column}) {more}")
        s9_on_mysql.execute(f"INSERT INTO t VALUES (1, {value})")
        return s9_on_mysql

    return make


@pytest.mark.parametrize(
    ("column", "value", "found"),
    [
        ("tinyint(1)", "1", "true"),
        ("tinyint(1)", "0", "false"),
        ("tinyint(1)", "2", "2"),
        ("tinyint", "1", "1"),
        ("int(1)", "1", "1"),
        ("bit(1)", "b'1'", "true"),
        ("bit(9)", "b'100000001'", "257"),
        ("bigint unsigned", "18446744073709551615", "18446744073709551615"),
        ("int(8) unsigned zerofill", "42", "42"),
        ("decimal(8,2) zerofill", "4.5", '"4.50"'),
        ("year", "2024", "2024"),
        ("year", "0", "0"),
        ("float", "0.1", '"0.1"'),
        ("float", "123.45", '"123.45"'),
        ("float", "-16777217", '"-16777216"'),
        ("float", "1e-10", '"0.0000000001"'),
        ("float", "3.4028234663852886e38", f'"34028235{"0" * 31}"'),
        ("float(7,2)", "123.45", '"123.45"'),
        ("float(10,2)", "1234567.89", '"1234567.88"'),
        ("float(7,2) zerofill", "123.45", '"123.45"'),
        ("double(9,2)", "123.45", '"123.45"'),
        (
            "uuid",
            "'123e4567-e89b-12d3-a456-426614174000'",
            '"123e4567-e89b-12d3-a456-426614174000"',
        ),
        ("inet6", "'::1'", '"::1"'),
        ("binary(3)", "'ab'", '"\\\\x616200"'),
        ("point", "point(1, 0)", f'"\\\\x{"0" * 8}0101{"0" * 6}{"0" * 12}f03f{"0" * 16}"'),
        ("bit(64)", "b'1' << 63", "9223372036854775808"),
        ("time(6)", "'-01:02:03.5'", '"-01:02:03.500000"'),
        ("double", "0.1", '"0.1"'),
        ("date", "'0000-00-00'", '"0000-00-00"'),
        ("date not null", "'0000-00-00'", '"0000-00-00"'),
        ("date", "'2024-02-00'", '"2024-02-00"'),
        ("datetime", "'0000-00-00'", '"0000-00-00T00:00:00"'),
        ("datetime(6)", "'2024-00-00 10:00:00.5'", '"2024-00-00T10:00:00.5"'),
        ("timestamp null", "'0000-00-00'", '"0000-00-00T00:00:00"'),
        ("timestamp(3) null", "'2024-07-01 10:00:00.120'", '"2024-07-01T10:00:00.12Z"'),
        ("time", "'-100:00:01'", '"-100:00:01"'),
        ("enum('sì','no')", "'sì'", '"sì"'),
        ("set('a','b')", "'a,b'", '"a,b"'),
        ("json", """'{"a": "\\\\"" }'""", '"{\\"a\\": \\"\\\\\\"\\" }"'),
        ("blob", "x'00ff'", '"\\\\x00ff"'),
        ("char(3)", "'it'", '"it"'),
        ("text", "'a\\0b'", '"a\\u0000b"'),
        ("text", "char(31, 127 using utf8mb4)", '"\\u001f\x7f"'),
        ("varchar(9) character set latin1", "'è€'", '"è€"'),
        ("varchar(9) collate utf8mb4_bin", "'😀'", '"😀"'),
    ],
)
def test_what_only_mysql_has_is_written(
    table: Table, tmp_path: Path, column: str, value: str, found: str
) -> None:
    row = read(table(column, value), tmp_path)
    assert row.decode() == f'{{"id":1,"c":{found}}}'
    orjson.loads(row)


@pytest.mark.parametrize("zone", ["Europe/Rome", "Asia/Kolkata", "UTC"])
@pytest.mark.parametrize(
    "utc",
    [
        *("2024-03-31 00:59:59", "2024-03-31 01:00:00"),
        *("2024-10-27 00:30:00", "2024-10-27 01:30:00"),  # one wall clock in Rome
        *("1975-01-01 12:00:00", "1970-01-01 00:00:01", "2038-01-19 03:14:07"),
    ],
)
def test_a_timestamp_is_the_instant_that_it_is(
    table: Table, tmp_path: Path, zone: str, utc: str
) -> None:
    """C13."""
    row = read(table("timestamp null", f"'{utc}'"), tmp_path, timezone=zone)
    assert orjson.loads(row)["c"] == utc.replace(" ", "T") + "Z"


def test_a_row_that_cannot_be_written_stops_the_reading(
    table: Table, mariadb: EmbeddedMariaDB, tmp_path: Path
) -> None:
    s9 = table("longtext", "repeat('x', 40000000)")
    with pytest.raises(SourceError, match="row with the key 1") as raised:
        s9.execute("SET GLOBAL max_allowed_packet = 20000000")
        try:
            read(s9, tmp_path)
        finally:
            s9.execute("SET GLOBAL max_allowed_packet = 67108864")
    assert "max_allowed_packet" in raised.value.remedy


@pytest.mark.parametrize("length", [40_000_000, (1 << 24) - 1 - 27])
def test_a_row_of_several_packets_arrives_whole(table: Table, tmp_path: Path, length: int) -> None:
    row = read(table("longtext", f"repeat('x', {length})"), tmp_path)
    assert row == b'{"id":1,"c":"' + b"x" * length + b'"}'


def keys(
    source: MySqlSource, query: str = "SELECT * FROM t", after: int | None = None
) -> list[int]:
    fields = tuple(Field(column, column.name) for column in source.columns(query))
    with source.rows(Selection(query, "id", (), fields), None, after) as (rows, _):
        return [int(key) for key, _ in rows]


def source_of(s9: S9Database, tmp_path: Path, **changes: Any) -> MySqlSource:
    source = opened(s9, tmp_path, **changes)
    assert isinstance(source, MySqlSource)
    return source


def test_what_is_written_after_the_snapshot_is_not_seen(table: Table, tmp_path: Path) -> None:
    s9 = table("int", "1")
    with source_of(s9, tmp_path) as source:
        s9.execute("INSERT INTO t VALUES (2, 2)")
        s9.execute("UPDATE t SET c = 9 WHERE id = 1")
        assert keys(source) == [1]
        assert source.count(Selection("SELECT * FROM t WHERE c = 9", "id", (), ())) == 0
        twice = "SELECT 1 AS id FROM t UNION ALL SELECT 1"
        assert source.count_keys(Selection(twice, "id", (), ())) == (2, 1)
    with source_of(s9, tmp_path) as source:
        assert keys(source) == [1, 2]
        assert keys(source, after=1) == [2]


def test_nothing_can_be_written_through_the_tools_connection(table: Table, tmp_path: Path) -> None:
    s9 = table("int", "1")
    account = {
        "username": s9.server.owner,
        "password": Secret(s9.server.owner_password),
    }
    with source_of(s9, tmp_path, **account) as source:
        with pytest.raises(Exception, match="READ ONLY"):
            source._main.all("DELETE FROM t")
        assert source.writable(["t"]) == ["t"]
    with source_of(s9, tmp_path) as source:
        assert source.writable(["t"]) == []


def test_rights_are_found_wherever_they_were_granted(table: Table, tmp_path: Path) -> None:
    s9 = table("int", "1")
    for number, (rights, writable) in enumerate(
        {
            f"SELECT ON `{s9.name}`.*": [],
            f"SELECT, UPDATE ON `{s9.name}`.`t`": ["t"],
            f"INSERT (c), SELECT ON `{s9.name}`.`t`": ["t"],
            f"ALL PRIVILEGES ON `{s9.name}`.*": ["t"],
            "SELECT, DELETE ON *.*": ["t"],
        }.items()
    ):
        user = f"{s9.name}_{number}"
        s9.execute(f"CREATE USER {user} IDENTIFIED BY 'secret'")
        s9.execute(f"GRANT {rights} TO {user}")
        account = {"username": user, "password": Secret("secret")}
        with source_of(s9, tmp_path, **account) as source:
            assert source.writable(["t", "other"])[:1] == writable
        s9.execute(f"DROP USER {user}")


@pytest.mark.parametrize(
    ("changes", "says", "remedy"),
    [
        ({"password": Secret("wrong")}, "does not let s9_reader in: Access denied", "password"),
        ({"username": "nobody"}, "does not let nobody in: Access denied", "source.username"),
        ({"database": "absent"}, "does not let s9_reader in: Unknown database", "source.database"),
        ({"port": 1}, "cannot be reached", "source.port"),
        ({"host": "no-such-host.invalid"}, "cannot be reached", "source.host"),
        ({"host": "/nowhere/mysqld.sock"}, "cannot be reached", "source.host"),
        ({"ssl": "require"}, "cannot be trusted", "source.ssl"),
        ({"ssl_root_cert": "/nowhere/ca.pem", "ssl": True}, "cannot be read", "sslRootCert"),
    ],
)
def test_a_connection_that_cannot_be_had_says_what_to_do(
    s9_on_mysql: S9Database, tmp_path: Path, changes: dict[str, Any], says: str, remedy: str
) -> None:
    with pytest.raises(SourceUnavailable, match=says) as raised:
        source_of(s9_on_mysql, tmp_path, **changes)
    assert remedy in raised.value.remedy
    assert "wrong" not in raised.value.message


@pytest.mark.parametrize(
    ("query", "says", "remedy"),
    [
        ("SELECT * FROM absent", "doesn't exist", "source.layout"),
        ("SELECT absent FROM t", "Unknown column", "source.layout"),
        ("SELECT * FROM mysql.global_priv", "denied", "grant SELECT"),
        ("SELEC 1", "syntax", "extraction.<entity>"),
    ],
)
def test_a_query_that_is_refused_says_what_to_do(
    table: Table, tmp_path: Path, query: str, says: str, remedy: str
) -> None:
    s9 = table("int", "1")
    user = {"username": f"{s9.name}_t", "password": Secret("secret")}
    s9.execute(f"CREATE USER {s9.name}_t IDENTIFIED BY 'secret'")
    s9.execute(f"GRANT SELECT ON `{s9.name}`.* TO {s9.name}_t")
    with source_of(s9, tmp_path, **user) as source:
        with pytest.raises(SourceError, match=says) as raised:
            source.columns(query)
        assert remedy in raised.value.remedy
        assert keys(source) == [1]  # the snapshot has survived it
    s9.execute(f"DROP USER {s9.name}_t")


def killed(s9: S9Database, how: str, text: str) -> None:
    """End, from outside, what the tool's reader is doing."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        found = s9.rows(
            "SELECT ID FROM information_schema.PROCESSLIST WHERE USER = %s AND INFO LIKE %s",
            s9.server.reader,
            f"%{text}%",
        )
        if found:
            s9.execute(f"KILL {how} {found[0][0]}")
            return
        time.sleep(0.02)
    raise AssertionError("the query has not been seen")


@pytest.mark.parametrize(("how", "error"), [("QUERY", SourceError), ("CONNECTION", BackOff)])
def test_a_killed_query_and_a_killed_connection_are_told_apart(
    table: Table, tmp_path: Path, how: str, error: type[Exception]
) -> None:
    s9 = table("int", "1")
    with source_of(s9, tmp_path) as source:
        killer = threading.Thread(target=killed, args=(s9, how, "SLEEP(17)"))
        killer.start()
        with pytest.raises(error):
            source.count(
                Selection("SELECT SLEEP(17) AS s, id FROM t WHERE SLEEP(17) = 0", "id", (), ())
            )
        killer.join()


def test_a_stop_ends_the_query_that_is_running(table: Table, tmp_path: Path) -> None:
    s9 = table("int", "1")
    stop = StopFlag()
    with MySqlSource(config_of(s9), stop, tmp_path) as source:
        threading.Timer(0.3, stop.request).start()
        started = time.monotonic()
        with pytest.raises(Interrupted):
            source.count(Selection("SELECT id FROM t WHERE SLEEP(60) = 1", "id", (), ()))
        assert time.monotonic() - started < 30


def test_a_table_altered_after_the_snapshot_asks_for_another_one(
    table: Table, tmp_path: Path
) -> None:
    s9 = table("int", "1")
    with source_of(s9, tmp_path) as source:
        s9.execute("ALTER TABLE t ADD COLUMN d int, ALGORITHM=COPY")
        with pytest.raises(BackOff, match="definition has changed"):
            keys(source)


def test_a_table_that_is_locked_is_not_waited_for_endlessly(
    table: Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mysql_connection, "LOCK_WAIT_SECONDS", 1)
    s9 = table("int", "1")
    s9.execute("LOCK TABLES t WRITE")
    try:
        with source_of(s9, tmp_path) as source, pytest.raises(SourceError) as raised:
            keys(source)
        assert "--resume" in raised.value.remedy
    finally:
        s9.execute("UNLOCK TABLES")


def test_tables_without_snapshots_are_named(s9_on_mysql: S9Database, tmp_path: Path) -> None:
    s9_on_mysql.execute(
        "CREATE VIEW v AS SELECT m.* FROM msg AS m JOIN msg_line AS l ON l.msg_id = m.first_id"
    )
    with source_of(s9_on_mysql, tmp_path) as source:
        assert "what the view v reads (SHOW VIEW is not granted)" in source.exceptions(["v"])
    s9_on_mysql.execute(f"GRANT SHOW VIEW ON `{s9_on_mysql.name}`.* TO {s9_on_mysql.server.reader}")
    with source_of(s9_on_mysql, tmp_path) as source:
        for tables in (["msg", "msg_anag"], ["v"], None):
            assert source.exceptions(tables) == ""
    s9_on_mysql.execute("ALTER TABLE msg_line ENGINE = MyISAM")
    with source_of(s9_on_mysql, tmp_path) as source:
        assert source.exceptions(["msg", "msg_anag"]) == ""
        for tables in (["msg", "msg_line"], ["v"], None):
            assert "msg_line (MyISAM)" in source.exceptions(tables)


def test_the_settings_of_server_and_account_do_not_change_what_is_read(
    table: Table, tmp_path: Path
) -> None:
    s9 = table("char(5)", "'ab'")
    s9.execute("INSERT INTO t VALUES (2, 'cd')")
    before = s9.rows("SELECT @@GLOBAL.sql_mode")[0][0]
    s9.execute("SET GLOBAL sql_mode = 'PAD_CHAR_TO_FULL_LENGTH,ANSI_QUOTES,NO_BACKSLASH_ESCAPES'")
    s9.execute("SET GLOBAL sql_select_limit = 1")
    try:
        with source_of(s9, tmp_path) as source:
            assert keys(source) == [1, 2]
    finally:
        s9.execute("SET GLOBAL sql_select_limit = DEFAULT")
        s9.execute(f"SET GLOBAL sql_mode = '{before}'")


@pytest.fixture
def trade(s9_on_mysql: S9Database) -> Iterator[S9Database]:
    """Sales with lines whose order in the table is none."""
    s9 = s9_on_mysql
    s9.execute("INSERT INTO msg_anag (first_id, kind, enabled, name) VALUES (1, 2, 1, 'B')")
    for key in (5, 3, 8):
        s9.execute(
            "INSERT INTO msg (first_id, enabled, buyer_id) VALUES (%s, %s, 1)", key, key != 8
        )
        for number in (2, 1, None):
            s9.execute(
                "INSERT INTO msg_line (id, msg_id, line_number) VALUES (%s, %s, %s)",
                key * 10 + (number or 0),
                key,
                number,
            )
    s9.execute("INSERT INTO msg_line (id, msg_id, line_number) VALUES (1, NULL, 1), (2, 4, 1)")
    yield s9


@pytest.mark.parametrize("way", ["sorted", "paged", "joined", "too large"])
@pytest.mark.parametrize("connections", [1, 2])
def test_lines_come_in_the_order_of_their_sales_whatever_way_is_taken(
    trade: S9Database,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    way: str,
    connections: int,
) -> None:
    from extract.entities import entities_of
    from extract.reading.records import merge
    from extract.selection import plan
    from utils.config import EntityExtraction

    monkeypatch.setattr(mysql, "_FEW", 0 if way == "joined" else 10)
    if way == "too large":  # few, and no less to be held
        monkeypatch.setattr(mysql, "_FEW_BYTES", 0)
    monkeypatch.setattr(mysql, "_PAGE", 1)
    monkeypatch.setattr(MySqlSource, "_is_worth_paging", lambda *_: way == "paged")
    reads = Reads(connections=connections)
    with MySqlSource(config_of(trade), None, tmp_path, reads) as source:
        assert source.snapshot.connections.startswith("2 conn" if connections > 1 else "")
        for after, expected in ((None, [3, 5]), (3, [5])):
            planned = plan(entities_of("s9")["sales"], "exclude", EntityExtraction(), source)
            assert planned.children is not None
            with source.rows(planned.records, planned.children, after) as (records, children):
                assert children is not None
                rows = [orjson.loads(row) for _, _, row in merge(records, children, "lines")]
            assert [row["first_id"] for row in rows] == expected
            for row in rows:
                key = row["first_id"]
                assert [line["id"] for line in row["lines"]] == [key * 10 + n for n in (1, 2, 0)]
                assert row["buyer"]["name"] == "B"
                assert row["producer"] is None
    assert list(tmp_path.iterdir()) == []


def test_what_buyer_and_producer_copy_is_each_read_once(
    trade: S9Database, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    from extract.entities import entities_of
    from extract.reading.records import records_of
    from extract.selection import plan
    from utils.config import EntityExtraction

    trade.execute("INSERT INTO msg_anag (first_id, kind, enabled, name) VALUES (2, 1, 1, 'P')")
    trade.execute("UPDATE msg SET producer_id = 2, buyer_id = 7")
    caplog.set_level("DEBUG")
    with source_of(trade, tmp_path) as source:
        planned = plan(entities_of("s9")["sales"], "exclude", EntityExtraction(), source)
        with records_of(source, planned) as records:
            rows = [orjson.loads(row) for _, _, row in records]
    assert [(row["buyer"], row["producer"]["name"]) for row in rows] == [(None, "P")] * 2
    asked = [each for each in caplog.messages if each.startswith("Asking S9")]
    assert len([each for each in asked if "msg_anag" in each]) == 2
