"""The followed tables as PostgreSQL describes them: whether their log can be read, and what would
change them without a word in the log."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from extract.change_log.change_log import Followed
from extract.change_log.postgresql.control import Control
from extract.change_log.postgresql.touched import by_table

_ORDINARY, _PARTITIONED = "r", "p"
_FULL = "f"
ROOTS_SINCE = 130000
# A table with the parts that it is made of. Only the first columns of an index are its key.
_MEMBERS = """
    WITH RECURSIVE member(root, number) AS (
        SELECT c.oid, c.oid FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
        WHERE n.nspname = %s AND c.relname = ANY(%s)
            AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
        UNION ALL
        SELECT m.root, i.inhrelid FROM member AS m JOIN pg_inherits AS i ON i.inhparent = m.number
    )
    SELECT r.relname::text, c.oid::bigint, c.relname::text, c.relkind::text,
        c.relpersistence::text, c.relreplident::text, c.relfilenode::bigint, c.relispartition,
        pg_has_role(c.relowner, 'USAGE'),
        array(SELECT a.attname::text FROM pg_index AS x JOIN pg_attribute AS a
            ON a.attrelid = x.indrelid
                AND a.attnum = ANY((x.indkey::int2[])[0:x.{keys} - 1])
            WHERE x.indrelid = c.oid AND x.indisvalid AND x.indimmediate
                AND CASE c.relreplident WHEN 'd' THEN x.indisprimary
                    WHEN 'i' THEN x.indisreplident ELSE false END),
        array(SELECT x.indexrelid::regclass::text FROM pg_index AS x WHERE x.indrelid = c.oid
            AND x.indisvalid AND x.indisunique AND x.indimmediate AND x.indpred IS NULL
            AND NOT EXISTS (SELECT 1 FROM unnest((x.indkey::int2[])[0:x.{keys} - 1]) AS k
                LEFT JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum = k AND a.attnotnull
                WHERE a.attnum IS NULL)),
        (SELECT json_agg(json_build_array(a.attname, a.attnum, a.atttypid::bigint, a.atttypmod)
            ORDER BY a.attnum) FROM pg_attribute AS a WHERE a.attrelid = c.oid AND a.attnum > 0)
    FROM member AS m JOIN pg_class AS c ON c.oid = m.number JOIN pg_class AS r ON r.oid = m.root
    ORDER BY 1, 2
"""


@dataclass(frozen=True)
class Member:
    """A table, or a part of it; `identity` are the columns of its replica identity, `unique` the
    indexes that could serve as one."""

    number: int
    name: str
    kind: str
    persistence: str
    replica_identity: str
    file: int
    is_part: bool
    is_owned: bool
    identity: frozenset[str]
    unique: tuple[str, ...]
    columns: tuple[tuple[Any, ...], ...]

    def tells(self, column: str) -> bool:
        """Whether the log has the old value of a column when a row is changed."""
        return self.replica_identity == _FULL or column in self.identity


@dataclass(frozen=True)
class TableFacts:
    """A followed table: itself first, then the parts of which it is made. `joins_parts` tells
    whether this version's log can call the parts by the table's name."""

    followed: Sequence[Followed]
    members: Sequence[Member]
    joins_parts: bool = True

    @property
    def itself(self) -> Member | None:
        return next((m for m in self.members if m.name == self.followed[0].table), None)

    @property
    def is_partitioned(self) -> bool:
        return any(m.kind == _PARTITIONED for m in self.members)

    @property
    def with_rows(self) -> Sequence[Member]:
        """What rows are in."""
        return [m for m in self.members if m.kind != _PARTITIONED]

    @property
    def fingerprint(self) -> str:
        """Changes with what the log may not tell: another table of this name, another set of
        parts, other columns, all rows rewritten or taken away."""
        seen = [(m.number, m.file, m.replica_identity, m.columns) for m in self.members]
        return hashlib.sha256(json.dumps(seen).encode()).hexdigest()[:16]

    def unreadable(self) -> str:
        """Why no log of it can be read, whatever a DBA does; "" when it can be."""
        return next(self._obstacles(), "")

    def _obstacles(self) -> Iterator[str]:
        table, itself = self.followed[0].table, self.itself
        if itself is None:
            yield f"there is no table {table}"
            return
        if itself.kind not in (_ORDINARY, _PARTITIONED):
            yield f"{table} is no table (a view, or a foreign table)"
        if any(m.kind not in (_ORDINARY, _PARTITIONED) for m in self.members):
            yield f"a part of {table} is a foreign table"
        if itself.kind == _ORDINARY and len(self.members) > 1:
            yield f"other tables inherit from {table}"
        if itself.is_part:
            yield f"{table} is a part of another table"
        if self.is_partitioned and not self.joins_parts:
            yield f"{table} is partitioned, and the log tells of that since PostgreSQL 13"
        if any(m.persistence != "p" for m in self.members):
            yield f"{table} is unlogged or temporary"
        names = {name for name, *_ in itself.columns}
        for followed in self.followed:
            for column in filter(None, (followed.key, followed.parent)):
                if column not in names:
                    yield f"{table} has no column {column}"

    def without_identity(self) -> list[tuple[Member, str]]:
        """The parts whose log does not tell the key of a row that is changed or deleted, with the
        key: of such a table S9 could change nothing any more as soon as it were published."""
        keys = sorted({followed.key for followed in self.followed})
        return [(m, key) for m in self.with_rows for key in keys if not m.tells(key)]


def facts_of(
    control: Control, schema: str, followed: Sequence[Followed]
) -> Mapping[str, TableFacts]:
    """The followed tables by name, whether they are there or not. Nothing waits for a lock."""
    tables = by_table(followed)
    keys = "indnkeyatts" if control.version >= 110000 else "indnatts"
    members: dict[str, list[Member]] = {name: [] for name in tables}
    for root, *values in control.rows(_MEMBERS.replace("{keys}", keys), schema, [*tables]):
        members[root].append(_member(values))
    return {
        name: TableFacts(
            each,
            sorted(members[name], key=lambda m: m.name != name),
            control.version >= ROOTS_SINCE,
        )
        for name, each in tables.items()
    }


def _member(values: Sequence[Any]) -> Member:
    *plain, identity, unique, columns = values
    number, name, kind, persistence, replica, file, is_part, is_owned = plain
    return Member(
        number,
        name,
        kind,
        persistence,
        replica,
        file,
        is_part,
        is_owned,
        frozenset(identity),
        tuple(unique),
        tuple(map(tuple, columns or ())),
    )
