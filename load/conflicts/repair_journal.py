"""What a repair does to the records of one entity, written down before it is done.

data/undo/{entity}.steps is a SQLite file: of every item that is written, what was under its key
before and what is there afterwards; of every record, a digest of each of its other items. So a
repair that was killed is known to the last item, and one that is undone takes nothing back from a
record that somebody has changed since.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import orjson

from load.conflicts.kept_file import AFTER, PAIR, KeptFile
from utils.dynamodb.item_content import Item, content_of, digest, is_same

_TABLES = (
    "CREATE TABLE IF NOT EXISTS steps"
    " (key TEXT PRIMARY KEY, old BLOB, new BLOB, done INTEGER NOT NULL)",
    "CREATE TABLE IF NOT EXISTS records (pk TEXT PRIMARY KEY, legacy_id TEXT, rest BLOB)",
)
# What was there first stays: it is what an undo gives back.
_STEP = (
    "INSERT INTO steps VALUES (?, ?, ?, 0)"
    " ON CONFLICT (key) DO UPDATE SET new = excluded.new, done = 0"
)
_RECORD = "INSERT OR REPLACE INTO records VALUES (?, ?, ?)"
_ALL = "SELECT key, old, new, done FROM steps"
CREATED, REPLACED, TAKEN_AWAY = "created", "replaced", "takenAway"


@dataclass(frozen=True)
class RepairStep:
    """A write: under `sk` there was `old` (None: nothing), and `new` is what a repair puts there.
    `done`: it is known to have been done."""

    sk: str
    old: Item | None
    new: Item | None
    done: bool = False

    @property
    def what(self) -> str:
        """What it does."""
        if self.new is None:
            return TAKEN_AWAY
        return CREATED if self.old is None else REPLACED

    def is_done_by(self, there: Item | None) -> bool:
        """Whether what is `there` is what the step leaves."""
        return there is None if self.new is None else is_same(there, self.new)

    def is_undone_by(self, there: Item | None) -> bool:
        """Whether what is `there` is what was there before."""
        return there is None if self.old is None else is_same(there, self.old)


@dataclass(frozen=True)
class RepairedRecord:
    """What is done to a record, and the digests of its `other` items by SK."""

    pk: str
    legacy_id: str
    steps: tuple[RepairStep, ...]
    other: Mapping[str, str]


def digests(items: Mapping[str, Item]) -> dict[str, str]:
    """The digests of items, by SK."""
    return {sk: digest(content_of(item)).decode() for sk, item in items.items()}


class RepairJournal(KeptFile):
    """The journal of one entity; safe to share between threads, and for as many processes as open
    it. A context manager. The methods raise StorageError when it cannot be written or is damaged.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path, _TABLES)

    def keep(self, records: Iterable[RepairedRecord]) -> None:
        """Write down durably what is about to be done."""
        known = list(records)
        if known:
            self._write(
                (_STEP, [_row(each.pk, step) for each in known for step in each.steps]),
                (_RECORD, [(e.pk, e.legacy_id, orjson.dumps(dict(e.other))) for e in known]),
            )

    def settle(
        self, done: Iterable[tuple[str, str]], *, not_done: Iterable[tuple[str, str]] = ()
    ) -> None:
        """Items (PK, SK) of which it is known by now that the step was done, or was not."""
        self._write(
            ("UPDATE steps SET done = 1 WHERE key = ?", [(PAIR.join(key),) for key in done]),
            ("DELETE FROM steps WHERE key = ? AND done = 0", [(PAIR.join(k),) for k in not_done]),
        )

    def forget(self, pk: str) -> None:
        """A record is as it was before."""
        under = (pk + PAIR, pk + AFTER)
        self._write(("DELETE FROM steps WHERE key >= ? AND key < ?", [under]))

    def unsettled(self) -> Iterator[RepairedRecord]:
        """The records with steps of which it is not known whether they were done; only these
        steps."""
        return self._read(f"{_ALL} WHERE done = 0")

    def records(self) -> Iterator[RepairedRecord]:
        """All records in the order of their keys."""
        return self._read(_ALL)

    def counts(self) -> dict[str, int]:
        """How many records there are, and how many items of them were created, replaced and taken
        away."""
        found = self._ask(
            "SELECT count(*), total(old IS NULL), total(new IS NULL) FROM steps WHERE done"
        )[0]
        items, created, taken = (int(each) for each in found)
        return {
            "records": sum(1 for _ in groupby(self._keys(), key=_pk)),
            CREATED: created,
            REPLACED: items - created - taken,
            TAKEN_AWAY: taken,
        }

    def _keys(self) -> Iterator[str]:
        """The keys of the steps that were done."""
        found = self._file.execute("SELECT key FROM steps WHERE done ORDER BY key")
        return (key for (key,) in found)

    def _read(self, query: str) -> Iterator[RepairedRecord]:
        last = ""
        while True:
            with self._storage_errors():
                rows = self._page(query, last)
            if not rows:
                return
            for pk, some in groupby(rows, key=lambda row: _pk(row[0])):
                yield self._record(pk, [_step(*row) for row in some])
            last = rows[-1][0]

    def _page(self, query: str, last: str) -> list[tuple[Any, ...]]:
        """The rows of the next records after the key `last`: about a hundred, none cut in two."""
        joined = "AND" if "WHERE" in query else "WHERE"
        rows = self._ask(f"{query} {joined} key > ? ORDER BY key LIMIT 100", (last,))
        if rows:
            pk = _pk(rows[-1][0])
            rest = (rows[-1][0], pk + AFTER)
            rows += self._ask(f"{query} {joined} key > ? AND key < ? ORDER BY key", rest)
        return rows

    def _record(self, pk: str, steps: Sequence[RepairStep]) -> RepairedRecord:
        found = self._ask("SELECT legacy_id, rest FROM records WHERE pk = ?", (pk,))
        legacy_id, rest = found[0] if found else ("", b"{}")
        return RepairedRecord(pk, legacy_id, tuple(steps), orjson.loads(rest))


def _row(pk: str, step: RepairStep) -> tuple[object, ...]:
    old, new = (None if each is None else orjson.dumps(each) for each in (step.old, step.new))
    return PAIR.join((pk, step.sk)), old, new


def _step(key: str, old: bytes | None, new: bytes | None, done: int) -> RepairStep:
    was, is_now = (None if each is None else orjson.loads(each) for each in (old, new))
    return RepairStep(key.partition(PAIR)[2], was, is_now, bool(done))


def _pk(key: str) -> str:
    return key.partition(PAIR)[0]
