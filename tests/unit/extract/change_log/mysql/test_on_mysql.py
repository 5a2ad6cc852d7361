"""What MySQL is asked where MariaDB tells the place of a snapshot: with answers as its manual has
them, since there is no MySQL among the tests."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from extract.change_log.change_log import Changes, Followed
from extract.change_log.mysql import binlog
from extract.change_log.mysql.binlog import Binlog
from extract.change_log.mysql.control import owned
from extract.change_log.mysql.positions import Place
from extract.source import Source
from utils.config import Secret, SourceConfig
from utils.error_handler import SourceError
from utils.interrupt import StopFlag

UUID = "3e11fa47-71ca-11e1-9e33-c80aa9429562"


class MySql:
    """What a MySQL answers; `executed` is the last of its transactions."""

    is_mariadb, database = False, "s9"

    def __init__(self) -> None:
        self.executed, self.byte = 10, 500
        self.waits, self.asked = False, 0

    def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        if "GTID_SUBSET" in query:
            if "nonsense" in values[0]:
                raise SourceError("Malformed GTID set specification", remedy="")
            last = max(
                [int(each.rpartition("-")[2]) for each in values[0].split(",") if each] + [0]
            )
            return [(int(last <= self.executed),)]
        return []

    def now(self) -> str:
        return "2026-01-01T00:00:10.000Z"

    def if_allowed(self, query: str) -> list[tuple[Any, ...]]:
        return [("binlog.000002", self.byte)] if query == "SHOW BINARY LOGS" else []

    def gtids(self, _place: Place | None = None) -> str:
        return f"{UUID}:1-{self.executed}"

    def under_way(self) -> frozenset[str]:
        """What is in the log, and not seen: it is seen the third time that is asked."""
        self.asked += 1
        return frozenset({f"{UUID}:11"} if self.waits and self.asked < 3 else ())

    def end(self) -> Place:
        return Place.of("binlog.000002", self.byte)

    def identity(self) -> dict[str, str]:
        return {"server_uid": UUID}

    def locks(self, _name: str) -> bool:
        return True

    def close(self) -> None:
        """Nothing to hang up."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> MySql:
    made = MySql()
    monkeypatch.setattr(binlog, "Control", lambda *_: made)
    monkeypatch.setattr(binlog, "all_requirements", lambda *_: [])
    return made


def opened(known: dict[str, str]) -> Binlog:
    config = SourceConfig(type="mysql", host="s9", username="r", password=Secret("x"))
    return Binlog(config, StopFlag(), [Followed("msg", "first_id")], "follow", known)


def snapshot_at(moment: str) -> Source:
    made = SimpleNamespace(tally=lambda _query: [], snapshot=SimpleNamespace(taken_at=moment))
    return cast(Source, made)


def test_a_log_goes_on_where_its_gtids_are_known(server: MySql) -> None:
    first = opened({})
    assert first.begins_anew == "it is followed for the first time"
    known = dict(first.state())
    assert known["gtids"] == f"{UUID}:1-10"
    assert opened(known).begins_anew == ""
    for change, reason in (
        ({"gtids": f"{UUID}:1-11"}, "S9 does not know the transactions"),
        ({"gtids": "nonsense"}, "what was kept of it cannot be read"),
        ({"position": "binlog.000001:4"}, "S9 has purged its binlog binlog.000001"),
        ({"position": "binlog.000002:501"}, "S9 was set back"),
    ):
        assert opened({**known, **change}).begins_anew.startswith(reason)
    assert server.executed == 10


def test_it_begins_when_all_is_seen_that_is_in_the_log_before(server: MySql) -> None:
    server.waits = True
    assert opened({}).begins_anew
    assert server.asked == 3
    known = dict(opened({}).state())
    server.asked = 0
    opened(known)
    assert server.asked == 0


def test_what_mysql_says_of_gtids_that_are_under_way() -> None:
    assert owned("") == frozenset()
    text = f"{UUID}:7#15:9#16,\nf2:3#17"
    assert owned(text) == {f"{UUID}:7", f"{UUID}:9", "f2:3"}


def test_changes_are_seen_by_a_snapshot_that_is_taken_after_they_were_known_to_be_there(
    server: MySql,
) -> None:
    log = opened({})
    log._stream = cast(Any, SimpleNamespace(failure=None, close=lambda: None))
    for number, byte in ((11, 600), (12, 700)):
        changes = Changes(keys={"msg": {number}}, transactions=1)
        log._take(changes, Place.of("binlog.000002", byte), f"{UUID}:{number}")
    server.byte = 700
    found = log.read(0)
    assert found.seen == ("binlog.000002:700", f"{UUID}:11-12@1")
    assert not log.is_seen(found, snapshot_at("2026-01-01T00:00:20.000Z"))  # not committed yet
    server.executed = 12
    assert not log.is_seen(found, snapshot_at("2026-01-01T00:00:10.000Z"))  # it may be earlier
    assert log.is_seen(found, snapshot_at("2026-01-01T00:00:10.001Z"))
    log.confirm(found.position)
    assert log.state()["position"] == "binlog.000002:700"
    assert log.state()["gtids"] == f"{UUID}:1-12"
