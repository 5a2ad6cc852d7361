"""A log may have a transaction before anybody can see it: what is read for it has to wait."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg2

from tests.integration.extract.change_log.postgresql.conftest import LivingS9
from tests.support.s9.logged import everything


@contextmanager
def a_standby_that_does_not_answer(living: LivingS9) -> Iterator[None]:
    """Whoever commits waits for it, unless he says that he does not."""
    living.run(
        "SET synchronous_commit = local",
        "ALTER SYSTEM SET synchronous_standby_names = 'nobody'",
        "SELECT pg_reload_conf()",
    )
    try:
        yield
    finally:
        living.run("ALTER SYSTEM RESET synchronous_standby_names", "SELECT pg_reload_conf()")


@contextmanager
def committing(living: LivingS9, statement: str) -> Iterator[int]:
    """The process of the server that runs a statement, whose commit does not come to an end."""
    with living.writer() as writer:
        writer.autocommit = True
        waiting = threading.Thread(target=_run, args=(writer, statement))
        waiting.start()
        try:
            yield writer.info.backend_pid
        finally:
            waiting.join(30)
            assert not waiting.is_alive()


def _run(connection: psycopg2.extensions.connection, statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)


def test_a_change_is_not_seen_for_as_long_as_its_commit_waits_for_a_standby(
    living: LivingS9,
) -> None:
    with living.going_on() as log:
        with (
            a_standby_that_does_not_answer(living),
            committing(living, "UPDATE msg SET notes = 'new' WHERE first_id = 1") as pid,
        ):
            changes = log.read(10)
            assert changes.keys == {"msg": {1}}
            assert len(changes.seen) == 2  # a snapshot, and one that it does not see
            with living.source() as source:
                query = f"SELECT notes FROM {living.schema}.msg WHERE first_id = 1"
                assert source.tally(query) == [(None,)]
                assert not log.is_seen(changes, source)
            # Others, who do not wait, are seen meanwhile.
            living.run("UPDATE msg SET notes = 'new' WHERE first_id = 2")
            others = everything(log)
            assert others.keys == {"msg": {2}}
            with living.source() as source:
                assert log.is_seen(others, source)
                assert not log.is_seen(changes, source)
            living.run(f"SELECT pg_cancel_backend({pid})")  # ends the waiting: it is committed
        with living.source() as source:
            assert source.tally(query) == [("new",)]
            assert log.is_seen(changes, source)


def test_the_numbers_that_everybody_sees_are_forgotten(living: LivingS9) -> None:
    with living.going_on() as log:
        living.run(*["UPDATE msg SET notes = 'x' WHERE first_id = 1"] * 3)
        changes = everything(log)
        assert changes.transactions == 3
        assert all(":" in each for each in changes.seen)  # snapshots, by which they are seen


def test_a_snapshot_that_was_taken_before_a_change_does_not_see_it(living: LivingS9) -> None:
    with living.going_on() as log, living.source() as before:
        living.run("UPDATE msg SET notes = 'x' WHERE first_id = 1")
        changes = everything(log)
        assert not log.is_seen(changes, before)
        with living.source() as after:
            assert log.is_seen(changes, after)
        living.run("ALTER TABLE msg ADD COLUMN more int")
        changes = everything(log)
        assert changes.whole and not log.is_seen(changes, before)


def test_what_is_in_the_log_before_it_begins_is_seen_by_whoever_compares_everything(
    living: LivingS9,
) -> None:
    """A slot waits for all that are open, and then for those that have begun meanwhile; of who has
    begun after that, the commit is before its begin."""
    waits_for = "SELECT transactionid::text FROM pg_locks WHERE NOT granted"
    opened: list[str] = []

    def begin() -> None:
        with living.follow() as log:
            opened.append(log.begins_anew)

    beginning = threading.Thread(target=begin)
    with (
        a_standby_that_does_not_answer(living),
        living.writer() as first,
        living.writer() as second,
    ):
        numbers = [_opens(first)]
        beginning.start()
        wait_until(living, waits_for, numbers[0])
        numbers.append(_opens(second))
        first.commit()
        wait_until(living, waits_for, numbers[1])
        statement = "UPDATE msg SET notes = 'new' WHERE first_id = 1"
        with committing(living, statement) as pid:
            wait_until(
                living, f"SELECT wait_event FROM pg_stat_activity WHERE pid = {pid}", "SyncRep"
            )
            second.commit()
            beginning.join(2)
            before = list(opened)
            living.run(f"SELECT pg_cancel_backend({pid})")
        assert before == []  # nobody saw it yet
        beginning.join(20)
    assert opened == ["it is followed for the first time"]


def wait_until(living: LivingS9, query: str, answer: str) -> None:
    deadline = time.monotonic() + 20
    while (answer,) not in living.rows(query):
        assert time.monotonic() < deadline, query
        time.sleep(0.02)


def _opens(writer: psycopg2.extensions.connection) -> str:
    """Open a transaction; its number."""
    with writer.cursor() as cursor:
        cursor.execute("SET LOCAL synchronous_commit = local")
        cursor.execute("INSERT INTO elsewhere VALUES (1)")
        cursor.execute("SELECT txid_current()")
        [number] = cursor.fetchone() or [0]
    return str(number)
