"""What the table held before the run under keys that the run has replaced, or taken away.

data/undo/{entity}.before is a SQLite file, because it must take an item durably before the item is
replaced, and find it again by its key. What is in it stays until the run is over for good: a
rollback puts it back. What is in it under the partition key of a record, and is none of the lines
that the file has of that record, was taken away with it because S9 no longer has it: it comes back
with the record.

A repair of what was loaded (load/repair) adds to it what the rollback of the load is to know of it:
items that were there before the run, and that the repair has taken away (`apart` are those of
records that the file does not have), and what it has written otherwise than the load (`repaired`),
because S9 has changed. A sync keeps the records that S9 no longer has in the same way, whole,
before it takes them away; of those that are deleted softly also what opens them then (`softened`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import orjson

from load.conflicts.kept_file import AFTER, PAIR, KeptFile, key_text
from load.writing.conditional_writer import text_key
from utils.dynamodb.item_content import Item

Stored = tuple[Item, bytes]  # an item, and the same in JSON
_TABLES = (
    # Items are long: they stay in the order in which they come, only their keys are sorted.
    "CREATE TABLE IF NOT EXISTS before (key TEXT PRIMARY KEY, item BLOB)",
    "CREATE TABLE IF NOT EXISTS taken (key TEXT PRIMARY KEY) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS apart (key TEXT PRIMARY KEY) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS repaired (key TEXT PRIMARY KEY, item BLOB)",
    "CREATE TABLE IF NOT EXISTS softened (key TEXT PRIMARY KEY, item BLOB)",
)


class ReplacedItems(KeptFile):
    """The replaced items of one entity; safe to share between threads, and for as many processes as
    open it. A context manager.

    What is not `durable` need not outlast this process. The methods raise StorageError when the
    file cannot be written or is damaged.
    """

    def __init__(self, path: Path, *, durable: bool = True) -> None:
        super().__init__(path, _TABLES, durable=durable)

    def keep(
        self,
        items: Iterable[Stored],
        *,
        taken: Iterable[Stored] = (),
        apart: Iterable[Stored] = (),
        softened: Iterable[Stored] = (),
    ) -> None:
        """Keep items that are about to be replaced, and those that are about to be taken away
        (`apart`: of records that the file does not have), durably. What was kept first stays.
        `softened` are the items that are about to be written in the place of some of these."""
        gone, beside = list(taken), list(apart)
        rows = [(key_text(item), text) for item, text in (*items, *gone, *beside)]
        if rows:
            self._write(
                ("INSERT OR IGNORE INTO before VALUES (?, ?)", rows),
                ("INSERT OR IGNORE INTO taken VALUES (?)", _keys(gone)),
                ("INSERT OR IGNORE INTO apart VALUES (?)", _keys(beside)),
                (
                    "INSERT OR REPLACE INTO softened VALUES (?, ?)",
                    [(key_text(item), text) for item, text in softened],
                ),
            )

    def has_repaired(self, items: Iterable[Stored]) -> None:
        """These items are about to be written, and are not as the load has them; durably."""
        rows = [(key_text(item), text) for item, text in items]
        if rows:
            self._write(("INSERT OR REPLACE INTO repaired VALUES (?, ?)", rows))

    def find(self, item: Item) -> dict[str, Any] | None:
        """What was there before under the key of `item`; None when nothing was replaced."""
        rows = self._ask("SELECT item FROM before WHERE key = ?", (key_text(item),))
        found: dict[str, Any] | None = orjson.loads(rows[0][0]) if rows else None
        return found

    def taken_from(self) -> frozenset[str]:
        """The partition keys of the records from which items were taken away, or were about to
        be."""
        return frozenset(_pk(key) for (key,) in self._ask("SELECT key FROM taken"))

    def taken_count(self) -> int:
        """How many items were taken away."""
        return int(self._ask("SELECT count(*) FROM taken")[0][0])

    def apart(self) -> Iterator[str]:
        """The partition keys of records that the file does not have, and that a repair or a sync
        has taken away although they were there before the run."""
        after = ""
        while found := self._ask("SELECT min(key) FROM apart WHERE key >= ?", (after,))[0][0]:
            yield _pk(found)
            after = _pk(found) + AFTER

    def softened_of(self, pks: Sequence[str]) -> list[dict[str, Item]]:
        """For each of these partition keys what was made of items that were there, by SK."""
        return self._of_records(pks, "softened")

    def any_softened(self) -> Item | None:
        """One of the items that `softened_of` finds."""
        rows = self._ask("SELECT item FROM softened LIMIT 1")
        found: Item | None = orjson.loads(rows[0][0]) if rows else None
        return found

    def of_record(self, pk: str) -> dict[str, Item]:
        """What was there before under a partition key, by SK: what was replaced or taken away."""
        return self._under(pk, "before")

    def of_records(self, pks: Sequence[str]) -> list[dict[str, Item]]:
        """`of_record` of each of these partition keys."""
        return self._of_records(pks, "before")

    def repaired_of(self, pks: Sequence[str]) -> list[dict[str, Item]]:
        """For each of these partition keys what a repair has written otherwise than the load, by
        SK."""
        return self._of_records(pks, "repaired")

    def count(self) -> int:
        """How many items were replaced or taken away."""
        return int(self._ask("SELECT count(*) FROM before")[0][0])

    def _of_records(self, pks: Sequence[str], table: str) -> list[dict[str, Item]]:
        is_empty = not self._ask(f"SELECT 1 FROM {table} LIMIT 1")
        return [{} if is_empty else self._under(pk, table) for pk in pks]

    def _under(self, pk: str, table: str) -> dict[str, Item]:
        rows = self._ask(
            f"SELECT item FROM {table} WHERE key >= ? AND key < ?", (pk + PAIR, pk + AFTER)
        )
        items = [orjson.loads(item) for (item,) in rows]
        return {text_key(item)[1]: item for item in items}


def _keys(items: Iterable[Stored]) -> list[tuple[str]]:
    return [(key_text(item),) for item, _ in items]


def _pk(key: str) -> str:
    return key.partition(PAIR)[0]
