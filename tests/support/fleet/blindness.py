"""Makes a process blind to a directory, as one is on a machine that does not have it: what is below
it is not to be found there, whatever it is asked by."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable
from functools import wraps
from typing import Any

_ASKS = ("open", "os.", "shutil.", "sqlite3.", "tempfile.")  # audit events


def blind_to(directory: str) -> None:
    """From now on, and for good."""

    def is_hidden(path: object) -> bool:
        if isinstance(path, bytes):
            path = os.fsdecode(path)
        if not isinstance(path, (str, os.PathLike)):
            return False
        whole = os.path.abspath(path)  # noqa: PTH100 # Path asks os.stat
        return whole == directory or whole.startswith(directory + os.sep)

    def look(event: str, arguments: tuple[Any, ...]) -> None:
        if event.startswith(_ASKS):
            for path in filter(is_hidden, arguments[:2]):
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))

    def blinded(function: Callable[..., Any]) -> Callable[..., Any]:
        """What asks about a file without an audit event."""

        @wraps(function)
        def asked(path: Any, *given: Any, **named: Any) -> Any:
            if is_hidden(path):
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
            return function(path, *given, **named)

        return asked

    os.stat, os.lstat = blinded(os.stat), blinded(os.lstat)
    sys.addaudithook(look)
