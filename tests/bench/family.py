"""CPU time and memory of this process and of those that share its work, by the operating system."""

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
    """The largest resident set that one of the other processes was seen to have had, in MB."""

    peak_mb: float = 0.0

    def look(self) -> None:
        """Look at those that are there."""
        for number in _others():
            self.peak_mb = max(self.peak_mb, peak_mb(number))


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
def watched() -> Iterator[Seen]:
    """Look at the other processes' memory now and then for as long as this lasts."""
    seen, left = Seen(), threading.Event()

    def watch() -> None:
        while not left.wait(_EVERY):
            seen.look()

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield seen
    finally:
        left.set()
        thread.join()
        seen.look()


def _others() -> list[int]:
    with suppress(RuntimeError):  # one was started while we looked
        return [child.pid for child in multiprocessing.active_children() if child.pid]
    return []


def _cpu_of(process: int) -> float:
    try:
        text = Path(f"/proc/{process}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return 0.0
    fields = text.rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * _TICK
