"""What goes wrong with the log, and with who reads it."""

from __future__ import annotations

import threading
import time
from contextlib import closing
from dataclasses import replace

import pytest

from extract.following.opening import open_log
from tests.integration.extract.change_log.mysql.conftest import LivingS9
from tests.support.s9.logged import FOLLOWED, everything
from utils.config import Secret
from utils.error_handler import SourceError, SourceUnavailable

READERS = "SELECT id FROM information_schema.processlist WHERE command = 'Binlog Dump'"


def kill_readers(living: LivingS9) -> None:
    """Break off who reads the log: on these servers, only the test's own."""
    for (number,) in living.rows(READERS):
        living.run(f"KILL {number}")


def test_a_broken_connection_is_opened_again(living: LivingS9) -> None:
    with living.going_on() as log:
        for sale in (1, 2, 3):
            living.run(f"UPDATE msg SET notes = 'x' WHERE first_id = {sale}")
            kill_readers(living)
            living.run(f"UPDATE msg SET notes = 'y{sale}' WHERE first_id = 9")
            found = everything(log)
            assert (found.keys, found.whole) == ({"msg": {sale, 9}}, set())


def test_a_privilege_that_is_taken_away(living: LivingS9) -> None:
    user = f"{living.database}_reader"
    living.run(
        f"CREATE USER {user} IDENTIFIED BY 'x'",
        f"GRANT SELECT ON {living.database}.* TO {user}",
        f"GRANT REPLICATION SLAVE ON *.* TO {user}",
    )
    config = replace(living.config, username=user, password=Secret("x"))
    try:
        with open_log(config, None, FOLLOWED, living.name, {}) as log:
            living.run("UPDATE msg SET notes = 'x' WHERE first_id = 1")
            assert everything(log).keys == {"msg": {1}}
            living.run(f"REVOKE REPLICATION SLAVE ON *.* FROM {user}")
            kill_readers(living)
            with pytest.raises(SourceError, match=f"does not let {user} read its binlog") as caught:
                log.read(10)
            assert "REPLICATION SLAVE" in str(caught.value.remedy)
            living.run(
                f"GRANT REPLICATION SLAVE ON *.* TO {user}",
                "UPDATE msg SET notes = 'x' WHERE first_id = 2",
            )
            assert everything(log).keys == {"msg": {2}}
    finally:
        living.run(f"DROP USER {user}")


def test_only_one_follows_the_same_and_others_may_follow_others(living: LivingS9) -> None:
    with living.going_on() as log:
        with pytest.raises(SourceError, match="is followed already"):
            open_log(living.config, None, FOLLOWED, living.name, {})
        with open_log(living.config, None, FOLLOWED, "another", {}) as other:
            living.run("UPDATE msg SET notes = 'x' WHERE first_id = 1")
            assert everything(log).keys == everything(other).keys == {"msg": {1}}
            assert everything(log).is_empty and everything(other).is_empty
    with living.going_on():
        pass  # it is free again


def test_nothing_is_left_running(living: LivingS9) -> None:
    before = threading.active_count()
    with living.going_on() as log:
        everything(log)
    with living.follow() as log:
        pass  # closed while it connects
    unread = open_log(living.config, None, FOLLOWED, living.name, living.known)
    unread.__exit__(None, None, None)
    assert threading.active_count() == before


def test_what_was_kept_is_of_another_log(living: LivingS9) -> None:
    with living.going_on() as log:
        living.run("UPDATE msg SET notes = 'x' WHERE first_id = 1")
        log.confirm(everything(log).position)
        kept = dict(log.state())
    name = kept["position"].partition(":")[0]
    for changed, reason in (
        ({"position": "nonsense"}, "what was kept of it cannot be read"),
        ({"server.server_uid": "other"}, "another server answers"),
        ({"position": f"{name}:99999999"}, "S9 was set back"),
        ({"gtids": "0-1-999999"}, "was begun anew"),
        ({"position": "binlog.009999:4"}, "has purged its binlog binlog.009999"),
    ):
        with open_log(living.config, None, FOLLOWED, living.name, {**kept, **changed}) as log:
            assert reason in log.begins_anew, changed
            assert log.state()["position"] == kept["position"]
    with open_log(living.config, None, FOLLOWED, living.name, kept) as log:
        assert log.begins_anew == ""


def test_a_log_that_was_purged(alone: LivingS9) -> None:
    with alone.going_on() as log:
        alone.run("UPDATE msg SET notes = 'x' WHERE first_id = 1")
        log.confirm(everything(log).position)
    alone.run("FLUSH LOGS", "FLUSH LOGS", "FLUSH LOGS", "SET GLOBAL expire_logs_days = 1")
    with alone.follow() as log:
        assert log.begins_anew == ""
        assert "is the oldest that S9 has" in log.retained().trouble
    while len(alone.rows("SHOW BINARY LOGS")) > 1:  # one that is in use for a moment stays
        kill_readers(alone)
        [(last, *_)] = alone.rows("SHOW MASTER STATUS")
        alone.run(f"PURGE BINARY LOGS TO '{last}'", "DO SLEEP(0.05)")
    with alone.follow() as log:
        assert log.begins_anew.startswith("S9 has purged its binlog")
        assert everything(log).is_empty


def test_a_log_that_is_begun_anew(alone: LivingS9) -> None:
    """RESET MASTER, while it is followed: what comes then is at earlier places."""
    with alone.going_on() as log:
        alone.run("UPDATE msg SET notes = REPEAT('x', 3000)", "FLUSH LOGS")
        before = everything(log)
        log.confirm(before.position)
        alone.run("RESET MASTER", "UPDATE msg SET notes = 'y' WHERE first_id = 1")
        found = everything(log)
        assert found.whole
        with alone.source() as source:
            assert log.is_seen(before.and_then(found), source)
        assert log.state()["position"] == before.position
        log.confirm(found.position)
        assert log.state()["position"] == found.position.partition("@")[0]
        alone.run("UPDATE msg SET notes = 'y' WHERE first_id = 2")
        later = everything(log)
        assert (later.keys, later.whole) == ({"msg": {2}}, set())
        with alone.source() as source:
            assert log.is_seen(later, source)
    with alone.going_on() as log:
        assert everything(log).keys == {"msg": {2}}


def test_a_log_that_is_begun_anew_behind_a_snapshot(alone: LivingS9) -> None:
    """The snapshot is further in the old log than the changes are in the new one."""
    with alone.going_on() as log:
        alone.run("UPDATE msg SET notes = REPEAT('x', 3000)", "FLUSH LOGS", "FLUSH LOGS")
        log.confirm(everything(log).position)
        with alone.source() as source:
            alone.run("RESET MASTER", "UPDATE msg SET notes = 'y' WHERE first_id = 2")
            found = everything(log)
            assert found.whole
            assert not log.is_seen(found, source)
        with alone.source() as source:
            assert log.is_seen(found, source)


def test_a_log_that_is_begun_anew_before_its_changes_were_read(alone: LivingS9) -> None:
    """No snapshot ever gets to where they were in the old log: they are not waited for."""
    with alone.going_on() as log:
        alone.run("FLUSH LOGS", "UPDATE msg SET notes = REPEAT('x', 3000)")
        found = everything(log)
        alone.run("RESET MASTER")
        seen = []
        for _ in range(3):
            with alone.source() as source:
                seen.append(log.is_seen(found, source))
            time.sleep(0.01)
        assert seen[-1]
        assert everything(log).whole


def test_a_server_that_is_started_again(alone: LivingS9) -> None:
    with alone.going_on() as log:
        alone.run("UPDATE msg SET notes = 'x' WHERE first_id = 1")
        alone.connection.close()
        alone.server.stop()
        alone.server.start()
        alone.again()
        alone.run("UPDATE msg SET notes = 'x' WHERE first_id = 2")
        found = everything(log)
        assert (found.keys, found.whole) == ({"msg": {1, 2}}, set())
        log.confirm(found.position)
        with alone.source() as source:
            assert log.is_seen(found, source)
    with alone.going_on() as log:
        assert everything(log).is_empty


def test_a_server_that_stays_away(alone: LivingS9) -> None:
    with alone.going_on() as log:
        everything(log)
        alone.connection.close()
        alone.server.stop()
        try:
            with pytest.raises(SourceUnavailable, match="cannot be reached"):
                for _ in range(20):
                    log.read(1)
        finally:
            alone.server.start()
            alone.again()
        with closing(alone.server.connect(alone.database)) as connection:
            connection.autocommit(True)
            connection.cursor().execute("UPDATE msg SET notes = 'x' WHERE first_id = 3")
        assert everything(log).keys == {"msg": {3}}
