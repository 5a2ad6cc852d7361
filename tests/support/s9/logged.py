"""Servers whose log can be followed, and an S9 on one of them with what follows it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from extract.change_log.change_log import ChangeLog, Changes, Followed
from extract.following.opening import open_log
from utils.config import SourceConfig

LOGICAL = ("wal_level=logical", "max_wal_senders=6", "max_replication_slots=6")
BINLOG = (
    "--log-bin=binlog",
    "--server-id=1",
    "--binlog-format=ROW",
    "--binlog-row-image=FULL",
    "--binlog-row-metadata=FULL",
)
FOLLOWED = (
    Followed("msg_anag", "first_id"),
    Followed("msg", "first_id"),
    Followed("msg_line", "id", "msg_id"),
)


@dataclass(kw_only=True)
class LoggedS9:
    """S9 with its log: `config` and `connection` are the owner's, who may do everything; the log
    goes by `name`."""

    connection: Any
    config: SourceConfig
    name: str
    known: Mapping[str, str] = field(default_factory=dict)

    def run(self, *statements: str) -> None:
        """Each is a transaction of its own."""
        for statement in statements:
            with self.connection.cursor() as cursor:
                cursor.execute(statement)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with self.connection.cursor() as cursor:
            cursor.execute(query)
            return list(cursor.fetchall())

    @contextmanager
    def follow(self, **changes: Any) -> Iterator[ChangeLog]:
        """The log, from where it was confirmed last, which is kept in the end."""
        followed = changes.pop("followed", FOLLOWED)
        config = replace(self.config, **changes)
        with open_log(config, None, followed, self.name, self.known) as log:
            yield log
            self.known = log.state()
            log.let_forget()

    @contextmanager
    def going_on(self) -> Iterator[ChangeLog]:
        """As `follow`, of a log that has begun before: everything was compared."""
        if not self.known:
            with self.follow() as log:
                log.confirm(log.read(0).position)
        with self.follow() as log:
            assert log.begins_anew == ""
            yield log


def everything(log: ChangeLog) -> Changes:
    """All that S9 has committed up to now, put together."""
    fence, found = log.fence(), Changes()
    for _ in range(30):
        found.add(log.read(1))
        if log.has_passed(fence):
            return found
    raise AssertionError(f"the log never gets to {fence}")
