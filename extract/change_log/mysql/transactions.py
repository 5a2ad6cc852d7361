"""From the events of a binlog to the keys of records to look at again.

Of a statement's text only the names of followed tables are looked for; it is kept nowhere, since
there may be passwords in it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

from pymysqlreplication.constants.NONE_SOURCE import COLS_BITMAP
from pymysqlreplication.event import (
    ExecuteLoadQueryEvent,
    GtidEvent,
    HeartbeatLogEvent,
    MariadbBinLogCheckPointEvent,
    MariadbGtidEvent,
    MariadbGtidListEvent,
    NotImplementedEvent,
    PreviousGtidsEvent,
    QueryEvent,
    RotateEvent,
    StopEvent,
    XAPrepareEvent,
    XidEvent,
)
from pymysqlreplication.row_event import (
    DeleteRowsEvent,
    PartialUpdateRowsEvent,
    UpdateRowsEvent,
    WriteRowsEvent,
)

from extract.change_log.change_log import MOST_KEYS, Changes, Followed, too_many
from utils.files.artifacts import utc_now
from utils.wording.figures import moment_text

_ROWS = (WriteRowsEvent, UpdateRowsEvent, PartialUpdateRowsEvent, DeleteRowsEvent)
# Behind these, outside of a transaction, the log can be read on from as well.
_MARKS = (
    HeartbeatLogEvent,
    MariadbBinLogCheckPointEvent,
    MariadbGtidListEvent,
    PreviousGtidsEvent,
    StopEvent,
)
EVENTS = (
    QueryEvent,
    ExecuteLoadQueryEvent,
    XidEvent,
    XAPrepareEvent,
    GtidEvent,
    MariadbGtidEvent,
    NotImplementedEvent,
    RotateEvent,
    *_ROWS,
    *_MARKS,
)
# What the library cannot read, and may have changes in it: by the servers' numbers of events.
_INCIDENT = 26  # the server itself may have lost some
_UNREADABLE = {
    _INCIDENT: "the server has noted that its log may lack something",
    40: "its log has compressed transactions",  # MySQL
    42: "its log has tagged GTIDs",  # MySQL
    **dict.fromkeys(range(165, 172), "its log has compressed events"),  # MariaDB
}
_STANDALONE = 1  # of a GTID event of MariaDB: one statement, and no end of its own
_COMMENTS = re.compile(r"(?:\s+|/\*(?!M?!).*?\*/|--[ \t][^\n]*|#[^\n]*)*", re.DOTALL)
_WORD = re.compile(r"[A-Za-z]+")
_TO_SAVEPOINT = re.compile(r"ROLLBACK\s+(?:WORK\s+)?TO\b", re.IGNORECASE)
# Statements that are logged instead of the rows that they change, whatever they name.
_CHANGING = {"INSERT", "UPDATE", "DELETE", "REPLACE", "LOAD", "CALL", "SELECT", "DO", "WITH"}
_HARMLESS = {"ANALYZE", "CHECK", "FLUSH", "GRANT", "OPTIMIZE", "REVOKE"}  # they name tables, too


class CannotBeRead(Exception):
    """The log has something that may be changes and cannot be read; says what, in words."""


class Transactions:
    """Reads events one by one; what a transaction has changed is given out when it is whole.

    `gtid` is that of the transaction that was read last, "" for none; `is_open` is whether its end
    is still to come.
    """

    def __init__(self, database: str, followed: Sequence[Followed]) -> None:
        self._database = database.lower()
        self._followed: Mapping[str, Followed] = {each.table.lower(): each for each in followed}
        names = "|".join(re.escape(each.table) for each in followed)
        self._named = re.compile(rf"(?<![\w$])(?:{names})(?![\w$])", re.IGNORECASE)
        self._placed = re.compile(rf"(?<![\w$]){re.escape(database)}(?![\w$])", re.IGNORECASE)
        self._changes = Changes()
        self.gtid = ""
        self.is_open = False

    def read(self, event: Any) -> Changes | None:
        """What a transaction has changed, when the event ends one. Raises CannotBeRead."""
        if isinstance(event, (GtidEvent, MariadbGtidEvent)):
            self._changes, self.gtid = Changes(), str(event.gtid)
            # MySQL has a BEGIN for what has an end.
            self.is_open = isinstance(event, MariadbGtidEvent) and not event.flags & _STANDALONE
        elif isinstance(event, _ROWS):
            self._rows(event)
        elif isinstance(event, QueryEvent):
            return self._statement(event)
        elif isinstance(event, ExecuteLoadQueryEvent):
            self._changes.whole.add(_instead_of_rows("LOAD"))
        elif isinstance(event, NotImplementedEvent):
            if event.event_type in _UNREADABLE:
                raise CannotBeRead(_UNREADABLE[event.event_type])
        elif isinstance(event, (XidEvent, XAPrepareEvent)):
            return self._whole(event)
        return None

    def is_at_a_place(self, event: Any) -> bool:
        """Whether the log can be read on from behind an event that ends no transaction."""
        return isinstance(event, _MARKS) and not self.is_open

    def _statement(self, event: QueryEvent) -> Changes | None:
        text = event.query if isinstance(event.query, str) else event.query.decode(errors="replace")
        begun = _COMMENTS.match(text)
        text = text[begun.end() if begun else 0 :]
        words = [each.upper() for each in _WORD.findall(text[:40])] or [""]
        if words[0] == "XA":
            return self._distributed(event, words)
        if words[0] in ("BEGIN", "START") and not self.is_open:
            # A stored program of that name begins otherwise.
            self.is_open = True
            return None
        if words[0] == "COMMIT" or (words[0] == "ROLLBACK" and not _TO_SAVEPOINT.match(text)):
            return self._whole(event)
        self._note(words[0], text, _text_of(event.schema).lower())
        return None if self.is_open else self._whole(event)

    def _distributed(self, event: QueryEvent, words: Sequence[str]) -> Changes | None:
        if "COMMIT" in words[1:2]:
            self._changes.whole.add("a distributed transaction (XA) was committed")
        if {"COMMIT", "ROLLBACK"} & {*words[1:2]}:
            return self._whole(event)
        self.is_open = True  # XA START, XA END: an event of its own is its end
        return None

    def _note(self, word: str, text: str, schema: str) -> None:
        """What a statement means that was logged as such; `schema` is where it was run."""
        if not (schema == self._database or self._placed.search(text)):
            return  # another database
        if word in _CHANGING:
            self._changes.whole.add(_instead_of_rows(word))
        elif word not in _HARMLESS and (found := self._named.search(text)):
            table = self._followed[found[0].lower()].table
            self._changes.whole.add(f"a statement was about the table {table} itself ({word})")
        elif word in ("DROP", "CREATE", "ALTER") and self._is_about_all(text):
            self._changes.whole.add(f"a statement was about the whole database ({word})")

    def _is_about_all(self, text: str) -> bool:
        words = [each.upper() for each in _WORD.findall(text[:80])[1:4]]
        return bool({"DATABASE", "SCHEMA"} & {*words}) and bool(self._placed.search(text))

    def _whole(self, event: Any) -> Changes:
        changes, self._changes = self._changes, Changes()
        self.is_open = False
        if not changes.is_empty:
            at = moment_text(datetime.fromtimestamp(event.timestamp, timezone.utc))
            # The log counts whole seconds.
            changes.oldest = changes.newest = min(at, utc_now())
            changes.transactions = 1
        return changes

    def _rows(self, event: Any) -> None:
        followed = self._followed.get(str(event.table).lower())
        if followed is None or str(event.schema).lower() != self._database:
            return
        is_new = isinstance(event, WriteRowsEvent)
        try:
            for row in event.rows:
                self._row(followed, _images(row), is_new)
        except (KeyError, ValueError, TypeError):
            self._changes.whole.add(
                f"the log does not tell which rows of {followed.table} were changed"
            )

    def _row(self, followed: Followed, images: Sequence[_Image], is_new: bool) -> None:
        """Take a row; a session may log less than whole rows (binlog_row_image)."""
        if not followed.parent:
            self._add(self._changes.keys, followed, _numbers(images, followed.key))
        elif is_new or images[0].has(followed.parent):
            self._add(self._changes.parents, followed, _numbers(images, followed.parent))
        else:  # whose child it was stands in what was extracted last
            self._add(self._changes.keys, followed, _numbers(images, followed.key))
            later = [each for each in images if each.has(followed.parent)]
            self._add(self._changes.parents, followed, _numbers(later, followed.parent))

    def _add(self, into: dict[str, set[int]], followed: Followed, numbers: set[int]) -> None:
        if not numbers:
            return
        known = into.setdefault(followed.table, set())
        known.update(numbers)
        if len(known) > MOST_KEYS:
            known.clear()
            self._changes.whole.add(too_many(MOST_KEYS))


def _instead_of_rows(word: str) -> str:
    return f"a statement was logged instead of the rows that it has changed ({word})"


def _text_of(name: object) -> str:
    return name.decode(errors="replace") if isinstance(name, bytes) else str(name)


class _Image:
    """The values of a row before or after a change, by the names of columns in lower case; those
    that are not in the log are not in it."""

    def __init__(self, values: Mapping[str, Any], missing: Mapping[str, Any]) -> None:
        self._values = {
            str(name).lower(): value
            for name, value in values.items()
            if value is not None or missing.get(name) != COLS_BITMAP
        }

    def has(self, column: str) -> bool:
        return column.lower() in self._values

    def number(self, column: str) -> int | None:
        """The number in a column, None for NULL. Raises KeyError where the column is not there,
        ValueError and TypeError for what is no number."""
        found = self._values[column.lower()]
        return None if found is None else int(found)


def _images(row: Mapping[str, Any]) -> list[_Image]:
    names = ("", "before_", "after_")
    return [
        _Image(row[f"{name}values"], row.get(f"{name}none_sources") or {})
        for name in names
        if f"{name}values" in row
    ]


def _numbers(images: Sequence[_Image], column: str) -> set[int]:
    """The numbers in a column. After a change it is only missing where it stays the same. Raises
    KeyError, ValueError and TypeError."""
    found = {each.number(column) for each in images[:1]}
    found |= {each.number(column) for each in images[1:] if each.has(column)}
    return {number for number in found if number is not None}
