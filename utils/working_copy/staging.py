"""What has changed in a working copy, held still while it is sent.

A file that is replaced by a rename is held by a link of its own: whatever comes under its name
afterwards, what is sent is what was there. Files that are written to in place are copied. While
they are looked at, no file gets a new name in this process: so what is sent together was together.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

import orjson

from utils.files.artifacts import sha256_of_file
from utils.files.known_files import FileStamp
from utils.files.storage import make_directory, renames_held, storage_errors
from utils.working_copy.index import Entry
from utils.working_copy.kinds import (
    CHECKPOINT,
    holds_kept_items,
    is_growing,
    is_written_in_place,
    names_in,
)
from utils.working_copy.record import Record

STAGING = ".push"
_PLACE_IN = "load"  # only there does a checkpoint stand without files under partial names


class When(Enum):
    """What is sent: all but what grows, for whoever relies on it now; what tells how it stands; or
    everything."""

    BARRIER = "barrier"
    MEANWHILE = "meanwhile"
    END = "end"


@dataclass(frozen=True)
class Staged:
    """A file to be sent: its name, where its content is held, and what it looked like (None: the
    same as it may look with another content)."""

    name: str
    path: Path
    stamp: FileStamp | None = None
    life: str = ""


@dataclass
class Cut:
    """A working copy at one moment: what is to be sent, and what is as the index has it."""

    staged: list[Staged] = field(default_factory=list)
    same: dict[str, Entry] = field(default_factory=dict)


def cut(record: Record, known: Mapping[str, Entry], when: When) -> Cut:
    """What has changed against the entries of an index. Raises StorageError. The staging is in a
    directory that `clear` empties."""
    root = record.root
    staging = root / STAGING
    clear(root)
    make_directory(staging)
    found = Cut()
    with renames_held(), storage_errors(root):
        for name, path in names_in(root):
            with suppress(FileNotFoundError):  # it has gone this very moment
                _take(found, record, known.get(name), (name, path), when)
        if when is When.MEANWHILE:
            for name, entry in known.items():
                if not _is_meanwhile(name):
                    found.same.setdefault(name, entry)
    return found


def clear(root: Path) -> None:
    """Let go of what was staged."""
    shutil.rmtree(root / STAGING, ignore_errors=True)


def _is_meanwhile(name: str) -> bool:
    return is_growing(name) or name == CHECKPOINT


def _take(
    found: Cut, record: Record, entry: Entry | None, file: tuple[str, Path], when: When
) -> None:
    """Stage a file, or know it to be as the index has it."""
    name, path = file
    if when is When.MEANWHILE and not _is_meanwhile(name):
        return  # what the index has of it stays
    if name == CHECKPOINT and not _is_of_load(path):
        return
    if is_growing(name) and when is When.BARRIER and entry is not None:
        found.same[name] = entry
        return
    stamp = FileStamp.of(path)
    if entry is not None and record.knows(path, name, entry.sha256):
        found.same[name] = entry
        return
    held = record.root / STAGING / str(len(found.staged))
    if holds_kept_items(name):
        life = life_of(path)
        if entry is not None and entry.life == life and when is When.BARRIER:
            found.same[name] = entry  # what was kept since is there by itself
            return
        _copy_items(path, held)
        found.staged.append(Staged(name, held, life=life))
        return
    in_place = is_written_in_place(name)
    _hold(path, held, in_place=in_place)
    found.staged.append(Staged(name, held, stamp if stamp.settled or not in_place else None))


def _is_of_load(path: Path) -> bool:
    """Whether a checkpoint is of a load."""
    try:
        return bool(orjson.loads(path.read_bytes())["checkpoint"]["phase"] == _PLACE_IN)
    except (ValueError, KeyError, TypeError):
        return False


def life_of(path: Path) -> str:
    """Which life of a file of kept items this is; "" where it has none (a damaged file)."""
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as file:
            return f"{file.execute('PRAGMA user_version').fetchone()[0]:08x}"
    except sqlite3.Error:
        return ""


def _copy_items(path: Path, held: Path) -> None:
    """Copy a file of kept items as it is between two changes; a damaged one as it is."""
    try:
        with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(held)) as copy:
            source.backup(copy)
    except sqlite3.Error:
        shutil.copyfile(path, held)
    held.chmod(0o600)


def _hold(path: Path, held: Path, *, in_place: bool) -> None:
    if not in_place:
        with suppress(OSError):  # a file system without links
            os.link(path, held)
            return
    shutil.copyfile(path, held)
    held.chmod(0o600)


def know_again(found: Cut, record: Record) -> None:
    """What was held is let go of, by which it looks another way: known it still is."""
    for staged in found.staged:
        if staged.stamp is not None:
            with suppress(FileNotFoundError):
                now = FileStamp.of(record.root / staged.name)
                if now[:-1] == staged.stamp[:-1]:
                    record.note(staged.name, record.files[staged.name].sha256, now)


Send = Callable[[Staged, str], Entry]
"""Sends a file that has this SHA-256, and says which entry it has from now on."""


def send_all(
    found: Cut, record: Record, known: Mapping[str, Entry], send: Send
) -> dict[str, Entry]:
    """Send what is staged and is not there yet; returns the entries of all files. What was sent
    twice under two names is one object."""
    by_content = {entry.sha256: entry for entry in known.values() if not entry.life}
    entries = dict(found.same)
    for staged in found.staged:
        with storage_errors(staged.path):
            sha256 = sha256_of_file(staged.path)
        before = known.get(staged.name)
        if staged.life:
            is_there = before is not None and (before.sha256, before.life) == (sha256, staged.life)
            entry = before if is_there and before is not None else send(staged, sha256)
        else:
            entry = by_content.get(sha256) or send(staged, sha256)
            by_content[sha256] = entry
        entries[staged.name] = entry
        record.note(staged.name, sha256, staged.stamp)
    return dict(sorted(entries.items()))
