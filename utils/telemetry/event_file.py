"""data/events.jsonl: every event of the commands that have worked on a data directory, one JSON
object a line, for `status`, reports, dashboards and other programs, also while a run goes on.

Nothing depends on the file: a disk that is full or refuses ends no run. It stays small however long
a run takes: when it has grown to `MOST`, what repeats itself is put together (see `shortened`). A
line that was cut short (SIGKILL, a full disk) is skipped by who reads; the next event begins a line
of its own. It is not synced: of the last moments before a power cut there may be nothing.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import orjson

from utils.error_handler import StorageError
from utils.files.storage import open_private, partial_of, require_plain
from utils.logger import get_logger
from utils.telemetry.events import CheckpointSaved, Progressed, Step, StepFinished, Told
from utils.telemetry.shortened_events import shortened

MOST = 4 << 20
"""Bytes to which the file grows before it is shortened to half of that or less."""
_EVERY = 1.0  # seconds between two lines that say how far the same step is
_ENOUGH = 1024  # bytes by which a file is known again
_TAIL = 1 << 16  # bytes at the end of the file, among which there is a whole line


class EventFile:
    """Listens to a stream and appends what it tells to the file; the only one that writes to it
    (who works on a data directory has its lock)."""

    def __init__(
        self, path: Path, *, most: int = MOST, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._path = path
        self._most = most
        self._clock = clock
        self._handle: IO[bytes] | None = None
        self._size = 0
        self._is_torn = False
        self._has_complained = False
        self._written_at: dict[tuple[str, Step], float] = {}
        self.last = _last_number(path)

    def __call__(self, told: Told) -> None:
        """Write an event, unless the same was told just now. Raises nothing."""
        if self._is_too_soon(told):
            return
        try:
            self._append(orjson.dumps(told.as_json()) + b"\n")
            if self._size > self._most:
                self._shorten()
        except (OSError, StorageError) as problem:
            self._is_torn = True
            self._complain(problem)

    def close(self) -> None:
        """The command is over."""
        if self._handle is not None:
            with suppress(OSError):
                self._handle.close()
            self._handle = None

    def _is_too_soon(self, told: Told) -> bool:
        event = told.event
        if isinstance(event, (Progressed, CheckpointSaved)):
            now, place = self._clock(), (event.kind(), event.step)
            if now - self._written_at.get(place, float("-inf")) < _EVERY:
                return True
            self._written_at[place] = now
        elif isinstance(event, StepFinished):
            for kind in (Progressed, CheckpointSaved):
                self._written_at.pop((kind.kind(), event.step), None)
        return False

    def _append(self, line: bytes) -> None:
        """One write, at once: whoever follows the file gets lines, not parts of them."""
        handle = self._handle or self._open()
        if self._is_torn:
            line = b"\n" + line
        written = handle.write(line) or 0
        self._size += written
        self._is_torn = written < len(line)

    def _open(self) -> IO[bytes]:
        self._handle = handle = open_private(self._path, "ab", buffering=0)
        self._size = os.fstat(handle.fileno()).st_size
        self._is_torn = not _ends_a_line(self._path)
        return handle

    def _shorten(self) -> None:
        """Put a shorter file in the place of this one. Who reads the old one reads on in it, and
        finds the new one next time."""
        lines = shortened(self._path.read_bytes().splitlines(), self._most // 2)
        partial = partial_of(self._path)
        with open_private(partial, "wb") as handle:
            handle.writelines(line + b"\n" for line in lines)
        partial.replace(self._path)
        self.close()
        self._open()

    def _complain(self, problem: Exception) -> None:
        """Once; what goes on is the same, and the log may be on the same disk."""
        if not self._has_complained:
            self._has_complained = True
            why = problem.strerror if isinstance(problem, OSError) else problem
            get_logger().warning(
                "%s cannot be written (%s): the run goes on; what watches it will miss something",
                self._path,
                why,
            )


def read_events(path: Path) -> list[Told]:
    """The events that the file holds now, in their order; those of kinds that this version does not
    know are left out, and so is what was cut short. Raises as EventReader.poll."""
    return list(EventReader(path).poll())


@dataclass
class EventReader:
    """Follows the file of a run that goes on, from another process."""

    path: Path

    def __post_init__(self) -> None:
        self._offset = 0
        self._before = b""  # what the file has before that
        self._last: Told | None = None

    def poll(self) -> Iterator[Told]:
        """The events that have come since the last time; that there is no file means no events.
        Raises OSError when it cannot be read, StorageError when it is no plain file."""
        require_plain(self.path)
        try:
            with self.path.open("rb") as handle:
                handle.seek(self._offset - len(self._before))
                if handle.read(len(self._before)) != self._before:  # it is another file
                    self._offset, self._before = handle.seek(0), b""
                data = handle.read()
        except FileNotFoundError:
            self.__post_init__()  # one that comes is another
            return
        whole = data[: data.rfind(b"\n") + 1]
        self._offset += len(whole)
        self._before = whole[-_ENOUGH:] or self._before
        for line in whole.splitlines():
            told = _event_of(line)
            if told is not None and not self._is_known(told):
                self._last = told
                yield told

    def _is_known(self, told: Told) -> bool:
        """Whether it was read before, in a file that was shortened since."""
        last = self._last
        return last is not None and told.number <= last.number and told.at <= last.at


def _event_of(line: bytes) -> Told | None:
    with suppress(orjson.JSONDecodeError):
        return Told.of_json(orjson.loads(line))
    return None


def _last_number(path: Path) -> int:
    """The number of the last event in the file; 0 when there is none that can be read."""
    try:
        require_plain(path)
        with path.open("rb") as handle:
            size = handle.seek(0, os.SEEK_END)
            handle.seek(max(0, size - _TAIL))
            lines = handle.read().splitlines()
    except (OSError, StorageError):
        return 0
    numbers = (told.number for line in lines if (told := _event_of(line)))
    return max(numbers, default=0)


def _ends_a_line(path: Path) -> bool:
    with path.open("rb") as handle:
        if handle.seek(0, os.SEEK_END) == 0:
            return True
        handle.seek(-1, os.SEEK_END)
        return handle.read() == b"\n"
