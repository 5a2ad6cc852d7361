"""`check`: both ends and this machine, whole and at once; nothing is written anywhere."""

from __future__ import annotations

import socket
from typing import Any

import orjson
from mypy_boto3_dynamodb import DynamoDBClient

from tests.conftest import S9Database, TableNames
from tests.support.aws.tables import create, create_good_tables
from tests.support.operators.operator import Operator, exists, scan_all, small_trade
from tests.support.s9.pooler import pooler
from utils.run.lock import run_lock

Checks = dict[tuple[str, str], dict[str, Any]]


def checks_of(operator: Operator, code: int) -> Checks:
    """What `check --json` finds, by side and name."""
    report = orjson.loads(operator.run("check", "--json").ended(code).stdout)
    assert report["exitCode"] == code
    for state in ("ok", "warning", "failed", "skipped"):
        assert report[state] == sum(each["state"] == state for each in report["checks"])
    found = {(each["side"], each["name"]): each for each in report["checks"]}
    assert len(found) == len(report["checks"]), "two checks of one name"
    for each in found.values():
        assert each.get("remedy") or each["state"] in ("ok", "skipped"), f"no remedy: {each}"
    return found


def test_all_is_well_and_nothing_is_written(
    alone: Operator, s9: S9Database, tables: TableNames, dynamodb: DynamoDBClient
) -> None:
    small_trade(s9)
    s9.execute("ANALYZE")
    create_good_tables(alone, tables)
    outcome = alone.run("check").ended(0)
    assert outcome.closing == "checked", outcome.output
    assert "ok             table msg_line: can be read" in outcome.stdout
    found = checks_of(alone, 0)
    assert {side for side, _ in found} == {"source", "target", "machine"}
    assert found["source", "rows"]["figures"] == {"msg_anag": 3, "msg": 2, "msg_line": 3}
    assert found["target", f"table {tables.sales}"]["figures"]["items"] == 0
    assert "8 rows" in found["machine", "disk space"]["found"]
    assert not alone.data.exists()
    assert scan_all(dynamodb, tables) == {"buyers": {}, "producers": {}, "sales": {}}


def test_tables_that_a_load_creates_are_not_created_by_a_look(
    alone: Operator, tables: TableNames, dynamodb: DynamoDBClient
) -> None:
    found = checks_of(alone, 0)
    assert "a load creates it" in found["target", f"table {tables.sales}"]["found"]
    assert not exists(dynamodb, tables.sales)


def test_what_is_wrong_with_one_hides_nothing_of_the_others(
    alone: Operator, tables: TableNames, dynamodb: DynamoDBClient
) -> None:
    with socket.socket() as probe:  # a port where nobody listens
        probe.bind(("127.0.0.1", 0))
        alone.configure(source={"port": probe.getsockname()[1]}, target={"createTables": False})
        create(dynamodb, tables.sales, "sales")
        alone.data.write_text("a file is in the way")
        outcome = alone.run("check").ended(1)
        assert outcome.closing == "checked-failed", outcome.output
        found = checks_of(alone, 1)
    failed = {key for key, each in found.items() if each["state"] == "failed"}
    assert failed == {
        ("source", "connection"),
        ("target", f"table {tables.buyers}"),
        ("target", f"table {tables.producers}"),
        ("machine", "data directory"),
    }
    assert found["target", f"table {tables.sales}"]["state"] == "ok"
    skipped = found["source", "tables"]
    assert (skipped["state"], skipped["found"]) == ("skipped", "because S9 cannot be reached")


def test_whoever_gives_no_answer_is_given_up_in_time(alone: Operator) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        place = f"127.0.0.1:{silent.getsockname()[1]}"
        alone.configure(
            source={"port": silent.getsockname()[1], "connectionTimeout": 1},
            target={"endpoint": f"http://{place}"},
        )
        found = checks_of(alone, 1)
    assert found["source", "network"]["found"] == f"{place} can be reached"
    assert "was not logged in within 1 second" in found["source", "connection"]["found"]
    tables = [each for (_, name), each in found.items() if name.startswith("table ")]
    assert ["no answer within 1 second" in each["found"] for each in tables] == [True]


def test_a_migration_that_is_at_work_is_not_disturbed(after_a_run: Operator) -> None:
    before = {path: path.read_bytes() for path in after_a_run.data.rglob("*") if path.is_file()}
    with run_lock(after_a_run.data / ".lock"):
        found = checks_of(after_a_run, 0)
    runs = found["machine", "runs"]
    assert (runs["state"], "another run is at work" in runs["found"]) == ("warning", True)
    assert "the files of the last run" in found["machine", "disk space"]["found"]
    before.pop(after_a_run.data / ".lock")
    assert {path: path.read_bytes() for path in before} == before


def test_an_account_that_could_write_is_a_warning(alone: Operator, s9: S9Database) -> None:
    s9.execute(f"GRANT UPDATE ON msg TO {s9.server.reader}")
    rights = checks_of(alone, 0)["source", "rights"]
    assert rights["state"] == "warning"
    assert "may change msg." in rights["found"]


def test_a_table_that_somebody_is_changing_hides_none_of_the_others(
    alone: Operator, s9: S9Database
) -> None:
    alone.configure(source={"connectionTimeout": 4})
    with s9.connection.cursor() as cursor:
        cursor.execute("LOCK TABLE msg IN ACCESS EXCLUSIVE MODE")
        found = checks_of(alone, 1)
    s9.connection.rollback()
    assert "msg is locked" in found["source", "table msg"]["found"]
    assert found["source", "table msg_line"]["state"] == "ok"
    assert found["source", "selection of sales"]["found"] == "because of msg"


def test_a_pooler_in_between_is_told(alone: Operator, s9: S9Database) -> None:
    with pooler(s9.server) as port:
        alone.configure(source={"port": port})
        assert "a pooler in between" in checks_of(alone, 0)["source", "pooler"]["found"]


def test_mysql_is_looked_at_as_well(alone: Operator, s9_on_mysql: S9Database) -> None:
    server = s9_on_mysql.server
    alone.environment["S9_PASSWORD"] = server.reader_password
    alone.configure(
        source={"type": "mysql", "port": server.port, "database": s9_on_mysql.name},
    )
    s9_on_mysql.execute("ALTER TABLE msg_line ENGINE=MyISAM")
    s9_on_mysql.execute("ALTER TABLE msg DROP PRIMARY KEY")
    s9_on_mysql.execute("RENAME TABLE msg_anag TO parties")
    found = checks_of(alone, 1)
    assert "MariaDB" in found["source", "server"]["found"]
    assert "msg_line (MyISAM)" in found["source", "one moment"]["found"]
    assert "no unique index" in found["source", "key of msg"]["found"]
    assert "there is no table msg_anag" in found["source", "table msg_anag"]["found"]
    assert found["source", "selection of buyers"]["found"] == "because of msg_anag"
    assert found["source", "table msg"]["state"] == "ok"
