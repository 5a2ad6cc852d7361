"""The server's side of the glass, on MariaDB: whatever a server, an account or a view put between
the tool and S9's rows, the right rows are read, or the extract is refused."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.conftest import S9Database
from tests.support.operators.operator import insert, line, party, sale
from tests.support.s9.glass import Pane, assert_seen_through, look
from utils.demo.sample.schema import create_tables
from utils.embedded.mariadb import EmbeddedMariaDB

DATABASE = "glass"


@pytest.fixture(scope="module")
def behind_glass(mariadb: EmbeddedMariaDB) -> Iterator[S9Database]:
    """A small S9: texts of many alphabets, amounts, moments, and a name of blanks."""
    mariadb.create_database(DATABASE)
    mariadb.create_database("glass_beside")
    connection = mariadb.connect(DATABASE)
    create_tables(connection)
    s9 = S9Database(mariadb, DATABASE, connection)
    s9.execute("CREATE FUNCTION glass_beside.always() RETURNS int DETERMINISTIC RETURN 1")
    insert(
        s9,
        "msg_anag",
        party(1, 2, name="Ditta «La Rosa» 😀 àè", city='L\'Aquila \\ "x"'),
        party(2, 3, name="Ωmega  ", notes="a\tb\nc"),
        party(3, 1, revenue_percentage="2.50"),
        party(4, 2, enabled=False),
    )
    insert(s9, "msg", *(sale(key, 1 + key % 2, 3, total="122.00") for key in range(10, 15)))
    insert(s9, "msg", sale(15, 1, 3, enabled=False))
    insert(s9, "msg_line", *(line(key, 10 + key % 6) for key in range(1, 13)))
    yield s9
    connection.close()
    mariadb.drop_database("glass_beside")
    mariadb.drop_database(DATABASE)


@pytest.fixture(scope="module")
def clear(
    behind_glass: S9Database, tmp_path_factory: pytest.TempPathFactory
) -> Mapping[str, bytes]:
    """What is read when nothing stands between."""
    sight = look(behind_glass, tmp_path_factory.mktemp("clear"))
    assert sight.snapshot["consistent"]
    assert [rows.count(b"\n") for rows in sight.rows.values()] == [2, 1, 5]
    return sight.rows


def setting(name: str, value: str) -> Pane:
    """A setting of the server that every new session has."""
    return Pane(
        f"{name}={value}",
        (f"SET @@GLOBAL.{name} = {value}",),
        (f"SET @@GLOBAL.{name} = DEFAULT",),
    )


def at_connect(name: str, statement: str, *refused: str) -> Pane:
    """What init_connect does in every session of an account that may not do everything."""
    quoted = statement.replace("'", "''")
    return Pane(
        f"init_connect {name}",
        (f"SET GLOBAL init_connect = '{quoted}'",),
        ("SET GLOBAL init_connect = ''",),
        refused,
    )


SQL_MODES = (
    *("ANSI_QUOTES", "PIPES_AS_CONCAT", "NO_BACKSLASH_ESCAPES", "ONLY_FULL_GROUP_BY"),
    *("PAD_CHAR_TO_FULL_LENGTH", "ORACLE", "MSSQL", "HIGH_NOT_PRECEDENCE", "IGNORE_SPACE"),
    *("NO_ZERO_DATE,NO_ZERO_IN_DATE,STRICT_ALL_TABLES", "REAL_AS_FLOAT", "NO_UNSIGNED_SUBTRACTION"),
    *("EMPTY_STRING_IS_NULL", "SIMULTANEOUS_ASSIGNMENT", "TIME_ROUND_FRACTIONAL"),
)
SETTINGS = (
    *(setting("sql_mode", f"'{mode}'") for mode in SQL_MODES),
    setting("sql_select_limit", "1"),
    setting("sql_select_limit", "0"),
    setting("max_join_size", "1"),
    setting("group_concat_max_len", "4"),
    setting("div_precision_increment", "0"),
    setting("lc_time_names", "'it_IT'"),
    setting("default_week_format", "3"),
    setting("max_statement_time", "0.002"),
    setting("idle_transaction_timeout", "1"),
    setting("net_write_timeout", "1"),
    setting("lock_wait_timeout", "1"),
    setting("time_zone", "'-11:00'"),
    setting("tx_isolation", "'READ-UNCOMMITTED'"),
    setting("tx_read_only", "0"),
    setting("completion_type", "'CHAIN'"),
    setting("character_set_server", "latin1"),
    setting("collation_connection", "utf8mb3_turkish_ci"),
    setting("character_set_client", "latin1"),
    setting("character_set_results", "latin1"),
    setting("old_mode", "'ZERO_DATE_TIME_CAST'"),
    setting("optimizer_switch", "'derived_merge=off,semijoin=off,materialization=off'"),
    setting("big_tables", "1"),
    setting("wsrep_dirty_reads", "1"),
)
SESSIONS = (
    at_connect("SET NAMES", "SET NAMES latin1"),
    at_connect("no results", "SET sql_select_limit = 0"),
    at_connect("auto is null", "SET sql_auto_is_null = 1"),
    at_connect("another time", "SET timestamp = 86400, time_zone = '+09:00'"),
    at_connect("rows of another time", "SET system_versioning_asof = '2001-01-01'"),
    at_connect("another database", "USE glass_beside", "database"),
    at_connect("a lock", "SET lock_wait_timeout = 0, innodb_lock_wait_timeout = 1"),
)
_SHOWN, _HIDDEN = "GRANT SHOW VIEW ON *.* TO $reader", "REVOKE SHOW VIEW ON *.* FROM $reader"
ALTERED = (
    Pane(
        "a latin1 table",
        ("ALTER TABLE msg_line CONVERT TO CHARACTER SET latin1",),
        ("ALTER TABLE msg_line CONVERT TO CHARACTER SET utf8mb4",),
    ),
    Pane(
        "a binary collation",
        ("ALTER TABLE msg CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",),
        ("ALTER TABLE msg CONVERT TO CHARACTER SET utf8mb4",),
    ),
    Pane(
        "invisible columns",
        ("ALTER TABLE msg_anag MODIFY notes text INVISIBLE, MODIFY enabled tinyint(1) INVISIBLE",),
        ("ALTER TABLE msg_anag MODIFY notes text, MODIFY enabled tinyint(1)",),
    ),
    Pane(
        "partitions",
        ("ALTER TABLE msg PARTITION BY HASH (first_id) PARTITIONS 3",),
        ("ALTER TABLE msg REMOVE PARTITIONING",),
    ),
    Pane(
        "system versioning",
        (
            "ALTER TABLE msg_line ADD SYSTEM VERSIONING",
            "INSERT INTO msg_line (id, msg_id, line_number) VALUES (900, 10, 900)",
            "DELETE FROM msg_line WHERE id = 900",
        ),
        ("ALTER TABLE msg_line DROP SYSTEM VERSIONING",),
    ),
    Pane(
        "MyISAM",
        ("ALTER TABLE msg_line ENGINE = MyISAM",),
        ("ALTER TABLE msg_line ENGINE = InnoDB",),
        stated=("msg_line (MyISAM)",),
    ),
    Pane(
        "Aria",
        ("ALTER TABLE msg ENGINE = Aria",),
        ("ALTER TABLE msg ENGINE = InnoDB",),
        stated=("msg (Aria)",),
    ),
    Pane(
        "MEMORY, without texts, behind a view of another database",
        (
            _SHOWN,
            "ALTER TABLE msg_line RENAME TO glass_beside.msg_line_of_old",
            "ALTER TABLE glass_beside.msg_line_of_old ENGINE = MEMORY",
            "CREATE VIEW glass_beside.lines_between AS SELECT * FROM glass_beside.msg_line_of_old",
            "CREATE VIEW msg_line AS SELECT l.* FROM glass_beside.lines_between AS l "
            "LEFT JOIN (SELECT 1 AS one) AS o ON l.id = o.one",
        ),
        (
            _HIDDEN,
            "DROP VIEW msg_line, glass_beside.lines_between",
            "ALTER TABLE glass_beside.msg_line_of_old ENGINE = InnoDB",
            "ALTER TABLE glass_beside.msg_line_of_old RENAME TO msg_line",
        ),
        stated=("glass_beside.msg_line_of_old (MEMORY)",),
    ),
)


def viewed(
    name: str, view: str, refused: tuple[str, ...] = (), stated: tuple[str, ...] = ()
) -> Pane:
    """A view in the place of msg, which is renamed."""
    return Pane(
        name,
        (_SHOWN, "RENAME TABLE msg TO msg_behind", f"CREATE {view}"),
        ("DROP VIEW msg", "RENAME TABLE msg_behind TO msg", _HIDDEN),
        refused,
        stated,
    )


VIEWS = (
    viewed("a view", "VIEW msg AS SELECT * FROM msg_behind"),
    viewed("an invoker's view", "SQL SECURITY INVOKER VIEW msg AS SELECT * FROM msg_behind"),
    viewed("a temptable view", "ALGORITHM=TEMPTABLE VIEW msg AS SELECT * FROM msg_behind"),
    Pane(
        "a view that may not be looked into",
        ("RENAME TABLE msg TO msg_behind", "CREATE VIEW msg AS SELECT * FROM msg_behind"),
        ("DROP VIEW msg", "RENAME TABLE msg_behind TO msg"),
        stated=("what the view msg reads (SHOW VIEW is not granted)",),
    ),
    viewed(
        "a view with a function",
        "VIEW msg AS SELECT * FROM msg_behind WHERE glass_beside.always() = 1",
        stated=("what the function glass_beside.always reads",),
    ),
    viewed(
        "a view that asks who reads it",
        "VIEW msg AS SELECT * FROM msg_behind WHERE first_id > 11 OR user() LIKE 's9_owner%%'",
        refused=("is a view that may show different rows to each account", "user"),
    ),
)


@pytest.mark.parametrize("pane", [*SETTINGS, *SESSIONS], ids=lambda pane: pane.name)
def test_the_same_rows_whatever_the_server_has_set(
    pane: Pane, behind_glass: S9Database, clear: Mapping[str, bytes], tmp_path: Path
) -> None:
    assert_seen_through(pane, behind_glass, tmp_path, clear)


@pytest.mark.parametrize("pane", [*ALTERED, *VIEWS], ids=lambda pane: pane.name)
def test_the_same_rows_whatever_the_tables_are(
    pane: Pane, behind_glass: S9Database, clear: Mapping[str, bytes], tmp_path: Path
) -> None:
    assert_seen_through(pane, behind_glass, tmp_path, clear)
