"""Which records PostgreSQL's log tells to look at again, whatever happens to a row."""

from __future__ import annotations

import pytest

from extract.change_log.change_log import Followed
from tests.integration.extract.change_log.postgresql.conftest import LivingS9
from tests.support.s9.logged import everything

IDENTITIES = {
    "default": "DEFAULT",
    "index": "USING INDEX msg_line_of",
    "full": "FULL",
}
# What happens to the lines, whose sales are known, and of which lines the sale has to be looked up:
# the log has the old sale only where it is of the replica identity.
LINES = {
    "inserted": ("INSERT INTO msg_line VALUES (95, 9, 1)", {9}, {}),
    "a quantity": ("UPDATE msg_line SET quantity = 2 WHERE id = 30", {3}, {"default": {30}}),
    "moved": ("UPDATE msg_line SET msg_id = 4 WHERE id = 30", {4}, {"default": {30}}),
    "another id": ("UPDATE msg_line SET id = 31 WHERE id = 30", {3}, {"default": {30, 31}}),
    "moved, another id": (
        "UPDATE msg_line SET id = 31, msg_id = 4 WHERE id = 30",
        {4},
        {"default": {30, 31}},
    ),
    "deleted": ("DELETE FROM msg_line WHERE id = 30", set(), {"default": {30}}),
}
OLD_SALES = {"moved": {3}, "moved, another id": {3}, "deleted": {3}}


@pytest.mark.parametrize("identity", IDENTITIES)
def test_every_change_of_a_line_leads_to_its_old_and_its_new_sale(
    living: LivingS9, identity: str
) -> None:
    living.run(f"ALTER TABLE msg_line REPLICA IDENTITY {IDENTITIES[identity]}")
    with living.going_on() as log:
        for what, (statement, sales, looked_up) in LINES.items():
            living.run(statement)
            found = everything(log)
            old = set() if identity == "default" else OLD_SALES.get(what, set())
            expected = sales | old
            assert found.parents == ({"msg_line": expected} if expected else {}), what
            lines = looked_up.get(identity)
            assert found.keys == ({"msg_line": lines} if lines else {}), what
            assert (found.whole, found.transactions) == (set(), 1), what
            living.run(
                "DELETE FROM msg_line WHERE id IN (30, 31, 95)",
                "INSERT INTO msg_line VALUES (30, 3, 1)",
            )
            everything(log)


@pytest.mark.parametrize("identity", ["DEFAULT", "FULL"])
def test_every_change_of_a_sale_leads_to_its_old_and_its_new_key(
    living: LivingS9, identity: str
) -> None:
    living.run(f"ALTER TABLE msg REPLICA IDENTITY {identity}")
    with living.going_on() as log:
        for statement, keys in (
            ("INSERT INTO msg VALUES (20, 1)", {20}),
            ("UPDATE msg SET notes = 'x' WHERE first_id IN (1, 2)", {1, 2}),
            ("UPDATE msg SET first_id = 21 WHERE first_id = 20", {20, 21}),
            ("DELETE FROM msg WHERE first_id IN (21, 3)", {3, 21}),
        ):
            living.run(statement)
            found = everything(log)
            assert (found.keys, found.parents) == ({"msg": keys}, {}), statement
            assert found.oldest == found.newest != ""


def test_values_that_the_log_does_not_repeat_are_no_keys(living: LivingS9) -> None:
    """A large text that stays as it is."""
    text = "(SELECT string_agg(md5(n::text), '') FROM generate_series(1, 2000) AS n)"
    living.run(f"UPDATE msg SET notes = {text} WHERE first_id = 1")
    with living.going_on() as log:
        living.run("UPDATE msg SET buyer_id = 2 WHERE first_id = 1")
        assert everything(log).keys == {"msg": {1}}


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
        assert (found.keys, found.transactions) == ({"msg": {2, 4}}, 1)


def test_a_long_transaction_comes_whole_when_it_commits(living: LivingS9) -> None:
    with living.going_on() as log, living.writer() as writer, writer.cursor() as cursor:
        cursor.execute("UPDATE msg SET notes = 'late' WHERE first_id = 1")
        living.run("UPDATE msg SET notes = 'early' WHERE first_id = 2")
        first = everything(log)
        log.confirm(first.position)
        assert first.keys == {"msg": {2}}
        cursor.execute("UPDATE msg SET notes = 'late' WHERE first_id = 3")
        writer.commit()
        assert everything(log).keys == {"msg": {1, 3}}


def test_a_transaction_that_was_open_when_the_log_was_closed_is_not_lost(
    living: LivingS9,
) -> None:
    with living.writer() as writer, writer.cursor() as cursor:
        with living.going_on() as log:
            cursor.execute("UPDATE msg SET notes = 'late' WHERE first_id = 1")
            living.run("UPDATE msg SET notes = 'early' WHERE first_id = 2")
            log.confirm(everything(log).position)
        writer.commit()
        with living.going_on() as log:
            assert everything(log).keys == {"msg": {1}}


def test_what_is_not_followed_only_moves_the_position(living: LivingS9) -> None:
    with living.going_on() as log:
        before = log.read(0).position
        living.run("INSERT INTO elsewhere VALUES (1)")
        found = everything(log)
        assert found.is_empty and found.transactions == 0
        assert found.position.partition("#")[0] != before.partition("#")[0]


def test_parts_of_a_table_are_followed_under_its_name(living: LivingS9) -> None:
    living.run(
        "DROP TABLE msg_line",
        "CREATE TABLE msg_line (id bigint, msg_id bigint, quantity int, PRIMARY KEY (id)) "
        "PARTITION BY RANGE (id)",
        "CREATE TABLE low PARTITION OF msg_line FOR VALUES FROM (0) TO (50)",
        "CREATE TABLE high PARTITION OF msg_line FOR VALUES FROM (50) TO (1000)",
        "ALTER TABLE high REPLICA IDENTITY FULL",
        "INSERT INTO msg_line VALUES (10, 1, 1), (60, 6, 1)",
    )
    with living.going_on() as log:
        living.run("UPDATE msg_line SET msg_id = 2 WHERE id = 10")
        found = everything(log)
        assert (found.keys, found.parents) == ({"msg_line": {10}}, {"msg_line": {2}})
        living.run("UPDATE msg_line SET msg_id = 7 WHERE id = 60")
        assert everything(log).parents == {"msg_line": {6, 7}}
        living.run("UPDATE msg_line SET id = 61 WHERE id = 10")  # to the other part
        found = everything(log)
        assert (found.keys, found.parents) == ({"msg_line": {10}}, {"msg_line": {2}})
        # Of a single part, the log says nothing of it.
        for statement in ("TRUNCATE low", "ALTER TABLE msg_line DETACH PARTITION high"):
            living.run(statement)
            [reason] = everything(log).whole
            assert "msg_line" in reason


def test_two_kinds_of_records_of_one_table_are_told_once(living: LivingS9) -> None:
    followed = (Followed("msg_anag", "first_id"), Followed("msg_anag", "first_id"))
    with living.follow(followed=followed) as log:
        living.run("UPDATE msg_anag SET name = 'x' WHERE first_id = 2", "DELETE FROM msg")
        found = everything(log)
        assert (found.keys, found.whole) == ({"msg_anag": {2}}, set())


def test_keys_that_are_no_whole_numbers_tell_no_record(living: LivingS9) -> None:
    living.run(
        "DROP TABLE msg", "CREATE TABLE msg (first_id uuid PRIMARY KEY DEFAULT gen_random_uuid())"
    )
    with living.going_on() as log:
        living.run("INSERT INTO msg DEFAULT VALUES")
        [reason] = everything(log).whole
        assert reason == "msg has keys that are no whole numbers"


def test_a_bulk_change_is_no_list_of_records(
    living: LivingS9, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("extract.change_log.postgresql.touched.MOST_KEYS", 100)
    with living.going_on() as log:
        living.run("INSERT INTO msg SELECT n, 1 FROM generate_series(100, 199) AS n")
        assert everything(log).keys == {"msg": set(range(100, 200))}
        living.run("INSERT INTO msg SELECT n, 1 FROM generate_series(200, 300) AS n")
        found = everything(log)
        assert (found.keys, found.whole) == ({}, {"more than 100 records were changed"})
