"""What a restore has seen of the records that it is to change: digests, on disk while it lasts."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import orjson

from utils.error_handler import StorageError
from utils.files.storage import Closes, open_private, temporary_directory
from utils.wording.invocation import again


@dataclass
class SeenItem:
    """The digests of what the table had under a key, and of what the backup has; "" for nothing."""

    found: str = ""
    wanted: str = ""

    @property
    def differs(self) -> bool:
        return self.found != self.wanted


@dataclass(frozen=True)
class SeenRecord:
    """A record (JSON of its partition key's value in a list), and all that was seen under its
    keys (JSON of the values in a list)."""

    record: bytes
    items: Mapping[bytes, SeenItem]

    @property
    def only_deletes(self) -> bool:
        """Whether nothing of it is to be put."""
        return not any(each.differs and each.wanted for each in self.items.values())


class SeenRecords(Closes):
    """Looks in a file below `scratch`, for one thread. A context manager.

    Its methods raise StorageError when the file cannot be used.
    """

    def __init__(self, scratch: Path) -> None:
        self._directory = temporary_directory(scratch)
        path = self._directory / "looks"
        open_private(path, "wb").close()
        self._file = sqlite3.connect(path, isolation_level=None)
        for statement in (
            "PRAGMA journal_mode=OFF",  # it need not outlast this process
            "PRAGMA synchronous=OFF",
            "CREATE TABLE looks (record BLOB PRIMARY KEY, items BLOB) WITHOUT ROWID",
        ):
            self._do(statement)

    def close(self) -> None:
        self._file.close()
        shutil.rmtree(self._directory, ignore_errors=True)

    def add(self, looks: Iterable[SeenRecord]) -> None:
        """Keep looks, each of another record."""
        self._do("BEGIN")
        for look in looks:
            items = [[key.decode(), each.found, each.wanted] for key, each in look.items.items()]
            self._do("INSERT INTO looks VALUES (?, ?)", (look.record, orjson.dumps(items)))
        self._do("COMMIT")

    def of(self, record: bytes) -> SeenRecord | None:
        """What was seen of a record; None when nothing of it was to be changed."""
        found = self._do("SELECT record, items FROM looks WHERE record = ?", (record,)).fetchone()
        return _look(*found) if found else None

    def __iter__(self) -> Iterator[SeenRecord]:
        for record, items in self._do("SELECT record, items FROM looks ORDER BY record"):
            yield _look(record, items)

    def _do(self, statement: str, values: tuple[object, ...] = ()) -> sqlite3.Cursor:
        try:
            return self._file.execute(statement, values)
        except sqlite3.Error as error:
            raise StorageError(
                f"{self._directory} cannot be used: {error}",
                remedy=f"free some space on the disk, then: {again()}",
            ) from error


def _look(record: bytes, items: bytes) -> SeenRecord:
    return SeenRecord(
        record,
        {key.encode(): SeenItem(found, wanted) for key, found, wanted in orjson.loads(items)},
    )
