"""What MySQL or MariaDB says of itself and of S9's tables."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

import pymysql
from pymysql.constants import ER

from extract.checks.database_facts import (
    DENIED,
    LOCKED,
    MISSING,
    OTHER,
    Remark,
    ServerFacts,
    TableFacts,
    listed,
    text,
)
from extract.mysql.errors import number_of
from extract.mysql.queries import quote
from extract.source import Source
from utils.config import SourceConfig
from utils.error_handler import BackOff, SourceError

_OLDEST = {"MySQL": (5, 7), "MariaDB": (10, 2)}
_VERSION = re.compile(r"(?:5\.5\.5-)?(\d+)\.(\d+)")
_COLUMN_ACCESS_DENIED = 1143
_DENIED = {
    ER.TABLEACCESS_DENIED_ERROR,
    _COLUMN_ACCESS_DENIED,
    ER.SPECIFIC_ACCESS_DENIED_ERROR,
    ER.DBACCESS_DENIED_ERROR,
}
_SERVER = (
    "SELECT VERSION(), CURRENT_USER(), DATABASE(), @@global.time_zone, @@system_time_zone, "
    "@@character_set_database"
)


class MySqlFacts:
    """Asks MySQL or MariaDB, through an open source."""

    def __init__(self, source: Source, config: SourceConfig) -> None:
        self._source = source
        self._config = config
        self._account = ""

    def hurry(self, seconds: int) -> None:
        """For the session; it is no setting that the source has pinned."""
        self._source.tally(f"SET SESSION lock_wait_timeout = {seconds}")

    def server(self) -> ServerFacts:
        """What the server says of itself; without tables."""
        [(version, account, _, zone, system_zone, charset)] = self._source.tally(_SERVER)
        self._account = str(account)
        product = "MariaDB" if "mariadb" in str(version).lower() else "MySQL"
        found = _VERSION.match(str(version))
        number = (int(found[1]), int(found[2])) if found else _OLDEST[product]
        zone = system_zone if zone == "SYSTEM" else zone
        remarks = [
            *self._replica(),
            Remark("connections", f"S9 can be read over {self._source.snapshot.connections}"),
            Remark(
                "time zone",
                f"times without a zone are taken as those of {self._config.timezone} "
                f"(source.timezone); the server's own is {zone}",
            ),
            Remark("encoding", f"{charset}, read as UTF-8"),
        ]
        return ServerFacts(f"{product} {version}", number < _OLDEST[product], remarks)

    def tables(self, names: Sequence[str]) -> Mapping[str, TableFacts]:
        """Those of the tables that are there and on which the account has a right."""
        unique: dict[str, set[str]] = {}
        for table, column in self._source.tally(
            "SELECT TABLE_NAME, MIN(COLUMN_NAME) FROM information_schema.STATISTICS "
            f"WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME IN ({listed(names)}) "
            "AND NON_UNIQUE = 0 GROUP BY TABLE_NAME, INDEX_NAME HAVING COUNT(*) = 1"
        ):
            unique.setdefault(str(table), set()).add(str(column))
        return {
            str(name): TableFacts(
                is_view=kind != "BASE TABLE",
                rows=None if rows is None else int(rows),
                unique=frozenset(unique.get(str(name), ())),
            )
            for name, kind, rows in self._source.tally(
                "SELECT TABLE_NAME, TABLE_TYPE, TABLE_ROWS FROM information_schema.TABLES "
                f"WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME IN ({listed(names)})"
            )
        }

    def elsewhere(self, name: str) -> list[str]:
        """The other databases that have a table of this name, of those that the account sees."""
        rows = self._source.tally(
            f"SELECT TABLE_SCHEMA FROM information_schema.TABLES WHERE TABLE_NAME = {text(name)} "
            "AND TABLE_SCHEMA <> DATABASE() ORDER BY 1 LIMIT 5"
        )
        return [str(schema) for (schema,) in rows]

    def kind_of(self, error: SourceError | BackOff) -> str:
        """By the server's number."""
        cause = error.__cause__
        number = number_of(cause) if isinstance(cause, pymysql.Error) else 0
        if number == ER.NO_SUCH_TABLE:
            return MISSING
        if number == ER.LOCK_WAIT_TIMEOUT:
            return LOCKED
        return DENIED if number in _DENIED else OTHER

    def grant(self, table: str) -> str:
        """The grant that an administrator types."""
        name, _, host = self._account.rpartition("@")
        account = f"{text(name)}@{text(host)}" if name else text(self._config.username)
        return f"GRANT SELECT ON {quote(self._config.database)}.{quote(table)} TO {account}"

    def _replica(self) -> Iterator[Remark]:
        """What the source has found out when it took the snapshot."""
        said = self._source.snapshot.guarantee.partition("S9 is ")[2]
        if not said:
            return
        found = f"S9 is {said}"
        if "not replicating" in said:
            yield Remark(
                "replica", found, "let it replicate (START REPLICA), or read from its source"
            )
        else:
            yield Remark("replica", found)
