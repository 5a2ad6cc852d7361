"""Where the time goes: the stacks of all threads, looked at many times a second.

A sample belongs to the innermost function of the project in a stack, whatever library it is in
just then. Threads that wait for work are left out; one that waits for an answer counts, under the
function that has asked.
"""

from __future__ import annotations

import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from tests.support.places import ROOT

_EVERY = 0.002
_SWITCH = 0.0005
_IDLE = {"wait", "_wait_for_tstate_lock", "join", "_worker"}
_IDLE_IN = ("threading.py", "thread.py", "_base.py")
_LISTENER = "utils/interrupt.py"  # its thread waits for signals
_SHOWN = 12


@dataclass
class Profile:
    """How often which function was seen."""

    seen: Counter[str] = field(default_factory=Counter)

    def shares(self) -> tuple[tuple[str, float], ...]:
        """The functions seen most, with their share of all samples."""
        total = max(1, sum(self.seen.values()))
        return tuple((name, count / total) for name, count in self.seen.most_common(_SHOWN))


@contextmanager
def sampling(profile: Profile, *, wanted: bool) -> Iterator[None]:
    """Sample all threads while the body runs, if that is wanted."""
    if not wanted:
        yield
        return
    stop = threading.Event()
    watcher = threading.Thread(target=_watch, args=(profile, stop), daemon=True)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(_SWITCH)
    watcher.start()
    try:
        yield
    finally:
        stop.set()
        watcher.join()
        sys.setswitchinterval(interval)


def _watch(profile: Profile, stop: threading.Event) -> None:
    own = threading.get_ident()
    while not stop.wait(_EVERY):
        for thread, frame in sys._current_frames().items():
            if thread != own and (name := _place(frame)):
                profile.seen[name] += 1


def _place(frame: FrameType) -> str:
    """The innermost function of the project; empty for a thread that waits for work."""
    code = frame.f_code
    if code.co_name in _IDLE and Path(code.co_filename).name in _IDLE_IN:
        return ""
    inner: FrameType | None = frame
    while inner is not None:
        path = Path(inner.f_code.co_filename)
        if path.is_relative_to(ROOT) and ".venv" not in path.parts:
            name = path.relative_to(ROOT).as_posix()
            own = name.startswith("tests/") or name == _LISTENER
            return "" if own else f"{name}: {inner.f_code.co_name}"
        inner = inner.f_back
    return ""
