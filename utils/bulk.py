"""Large results of processes that share work: they cross by way of a file.

Through a pipe a megabyte crosses in a dozen pieces, each of which is copied twice and wakes both
sides; written to a file and read again it costs both of them together a fifth of that. The file
is gone before the operating system has a reason to put it on disk.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from utils.workspace import storage_errors


class Bulk:
    """Bytes, `data`, that are written below `directory` when they are sent to another process,
    and removed there when they arrive. Raises StorageError when there is no room."""

    def __init__(self, data: bytes, directory: Path) -> None:
        self.data = data
        self._directory = directory

    def __reduce__(self) -> tuple[Callable[[str, Path], Bulk], tuple[str, Path]]:
        with storage_errors(self._directory):
            handle, path = tempfile.mkstemp(dir=self._directory)
            os.fchmod(handle, 0o600)  # whatever the umask
            with os.fdopen(handle, "wb") as file:
                file.write(self.data)
        return _arrived, (path, self._directory)


def _arrived(path: str, directory: Path) -> Bulk:
    with storage_errors(directory):
        data = Path(path).read_bytes()
        Path(path).unlink()
    return Bulk(data, directory)
