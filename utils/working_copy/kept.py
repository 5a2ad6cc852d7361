"""Items that were kept before the table is changed (load/conflicts/kept_file.py) are to outlive the
machine that keeps them, before the table is changed.

A file of them is large and changes with every batch. So what a batch adds to it goes to S3 by
itself, as an object of some rows, in the order of time; the file itself is sent at the end, and the
objects go. Whoever gets the file from S3 does to it what the objects say (`replay`). They belong to
one `life` of the file: another file under the same name has nothing to do with them.

Only the first process of a run speaks with S3; the others ask it (utils/processes/first_process).
"""

from __future__ import annotations

import sqlite3
import threading
import time
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import orjson

from utils.processes.first_process import in_the_first

Change = tuple[str, Sequence[Sequence[Any]]]
"""A statement, and the rows that it was done with."""
Put = Callable[[Path, str, str, bytes], object]
"""Puts what was changed in a file, in one of its lives, in S3, under a name that sorts by time."""

_keepers: dict[Path, Put] = {}  # by the root of the data directory; in the first process only
_lock = threading.Lock()
_last = 0


@contextmanager
def keeping(root: Path, put: Put) -> Iterator[None]:
    """While this lasts, what is kept in files below `root` is kept by `put`, too."""
    _keepers[root.resolve()] = put
    try:
        yield
    finally:
        del _keepers[root.resolve()]


def is_kept_elsewhere(path: Path) -> bool:
    """Whether what is kept in a file is to be kept in S3, too."""
    return in_the_first(_has_keeper, str(path.resolve()))


def keep(path: Path, life: int, changes: Iterable[Change]) -> None:
    """Keep in S3 what has been changed in a file; durable on return. Raises StorageError."""
    text = orjson.dumps([[statement, _plain(rows)] for statement, rows in changes])
    in_the_first(_keep, str(path.resolve()), f"{life:08x}", text)


def _plain(rows: Sequence[Sequence[Any]]) -> list[list[Any]]:
    """Rows as JSON has them: bytes in a list of their own, as Base64."""
    return [
        [[b64encode(each).decode()] if isinstance(each, bytes) else each for each in row]
        for row in rows
    ]


def replay(path: Path, changes: Iterable[bytes]) -> None:
    """Do to a file what was kept in S3 since. Raises sqlite3.Error for a damaged file."""
    with closing(sqlite3.connect(path)) as file:
        for text in changes:
            for statement, rows in orjson.loads(text):
                file.executemany(
                    statement,
                    [[b64decode(v[0]) if isinstance(v, list) else v for v in row] for row in rows],
                )
            file.commit()


def _keeper_of(path: Path) -> Put | None:
    return next((put for root, put in _keepers.items() if root in path.parents), None)


def _has_keeper(path: str) -> bool:
    return _keeper_of(Path(path)) is not None


def _keep(path: str, life: str, text: bytes) -> None:
    put = _keeper_of(Path(path))
    if put is not None:
        put(Path(path), life, f"{_moment():020d}", text)


def _moment() -> int:
    """The time in nanoseconds, never the same twice."""
    global _last  # noqa: PLW0603 # there is one clock
    with _lock:
        _last = max(_last + 1, time.time_ns())
        return _last
