"""A standby takes over that was behind: at the same places of the log it has other things."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

from tests.integration.extract.change_log.postgresql.conftest import LivingS9
from tests.support.s9.logged import everything

MUCH = "INSERT INTO elsewhere SELECT generate_series(1, 40000)"


def as_it_is_now(s9: LivingS9) -> Path:
    """A standby that gets no further than this."""
    standby = Path(s9.server.data_directory).with_name("standby")
    s9.connection.close()
    s9.server.stop()
    subprocess.run(["cp", "-a", s9.server.data_directory, standby], check=True)
    s9.server.start()
    s9.again()
    return standby


def takes_over(s9: LivingS9, standby: Path) -> None:
    """At the address of the old server, which is no more."""
    s9.connection.close()
    s9.server.stop()
    here = Path(s9.server.data_directory)
    here.rename(here.with_name("old"))
    standby.rename(here)
    signal = here / "standby.signal"
    subprocess.run(["cp", "-a", here / "PG_VERSION", signal], check=True)  # owner and rights
    s9.server.start()
    s9.again()
    s9.run("SELECT pg_promote()")


def test_marks_of_the_old_server_and_of_the_new_one(alone: LivingS9) -> None:
    with alone.going_on() as log:
        alone.run("UPDATE msg SET notes = 'x' WHERE first_id = 1")
        standby = as_it_is_now(alone)
        alone.run(MUCH, "UPDATE msg SET notes = 'x' WHERE first_id = 2")
        found = everything(log)
        assert found.keys == {"msg": {1, 2}}
        log.confirm(found.position)
        alone.run(MUCH)
        fence_of_old = log.fence()
        takes_over(alone, standby)
        assert not log.has_passed(fence_of_old)
        reasons: set[str] = set()
        deadline = time.monotonic() + 30
        while not reasons:
            assert time.monotonic() < deadline
            reasons = log.read(1).whole
        assert "another server has taken over" in " ".join(reasons)
        assert log.has_passed(fence_of_old)  # all is to be compared: that is no longer waited for
        alone.run("UPDATE msg SET notes = 'x' WHERE first_id = 3")
        assert not log.has_passed(log.fence())
        found = everything(log)
        assert found.keys == {"msg": {3}}
        log.confirm(found.position)
    with alone.going_on() as log:
        assert everything(log).is_empty
