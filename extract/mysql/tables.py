"""What S9's tables really are on MySQL: their engines, what views read, temporary tables in front.

Nothing here selects a row. What cannot be found out is said to be so.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import pymysql

from extract.mysql.queries import quote
from utils.error_handler import SourceError
from utils.wording.figures import counted
from utils.wording.invocation import again

Ask = Callable[..., list[tuple[Any, ...]]]
Name = tuple[str, str]  # database and table

_TRANSACTIONAL = {"innodb", "rocksdb", "tokudb", "sequence"}
_WORD = r"`((?:[^`]|``)+)`"
_QUALIFIED = rf"{_WORD}\s*\.\s*{_WORD}"
# In a view's definition, as the server writes it down: everything is quoted, and qualified.
_READ = re.compile(rf"\b(?:from|join)\s+\(*(?:{_QUALIFIED}|{_WORD})(?!\s*\.)", re.IGNORECASE)
_CALLED = re.compile(rf"{_QUALIFIED}\s*\(")
_BY_ACCOUNT = re.compile(
    r"\b(user|session_user|system_user|current_user|current_role|connection_id)\s*\(", re.IGNORECASE
)
_TEXTS = re.compile(r"'(?:[^'\\]|\\.|'')*'|`(?:[^`]|``)*`")
_NAMES = re.compile(r"(`(?:[^`]|``)+`|\w+)\s*\.\s*(`(?:[^`]|``)+`|\w+)")
_SYSTEM = ("information_schema", "mysql", "performance_schema", "sys")


@dataclass
class _Found:
    """What tables come down to: engines by name, and what could not be found out, in words."""

    engines: dict[Name, str] = field(default_factory=dict)
    unknown: list[str] = field(default_factory=list)
    seen: set[Name] = field(default_factory=set)


class MySqlTables:
    """Looks tables up. `ask` runs a query with its values; `database` is S9's own."""

    def __init__(self, ask: Ask, database: str) -> None:
        self._ask = ask
        self._database = database

    def without_snapshot(self, tables: Iterable[str] | None, queries: Sequence[str] = ()) -> str:
        """What of these tables, and of all that they read as views, no snapshot covers, in words;
        "" when all is covered. None: configured SQL (`queries`) may read any of the database."""
        found = _Found()
        for name in self._named(tables, queries):
            self._resolve(name, found)
        without = sorted(
            f"{self._shown(name)} ({engine})"
            for name, engine in found.engines.items()
            if engine.lower() not in _TRANSACTIONAL
        )
        said = []
        if without:
            listed = ", ".join(without)
            said.append(
                "these tables have no snapshots, because their engines do not support "
                f"them: {listed}"
            )
        if found.unknown:
            listed = ", ".join(found.unknown)
            said.append(f"it cannot be seen whether these have snapshots: {listed}")
        return "; ".join(said)

    def require_whole(self, tables: Iterable[str]) -> None:
        """Refuse tables in whose place something else answers: a temporary table of the session,
        or a view that shows each account its own rows. Raises SourceError."""
        for table in tables:
            if self._is_temporary(table):
                raise SourceError(
                    f"{table} is a temporary table of this session (init_connect makes it): it "
                    "hides the table of S9",
                    remedy="stop init_connect from creating it for source.username, then: "
                    f"{again()}",
                )
            for name, definition in self._views((self._database, table), set()).items():
                if found := _BY_ACCOUNT.search(_TEXTS.sub("''", definition)):
                    raise SourceError(
                        f"{self._shown(name)} is a view that may show different rows to each "
                        f"account: it asks who reads it ({found[1]})",
                        remedy="let source.username read the tables behind it, or say in "
                        "extraction.<entity>.query which rows are S9's",
                    )

    def listed(self, table: str) -> list[str]:
        """All columns of a table in order, if there are some that `SELECT *` does not return;
        else none."""
        rows = self._ask(
            "SELECT COLUMN_NAME, EXTRA LIKE '%%INVISIBLE%%' FROM information_schema.COLUMNS "
            "WHERE TABLE_SCHEMA = %s AND TABLE_NAME = %s ORDER BY ORDINAL_POSITION",
            (self._database, table),
        )
        return [str(name) for name, _ in rows] if any(hidden for _, hidden in rows) else []

    def _named(self, tables: Iterable[str] | None, queries: Sequence[str]) -> list[Name]:
        if tables is not None:
            return [(self._database, name) for name in tables]
        rows = self._ask(
            "SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = %s",
            (self._database,),
        )
        pairs = {
            (_bare(database), _bare(name))
            for query in queries
            for database, name in _NAMES.findall(query)
        }
        elsewhere = sorted(
            pair
            for pair in pairs
            if pair[0] not in (self._database, *_SYSTEM) and self._kind(pair) is not None
        )
        return [*((self._database, str(name)) for (name,) in rows), *elsewhere]

    def _resolve(self, name: Name, found: _Found) -> None:
        """Add what a table comes down to; a view is what it reads."""
        if name in found.seen:
            return
        found.seen.add(name)
        kind = self._kind(name)
        if kind is None:
            if name[0].lower() not in _SYSTEM:
                found.unknown.append(f"{self._shown(name)} (the account may not see it)")
        elif kind[0] == "VIEW":
            self._resolve_view(name, found)
        elif kind[1]:
            found.engines[name] = kind[1]
        else:
            found.unknown.append(f"{self._shown(name)} (it has no engine)")

    def _resolve_view(self, name: Name, found: _Found) -> None:
        definition = self._definition(name)
        if not definition:
            found.unknown.append(
                f"what the view {self._shown(name)} reads (SHOW VIEW is not granted)"
            )
            return
        for read in self._tables_in(definition):
            self._resolve(read, found)
        found.unknown += [
            f"what the function {_unquoted(database)}.{_unquoted(function)} reads"
            for database, function in _CALLED.findall(definition)
        ]

    def _views(self, name: Name, seen: set[Name]) -> dict[Name, str]:
        """A view and all views behind it, with their definitions as far as they can be seen."""
        kind = None if name in seen else self._kind(name)
        seen.add(name)
        if kind is None or kind[0] != "VIEW":
            return {}
        definition = self._definition(name)
        views = {name: definition}
        for read in self._tables_in(definition):
            views.update(self._views(read, seen))
        return views

    def _kind(self, name: Name) -> tuple[str, str] | None:
        """BASE TABLE or VIEW (or another), and the engine; None for what cannot be seen."""
        rows = self._ask(
            "SELECT TABLE_TYPE, ENGINE FROM information_schema.TABLES "
            "WHERE TABLE_SCHEMA = %s AND TABLE_NAME = %s",
            name,
        )
        return (str(rows[0][0]), str(rows[0][1] or "")) if rows else None

    def _definition(self, name: Name) -> str:
        """A view's definition, "" where the account may not see it. The list of views looks at one
        kind of grant only; the statement at all."""
        rows = self._ask(
            "SELECT VIEW_DEFINITION FROM information_schema.VIEWS "
            "WHERE TABLE_SCHEMA = %s AND TABLE_NAME = %s",
            name,
        )
        if rows and rows[0][0]:
            return str(rows[0][0])
        with suppress(pymysql.Error):
            created = self._ask(f"SHOW CREATE VIEW {quote(name[0])}.{quote(name[1])}")
            return str(created[0][1])
        return ""

    def _is_temporary(self, table: str) -> bool:
        with suppress(pymysql.Error):  # a view that may not be shown is no temporary table
            rows = self._ask(f"SHOW CREATE TABLE {quote(table)}")
            return str(rows[0][1]).upper().startswith("CREATE TEMPORARY")
        return False

    def _tables_in(self, definition: str) -> list[Name]:
        """What a view reads, by its FROM and JOIN; unqualified is what the session's database
        has."""
        return [
            (_unquoted(qualifier) if qualifier else self._database, _unquoted(name or alone))
            for qualifier, name, alone in _READ.findall(definition)
        ]

    def _shown(self, name: Name) -> str:
        return name[1] if name[0] == self._database else f"{name[0]}.{name[1]}"


def _unquoted(name: str) -> str:
    return name.replace("``", "`")


def _bare(name: str) -> str:
    return _unquoted(name[1:-1]) if name.startswith("`") else name


_STATUS = ("SHOW ALL SLAVES STATUS", "SHOW REPLICA STATUS", "SHOW SLAVE STATUS")


def replication(ask_by_name: Callable[[str], list[Mapping[str, Any]]], read_only: bool) -> str:
    """What can be said of a server that follows another one, "" when it follows none (or when
    nothing suggests that it does). `ask_by_name` gives rows by column."""
    refused = False
    for query in _STATUS:
        try:
            rows = ask_by_name(query)
        except pymysql.Error as error:
            refused = refused or error.args[0] in (1227, 1045)
            continue
        return "; ".join(filter(None, map(_lag, rows)))
    if refused and read_only:
        return (
            "S9 is read-only, perhaps a replica; source.username may not ask how far it is "
            "behind (REPLICATION CLIENT, on MariaDB SLAVE MONITOR)"
        )
    return ""


def _lag(row: Mapping[str, Any]) -> str:
    def value(*names: str) -> Any:
        return next((row[name] for name in names if name in row), None)

    running = [
        str(value(f"Slave_{part}_Running", f"Replica_{part}_Running") or "No").lower()
        for part in ("IO", "SQL")
    ]
    behind = value("Seconds_Behind_Master", "Seconds_Behind_Source")
    if running != ["yes", "yes"] or behind is None:
        return (
            "S9 is a replica that is not replicating at present: what has not reached it is "
            "not read"
        )
    return (
        f"S9 is a replica, {counted(int(behind), 'second')} behind"
        if int(behind)
        else "S9 is a replica"
    )
