"""From the messages of PostgreSQL's log to the keys of records to look at again."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from extract.change_log.change_log import MOST_KEYS, Followed, too_many
from extract.change_log.postgresql.pgoutput import (
    Begin,
    Commit,
    Message,
    Relation,
    Row,
    Truncated,
)

_ROWS = (b"I", b"U", b"D")


@dataclass
class Touched:
    """What transactions have touched, put together; `xids` are the numbers of those that have."""

    keys: dict[str, set[int]] = field(default_factory=dict)
    parents: dict[str, set[int]] = field(default_factory=dict)
    whole: set[str] = field(default_factory=set)
    transactions: int = 0
    oldest: datetime | None = None
    newest: datetime | None = None
    xids: set[int] = field(default_factory=set)
    count: int = 0
    is_too_much: bool = False

    @property
    def is_empty(self) -> bool:
        return not (self.keys or self.parents or self.whole)

    def add(self, into: dict[str, set[int]], table: str, keys: Collection[int]) -> None:
        """Keys of a table, into `self.keys` or `self.parents`: up to so many that single records
        are no way to look at them."""
        if self.is_too_much:
            return
        known = into.setdefault(table, set())
        before = len(known)
        known.update(keys)
        self.count += len(known) - before
        if self.count > MOST_KEYS:
            self.is_too_much = True
            self.whole.add(too_many(MOST_KEYS))
            self.keys.clear()
            self.parents.clear()

    def join(self, other: Touched) -> None:
        """Add what a later transaction has touched."""
        self.whole |= other.whole
        for into, keys in ((self.keys, other.keys), (self.parents, other.parents)):
            for table, numbers in keys.items():
                self.add(into, table, numbers)
        self.transactions += other.transactions
        self.xids |= other.xids
        times = [at for at in (self.oldest, self.newest, other.oldest, other.newest) if at]
        self.oldest, self.newest = (min(times), max(times)) if times else (None, None)


@dataclass(frozen=True)
class _Reader:
    """Where in the rows of a table the keys are that are followed."""

    followed: Followed
    key: int
    parent: int
    tells_key: bool
    tells_parent: bool

    @classmethod
    def of(cls, followed: Followed, relation: Relation, is_partitioned: bool) -> _Reader:
        """Raises KeyError with the name of a column that is not there.

        The parts of a partitioned table have replica identities of their own, of which its
        columns tell nothing: only what comes is known.
        """
        places = {name: at for at, (name, _) in enumerate(relation.columns)}
        key = places[followed.key]
        parent = places[followed.parent] if followed.parent else -1
        return cls(
            followed,
            key,
            parent,
            tells_key=is_partitioned or relation.columns[key][1],
            tells_parent=parent >= 0 and not is_partitioned and relation.columns[parent][1],
        )


class Transactions:
    """Reads messages one by one; what a transaction has touched is given out when it is whole."""

    def __init__(
        self, schema: str, followed: Sequence[Followed], partitioned: Collection[str]
    ) -> None:
        self._schema = schema
        self._followed = followed
        self._partitioned = partitioned
        self._readers: dict[int, Sequence[_Reader]] = {}
        self._reasons: dict[int, str] = {}
        self._begun: Begin | None = None
        self._touched = Touched()
        self.end = 0

    @property
    def is_inside(self) -> bool:
        """Whether a transaction has begun and is not whole."""
        return self._begun is not None

    def needs(self, payload: bytes) -> bool:
        """Whether a message has to be read: of a bulk change, not every row."""
        return not (self._touched.is_too_much and payload[:1] in _ROWS)

    def read(self, message: Message) -> Touched | None:
        """What a transaction has touched, when the message ends one."""
        if isinstance(message, Begin):
            self._begun, self._touched = message, Touched()
        elif isinstance(message, Commit):
            self.end = message.end
            return self._whole()
        elif isinstance(message, Relation):
            self._look_at(message)
        elif isinstance(message, Row):
            self._row(message)
        elif isinstance(message, Truncated):
            self._truncated(message)
        return None

    def _whole(self) -> Touched:
        touched, begun = self._touched, self._begun
        self._begun, self._touched = None, Touched()
        if begun is not None and not touched.is_empty:
            touched.transactions = 1
            touched.oldest = touched.newest = begun.committed_at
            touched.xids.add(begun.xid)
        return touched

    def _look_at(self, relation: Relation) -> None:
        """A table's columns are told before its first change, and again when they may differ."""
        self._readers.pop(relation.number, None)
        self._reasons.pop(relation.number, None)
        followed = [f for f in self._followed if f.table == relation.name]
        if relation.schema != self._schema or not followed:
            return
        is_partitioned = relation.name in self._partitioned
        try:
            readers = [_Reader.of(each, relation, is_partitioned) for each in followed]
        except KeyError as error:
            reason = f"{relation.name} has no column {error.args[0]} any more"
            self._reasons[relation.number] = reason
            return
        self._readers[relation.number] = readers

    def _row(self, row: Row) -> None:
        if reason := self._reasons.get(row.relation):
            self._touched.whole.add(reason)
        for reader in self._readers.get(row.relation, ()):
            try:
                self._keys(reader, row)
            except ValueError:
                table = reader.followed.table
                self._touched.whole.add(f"{table} has keys that are no whole numbers")

    def _keys(self, reader: _Reader, row: Row) -> None:
        touched, table = self._touched, reader.followed.table
        if not (row.is_old_known or reader.tells_key):
            touched.whole.add(
                f"the log does not tell which rows of {table} were changed: its replica identity "
                f"has no {reader.followed.key}"
            )
            return
        keys = _numbers(reader.key, row)
        if not reader.followed.parent:
            touched.add(touched.keys, table, keys)
            return
        if parents := _numbers(reader.parent, row):
            touched.add(touched.parents, table, parents)
        # Of an identity that has not changed, no old row comes: the parent is the same.
        if not (row.is_old_known or reader.tells_parent):
            touched.add(touched.keys, table, keys)

    def _truncated(self, message: Truncated) -> None:
        for number in message.relations:
            for reader in self._readers.get(number, ()):
                self._touched.whole.add(f"{reader.followed.table} was emptied (TRUNCATE)")


def _numbers(at: int, row: Row) -> set[int]:
    """The numbers at a place of the old and the new row. Raises ValueError for what is none."""
    found = set()
    for values in (row.old, row.new):
        value = values[at] if values is not None else None
        if value is not None:
            if not value.removeprefix(b"-").isdigit():
                raise ValueError
            found.add(int(value))
    return found


def by_table(followed: Sequence[Followed]) -> Mapping[str, Sequence[Followed]]:
    """What is followed, each once, by its table."""
    tables: dict[str, list[Followed]] = {}
    for each in dict.fromkeys(followed):
        tables.setdefault(each.table, []).append(each)
    return tables
