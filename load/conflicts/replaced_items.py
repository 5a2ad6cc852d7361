"""What the table held before the run under keys that the run has replaced, or taken away.

data/undo/{entity}.before is a SQLite file, because it must take an item durably before the item is
replaced, and find it again by its key. What is in it stays until the run is over for good: a
rollback puts it back. What is in it under the partition key of a record, and is none of the lines
that the file has of that record, was taken away with it because S9 no longer has it: it comes back
with the record.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Lock
from typing import Any

import orjson

from load.writing.conditional_writer import text_key
from utils.dynamodb.item_content import Item
from utils.error_handler import StorageError
from utils.files.closing import Closes
from utils.files.storage import open_private, require_plain
from utils.wording.invocation import again

_PATIENCE = 60.0  # seconds for which another process may be writing
_PAIR, _AFTER = "\0", "\1"
Stored = tuple[Item, bytes]  # an item, and the same in JSON


class ReplacedItems(Closes):
    """The replaced items of one entity; safe to share between threads, and for as many processes as
    open it. A context manager.

    What is not `durable` need not outlast this process. The methods raise StorageError when the
    file cannot be written or is damaged.
    """

    def __init__(self, path: Path, *, durable: bool = True) -> None:
        self._path = path
        self._lock = Lock()
        open_private(path, "ab").close()
        for beside in ("-journal", "-wal", "-shm"):  # which SQLite opens by itself
            require_plain(path.with_name(path.name + beside))
        self._file = sqlite3.connect(
            path, timeout=_PATIENCE, check_same_thread=False, isolation_level=None
        )
        for statement in (
            f"PRAGMA synchronous={'FULL' if durable else 'OFF'}",
            # Items are long: they stay in the order in which they come, only their keys are sorted.
            "CREATE TABLE IF NOT EXISTS before (key TEXT PRIMARY KEY, item BLOB)",
            "CREATE TABLE IF NOT EXISTS taken (key TEXT PRIMARY KEY) WITHOUT ROWID",
        ):
            self._do(statement)

    def close(self) -> None:
        self._file.close()

    def keep(self, items: Iterable[Stored], *, taken: Iterable[Stored] = ()) -> None:
        """Keep items that are about to be replaced, and those that are about to be taken away,
        durably. What was kept first stays."""
        gone = list(taken)
        keys = [(_PAIR.join(text_key(item)),) for item, _ in gone]
        rows = [(_PAIR.join(text_key(item)), text) for item, text in (*items, *gone)]
        if not rows:
            return
        with self._lock:
            self._do("BEGIN IMMEDIATE")
            try:
                self._do_each("INSERT OR IGNORE INTO before VALUES (?, ?)", rows)
                self._do_each("INSERT OR IGNORE INTO taken VALUES (?)", keys)
                self._do("COMMIT")
            except StorageError:
                with suppress(sqlite3.Error):
                    self._file.execute("ROLLBACK")
                raise

    def find(self, item: Item) -> dict[str, Any] | None:
        """What was there before under the key of `item`; None when nothing was replaced."""
        with self._lock:
            rows = self._do("SELECT item FROM before WHERE key = ?", (_PAIR.join(text_key(item)),))
        found: dict[str, Any] | None = orjson.loads(rows[0][0]) if rows else None
        return found

    def taken_from(self) -> frozenset[str]:
        """The partition keys of the records from which items were taken away, or were about to
        be."""
        with self._lock:
            rows = self._do("SELECT key FROM taken")
        return frozenset(str(key).partition(_PAIR)[0] for (key,) in rows)

    def taken_count(self) -> int:
        """How many items were taken away."""
        with self._lock:
            return int(self._do("SELECT count(*) FROM taken")[0][0])

    def of_record(self, pk: str) -> dict[str, Item]:
        """What was there before under a partition key, by SK: what was replaced or taken away."""
        with self._lock:
            rows = self._do(
                "SELECT item FROM before WHERE key >= ? AND key < ?", (pk + _PAIR, pk + _AFTER)
            )
        items = [orjson.loads(item) for (item,) in rows]
        return {text_key(item)[1]: item for item in items}

    def of_records(self, pks: Sequence[str]) -> list[dict[str, Item]]:
        """`of_record` of each of these partition keys."""
        with self._lock:
            is_empty = not self._do("SELECT 1 FROM before LIMIT 1")
        return [{} if is_empty else self.of_record(pk) for pk in pks]

    def count(self) -> int:
        """How many items were replaced or taken away."""
        with self._lock:
            return int(self._do("SELECT count(*) FROM before")[0][0])

    def _do(self, statement: str, values: tuple[object, ...] = ()) -> list[tuple[Any, ...]]:
        with self._storage_errors():
            return self._file.execute(statement, values).fetchall()

    def _do_each(self, statement: str, rows: Iterable[tuple[object, ...]]) -> None:
        with self._storage_errors():
            self._file.executemany(statement, rows)

    @contextmanager
    def _storage_errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise StorageError(
                f"{self._path} cannot be used: {error}",
                remedy=f"free some space on the disk, or put the file back, then run: {again()}",
            ) from error
