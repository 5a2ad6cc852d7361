"""Large results of processes that share work: they cross by way of a file.

Through a pipe a megabyte crosses in a dozen pieces, each of which is copied twice and wakes both
sides; written to a file and read again it costs both of them together a fifth of that. The file
is gone before the operating system has a reason to put it on disk.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from utils.files.elsewhere import write_temporary
from utils.files.storage import storage_errors


class Bulk:
    """Bytes, `data`, that are written below `directory` when they are sent to another process,
    and removed there when they arrive. Raises StorageError when there is no room."""

    def __init__(self, data: bytes, directory: Path) -> None:
        self.data = data
        self._directory = directory

    def __reduce__(self) -> tuple[Callable[[Path], Bulk], tuple[Path]]:
        return _arrived, (write_temporary(self._directory, self.data),)


def _arrived(path: Path) -> Bulk:
    with storage_errors(path):
        data = path.read_bytes()
        path.unlink()
    return Bulk(data, path.parent)
