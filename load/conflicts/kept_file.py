"""A SQLite file in which items are kept durably before the table is changed.

Many threads and processes may be at it. A damaged or full file is a StorageError. Where the files
of the migration are kept in S3, what is kept is there as well before the table is changed
(utils/working_copy/kept.py), and the file has a number of its own, by which it is known there.
"""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Lock
from typing import Any

from load.writing.conditional_writer import text_key
from utils.dynamodb.item_content import Item
from utils.error_handler import StorageError
from utils.files.storage import Closes, open_private, require_plain
from utils.wording.invocation import again
from utils.working_copy import kept

PAIR, AFTER = "\0", "\1"  # between PK and SK of a key, and after every key of a PK
_PATIENCE = 60.0  # seconds for which another process may be writing


class KeptFile(Closes):
    """The file, with what `tables` (CREATE statements) are in it; safe to share between threads,
    and for as many processes as open it. A context manager.

    What is not `durable` need not outlast this process. The methods raise StorageError when the
    file cannot be written or is damaged.
    """

    def __init__(self, path: Path, tables: Sequence[str], *, durable: bool = True) -> None:
        self._path = path
        self._lock = Lock()
        open_private(path, "ab").close()
        for beside in ("-journal", "-wal", "-shm"):  # which SQLite opens by itself
            require_plain(path.with_name(path.name + beside))
        self._file = sqlite3.connect(
            path, timeout=_PATIENCE, check_same_thread=False, isolation_level=None
        )
        self._do(f"PRAGMA synchronous={'FULL' if durable else 'OFF'}")
        for statement in tables:
            self._do(statement)
        self._life = self._named() if durable and kept.is_kept_elsewhere(path) else 0

    def _named(self) -> int:
        """The number of this file; it gets one where it has none."""
        self._do("BEGIN IMMEDIATE")
        life = int(self._do("PRAGMA user_version")[0][0])
        if not life:
            life = secrets.randbelow(2**31 - 1) + 1
            self._do(f"PRAGMA user_version={life}")
        self._do("COMMIT")
        return life

    def close(self) -> None:
        self._file.close()

    def _ask(self, statement: str, values: tuple[object, ...] = ()) -> list[tuple[Any, ...]]:
        """What a statement finds."""
        with self._lock:
            return self._do(statement, values)

    def _write(self, *changes: tuple[str, Iterable[tuple[object, ...]]]) -> None:
        """Do statements, each with all of its rows, together and durably."""
        known = [(statement, list(rows)) for statement, rows in changes]
        self._write_here(known)
        if self._life:
            kept.keep(self._path, self._life, known)

    def _write_here(self, changes: Sequence[tuple[str, Sequence[tuple[object, ...]]]]) -> None:
        with self._lock:
            self._do("BEGIN IMMEDIATE")
            try:
                for statement, rows in changes:
                    with self._storage_errors():
                        self._file.executemany(statement, rows)
                self._do("COMMIT")
            except StorageError:
                with suppress(sqlite3.Error):
                    self._file.execute("ROLLBACK")
                raise

    def _do(self, statement: str, values: tuple[object, ...] = ()) -> list[tuple[Any, ...]]:
        with self._storage_errors():
            return self._file.execute(statement, values).fetchall()

    @contextmanager
    def _storage_errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise StorageError(
                f"{self._path} cannot be used: {error}",
                remedy=f"free some space on the disk, or put the file back, then run: {again()}",
            ) from error


def key_text(item: Item) -> str:
    """The key of an item as the file has it."""
    return PAIR.join(text_key(item))
