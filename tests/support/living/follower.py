"""An operator's `sync --follow` at work, for tests: started, waited for, stopped, killed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson

from tests.conftest import S9Database
from tests.support.operators.operator import Operator, Outcome, Running
from utils.error_handler import ExitCode

_PATIENCE = 60.0
_TRIES = 10


@dataclass
class FollowedS9:
    """`sync --follow` beside a test, by the owner's account, who may make what it needs. A context
    manager: it is stopped in the end."""

    operator: Operator
    s9: S9Database
    _running: Running | None = None

    def __post_init__(self) -> None:
        self.operator.configure(source={"username": self.s9.server.owner})
        self.operator.environment["S9_PASSWORD"] = self.s9.server.owner_password

    def __enter__(self) -> FollowedS9:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.leave()

    def leave(self) -> None:
        """End it, whatever it does."""
        if self._running is not None:
            self._running.process.kill()
            self._running.end()

    @property
    def state(self) -> dict[str, Any]:
        """What data/sync/following.json says, {} when it is not there."""
        path = self.operator.data / "sync" / "following.json"
        found: dict[str, Any] = orjson.loads(path.read_bytes()) if path.exists() else {}
        return found

    def start(self) -> None:
        """Type the command."""
        self._running = self.operator.start("sync", "--follow")

    @property
    def running(self) -> Running:
        """The command that is at work."""
        assert self._running is not None
        return self._running

    def catch_up(self) -> None:
        """Wait until all that S9 has committed by now is in the target. It touches a row of its
        own for that, which belongs to nothing that is migrated."""
        moment = self._moment()
        self.s9.execute("UPDATE msg_anag SET notes = %s WHERE first_id = 999", moment)
        self.running.wait_for(lambda: self._is_in_step(moment), _PATIENCE)

    def settle(self) -> None:
        """Put the row of its own into S9."""
        self.s9.execute(
            "INSERT INTO msg_anag (first_id, kind, enabled, name) "
            "VALUES (999, 7, true, 'Orologio srl')"
        )

    def _moment(self) -> str:
        """Now, by S9's clock (UTC)."""
        clock = {
            "postgresql": "to_char(clock_timestamp() AT TIME ZONE 'UTC', "
            "'YYYY-MM-DD\"T\"HH24:MI:SS.MS')",
            "mysql": "date_format(utc_timestamp(3), '%Y-%m-%dT%H:%i:%s.%f')",
        }[self.s9.type]
        [(found,)] = self.s9.rows(f"SELECT {clock}")
        return str(found)[:23]

    def _is_in_step(self, moment: str) -> bool:
        state = self.state
        return bool(state) and not state["oldest"] and moment <= state["snapshot"] < "~"

    def stop_in_step(self) -> Outcome:
        """Catch up, and stop it when it is at rest: in the middle of a pass it would be resumed."""
        for _ in range(_TRIES):
            self.catch_up()
            outcome = self.stop()
            if outcome.code != ExitCode.INTERRUPTED:
                return outcome
            self.start()
        raise AssertionError("it is never at rest")

    def stop(self) -> Outcome:
        """Press Ctrl-C, and wait for the end."""
        running, self._running = self._running, None
        assert running is not None
        running.wait_for(lambda: self._is_at_work(running.process.pid))
        running.interrupt()
        return self._ended(running)

    def _is_at_work(self, pid: int) -> bool:
        """Whether it has begun; before that it is not stopped, but does not come into being."""
        lock = self.operator.data / ".lock"
        return lock.exists() and lock.read_text(encoding="utf-8").startswith(f"process {pid},")

    def end(self) -> Outcome:
        """Wait until it ends by itself."""
        running, self._running = self._running, None
        assert running is not None
        return self._ended(running)

    def kill(self) -> None:
        """SIGKILL."""
        running, self._running = self._running, None
        assert running is not None
        running.process.kill()
        running.end()

    def _ended(self, running: Running) -> Outcome:
        outcome = running.end()
        self.operator.outcomes.append(outcome)
        return outcome
