"""The processes that share the work of a command."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from tests.support.operators.operator import Running


def helpers(running: Running) -> list[int]:
    """The processes that the tool has started to share its work, the oldest first: they are of its
    group."""
    first, found = running.process.pid, list[int]()
    with suppress(FileNotFoundError):
        found = sorted(int(each.name) for each in Path("/proc").iterdir() if each.name.isdigit())
    return [pid for pid in found if pid != first and _group(pid) == first and command_line(pid)]


def _group(pid: int) -> int:
    with suppress(ProcessLookupError):
        return os.getpgid(pid)
    return 0


def command_line(pid: str | int) -> bytes:
    with suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""


def within(seconds: float, condition: Callable[[], bool]) -> bool:
    until = time.monotonic() + seconds
    while not condition() and time.monotonic() < until:
        time.sleep(0.02)
    return condition()
