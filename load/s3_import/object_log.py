"""Which objects of an import are in S3: data/import/{entity}.objects, a line each when S3 has
acknowledged it."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

import orjson

from utils.files.storage import Closes, make_directory, open_private, storage_errors
from utils.s3.bucket import StoredObject
from utils.settings.typed_json import fits


@dataclass(frozen=True)
class LoggedObject:
    """The object of a number: its key and `etag` in S3, `items` and `bytes` of the file in it, and
    as it is stored (compressed): `size` and SHA-256."""

    number: int
    key: str
    items: int
    bytes: int
    size: int
    sha256: str
    etag: str

    @property
    def stored(self) -> StoredObject:
        """The object as S3 is to have it."""
        return StoredObject(self.key, self.size, self.etag)


class ObjectLog(Closes):
    """The log of an import's objects. A context manager."""

    def __init__(self, path: Path) -> None:
        """Opens what there is; a last line that was cut short was not written."""
        self._path = path
        self.objects: dict[int, LoggedObject] = {}
        make_directory(path.parent)
        whole = self._read()
        with storage_errors(path):
            self._file: IO[bytes] = open_private(path, "ab", buffering=0)
            self._file.truncate(whole)

    def _read(self) -> int:
        """Take in the lines that there are; returns the bytes up to which they are whole."""
        whole = 0
        if not self._path.exists():
            return whole
        with storage_errors(self._path), self._path.open("rb") as handle:
            for line in handle:
                try:
                    found = LoggedObject(**orjson.loads(line))
                except (ValueError, TypeError):
                    break
                if not (line.endswith(b"\n") and fits(found, LoggedObject)):
                    break
                self.objects[found.number] = found
                whole += len(line)
        return whole

    def add(self, found: LoggedObject) -> None:
        """S3 has this object; durable when this returns."""
        with storage_errors(self._path):
            self._file.write(orjson.dumps(asdict(found)) + b"\n")
            os.fsync(self._file.fileno())
        self.objects[found.number] = found

    def close(self) -> None:
        self._file.close()

    @property
    def items(self) -> int:
        """Items in all objects."""
        return sum(each.items for each in self.objects.values())

    @property
    def bytes(self) -> int:
        """Bytes of the file in all objects."""
        return sum(each.bytes for each in self.objects.values())

    @property
    def stored_bytes(self) -> int:
        """Bytes of all objects as they are stored."""
        return sum(each.size for each in self.objects.values())
