"""From the events of a binlog to the keys of records to look at again.

Of a statement's text only the names of followed tables are looked for; it is kept nowhere, since
there may be passwords in it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

from pymysqlreplication.event import (
    GtidEvent,
    MariadbGtidEvent,
    QueryEvent,
    XAPrepareEvent,
    XidEvent,
)
from pymysqlreplication.row_event import DeleteRowsEvent, UpdateRowsEvent, WriteRowsEvent

from extract.change_log.change_log import Changes, Followed
from utils.files.artifacts import utc_now
from utils.wording.figures import counted, moment_text

EVENTS = (
    QueryEvent,
    XidEvent,
    XAPrepareEvent,
    GtidEvent,
    MariadbGtidEvent,
    WriteRowsEvent,
    UpdateRowsEvent,
    DeleteRowsEvent,
)
MOST_KEYS = 200_000
_STANDALONE = 1  # of a GTID event of MariaDB: one statement, and no end of its own
_WORD = re.compile(r"[A-Za-z]+")
_BEGINS, _ENDS = {"BEGIN", "START"}, {"COMMIT", "ROLLBACK"}
_INSIDE = {"SAVEPOINT", "RELEASE"}


class Transactions:
    """Reads events one by one; what a transaction has changed is given out when it is whole."""

    def __init__(self, database: str, followed: Sequence[Followed]) -> None:
        self._database = database.lower()
        self._followed: Mapping[str, Followed] = {each.table.lower(): each for each in followed}
        names = "|".join(re.escape(each.table) for each in followed)
        self._named = re.compile(rf"(?<![\w$])(?:{names})(?![\w$])", re.IGNORECASE)
        self._changes = Changes()
        self._gtid = ""
        self._is_standalone = False

    def read(self, event: Any) -> Changes | None:
        """What a transaction has changed, when the event ends one; `seen` has its GTID."""
        if isinstance(event, (GtidEvent, MariadbGtidEvent)):
            self._changes, self._gtid = Changes(), str(event.gtid)
            self._is_standalone = bool(
                isinstance(event, MariadbGtidEvent) and event.flags & _STANDALONE
            )
            return None
        if isinstance(event, (WriteRowsEvent, UpdateRowsEvent, DeleteRowsEvent)):
            self._rows(event)
            return None
        if isinstance(event, QueryEvent):
            return self._statement(event)
        return self._whole(event)  # XidEvent, XAPrepareEvent

    def _statement(self, event: QueryEvent) -> Changes | None:
        text = event.query if isinstance(event.query, str) else event.query.decode(errors="replace")
        first = _WORD.search(text)
        word = first[0].upper() if first else ""
        if word in _INSIDE:
            return None
        if word in _BEGINS and not self._is_standalone:
            return None
        if word == "ROLLBACK" and " TO " in f" {text.upper()} ":
            return None
        if word == "XA":
            if " COMMIT" in text.upper():
                self._changes.whole.add("a distributed transaction (XA) was committed")
        elif word not in _ENDS and (found := self._named.search(text)):
            table = self._followed[found[0].lower()].table
            self._changes.whole.add(f"a statement was about the table {table} itself ({word})")
        return self._whole(event)

    def _whole(self, event: Any) -> Changes:
        changes, self._changes = self._changes, Changes()
        if not changes.is_empty:
            at = moment_text(datetime.fromtimestamp(event.timestamp, timezone.utc))
            # The log counts whole seconds.
            changes.oldest = changes.newest = min(at, utc_now())
            changes.transactions = 1
            changes.seen = (self._gtid,) if self._gtid else ()
        return changes

    def _rows(self, event: Any) -> None:
        followed = self._followed.get(str(event.table).lower())
        if followed is None or str(event.schema).lower() != self._database:
            return
        try:
            for row in event.rows:
                self._row(followed, row)
        except (KeyError, ValueError, TypeError):
            self._changes.whole.add(
                f"the log does not tell which rows of {followed.table} were changed"
            )

    def _row(self, followed: Followed, row: Mapping[str, Any]) -> None:
        column = followed.parent or followed.key
        keys = {_number(values, column) for values in _values(row)}
        into = self._changes.parents if followed.parent else self._changes.keys
        known = into.setdefault(followed.table, set())
        known.update(keys - {None})  # type: ignore[arg-type]
        if len(known) > MOST_KEYS:
            known.clear()
            self._changes.whole.add(too_many())


def too_many() -> str:
    """Why so many are better compared all together."""
    return f"more than {counted(MOST_KEYS, 'record')} were changed"


def _values(row: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
    names = ("values", "before_values", "after_values")
    return [row[name] for name in names if name in row]


def _number(values: Mapping[str, Any], column: str) -> int | None:
    """The number in a column, None for NULL. Raises KeyError where the column is not there,
    ValueError and TypeError for what is no number."""
    found = values.get(column)
    if found is None and column not in values:
        lowered = {name.lower(): value for name, value in values.items()}
        found = lowered[column.lower()]
    return None if found is None else int(found)
