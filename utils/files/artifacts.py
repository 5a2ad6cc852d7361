"""Artifacts: the newline-delimited JSON files through which the phases meet.

A file under its final name is complete. It is written as NAME.partial, hashed on the way, synced
and renamed; its counts and SHA-256 go into the manifest, and every reader checks them first
(utils/files/known_files.py says when that is done without reading).
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timezone
from itertools import cycle
from pathlib import Path
from types import TracebackType
from typing import IO

from utils.error_handler import ArtifactError
from utils.files.known_files import FileStamp, KnownFiles
from utils.files.parts import opened_here, size_of_all
from utils.files.storage import open_private, partial_of, publish, storage_errors
from utils.wording.figures import counted
from utils.wording.invocation import again_with_key, command

_BLOCK = 1 << 20
RECORD_MARK = b'"SK":{"S":"METADATA"}'
RECORD_MARK_WITHIN = 2_400  # PK (at most 2,048 bytes) and SK open every item


@dataclass(frozen=True)
class ArtifactEntry:
    """What the manifest knows of a complete file.

    `records` are source rows with what belongs to them, `items` what they become in DynamoDB
    (a sale with three lines is one record and four items).
    """

    records: int
    items: int
    bytes: int
    sha256: str
    written_at: str


@dataclass(frozen=True)
class PartialState:
    """How far a .partial file is known to be on disk: the part of a checkpoint that a writer
    needs to go on."""

    records: int
    items: int
    bytes: int
    sha256: str

    def fits(self, path: Path) -> bool:
        """Whether the .partial file of `path` is there and long enough to go on from."""
        partial = partial_of(path)
        return partial.exists() and partial.stat().st_size >= self.bytes


def utc_now() -> str:
    """The clock of every report and manifest entry, as YYYY-MM-DDTHH:MM:SSZ."""
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


class ArtifactWriter:
    """Writes one artifact. Used as a context manager: leaving it by an exception keeps the
    .partial file for a resume, `commit()` publishes it."""

    def __init__(self, path: Path, resume: PartialState | None = None) -> None:
        self._path = path
        self._partial = partial_of(path)
        self._sha = hashlib.sha256()
        self.records = resume.records if resume else 0
        self.items = resume.items if resume else 0
        self.bytes = resume.bytes if resume else 0
        self.last_look: FileStamp | None = None
        if resume is None:
            self._handle = open_private(self._partial, "wb")
        else:
            self._handle = self._reopen(resume)

    def _reopen(self, resume: PartialState) -> IO[bytes]:
        handle = open_private(self._partial, "r+b")
        left = resume.bytes
        while left and (block := handle.read(min(left, _BLOCK))):
            self._sha.update(block)
            left -= len(block)
        if self._sha.hexdigest() != resume.sha256:
            handle.close()
            raise ArtifactError(
                f"{self._partial} is not what its checkpoint says: it was cut or edited",
                remedy=f"start over: {command('--full --restart')}",
            )
        handle.seek(resume.bytes)
        handle.truncate(resume.bytes)
        return handle

    def __enter__(self) -> ArtifactWriter:
        return self

    @property
    def partial(self) -> Path:
        """The file that is written to until it is published."""
        return self._partial

    @property
    def sha256(self) -> str:
        """That of everything written so far."""
        return self._sha.hexdigest()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Write no more; what is not committed stays under its partial name."""
        if not self._handle.closed:
            with storage_errors(self._partial):
                self._handle.close()

    def write(self, data: bytes | memoryview, *, records: int, items: int) -> None:
        """Append whole lines: `data` holds `records` records that are `items` items."""
        with storage_errors(self._partial):
            self._handle.write(data)
        self._sha.update(data)
        self.bytes += len(data)
        self.records += records
        self.items += items

    def copy(self, source: IO[bytes], size: int, *, pause: Callable[[], object]) -> None:
        """Append the next `size` bytes of another file, which belong to records that are counted
        elsewhere; they are hashed beside the copying. Raises what `pause` raises, which is called
        at every block, and ArtifactError when there are not so many bytes."""
        # Two pieces of memory serve for all: new ones would cost as much as the copying.
        blocks = cycle([memoryview(bytearray(min(size, _BLOCK))) for _ in range(2)])
        hashed: Future[None] | None = None
        with ThreadPoolExecutor(1, thread_name_prefix="sha") as beside:
            while size:
                pause()
                block = next(blocks)[:size]
                block = block[: source.readinto(block)]  # type: ignore[attr-defined] # a file has it
                if not block:
                    raise _cut_short(source.name)
                if hashed is not None:
                    hashed.result()
                hashed = beside.submit(self._sha.update, block)
                with storage_errors(self._partial):
                    self._handle.write(block)
                self.bytes += len(block)
                size -= len(block)

    def flush(self) -> None:
        """Let others read what has been written so far; durable it is only after `sync`."""
        with storage_errors(self._partial):
            self._handle.flush()

    def sync(self, *, durable: bool = True) -> PartialState:
        """Make everything written so far durable (or leave it to the operating system); returns
        what a checkpoint records."""
        with storage_errors(self._partial):
            self._handle.flush()
            if durable:
                os.fsync(self._handle.fileno())
        return PartialState(self.records, self.items, self.bytes, self._sha.hexdigest())

    def entry(self, *, durable: bool = True) -> ArtifactEntry:
        """Make everything durable, as `sync` does; returns the manifest entry that the file is
        going to have."""
        state = self.sync(durable=durable)
        return ArtifactEntry(state.records, state.items, state.bytes, state.sha256, utc_now())

    def commit(self, *, durable: bool = True) -> ArtifactEntry:
        """Publish the file under its final name, `durable` as of `sync`; returns its manifest
        entry. `last_look` is what it looked like just before."""
        entry = self.entry(durable=durable)
        with storage_errors(self._path):
            self.last_look = FileStamp.of(self._handle.fileno())
            self._handle.close()
            publish(self._path)
        return entry


def _cut_short(name: str) -> ArtifactError:
    return ArtifactError(
        f"{name} has become shorter while it was read: it was cut or edited",
        remedy=f"start over: {command('--full --restart')}",
    )


def expected_artifact(path: Path, entry: ArtifactEntry | None, *, phase: str) -> ArtifactEntry:
    """Return `entry` if there is a file of its size at `path`, else raise ArtifactError.

    `phase` is the phase that writes the file: the remedy says to run it again.
    """
    if not path.exists() and path.with_name(f"{path.name}.age").exists():
        raise ArtifactError(
            f"{path} is encrypted (data.recipient)",
            remedy=f"give the file with the secret key: {again_with_key()}",
        )
    if entry is None or not path.exists():
        raise ArtifactError(
            f"{path} is missing (or not in the manifest): phase {phase} is not complete",
            remedy=_again(path, phase),
        )
    size = size_of_all(path)
    if size != entry.bytes:
        raise ArtifactError(
            f"{path} has {counted(size, 'byte')}, the manifest says {entry.bytes:,}: it was "
            "cut or edited after it was written",
            remedy=_again(path, phase),
        )
    return entry


def check_artifact(
    path: Path, entry: ArtifactEntry | None, *, phase: str, known: KnownFiles | None = None
) -> ArtifactEntry:
    """Return `entry` if the file at `path` is exactly what it describes, else raise ArtifactError.

    `phase` is the phase that writes the file. What `known` knows is not read; what is read, it
    knows.
    """
    entry = expected_artifact(path, entry, phase=phase)
    if known is not None and known.knows(path, entry.sha256):
        return entry
    look = FileStamp.of_artifact(path)
    if sha256_of(path) != entry.sha256:
        raise ArtifactError(
            f"{path} is not the file that phase {phase} wrote: its SHA-256 differs from the "
            "manifest's",
            remedy=_again(path, phase),
        )
    if known is not None:
        known.has_read(path, entry.sha256, look)
    return entry


def _again(path: Path, phase: str) -> str:
    return f"run it again: {command(f'--phase {phase} --entity {path.stem}')}"


def sha256_of(path: Path) -> str:
    """SHA-256 of the bytes of a file, or an artifact, in hexadecimal, read in constant memory."""
    with opened_here(path) as handle:
        return _sha256(handle)


def sha256_of_file(path: Path) -> str:
    """The same of a file as it is, though it be the list of an artifact's parts."""
    with path.open("rb") as handle:
        return _sha256(handle)


def _sha256(handle: IO[bytes]) -> str:
    digest = hashlib.sha256()
    while block := handle.read(_BLOCK):
        digest.update(block)
    return digest.hexdigest()


def starts_record(line: bytes) -> bool:
    """Whether a transformed line opens a record (a METADATA item, not a sale's line)."""
    return line.find(RECORD_MARK, 0, RECORD_MARK_WITHIN) >= 0


def split_records(lines: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    """The lines of each record: a METADATA line and the LINE lines that follow it."""
    start = 0
    for number, line in enumerate(lines):
        if line.find(RECORD_MARK, 0, RECORD_MARK_WITHIN) >= 0 and number:
            yield lines[start:number]
            start = number
    if lines:
        yield lines[start:]


def lines_of(path: Path) -> Iterator[bytes]:
    """The lines of an artifact, each with its line break, read in constant memory."""
    with opened_here(path) as handle:
        yield from handle
