"""Packs the evidence of a migration into one archive (utils/evidence/archive.py).

The data directory is locked meanwhile, so that all files are of one moment. What was written is
read back and checked before it gets its name.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import orjson

from utils.error_handler import ArtifactError, ConfigurationError
from utils.evidence.archive import DOCUMENT, ArchiveWriter, FileEntry, blocks_of
from utils.evidence.archive_reader import ArchiveReader
from utils.evidence.contents import (
    CONFIGURATION,
    Packed,
    document_of,
    entry_of,
    packed,
    to_name,
    to_pack,
    without_secrets,
)
from utils.files.artifacts import sha256_of
from utils.files.encryption import SUFFIX as AGE
from utils.files.encryption import Recipient, encrypt_file
from utils.files.storage import (
    make_directory,
    open_private,
    partial_of,
    publish,
    storage_errors,
    temporary_directory,
)
from utils.files.workspace import Workspace
from utils.run.manifest import Manifest
from utils.telemetry.tasks import Tasks
from utils.wording.invocation import again, command

SUFFIX = ".tar.gz"
_LEVELS = (6, 0)  # zlib's; what shrinks so much that it looks like a bomb is not compressed


@dataclass(frozen=True)
class Made:
    """An archive: its file and that file's SHA-256, how many files are in it, and of how many
    there are only checksums."""

    path: Path
    sha256: str
    packed: int
    named: int


def pack(
    files: Workspace,
    settings: Mapping[str, Any],
    output: Path | None,
    *,
    recipients: tuple[Recipient, ...] = (),
    personal_data_shown: bool = False,
    progress: Tasks | None = None,
) -> Made:
    """Pack a data directory, which the caller has locked, into `output` (None: a name of its own),
    encrypted for `recipients`, if there are any.

    `settings` is the configuration as it is written, with variables unresolved. Raises
    ConfigurationError when there is nothing to pack or something else is at `output`, StorageError
    when it cannot be written, ArtifactError when the manifest is damaged or a file is changed
    meanwhile.
    """
    if Manifest.load(files.manifest) is None:
        raise nothing_to_pack(files)
    manifest = orjson.loads(files.manifest.read_bytes())
    progress = progress or Tasks()
    named = list(_hashed(files, progress))
    with progress.task("evidence", "", None, unit="files", step="packing") as task:
        content = sorted(
            [_configuration(settings), *(packed(files, path) for path in to_pack(files))],
            key=lambda each: each.entry.name,
        )
        entries = [each.entry for each in content]
        document = document_of(manifest, entries, named, personal_data_shown=personal_data_shown)
        scratch = temporary_directory(files.scratch)
        try:
            plain = scratch / DOCUMENT
            _write(plain, document, content)
            task.advance(len(content))
            path = _place(files, manifest["run_id"], output, plain, recipients)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
            with suppress(OSError):
                files.scratch.rmdir()  # somebody else may be at work there
        return Made(path, sha256_of(path), len(content), len(named))


def nothing_to_pack(files: Workspace) -> ConfigurationError:
    """The error for a data directory in which no run has been."""
    return ConfigurationError(
        f"there is nothing to pack in {files.root}: no run has been there",
        remedy=f"name another with --config, or begin: {command('--full')}",
    )


def _hashed(files: Workspace, progress: Tasks) -> Iterator[FileEntry]:
    """The files that are only named, with their checksums."""
    paths = to_name(files)
    total = sum(path.stat().st_size for path in paths)
    with progress.task(
        "evidence", "", total, unit="bytes", step="reading files of records"
    ) as task:
        for path in paths:
            entry = entry_of(files, path)
            yield entry
            task.advance(entry.size)


def _configuration(settings: Mapping[str, Any]) -> Packed:
    option = orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS
    text = orjson.dumps(without_secrets(settings), option=option) + b"\n"
    entry = FileEntry(CONFIGURATION, len(text), hashlib.sha256(text).hexdigest())
    return Packed(entry, lambda: iter((text,)))


def _write(path: Path, document: bytes, content: list[Packed]) -> None:
    """Write an archive, and read it back."""
    for level in _LEVELS:
        try:
            with open_private(path, "wb") as out, storage_errors(path):
                writer = ArchiveWriter(out, level=level)
                writer.add(DOCUMENT, len(document), [document])
                for each in content:
                    writer.add(each.entry.name, each.entry.size, each.blocks())
                writer.finish()
        except ValueError as error:
            raise _changed(str(error)) from error
        reader = ArchiveReader(path.stat().st_size)
        for block in blocks_of(path):
            reader.write(block)
        problems = reader.close().problems
        if not problems:
            return
    raise _changed("; ".join(problems))


def _changed(what: str) -> ArtifactError:
    return ArtifactError(
        f"the data directory was changed while it was packed ({what})",
        remedy=f"leave it alone meanwhile, and pack again: {again()}",
    )


def _place(
    files: Workspace,
    run_id: str,
    output: Path | None,
    plain: Path,
    recipients: tuple[Recipient, ...],
) -> Path:
    """Give the archive its name, encrypted if need be; returns where it is. The same archive that
    is there already stays."""
    path = output or _own_name(files, run_id, plain, AGE if recipients else "")
    if output is None:
        make_directory(path.parent)
    if _is_same(path, plain):
        return path
    with storage_errors(path):
        if path.exists() or path.is_symlink():
            raise ConfigurationError(
                f"{path} is there already", remedy="name another file with --output"
            )
    part = partial_of(path)
    try:
        if recipients:
            encrypt_file(plain, part, recipients)
        else:
            with open_private(part, "wb") as out, storage_errors(part):
                for block in blocks_of(plain):
                    out.write(block)
        with storage_errors(part), part.open("rb") as handle:
            os.fsync(handle.fileno())
        publish(path)
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)
    return path


def _own_name(files: Workspace, run_id: str, plain: Path, encrypted: str) -> Path:
    names = (files.evidence(run_id, number, SUFFIX + encrypted) for number in count(1))
    return next(path for path in names if not path.exists() or _is_same(path, plain))


def _is_same(path: Path, plain: Path) -> bool:
    with storage_errors(path):
        is_there = path.is_file() and not path.is_symlink()
        return is_there and sha256_of(path) == sha256_of(plain)
