"""One part of a backup: gathered in memory, compressed and encrypted, written, read back.

A part is under its final name only after what is on disk has been read, decrypted, unpacked,
counted and hashed. To be able to, an encrypted backup is encrypted also for a key that this
process has made for itself; it is in no file, and is gone when the process ends. What ISA-L has
compressed is unpacked by zlib: neither has to be believed alone.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from isal.isal_zlib import DEFLATED, compressobj

from load.backup.folder import BackupPart, check_part
from load.backup.key_index import RECORD
from load.backup.page import Entry
from utils.error_handler import StorageError
from utils.files.encryption import SUFFIX, Identity, Recipient, encrypt, new_identity
from utils.files.storage import open_private, partial_of, publish, storage_errors

# Bytes of a part as it is stored, before that, and of its key index: a part of each segment is held
# in memory as it is stored, and more than once while it is encrypted and read back.
_FULL = 4 << 20
_FULL_PLAIN = 32 << 20
_FULL_KEYS = 4 << 20
_LEVEL = 1
_GZIP = 31


@dataclass(frozen=True)
class Packing:
    """How parts are stored: compressed or not, and for whom. `witness` reads them back."""

    compress: bool
    recipients: tuple[Recipient, ...]
    witness: tuple[Identity, ...]

    @classmethod
    def of(cls, *, compress: bool, recipients: tuple[Recipient, ...]) -> Packing:
        if not recipients:
            return cls(compress, (), ())
        identity, public = new_identity()
        return cls(compress, (*recipients, public), (identity,))

    @property
    def ending(self) -> str:
        """What file names end in."""
        return ".json" + ".gz" * self.compress + SUFFIX * bool(self.recipients)


class PartBuilder:
    """Gathers the items of one part."""

    def __init__(self, packing: Packing) -> None:
        self._packing = packing
        self._zip = compressobj(_LEVEL, DEFLATED, _GZIP) if packing.compress else None
        self._stored: list[bytes] = []
        self._stored_bytes = 0
        self._sha = hashlib.sha256()
        self._bytes = 0
        self._keys = bytearray()

    @property
    def items(self) -> int:
        return len(self._keys) // RECORD

    @property
    def full(self) -> bool:
        return (
            self._stored_bytes >= _FULL
            or self._bytes >= _FULL_PLAIN
            or len(self._keys) >= _FULL_KEYS
        )

    def add(self, entries: Sequence[Entry]) -> None:
        """Add items."""
        self._keys += b"".join([entry.record for entry in entries])
        data = b"".join([entry.line for entry in entries])
        self._sha.update(data)
        self._bytes += len(data)
        self._store(self._zip.compress(data) if self._zip else data)

    def _store(self, data: bytes) -> None:
        self._stored.append(data)
        self._stored_bytes += len(data)

    def write(self, path: Path, keys: Path) -> BackupPart:
        """Write the part to `path` and its records of the key index to `keys`, durably.

        Raises StorageError when it cannot be written or is not read back as it was.
        """
        if self._zip:
            self._store(self._zip.flush())
        stored = b"".join(self._stored)
        if self._packing.recipients:
            stored = encrypt(stored, self._packing.recipients)
        part = BackupPart(
            path.name,
            self.items,
            self._bytes,
            self._sha.hexdigest(),
            len(stored),
            hashlib.sha256(stored).hexdigest(),
        )
        write_synced(keys, bytes(self._keys))
        partial = partial_of(path)
        write_synced(partial, stored)
        self._read_back(partial, path, part)
        publish(path)
        return part

    def _read_back(self, partial: Path, path: Path, part: BackupPart) -> None:
        with storage_errors(partial):
            stored = partial.read_bytes()
        if hashlib.sha256(stored).hexdigest() != part.stored_sha256:
            raise StorageError(
                f"{partial} cannot be read back as it was written",
                remedy="the disk is not reliable: point backup.directory at another",
            )
        check_part(path, part, stored, self._packing.witness)


def write_synced(path: Path, data: bytes) -> None:
    """Write a private file and make it durable."""
    with storage_errors(path), open_private(path, "wb") as handle:
        handle.write(data)
        handle.flush()
        os.fsync(handle.fileno())
