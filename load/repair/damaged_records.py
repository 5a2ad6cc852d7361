"""Which records a repair is about: the differences that a verification has left, each with the
place where the transformed file has that record.

Both are read once, in constant memory: the differences go into a scratch file by their keys, and
the transformed file is passed through for the lines that open a record.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from load.conflicts.kept_file import KeptFile
from load.rollback.key_set import KeySet
from load.writing.batches import record_key
from utils.differences import RecordDifference, read_differences
from utils.files.elsewhere import size_of
from utils.files.pieces import ByteRange, data_at, headers_in, lines_in, places, portions

_TABLES = ("CREATE TABLE wanted (pk TEXT PRIMARY KEY, line BLOB) WITHOUT ROWID",)
_TOGETHER = 1_000  # rows that are written at once


@dataclass(frozen=True)
class Damaged:
    """A record that is not as it is in S9: what the verification has said of its items, by SK, and
    the bytes of the transformed file that are its lines (None: it is not in there)."""

    pk: str
    legacy_id: str
    hows: dict[str, str]
    place: ByteRange | None = None

    def lines(self, transformed: Path) -> list[bytes]:
        """Its lines in the transformed file."""
        return lines_in(transformed, self.place) if self.place else []


def counted_by_kind(path: Path) -> dict[str, int]:
    """How many items a file of differences has of which kind."""
    kinds: Counter[str] = Counter()
    for record in read_differences(path):
        kinds.update(item.how for item in record.items)
    return dict(sorted(kinds.items()))


class DamagedRecords(KeptFile):
    """The records with a difference of these `kinds`. A context manager; `scratch` is a file that
    is not there yet."""

    def __init__(self, scratch: Path, differences: Path, kinds: Collection[str]) -> None:
        super().__init__(scratch, _TABLES, durable=False)
        self._scratch = scratch
        self._keys = KeySet()
        self._found: list[tuple[object, ...]] = []
        self.count = 0
        wanted = (
            (record.pk, record.as_line())
            for record in read_differences(differences)
            if not record.kinds.isdisjoint(kinds) and isinstance(record.pk, str)
        )
        for rows in portions(wanted, _TOGETHER, lambda row: len(row[1])):
            for pk, _ in rows:
                self._keys.add(pk)
            self.count += len(rows)
            self._write(("INSERT OR REPLACE INTO wanted VALUES (?, ?)", rows))

    def close(self) -> None:
        super().close()
        self._scratch.unlink(missing_ok=True)

    def in_file(self, transformed: Path) -> Iterator[Damaged]:
        """Those that the transformed file has, in its order; to be asked once, and before the
        others."""
        size = size_of(transformed)
        last, begin = "", 0
        for pk, start in chain(_headers(transformed, size), [("", size)]):
            if last in self._keys and (line := self._line(last)):
                self._found.append((last,))
                if len(self._found) == _TOGETHER:
                    self._forget_found()
                yield _damaged(line, ByteRange(begin, start))
            last, begin = pk, start

    def elsewhere(self) -> Iterator[Damaged]:
        """Those that it does not have."""
        self._forget_found()
        last = ""
        while rows := self._ask(
            "SELECT pk FROM wanted WHERE pk > ? ORDER BY pk LIMIT ?", (last, _TOGETHER)
        ):
            for (last,) in rows:
                yield _damaged(self._line(last), None)

    def _forget_found(self) -> None:
        found, self._found = self._found, []
        self._write(("DELETE FROM wanted WHERE pk = ?", found))

    def _line(self, pk: str) -> bytes:
        rows = self._ask("SELECT line FROM wanted WHERE pk = ?", (pk,))
        return bytes(rows[0][0]) if rows else b""


def _headers(path: Path, size: int) -> Iterator[tuple[str, int]]:
    """The partition key of every record of a transformed file, and where it begins."""
    for place in places(size):
        begin, data = data_at(path, place)
        for start, end in headers_in(data):
            yield record_key(data[start:end]), begin + start


def _damaged(line: bytes, place: ByteRange | None) -> Damaged:
    record = RecordDifference.of_line(line)
    hows = {str(each.sk): each.how for each in record.items}
    return Damaged(record.pk, record.legacy_id, hows, place)
