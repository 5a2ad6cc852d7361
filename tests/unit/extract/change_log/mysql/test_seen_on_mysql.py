"""What a snapshot of Oracle's MySQL sees, by answers as its manual has them: there is none here."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from extract.change_log.change_log import Changes
from extract.change_log.mysql.binlog import Binlog
from extract.change_log.mysql.positions import Place

END = Place.of("binlog.000001", 4)
UUID = "3e11fa47-71ca-11e1-9e33-c80aa9429562"


class Server:
    """Answers whether GTIDs are executed, and what time it is."""

    is_there, second = False, 10

    def rows(self, _query: str, _gtids: str) -> list[tuple[Any, ...]]:
        return [(int(self.is_there),)]

    def now(self) -> str:
        return f"2026-01-01T00:00:{self.second}.000Z"

    def end(self) -> Place:
        return END


def snapshot(second: int, milliseconds: int = 0) -> Any:
    """A source that was opened at a time, and does not know its place in the log."""
    taken_at = f"2026-01-01T00:00:{second}.{milliseconds:03}Z"
    return SimpleNamespace(tally=lambda _query: [], snapshot=SimpleNamespace(taken_at=taken_at))


def test_only_a_snapshot_after_the_gtids_were_found_sees_them() -> None:
    server, log = Server(), object.__new__(Binlog)
    vars(log).update(_control=server, _committed={}, _log=1, _began_anew_at="", _ended=END)
    changes = Changes(keys={"msg": {1}}, seen=("binlog.000001:4", f"{UUID}:7-7@1"))
    assert not log.is_seen(changes, snapshot(9))
    assert not log.is_seen(changes, snapshot(30))  # they are not there yet
    server.is_there, server.second = True, 20
    assert not log.is_seen(changes, snapshot(30))  # it is older, and the clock was set back
    assert not log.is_seen(changes, snapshot(20))  # in the same millisecond
    assert log.is_seen(changes, snapshot(20, 1))
