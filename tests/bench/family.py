"""CPU time, memory and open files of this process and of those that share its work, by the
operating system."""

from __future__ import annotations

import multiprocessing
import os
import resource
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

_EVERY = 0.2
_TICK = 1 / os.sysconf("SC_CLK_TCK")


@dataclass
class Seen:
    """What was seen: the largest resident set that one of the other processes has had, the largest
    sum of all at once, this process among them (what they share is in it once for each), in MB;
    and how many files, sockets among them, the one with the most had open."""

    peak_mb: float = 0.0
    sum_mb: float = 0.0
    files: int = 0

    def look(self) -> None:
        """Look at those that are there."""
        others = _others()
        for number in others:
            self.peak_mb = max(self.peak_mb, peak_mb(number))
        everybody = (os.getpid(), *others)
        self.sum_mb = max(self.sum_mb, sum(map(_resident_mb, everybody)))
        self.files = max(self.files, *map(_open_files, everybody))


def cpu_seconds() -> float:
    """CPU time so far of this process, of the processes that it has started and that are there,
    and of those that have ended."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    living = sum(_cpu_of(number) for number in _others())
    return time.process_time() + ended.ru_utime + ended.ru_stime + living


def peak_mb(process: int | str = "self") -> float:
    """The largest resident set of a process so far, in MB; 0 when it has ended.

    Not `ru_maxrss` where /proc is: that one begins with the parent's size.
    """
    try:
        lines = Path(f"/proc/{process}/status").read_text(encoding="ascii").splitlines()
        return int(next(line for line in lines if line.startswith("VmHWM:")).split()[1]) / 1024
    except (OSError, StopIteration):
        own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        return own if process == "self" else 0.0


@contextmanager
def watched(seen: Seen) -> Iterator[None]:
    """Look at the processes now and then for as long as this lasts."""
    left = threading.Event()

    def watch() -> None:
        while not left.wait(_EVERY):
            seen.look()

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        left.set()
        thread.join()
        seen.look()


def _others() -> list[int]:
    with suppress(RuntimeError):  # one was started while we looked
        return [child.pid for child in multiprocessing.active_children() if child.pid]
    return []


def _resident_mb(process: int) -> float:
    with suppress(OSError):
        pages = Path(f"/proc/{process}/statm").read_text(encoding="ascii").split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE") / (1 << 20)
    return 0.0


def _open_files(process: int) -> int:
    with suppress(OSError):
        return sum(1 for _ in Path(f"/proc/{process}/fd").iterdir())
    return 0


def _cpu_of(process: int) -> float:
    try:
        text = Path(f"/proc/{process}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return 0.0
    fields = text.rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * _TICK
