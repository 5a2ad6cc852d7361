"""The key index of a backup: which items there were, without a word of what is in them.

`keys.bin` is a sorted sequence of records of 57 bytes, one an item:

     8  BLAKE2b of the partition key's value, as a JSON list of one
     8  BLAKE2b of the key's attribute values, as a JSON list in the order of the key schema
    16  BLAKE2b of the item's canonical form (utils/dynamodb/item_content.py)
    24  `updatedAt` as it stands in the item, padded with blanks
     1  "m" when the item carries `legacyId` (a migration wrote it), else "-"

So what stands under one partition key stands together. (Backups of form 1 have 16 bytes of the
second in the place of the first two: they can be asked for single items only.)

All digests are keyed with the backup's salt. So the file answers "was it there, and was it the
same?" also for an encrypted backup that nobody here can open, and tells nothing else.
"""

from __future__ import annotations

import os
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from math import isqrt
from pathlib import Path
from typing import Any

import orjson

from utils.dynamodb.item_content import content
from utils.files.storage import Closes, make_directory, open_private, storage_errors

Item = Mapping[str, Any]

DIGEST = 16
FORM = 2
_PARTITION = 8
_MOMENT = 24
RECORD = 2 * DIGEST + _MOMENT + 1
_BUCKETS = 256
_FEW = 512  # records that are read at once
_TOGETHER = 4096
_BLOCK = _TOGETHER * RECORD
_MIGRATED = ord("m")


@dataclass(frozen=True)
class KeyEntry:
    """What the index knows of one item; `updated_at` is "" where the item has none, `place` is the
    number of its record in the index, `key` the digest of its key."""

    digest: bytes
    updated_at: str
    migrated: bool
    place: int = 0
    key: bytes = b""


@dataclass(frozen=True)
class Digests:
    """How keys and contents are digested in one backup; `form` is that of its index."""

    key_names: tuple[str, ...]
    salt: bytes
    form: int = FORM

    def key(self, item: Item) -> bytes:
        """The digest of an item's key; only the attributes of the key need be there."""
        return self._key([orjson.dumps(item[name]) for name in self.key_names])

    def partition(self, item: Item) -> bytes:
        """The digest of an item's partition key, with which that of its key begins."""
        return self._partition(orjson.dumps(item[self.key_names[0]]))

    def _key(self, values: Sequence[bytes]) -> bytes:
        text = b"[%b]" % b",".join(values)
        if self.form == 1:
            return blake2b(text, digest_size=DIGEST, key=self.salt).digest()
        whole = blake2b(text, digest_size=DIGEST - _PARTITION, key=self.salt).digest()
        return self._partition(values[0]) + whole

    def _partition(self, value: bytes) -> bytes:
        return _of_partition(value, self.salt)

    def content(self, text: bytes) -> bytes:
        """The digest of an item in its canonical form (`content`,
        utils/dynamodb/item_content.py)."""
        return blake2b(text, digest_size=DIGEST, key=self.salt).digest()

    def record(
        self, values: Sequence[bytes], text: bytes, updated: bytes, *, migrated: bool
    ) -> bytes:
        """The record of an item: `values` are the JSON texts of its key's attributes, `text` is its
        canonical form, `updated` when it says that it was changed (empty: it does not)."""
        moment = updated[:_MOMENT].ljust(_MOMENT)
        mark = b"m" if migrated else b"-"
        return self._key(values) + self.content(text) + moment + mark


@lru_cache(maxsize=256)
def _of_partition(value: bytes, salt: bytes) -> bytes:
    """The items of a record follow each other."""
    return blake2b(b"[%b]" % value, digest_size=_PARTITION, key=salt).digest()


class KeyIndex(Closes):
    """Looks keys up in a `keys.bin`, a few reads each, in constant memory. A context manager."""

    def __init__(self, path: Path, digests: Digests) -> None:
        self._digests = digests
        self._file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self._count = os.fstat(self._file).st_size // RECORD

    def __len__(self) -> int:
        return self._count

    def close(self) -> None:
        os.close(self._file)

    def find(self, item: Item) -> KeyEntry | None:
        """What was there under the key of `item`, None when nothing was."""
        return next(self._from(self._digests.key(item)), None)

    def under(self, item: Item) -> dict[bytes, KeyEntry] | None:
        """Everything that was there under the partition key of `item`, by `key_of`; None where the
        index does not know (form 1)."""
        if self._digests.form == 1:
            return None
        return {entry.key: entry for entry in self._from(self._digests.partition(item))}

    def key_of(self, item: Item) -> bytes:
        """The digest of the key of `item`."""
        return self._digests.key(item)

    def has_left_over(self, seen: bytearray, enough: int) -> bool:
        """Whether an item that carries `legacyId` has less than `enough` in `seen`, which has a
        byte for each record of the index."""
        for first in range(0, self._count, _TOGETHER):
            marks = self._read(first, min(_TOGETHER, self._count - first))[RECORD - 1 :: RECORD]
            look = zip(marks, seen[first : first + len(marks)], strict=True)
            if any(mark == _MIGRATED and known < enough for mark, known in look):
                return True
        return False

    def _from(self, wanted: bytes) -> Iterator[KeyEntry]:
        """The entries of which the key's digest begins with `wanted`."""
        low, high = self._window(wanted)
        while high - low > _FEW:
            middle = (low + high) // 2
            if self._read(middle, 1)[: len(wanted)] < wanted:
                low = middle
            else:
                high = middle
        while block := self._read(low, _FEW):
            for at in range(_place_in(block, wanted), len(block) // RECORD):
                record = block[at * RECORD : (at + 1) * RECORD]
                if not record.startswith(wanted):
                    return
                yield _entry(record, low + at)
            low += _FEW

    def is_same(self, entry: KeyEntry, item: Item) -> bool:
        """Whether an item (plain numbers, sorted sets) has the content that was there."""
        return self._digests.content(content(item)) == entry.digest

    def _window(self, wanted: bytes) -> tuple[int, int]:
        """Where the first key that begins with `wanted` must be, if there is one: digests are
        spread evenly, so nearly where its value says."""
        guess = int.from_bytes(wanted[:8], "big") * self._count >> 64
        reach = 3 * isqrt(self._count) + _FEW
        low, high = max(0, guess - reach), min(self._count, guess + reach)
        if low and self._read(low, 1)[: len(wanted)] >= wanted:
            low = 0
        if high < self._count and self._read(high, 1)[: len(wanted)] < wanted:
            high = self._count
        return low, high

    def _read(self, first: int, count: int) -> bytes:
        return os.pread(self._file, count * RECORD, first * RECORD)


def _place_in(block: bytes, wanted: bytes) -> int:
    """The number of the first of sorted records that is not before `wanted`."""
    records = range(len(block) // RECORD)
    return bisect_left(records, wanted, key=lambda n: block[n * RECORD : n * RECORD + len(wanted)])


def _entry(record: bytes, place: int) -> KeyEntry:
    moment = record[2 * DIGEST : -1].rstrip().decode(errors="replace")
    digest = record[DIGEST : 2 * DIGEST]
    return KeyEntry(digest, moment, record[-1] == _MIGRATED, place, record[:DIGEST])


def merge(parts: Sequence[Path], path: Path, scratch: Path) -> None:
    """Write the records of `parts` to `path`, sorted; `scratch` is a directory for the while."""
    if sum(part.stat().st_size for part in parts) <= _BLOCK:
        _write(path, [_sorted(b"".join(_blocks(parts)))])
        return
    make_directory(scratch)
    names = [scratch / f"{number:03}" for number in range(_BUCKETS)]
    with storage_errors(scratch):
        buckets = [open_private(name, "wb", buffering=1 << 14) for name in names]
        try:
            for block in _blocks(parts):
                spread: dict[int, list[bytes]] = {}
                for at in range(0, len(block), RECORD):
                    spread.setdefault(block[at], []).append(block[at : at + RECORD])
                for number, records in spread.items():
                    buckets[number].write(b"".join(records))
        finally:
            for bucket in buckets:
                bucket.close()
        _write(path, map(_emptied, names))
        scratch.rmdir()


def _write(path: Path, contents: Iterable[bytes]) -> None:
    with storage_errors(path), open_private(path, "wb") as out:
        for content in contents:
            out.write(content)
        out.flush()
        os.fsync(out.fileno())


def _emptied(bucket: Path) -> bytes:
    content = bucket.read_bytes()
    bucket.unlink()
    return _sorted(content)


def _sorted(content: bytes) -> bytes:
    return b"".join(sorted(content[at : at + RECORD] for at in range(0, len(content), RECORD)))


def _blocks(parts: Iterable[Path]) -> Iterator[bytes]:
    for part in parts:
        with part.open("rb") as handle:
            while block := handle.read(_BLOCK):
                yield block
