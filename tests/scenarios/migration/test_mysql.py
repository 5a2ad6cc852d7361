"""The whole tool with S9 on MySQL: what arrives is what arrives from PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from mypy_boto3_dynamodb import DynamoDBClient

from tests.conftest import SAMPLE_SIZE, S9Database, Sample, TableNames
from tests.scenarios.conftest import DONE_TABLES, hire
from tests.support.faults.sabotage import SabotagedOperator
from tests.support.operators.operator import (
    ENTITIES,
    Operator,
    insert,
    party,
    sale,
    scan_all,
    small_trade,
)
from utils.demo.sample.data import generate
from utils.demo.sample.schema import create_tables
from utils.embedded import mariadb as mariadb_server
from utils.embedded.aws import EmbeddedAws
from utils.embedded.mariadb import EmbeddedMariaDB
from utils.error_handler import ConfigurationError


@pytest.fixture
def on_mysql(
    tmp_path: Path, sample_on_mysql: Sample, aws: EmbeddedAws, tables: TableNames
) -> Operator:
    """An operator with the shared sample on MariaDB (for reading)."""
    return hire(tmp_path, sample_on_mysql.s9, aws, tables)


def test_the_same_data_give_the_same_items_as_on_postgresql(
    on_mysql: Operator,
    finished: Operator,
    sample_on_mysql: Sample,
    dynamodb: DynamoDBClient,
    tables: TableNames,
) -> None:
    on_mysql.run("--dry-run").ended(5)
    assert on_mysql.rehearsal.transformed() == finished.transformed()
    on_mysql.run("--full").ended(5)
    assert on_mysql.transformed() == finished.transformed()
    assert scan_all(dynamodb, tables) == scan_all(dynamodb, DONE_TABLES)
    assert on_mysql.report("verification")["passed"]
    for entity in ENTITIES:
        assert set(on_mysql.quarantine(entity)) == sample_on_mysql.report.quarantined(entity)
    snapshot = on_mysql.manifest()["snapshot"]
    assert snapshot["consistent"]
    assert "CONSISTENT SNAPSHOT" in snapshot["guarantee"]


def test_an_account_that_could_write_is_warned_of(
    on_mysql: Operator, sample_on_mysql: Sample
) -> None:
    assert "may change" not in on_mysql.run("--phase", "extract").ended(0).stderr
    server = sample_on_mysql.s9.server
    on_mysql.environment["S9_PASSWORD"] = server.owner_password
    on_mysql.configure(source={"username": server.owner})
    outcome = on_mysql.run("--phase", "extract").ended(0)
    assert "may change msg, msg_anag, msg_line" in outcome.stderr


def test_killed_in_any_phase_it_resumes_to_the_same_items(
    on_mysql: Operator, finished: Operator, dynamodb: DynamoDBClient, tables: TableNames
) -> None:
    tool = SabotagedOperator.like(on_mysql)
    tool.killed("--full", phase="extract", entity="sales", after=20)
    outcome = tool.run("--resume")
    assert "extracting all entities again, from one snapshot" in outcome.stderr
    tool.killed("--full", "--restart", phase="transform", entity="sales", after=1)
    tool.killed("--resume", phase="load", entity="sales", after=3)
    tool.run("--resume").ended(5)
    assert tool.transformed() == finished.transformed()
    assert scan_all(dynamodb, tables) == scan_all(dynamodb, DONE_TABLES)
    snapshot = tool.manifest()["snapshot"]
    assert snapshot["consistent"]


FILLED = (
    "INSERT INTO msg_anag (first_id, kind, enabled, name, city, country) "
    "SELECT seq, IF(seq > 20, 1, 2), 1, CONCAT('Officina ', seq), 'Brescia', 'IT' FROM seq_1_to_30",
    "INSERT INTO msg (first_id, enabled, sale_number, sale_date, buyer_id, producer_id, status) "
    "SELECT seq, 1, seq, '2024-05-17', 1 + seq % 20, 21 + seq % 10, 'pagato' FROM seq_1_to_8000",
    # More than what the network has room for, so that most of it is still to come.
    "INSERT INTO msg_line (id, msg_id, line_number, unit_price, notes) "
    "SELECT seq, 1 + seq % 8000, seq, 10.50, REPEAT('nota ', 90) FROM seq_1_to_40000",
)


@pytest.fixture(scope="module")
def fragile(
    mariadb: EmbeddedMariaDB, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[S9Database]:
    """A server of its own, that may be stopped."""
    with EmbeddedMariaDB(tmp_path_factory.mktemp("fragile")) as server:
        connection = server.connect()
        create_tables(connection)
        s9 = S9Database(server, server.database, connection)
        for statement in FILLED:
            s9.execute(statement)
        connection.close()
        yield s9


@pytest.mark.parametrize("immediate", [True, False], ids=["crash", "orderly"])
def test_restarted_in_the_middle_of_the_extract_everything_is_read_anew(
    tmp_path: Path, fragile: S9Database, aws: EmbeddedAws, tables: TableNames, immediate: bool
) -> None:
    operator = hire(tmp_path, fragile, aws, tables).configure(migration={"retryDelay": 0.3})
    settings = {
        "extract.reading.records.FLUSH_RECORDS": 100,
        "utils.checkpoint._REST_PER_COST": 0.0,
    }
    tool = SabotagedOperator.like(operator, set=settings)
    place = {"phase": "extract", "entity": "sales", "what": "step", "after": 3}
    with tool.held("--phase", "extract", **place) as running:
        fragile.server.restart(immediate=immediate)
        tool.let_go()
        outcome = running.end().ended(0)
    assert "The connection to S9 was lost" in outcome.stderr
    snapshot = tool.manifest()["snapshot"]
    assert snapshot["consistent"]
    assert "from one snapshot (read again: it cannot be proved" in snapshot["statement"]
    files = tool.files()
    operator.run("--phase", "extract").ended(0)
    assert operator.files() == files
    sales = tool.extracted("sales")
    assert len(sales) == 8_000
    assert sum(len(sale["lines"]) for sale in sales) == 40_000


@pytest.fixture
def alone_on_mysql(
    tmp_path: Path, s9_on_mysql: S9Database, aws: EmbeddedAws, tables: TableNames
) -> Operator:
    """An operator with an S9 of the test's own on MariaDB, empty."""
    return hire(tmp_path, s9_on_mysql, aws, tables)


def test_conditions_limits_and_queries_are_mysqls_own(
    alone_on_mysql: Operator, s9_on_mysql: S9Database
) -> None:
    operator = alone_on_mysql
    small_trade(s9_on_mysql)
    disabled = party(5, 2, enabled=False)
    insert(s9_on_mysql, "msg_anag", party(20, 2), party(21, 2), disabled)
    insert(s9_on_mysql, "msg", sale(14, 5, 3), sale(15, 1, 3), sale(9, 1, 3))
    s9_on_mysql.execute("ALTER TABLE msg_anag ADD COLUMN `loyalty card` text")
    s9_on_mysql.execute("UPDATE msg_anag SET `loyalty card` = 'gold'")
    operator.configure(
        extraction={
            "disabledParties": "referenced",
            "buyers": {"where": "first_id < 20 OR name LIKE '%20%' -- these", "limit": 4},
            "sales": {
                "query": "SELECT * FROM `msg` WHERE enabled AND first_id <> 11; ",
                "where": "sale_number >= 10",
                "limit": 2,
            },
        }
    )
    operator.configure(extraction={"buyers": {"where": "first_id < 20 OR name LIKE '%20%'"}})
    outcome = operator.run("--phase", "extract").ended(0)
    assert [row["first_id"] for row in operator.extracted("buyers")] == [1, 2, 5, 20]
    assert [row["first_id"] for row in operator.extracted("sales")] == [10, 14]
    assert [len(row["lines"]) for row in operator.extracted("sales")] == [2, 0]
    assert operator.extracted("sales")[1]["buyer"]["enabled"] is False
    assert "loyalty card" in outcome.stderr
    assert {row["loyalty card"] for row in operator.extracted("buyers")} == {"gold"}


def test_what_mysql_calls_no_date_is_none_and_half_a_date_is_refused(
    alone_on_mysql: Operator, s9_on_mysql: S9Database
) -> None:
    operator = alone_on_mysql
    s9_on_mysql.execute("SET SESSION sql_mode = ''")
    small_trade(s9_on_mysql)
    s9_on_mysql.execute(
        "UPDATE msg SET delivery_date = '0000-00-00', updated_at = '0000-00-00 00:00:00' "
        "WHERE first_id = 10"
    )
    s9_on_mysql.execute("UPDATE msg SET delivery_date = '2024-02-00' WHERE first_id = 11")
    operator.run("--full").ended(5)
    assert operator.extracted("sales")[0]["delivery_date"] == "0000-00-00"
    assert set(operator.quarantine("sales")) == {"11"}
    header = operator.items("sales")[0]
    assert "deliveryDate" not in header


def test_a_mended_record_is_read_again(
    alone_on_mysql: Operator,
    s9_on_mysql: S9Database,
    dynamodb: DynamoDBClient,
    tables: TableNames,
) -> None:
    small_trade(s9_on_mysql)
    s9_on_mysql.execute("UPDATE msg_anag SET country = 'ZZ' WHERE first_id = 2")
    alone_on_mysql.run("--full").ended(5)
    assert set(alone_on_mysql.quarantine("sales")) == {"11"}
    s9_on_mysql.execute("UPDATE msg_anag SET country = 'DE' WHERE first_id = 2")
    alone_on_mysql.run("retry-quarantine").ended(0)
    assert len(scan_all(dynamodb, tables)["sales"]) == 5
    assert alone_on_mysql.report("verification")["passed"]


def test_tables_without_snapshots_are_told_in_every_report(
    alone_on_mysql: Operator, s9_on_mysql: S9Database
) -> None:
    small_trade(s9_on_mysql)
    s9_on_mysql.execute("ALTER TABLE msg_line ENGINE = MyISAM")
    outcome = alone_on_mysql.run("--full").ended(0)
    assert "not from one moment" in outcome.stderr
    for name in ("validation", "load", "verification"):
        snapshot = alone_on_mysql.report(name)["snapshot"]
        assert snapshot["consistent"] is False
        assert "msg_line (MyISAM)" in snapshot["statement"]


def test_italian_column_names_give_the_same_bytes(
    tmp_path: Path, mariadb: EmbeddedMariaDB, on_mysql: Operator, aws: EmbeddedAws
) -> None:
    mariadb.create_database("italian")
    connection = mariadb.connect("italian")
    create_tables(connection, "italian")
    generate(connection, SAMPLE_SIZE, names="italian")
    connection.close()
    desk = tmp_path / "italian"
    desk.mkdir()
    italian = hire(desk, S9Database(mariadb, "italian", connection), aws, DONE_TABLES)
    for operator in (on_mysql, italian):
        operator.run("--phase", "extract").ended(0)
    assert italian.files() == on_mysql.files()
    mariadb.drop_database("italian")


def test_without_mariadb_the_demonstration_says_how_to_install_it(
    operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mariadb_server, "_program", lambda _name: None)
    with pytest.raises(ConfigurationError) as raised:
        EmbeddedMariaDB(operator.directory).start()
    assert "apt-get install mariadb-server" in raised.value.remedy


def test_the_demonstration_finds_on_mariadb_what_was_planted(
    mariadb: EmbeddedMariaDB, operator: Operator
) -> None:
    size = ("--buyers", "60", "--producers", "25", "--sales", "120")
    outcome = operator.run("demo", "--source", "mysql", *size).ended(0)
    assert "S9 is a MariaDB at" in outcome.stdout
    assert outcome.last_line == "The tool found exactly what was planted."
