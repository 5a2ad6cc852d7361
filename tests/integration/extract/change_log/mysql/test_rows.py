"""Which records the binlog tells to look at again, whatever happens to a row."""

from __future__ import annotations

import logging

import pytest

from tests.integration.extract.change_log.mysql.conftest import LivingS9
from tests.support.s9.logged import everything

LINES = {
    "INSERT INTO msg_line VALUES (95, 9, 1)": {9},
    "INSERT INTO msg_line VALUES (96, NULL, 1)": set(),
    "UPDATE msg_line SET quantity = 2 WHERE id = 30": {3},
    "UPDATE msg_line SET msg_id = 4 WHERE id = 30": {3, 4},
    "UPDATE msg_line SET id = 31 WHERE id = 30": {4},
    "UPDATE msg_line SET id = 30, msg_id = 5 WHERE id = 31": {4, 5},
    "UPDATE msg_line SET msg_id = NULL WHERE id = 30": {5},
    "UPDATE msg_line SET msg_id = 6 WHERE id = 30": {6},
    "DELETE FROM msg_line WHERE id IN (30, 20)": {6, 2},
    "REPLACE INTO msg_line VALUES (10, 7, 1)": {1, 7},
    "INSERT INTO msg_line VALUES (10, 8, 1) ON DUPLICATE KEY UPDATE msg_id = 8": {7, 8},
}
LARGE = 2**64 - 2
SALES = {
    "INSERT INTO msg (made, first_id) VALUES (2020, 20)": {20},
    f"INSERT INTO msg (made, flag, rate, kind, first_id) VALUES (1999, 5, -1, 'b', {LARGE})": {
        LARGE
    },
    "UPDATE msg SET notes = 'äöü' WHERE first_id IN (1, 2)": {1, 2},
    f"UPDATE msg SET first_id = 21 WHERE first_id = {LARGE}": {LARGE, 21},
    "DELETE FROM msg WHERE first_id IN (21, 3)": {3, 21},
}


def test_every_change_of_a_line_leads_to_its_old_and_its_new_sale(living: LivingS9) -> None:
    with living.going_on() as log:
        for statement, sales in LINES.items():
            living.run(statement)
            found = everything(log)
            assert found.parents.get("msg_line", set()) == sales, statement
            assert (found.keys, found.whole) == ({}, set()), statement


def test_every_change_of_a_sale_leads_to_its_old_and_its_new_key(living: LivingS9) -> None:
    with living.going_on() as log:
        for statement, keys in SALES.items():
            living.run(statement)
            found = everything(log)
            assert (found.keys, found.parents) == ({"msg": keys}, {}), statement
            assert (found.whole, found.transactions) == (set(), 1), statement
            assert found.oldest == found.newest != ""


def test_a_session_that_logs_less_than_whole_rows(living: LivingS9) -> None:
    """Whose child a line was, is looked up then."""
    living.run("SET SESSION binlog_row_image = 'MINIMAL'")
    with living.going_on() as log:
        for statement, lines, sales in (
            ("INSERT INTO msg_line VALUES (95, 9, 1)", set(), {9}),
            ("UPDATE msg_line SET quantity = 2 WHERE id = 30", {30}, set()),
            ("UPDATE msg_line SET msg_id = 4 WHERE id = 30", {30}, {4}),
            ("UPDATE msg_line SET id = 31 WHERE id = 30", {30, 31}, set()),
            ("DELETE FROM msg_line WHERE id = 31", {31}, set()),
        ):
            living.run(statement)
            found = everything(log)
            assert found.keys.get("msg_line", set()) == lines, statement
            assert found.parents.get("msg_line", set()) == sales, statement
            assert found.whole == set(), statement
        living.run("UPDATE msg SET notes = 'x' WHERE first_id = 2")
        assert everything(log).keys == {"msg": {2}}


def test_a_table_whose_rows_are_not_told_by_its_key(living: LivingS9) -> None:
    living.run(
        "ALTER TABLE msg DROP PRIMARY KEY, ADD other BIGINT AUTO_INCREMENT PRIMARY KEY FIRST",
        "SET SESSION binlog_row_image = 'MINIMAL'",
    )
    with living.going_on() as log:
        living.run("UPDATE msg SET notes = 'x' WHERE first_id = 2")
        assert everything(log).whole == {"the log does not tell which rows of msg were changed"}


def test_columns_that_have_no_names_in_the_log(living: LivingS9) -> None:
    with living.going_on() as log:
        living.run("SET GLOBAL binlog_row_metadata = 'NO_LOG'")
        try:
            living.run("UPDATE msg SET notes = 'ä' WHERE first_id = 2")
            assert everything(log).whole == {"the log does not tell which rows of msg were changed"}
        finally:
            living.run("SET GLOBAL binlog_row_metadata = 'FULL'")


def test_savepoints_and_rollbacks(living: LivingS9) -> None:
    with living.going_on() as log, living.writer() as writer, writer.cursor() as cursor:
        cursor.execute("UPDATE msg SET notes = 'never' WHERE first_id = 1")
        writer.rollback()
        cursor.execute("UPDATE msg SET notes = 'a' WHERE first_id = 2")
        cursor.execute("SAVEPOINT one")
        cursor.execute("UPDATE msg SET notes = 'never' WHERE first_id = 3")
        cursor.execute("ROLLBACK TO SAVEPOINT one")
        cursor.execute("SAVEPOINT two")
        cursor.execute("UPDATE msg SET notes = 'b' WHERE first_id = 4")
        writer.commit()
        found = everything(log)
        assert {2, 4} <= found.keys["msg"] <= {2, 3, 4}
        assert (found.whole, found.transactions) == (set(), 1)


def test_a_long_transaction_comes_whole_when_it_commits(living: LivingS9) -> None:
    with living.writer() as writer, writer.cursor() as cursor:
        with living.going_on() as log:
            cursor.execute("UPDATE msg SET notes = 'late' WHERE first_id = 1")
            living.run("UPDATE msg SET notes = 'early' WHERE first_id = 2")
            first = everything(log)
            log.confirm(first.position)
            assert first.keys == {"msg": {2}}
        cursor.execute("UPDATE msg SET notes = 'late' WHERE first_id = 3")
        writer.commit()
    with living.going_on() as log:
        assert everything(log).keys == {"msg": {1, 3}}


def test_tables_without_transactions(living: LivingS9) -> None:
    living.run("ALTER TABLE msg ENGINE = MyISAM")
    with living.going_on() as log, living.writer() as writer, writer.cursor() as cursor:
        cursor.execute("UPDATE msg SET notes = 'a' WHERE first_id = 1")
        assert everything(log).keys == {"msg": {1}}  # at once
        cursor.execute("UPDATE msg_line SET quantity = 2 WHERE id = 20")
        cursor.execute("DELETE FROM msg WHERE first_id = 3")
        writer.rollback()  # as far as that goes
        assert everything(log).keys == {"msg": {3}}


@pytest.mark.parametrize(
    "statement",
    [
        "TRUNCATE msg",
        "TRUNCATE TABLE `{0}`.`msg`",
        "/* begin */ TRUNCATE msg",
        "-- commit\nTRUNCATE msg",
        "/*!40000 ALTER TABLE msg DISABLE KEYS */",
        "ALTER TABLE msg ADD more INT",
        "DROP TABLE msg",
        "RENAME TABLE msg TO before_it, elsewhere TO msg",
        "CREATE OR REPLACE TABLE msg (first_id INT PRIMARY KEY)",
        "SET STATEMENT lock_wait_timeout = 5 FOR ALTER TABLE msg ADD more INT",
        "DROP DATABASE {0}",
    ],
)
def test_statements_about_a_table_itself(living: LivingS9, statement: str) -> None:
    with living.going_on() as log:
        assert everything(log).is_empty
        living.run(statement.format(living.database))
        [reason] = everything(log).whole
        assert reason.startswith("a statement was about the ")
        if statement.startswith("DROP DATABASE"):
            living.run(f"CREATE DATABASE {living.database}")


def test_statements_that_change_nothing_of_a_table(living: LivingS9) -> None:
    with living.going_on() as log:
        living.run(
            "ANALYZE TABLE msg",
            "CREATE TABLE msg_lines (id INT)",
            "CREATE TABLE old_msg SELECT * FROM msg_anag",
            "ALTER TABLE old_msg ADD msg_notes INT",
            "DROP TABLE msg_lines, old_msg",
            f"GRANT SELECT ON {living.database}.msg TO {living.server.reader}",
        )
        found = everything(log)
        # Only that one reads a followed table's rows is no reason; that it is named may be one.
        assert found.whole <= {"a statement was about the table msg_anag itself (CREATE)"}
        assert (found.keys, found.parents) == ({}, {})


def test_another_database_with_the_same_tables(living: LivingS9) -> None:
    other = f"{living.database}_copy"
    living.run(f"CREATE DATABASE {other}")
    try:
        with living.going_on() as log:
            before = log.read(0).position
            living.run(
                f"CREATE TABLE {other}.weird (i INET6, g GEOMETRY, j JSON, "
                "s VARCHAR(9) COLLATE utf8mb4_uca1400_ai_ci)",
                f"INSERT INTO {other}.weird VALUES ('::1', POINT(1, 2), '{{}}', 'ä')",
                f"USE {other}",
                "CREATE TABLE msg (first_id BIGINT PRIMARY KEY)",
                "INSERT INTO msg VALUES (1)",
                "TRUNCATE msg",
                f"USE {living.database}",
                "INSERT INTO elsewhere VALUES (1)",
            )
            found = everything(log)
            assert found.is_empty and (found.transactions, found.seen) == (0, ())
            assert found.position != before
    finally:
        living.run(f"DROP DATABASE {other}")


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE msg SET notes = 'x' WHERE first_id = 1",
        "UPDATE seen_through SET notes = 'x' WHERE first_id = 1",
        "INSERT INTO elsewhere VALUES (1)",  # a trigger changes others
        "/* savepoint */ DELETE FROM msg_line WHERE id = 10",
    ],
)
def test_statements_that_are_logged_instead_of_rows(living: LivingS9, statement: str) -> None:
    living.run(
        "CREATE VIEW seen_through AS SELECT * FROM msg",
        "CREATE TRIGGER of_it AFTER INSERT ON elsewhere FOR EACH ROW DELETE FROM msg_line",
    )
    with living.going_on() as log, living.writer() as writer, writer.cursor() as cursor:
        cursor.execute("SET SESSION binlog_format = 'STATEMENT'")
        cursor.execute(statement)
        cursor.execute("SET @ignored = 1")
        living.run("UPDATE msg_anag SET name = 'x' WHERE first_id = 3")
        writer.commit()
        found = everything(log)
        [reason] = found.whole
        assert reason.startswith("a statement was logged instead of the rows")
        assert (found.transactions, found.keys) == (2, {"msg_anag": {3}})


def test_a_file_that_is_loaded_by_a_statement(living: LivingS9) -> None:
    file = living.scratch / "lines.txt"
    file.write_text("500\t5\t1\n")
    for each in (living.scratch, file):
        each.chmod(0o755)
    for each in living.scratch.parents:
        if each.is_relative_to("/dev/shm") and each.name.startswith("pytest"):
            each.chmod(0o755)
    with living.going_on() as log:
        living.run(
            "SET SESSION binlog_format = 'STATEMENT'",
            f"LOAD DATA INFILE '{file}' INTO TABLE msg_line",
        )
        [reason] = everything(log).whole
        assert reason.endswith("(LOAD)")


def test_distributed_transactions(living: LivingS9) -> None:
    with living.going_on() as log:
        living.run("XA START 'a'", "UPDATE msg SET notes = 'x' WHERE first_id = 1")
        living.run("XA END 'a'", "XA PREPARE 'a'")
        everything(log)
        living.run("XA COMMIT 'a'")
        assert everything(log).whole == {"a distributed transaction (XA) was committed"}
        living.run("XA START 'b'", "UPDATE msg SET notes = 'y' WHERE first_id = 2", "XA END 'b'")
        living.run("XA COMMIT 'b' ONE PHASE")
        found = everything(log)
        assert found.keys == {"msg": {2}} or found.whole
        living.run("UPDATE msg SET notes = 'z' WHERE first_id = 3")
        assert everything(log).keys == {"msg": {3}}


def test_passwords_in_the_log_are_kept_and_told_nowhere(
    living: LivingS9, caplog: pytest.LogCaptureFixture
) -> None:
    user = f"{living.database}_msg"
    with caplog.at_level(logging.DEBUG), living.going_on() as log:
        for what in ("CREATE USER", "ALTER USER"):
            living.run(f"{what} '{user}'@'%' IDENTIFIED BY 'secret4711'")
        living.run(f"DROP USER '{user}'@'%'", "UPDATE msg SET notes = 'x' WHERE first_id = 1")
        found = everything(log)
        seen, todo = set[int](), [log, found]
        while todo:
            each = todo.pop()
            if id(each) in seen or not type(each).__module__.startswith(("extract", "builtins")):
                continue
            seen.add(id(each))
            assert "secret4711" not in str(each)
            todo += vars(each).values() if hasattr(each, "__dict__") else ()
            todo += each.values() if isinstance(each, dict) else ()
    assert "secret4711" not in caplog.text
    assert found.keys == {"msg": {1}}


def test_a_bulk_change_is_no_list_of_records(
    living: LivingS9, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("transactions", "binlog"):
        monkeypatch.setattr(f"extract.change_log.mysql.{module}.MOST_KEYS", 100)
    with living.going_on() as log:
        living.run("INSERT INTO msg (first_id) SELECT seq FROM seq_100_to_199")
        assert everything(log).keys == {"msg": set(range(100, 200))}
        living.run("INSERT INTO msg (first_id) SELECT seq FROM seq_200_to_300")
        found = everything(log)
        assert (found.keys.get("msg", set()), found.whole) == (
            set(),
            {"more than 100 records were changed"},
        )
