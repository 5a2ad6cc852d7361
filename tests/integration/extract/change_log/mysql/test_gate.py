"""What a snapshot sees of what the log has told, and marks at its end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread
from time import sleep

from extract.following.opening import open_log
from tests.integration.extract.change_log.mysql.conftest import LivingS9
from tests.support.s9.logged import FOLLOWED, everything


def test_a_snapshot_sees_what_was_committed_before_it(living: LivingS9) -> None:
    with living.going_on() as log:
        with living.source() as before:
            living.run("UPDATE msg SET notes = 'x' WHERE first_id = 1")
            found = everything(log)
            assert len(found.seen) == 1
            assert not log.is_seen(found, before)
            nothing = everything(log)
            assert nothing.seen == () and log.is_seen(nothing, before)
        for statement in ("UPDATE msg SET notes = 'y'", "TRUNCATE msg_line", "FLUSH LOGS"):
            living.run(statement)
            found.add(everything(log))
            with living.source() as after:
                assert log.is_seen(found, after), statement


def test_a_fence_passes_on_an_idle_server_and_on_a_busy_one(living: LivingS9) -> None:
    with living.going_on() as log:
        fence = log.fence()
        assert log.has_passed(fence) and fence == log.fence()
        living.run("INSERT INTO elsewhere VALUES (1)")
        fence = log.fence()
        assert not log.has_passed(fence)  # it was not given out
        assert everything(log).is_empty and log.has_passed(fence)


def test_a_log_that_goes_on_in_another_file(living: LivingS9) -> None:
    """A file that is begun has no transactions at first."""
    with living.going_on() as log:
        living.run("UPDATE msg SET notes = 'x' WHERE first_id = 1", "FLUSH LOGS")
        found = everything(log)
        assert found.keys == {"msg": {1}}
        log.confirm(found.position)
        living.run("FLUSH LOGS", "FLUSH LOGS")
        assert everything(log).is_empty
        living.run("UPDATE msg SET notes = 'x' WHERE first_id = 2", "FLUSH LOGS")
        assert everything(log).keys == {"msg": {2}}
    with living.going_on() as log:
        found = everything(log)
        assert found.keys == {"msg": {2}}
        log.confirm(found.position)
    with living.going_on() as log:
        assert everything(log).is_empty


def test_what_is_not_confirmed_comes_again(living: LivingS9) -> None:
    with living.going_on() as log:
        living.run("UPDATE msg SET notes = 'x' WHERE first_id = 1")
        first = everything(log)
        living.run("UPDATE msg SET notes = 'x' WHERE first_id = 2")
        everything(log)
        assert log.retained().bytes > 0
        log.confirm(first.position)
        log.confirm(first.position)
        kept = dict(log.state())
    assert kept["position"] == first.position
    with living.going_on() as log:
        found = everything(log)
        assert found.keys == {"msg": {2}}
        log.confirm(found.position)
        log.confirm(first.position)  # it was already
        assert log.state()["position"] == found.position
        assert log.retained().bytes == 0


@contextmanager
def a_replica_that_does_not_answer(living: LivingS9) -> Iterator[Thread]:
    """What waits for it is in the log, and shown to nobody, until this is left; the thread has such
    a transaction to commit."""

    def commit() -> None:
        with living.writer() as writer, writer.cursor() as cursor:
            cursor.execute("UPDATE msg SET notes = 'x' WHERE first_id = 1")
            writer.commit()

    committing = Thread(target=commit)
    living.run(
        "SET GLOBAL rpl_semi_sync_master_wait_point = 'AFTER_SYNC'",
        "SET GLOBAL rpl_semi_sync_master_timeout = 600000",
        "SET GLOBAL rpl_semi_sync_master_enabled = ON",
    )
    try:
        yield committing
    finally:
        living.run("SET GLOBAL rpl_semi_sync_master_enabled = OFF")
        committing.join()


NOTES = "SELECT notes FROM msg WHERE first_id = 1"


def test_a_change_is_told_before_others_can_see_it(living: LivingS9) -> None:
    """A server that waits for a replica has written its log and shows nothing yet."""
    with living.going_on() as log:
        with a_replica_that_does_not_answer(living) as committing:
            committing.start()
            found = log.read(60)
            assert found.keys == {"msg": {1}}
            with living.source() as source:
                assert source.tally(NOTES) == [(None,)] and not log.is_seen(found, source)
        with living.source() as source:
            assert source.tally(NOTES) == [("x",)] and log.is_seen(found, source)


def test_what_is_not_seen_when_a_log_is_followed_first_is_told_by_it(living: LivingS9) -> None:
    with a_replica_that_does_not_answer(living) as committing:
        [(_, before, *_)] = living.rows("SHOW MASTER STATUS")
        committing.start()
        while living.rows("SHOW MASTER STATUS")[0][1] == before:
            sleep(0.01)
        log = open_log(living.config, None, FOLLOWED, living.name, {})
        with living.source() as source:  # everything is compared as of this
            assert source.tally(NOTES) == [(None,)]
    with log:
        assert everything(log).keys == {"msg": {1}}
