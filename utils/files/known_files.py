"""What this process knows of files without reading them again: it has read or written them, and
nobody has touched them since.

To read a large file for its SHA-256 takes seconds, and a run would do it four times between two
phases of which it is itself the only reader and writer. The operating system says whether a file
has been written to: device, inode, size and the times of its last change are compared, down to the
nanosecond. Another process knows nothing of the kind and reads the file. What a disk makes of a
file that nobody has written to is not seen by this; so whoever proves something reads it as well.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from utils.files.parts import parts_of

# The clock of a file system moves in ticks of up to 10 ms: of two changes within one of them the
# second cannot be seen.
_SETTLED = 20_000_000  # nanoseconds
_SMALL = 1 << 20  # bytes that are sooner read again than waited for


class FileStamp(NamedTuple):
    """What a file looks like from outside; times are in nanoseconds. A rename changes `changed`,
    a write all of the last three."""

    device: int
    inode: int
    size: int
    modified: int
    changed: int

    @classmethod
    def of(cls, file: Path | int) -> FileStamp:
        """The look of a path or of an open file."""
        seen = os.fstat(file) if isinstance(file, int) else file.stat()
        return cls(seen.st_dev, seen.st_ino, seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns)

    @classmethod
    def of_artifact(cls, path: Path) -> FileStamp:
        """The look of an artifact, in whatever form: of one in parts the latest changes of any."""
        own = cls.of(path)
        if (found := parts_of(path)) is None:
            return own
        looks = [own, *map(cls.of, found.files)]
        times = (max(look.modified for look in looks), max(look.changed for look in looks))
        return cls(own.device, own.inode, sum(look.size for look in looks), *times)

    @property
    def settled(self) -> bool:
        """Whether a write from now on would be seen. Never on a file system that counts seconds."""
        return time.time_ns() - self.modified > _SETTLED and self.modified % 1_000_000_000 != 0


class KnownFiles:
    """The SHA-256 of files, each as long as it looks the same."""

    def __init__(self) -> None:
        self._known: dict[Path, tuple[FileStamp, str]] = {}

    def knows(self, path: Path, sha256: str) -> bool:
        """Whether the file at `path` is known to have this SHA-256, and has not been touched."""
        known = self._known.get(path)
        return known is not None and known == (FileStamp.of_artifact(path), sha256)

    def has_read(self, path: Path, sha256: str, before: FileStamp) -> None:
        """The file has been read and has this SHA-256; `before` is its look from before that."""
        if before.settled:
            self._known[path] = before, sha256

    def has_listed(self, path: Path, sha256: str) -> None:
        """The artifact at `path` was read part by part and has this SHA-256; its list was written
        this very moment."""
        look = FileStamp.of_artifact(path)
        if look.size > _SMALL:
            time.sleep(_SETTLED / 1e9)
        self.has_read(path, sha256, look)

    @contextmanager
    def naming(self, path: Path, sha256: str) -> Iterator[None]:
        """While this lasts, the file at `path`, which has this SHA-256, gets other names or loses
        some. By that it looks touched; if it was known, it still is."""
        before = FileStamp.of_artifact(path) if self.knows(path, sha256) else None
        yield
        now = FileStamp.of_artifact(path)
        if before is not None and now[:-1] == before[:-1]:
            self._known[path] = now, sha256

    def has_written(self, path: Path, sha256: str, last: FileStamp) -> None:
        """The file has been written and renamed to `path`; `last` is its look before the rename.

        For a large file that was finished this very moment, waits for the clock to move.
        """
        if not last.settled and last.size > _SMALL:
            time.sleep(_SETTLED / 1e9)
        now = FileStamp.of(path)
        if last.settled and now[:-1] == last[:-1]:
            self._known[path] = now, sha256
