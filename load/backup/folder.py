"""A backup on disk: what is in the folder, how it is read, how it is known to be whole.

    data/backups/TABLE-YYYYMMDD-HHMMSS/         (UTC)
        backup.json                   the description; a folder without it is no backup
        items-00-0000.json.gz[.age]   {"Item":{…}} a line, DynamoDB JSON: DynamoDB's own format
        …                             of export and import; segment and number of the part
        keys.bin                      the key index (load/backup/key_index.py)
        SHA256SUMS                    of the stored files, for `sha256sum -c`

Parts are small enough to be held in memory as they are stored (4 MB). Each is a whole gzip file,
and encrypted a whole age file: `age -d -i KEY items-….json.gz.age | gunzip` shows it. A backup
under way is in a folder of the same name with .partial at its end (load/backup/engine.py).

backup.json is {"sha256": of the rest, "backup": {…}}, the rest being the fields of BackupEntry.
"""

from __future__ import annotations

import hashlib
import re
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import orjson

from load.backup.key_index import Digests, KeyIndex
from load.backup.table_description import key_names
from utils.config import is_table_name
from utils.error_handler import ArtifactError
from utils.files.artifacts import sha256_of
from utils.files.encryption import Identity, decrypt, needs_identity
from utils.files.storage import PARTIAL_SUFFIX, write_atomically
from utils.settings.typed_json import fits
from utils.wording.invocation import command

VERSION = 1
DESCRIPTION = "backup.json"
KEYS = "keys.bin"
SUMS = "SHA256SUMS"
_GZIP = 31  # zlib's window bits for gzip
_CHUNK = 1 << 20
_PART_NAME = re.compile(r"items-\d+-\d+\.json(\.gz)?(\.age)?")
_LARGEST_PART = 256 << 20  # bytes; eight times what the tool puts into one
_LONGEST_LINE = 16 << 20  # bytes; an item has 400 KB, and JSON may spell a byte with six


@dataclass(frozen=True)
class BackupPart:
    """One file of items: `bytes` and `sha256` of its lines, `stored_…` of the file as it is."""

    file: str
    items: int
    bytes: int
    sha256: str
    stored_bytes: int
    stored_sha256: str


@dataclass(frozen=True)
class BackupEntry:
    """What backup.json says. `table_description` is DescribeTable's answer, `time_to_live` and
    `tags` are null where the credentials may not ask; `continued` counts how often the backup
    was taken up again. Every part has been read back when `verified_at` is set. `keys_form` is that
    of the key index (load/backup/key_index.py)."""

    name: str
    table: str
    endpoint: str
    region: str
    started_at: str
    completed_at: str
    verified_at: str
    continued: int
    items: int
    bytes: int
    stored_bytes: int
    compressed: bool
    recipients: tuple[str, ...]
    salt: str
    keys_sha256: str
    table_description: dict[str, Any]
    time_to_live: dict[str, Any] | None
    tags: list[dict[str, str]] | None
    parts: tuple[BackupPart, ...] = field(repr=False)
    version: int = VERSION
    keys_form: int = 1

    @property
    def encrypted(self) -> bool:
        return bool(self.recipients)

    @property
    def key_names(self) -> tuple[str, ...]:
        """The attributes of the table's key, partition key first."""
        return key_names(self.table_description)


class BackupFolder:
    """A complete backup. `open` checks the description, reading checks every part."""

    def __init__(self, path: Path, entry: BackupEntry) -> None:
        self.path = path
        self.entry = entry

    @classmethod
    def open(cls, path: Path) -> BackupFolder:
        """The backup in a folder. Raises ArtifactError when it is none, or not a whole one."""
        description = path / DESCRIPTION
        if not path.is_dir():
            raise _broken(path, "there is no such backup", _another())
        if path.name.endswith(PARTIAL_SUFFIX) or not description.exists():
            raise _broken(path, "this backup was never completed", _another())
        try:
            document = orjson.loads(description.read_bytes())
            body = document["backup"]
            if hashlib.sha256(orjson.dumps(body)).hexdigest() != document["sha256"]:
                raise ValueError("digest")
            if body["version"] != VERSION:
                raise _broken(
                    description,
                    f"this is version {body['version']}, this tool understands {VERSION}",
                    "use the version of the tool that wrote it",
                )
            parts = tuple(BackupPart(**part) for part in body["parts"])
            listed = tuple(body["recipients"])
            entry = BackupEntry(**{**body, "parts": parts, "recipients": listed})
            _require_sound(entry)
            return cls(path, entry)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise _broken(description, "it is damaged (cut short or edited)", _another()) from error

    @property
    def sha256(self) -> str:
        """SHA-256 of the description, which holds that of every file: it stands for the whole."""
        return sha256_of(self.path / DESCRIPTION)

    @property
    def digests(self) -> Digests:
        return Digests(self.entry.key_names, bytes.fromhex(self.entry.salt), self.entry.keys_form)

    def items(self, identities: tuple[Identity, ...] = ()) -> Iterator[bytes]:
        """The lines `{"Item":{…}}\\n` of all parts, always in the same order; no line of a part
        that is not as it was stored. Raises ArtifactError then, and when `identities` do not
        open it."""
        if self.entry.encrypted and not identities:
            raise needs_identity(f"the backup {self.path.name}")
        for part in self.entry.parts:
            yield from read_part(self.path / part.file, part, self._stored(part), identities)

    def keys(self) -> KeyIndex:
        """The key index, to be used as a context manager."""
        return KeyIndex(self.path / KEYS, self.digests)

    def check_presence(self) -> None:
        """Raise ArtifactError unless every file is there in its full length."""
        for part in self.entry.parts:
            file = self.path / part.file
            if not file.exists():
                raise _broken(file, "the file is missing", _another())
            if file.stat().st_size != part.stored_bytes:
                raise _broken(file, "it was cut or edited after it was written", _another())
        if not (self.path / KEYS).exists():
            raise _broken(self.path / KEYS, "the file is missing", _another())

    def check(self) -> None:
        """Raise ArtifactError unless every stored byte is as it was written; needs no key."""
        self.check_presence()
        for part in self.entry.parts:
            self._stored(part)
        if sha256_of(self.path / KEYS) != self.entry.keys_sha256:
            raise _broken(self.path / KEYS, "it was cut or edited after it was written", _another())

    def _stored(self, part: BackupPart) -> bytes:
        file = self.path / part.file
        try:
            if file.stat().st_size != part.stored_bytes:  # not read to find that out
                raise _broken(file, "it was cut or edited after it was written", _another())
            stored = file.read_bytes()
        except FileNotFoundError as error:
            raise _broken(file, "the file is missing", _another()) from error
        if hashlib.sha256(stored).hexdigest() != part.stored_sha256:
            raise _broken(file, "it was cut or edited after it was written", _another())
        return stored


def _require_sound(entry: BackupEntry) -> None:
    """Raise ValueError for a description that the tool has not written: files elsewhere, sizes
    that no part has, a name that is none."""
    if not (
        fits(entry, BackupEntry)
        and is_table_name(entry.table)
        and isinstance(bytes.fromhex(entry.salt), bytes)
    ):
        raise ValueError("table")
    key_names(entry.table_description)
    for part in entry.parts:
        sizes = (part.items, part.bytes, part.stored_bytes)
        if not all(type(size) is int and 0 <= size <= _LARGEST_PART for size in sizes):
            raise ValueError("size")
        if not _PART_NAME.fullmatch(part.file):
            raise ValueError("name")


def _another() -> str:
    return f"use another backup; they are listed by: {command('backups')}"


def _broken(path: Path, what: str, remedy: str) -> ArtifactError:
    return ArtifactError(f"{path}: {what}", remedy=remedy)


def read_part(
    path: Path, part: BackupPart, stored: bytes, identities: tuple[Identity, ...]
) -> Iterator[bytes]:
    """The lines of a part that is stored as `stored`; raises ArtifactError when they are not
    those that were written, at the latest after the last."""
    digest, items, length, rest = hashlib.sha256(), 0, 0, b""
    for block in _plain(path, stored, identities):
        digest.update(block)
        length += len(block)
        *lines, rest = (rest + block).split(b"\n")
        if length > part.bytes or len(rest) > _LONGEST_LINE:
            break  # of what claims to be smaller than it is, no more is unpacked
        items += len(lines)
        for line in lines:
            yield line + b"\n"
    if rest or (items, length, digest.hexdigest()) != (part.items, part.bytes, part.sha256):
        raise _broken(path, "its content is not what was written", _another())


def check_part(
    path: Path, part: BackupPart, stored: bytes, identities: tuple[Identity, ...]
) -> None:
    """Raise ArtifactError unless `read_part` would give all lines that were written."""
    digest, items, length, last = hashlib.sha256(), 0, 0, b""
    for block in _plain(path, stored, identities):
        digest.update(block)
        items += block.count(b"\n")
        length += len(block)
        last = block[-1:] or last
        if length > part.bytes:
            break
    said = part.items, part.bytes, part.sha256
    if last != b"\n" or (items, length, digest.hexdigest()) != said:
        raise _broken(path, "its content is not what was written", _another())


def _plain(path: Path, stored: bytes, identities: tuple[Identity, ...]) -> Iterable[bytes]:
    """What is in a part, in pieces. Raises ArtifactError when it cannot be opened."""
    names = path.name.split(".")
    if names[-1] == "age":
        stored = decrypt(stored, identities, path)
    return _unpacked(path, stored, packed="gz" in names)


def _unpacked(path: Path, stored: bytes, *, packed: bool) -> Iterable[bytes]:
    if not packed:
        yield stored
        return
    unzip = zlib.decompressobj(_GZIP)
    try:
        while stored and not unzip.eof:
            yield unzip.decompress(stored, _CHUNK)
            stored = unzip.unconsumed_tail
    except zlib.error as error:
        raise _broken(path, "it is not a gzip file", _another()) from error
    if not unzip.eof:
        raise _broken(path, "it was cut short", _another())


def write_description(folder: Path, entry: BackupEntry) -> None:
    """Write backup.json and SHA256SUMS into a folder whose other files are complete."""
    body = orjson.loads(orjson.dumps(asdict(entry)))
    sums = [(part.stored_sha256, part.file) for part in entry.parts]
    sums.append((entry.keys_sha256, KEYS))
    write_atomically(folder / SUMS, "".join(f"{sha}  {name}\n" for sha, name in sums).encode())
    digest = hashlib.sha256(orjson.dumps(body)).hexdigest()
    document = orjson.dumps({"sha256": digest, "backup": body}, option=orjson.OPT_INDENT_2)
    write_atomically(folder / DESCRIPTION, document + b"\n")
