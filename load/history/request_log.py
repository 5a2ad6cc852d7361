"""When, and in which request, what of a transformed file was written: data/undo/{entity}.requests.

A line for each request that DynamoDB has acknowledged:

    KIND START END MILLISECONDS REQUEST

KIND is the letter of a `Kind`, a capital for items that open records, a small one for what belongs
to records. The request wrote every item of that sort that the file has from byte START to byte END;
MILLISECONDS is the time of the answer since 1970 (UTC), and REQUEST DynamoDB's own id of it, "-"
where the answer has none (emulators). A request that wrote several stretches of the file has a line
for each. Requests that have together written all items from byte START to byte END share a line:

    G START END KIND:COUNT:MILLISECONDS:REQUEST …

where each has written COUNT items of its sort, in the order of the file; to work out which is left
to whoever asks, who has the loaded file.

It is kept for people who ask (`migrate.py explain`); nothing is decided by it. So it is written as
it comes, without being synced, by every process that writes: a load that is killed may lack its
end, and whoever reads passes over a line that is torn. It stands, moves and goes with the load
(load/undoable_loads.py).
"""

from __future__ import annotations

import os
import re
import time
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from enum import Enum
from pathlib import Path

from utils.error_handler import BackOff, StorageError
from utils.files.artifacts import starts_record
from utils.files.elsewhere import PlainFile
from utils.files.parts import opened_here
from utils.files.pieces import ByteRange
from utils.files.storage import Closes
from utils.wording.figures import moment_text

_LINE = re.compile(rb"([A-Za-z]) (\d{1,15}) (\d{1,15}) (\d{1,14}) ([!-~]{1,200})\n")
_GROUP = re.compile(rb"G (\d{1,15}) (\d{1,15})((?: [Bb]:\d{1,9}:\d{1,14}:[!-~]{1,200})+)\n")
_NO_ID = "-"
_EVERY = 0.5  # seconds between two writes to the file
_OPENS, _BELONGS = "B", "b"

Together = tuple[bool, int, int, str]
"""Of requests that have written everything together: whether its items open records, how many they
are, when it was answered (milliseconds), and its id."""

Stretch = tuple[int, int]
"""Bytes of the file, from one to the one before the other."""


class Kind(Enum):
    """How something was written, by the letter that stands for it."""

    BATCH = "B"
    CONDITIONAL = "C"
    TRANSACTION = "T"
    REPAIR = "R"


@dataclass(frozen=True)
class LoggedRequest:
    """A request that has written what was asked for; `request_id` is "" where nobody knows it."""

    kind: Kind
    at: str
    request_id: str = ""


class RequestLog(Closes):
    """Takes what was acknowledged. A context manager; threads of a process may share it, and
    processes have one each.

    What cannot be written is given up: a full disk is told by whoever needs what it writes.
    """

    def __init__(self, path: Path | None) -> None:
        """Without a path, nothing is kept."""
        self._file: PlainFile | None = None
        self._lines: deque[str] = deque()
        self._flushed_at = time.monotonic()
        if path is not None:
            with suppress(OSError, StorageError):
                self._file = PlainFile(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def add(
        self,
        kind: Kind,
        stretches: Iterable[Stretch],
        request_id: str,
        *,
        opens: bool,
        at: int = 0,
    ) -> None:
        """A request was answered `at` a moment (milliseconds; just now), which has written what
        these stretches have of the items that open records (`opens`), or of the others."""
        if self._file is None:
            return
        letter = kind.value if opens else kind.value.lower()
        end = f"{at or time.time_ns() // 1_000_000} {request_id or _NO_ID}\n"
        for start, stop in stretches:
            self._lines.append(f"{letter} {start} {stop} {end}")

    def add_together(self, stretch: Stretch, requests: Iterable[Together]) -> None:
        """These requests have together written all that a stretch has."""
        if self._file is None:
            return
        parts = [
            f" {_OPENS if opens else _BELONGS}:{count}:{at}:{request_id or _NO_ID}"
            for opens, count, at, request_id in requests
        ]
        self._lines.append(f"G {stretch[0]} {stretch[1]}{''.join(parts)}\n")

    def flush(self) -> None:
        """Put what has been taken on disk, in one write: lines of several processes do not mix."""
        lines: list[str] = []
        with suppress(IndexError):  # whatever other threads add meanwhile
            while True:
                lines.append(self._lines.popleft())
        if not lines or self._file is None:
            return
        try:
            self._file.append("".join(lines).encode("ascii", "replace"))
        except (OSError, StorageError, BackOff):
            self._give_up()

    def flush_now_and_then(self) -> None:
        """The same, unless that was done a short time ago."""
        if time.monotonic() - self._flushed_at > _EVERY:
            self._flushed_at = time.monotonic()
            self.flush()

    def close(self) -> None:
        self.flush()
        self._give_up()

    def _give_up(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            file.close()


def requests_in(
    path: Path, loaded: Path, place: ByteRange
) -> tuple[LoggedRequest | None, list[LoggedRequest]]:
    """The last request that has written the item that opens the record which the `loaded` file has
    at these bytes (None: the log has none), and those that have written what belongs to it, in the
    order of their answers. Reads all of the log, in constant memory."""
    head: _Logged | None = None
    lines: dict[tuple[int, str], _Logged] = {}
    for logged in _lines(path, loaded, place):
        if logged.letter.islower():
            lines[logged.at, logged.request] = logged
        elif logged.start <= place.start:
            head = logged
    in_order = sorted(lines.values(), key=lambda each: each.at)
    return head.as_request() if head else None, [each.as_request() for each in in_order]


@dataclass(frozen=True)
class _Logged:
    """A line of the log; `at` is in milliseconds."""

    letter: str
    start: int
    end: int
    at: int
    request: str

    def as_request(self) -> LoggedRequest:
        moment = moment_text(datetime.fromtimestamp(self.at / 1000, timezone.utc))
        request_id = "" if self.request == _NO_ID else self.request
        return LoggedRequest(Kind(self.letter.upper()), moment, request_id)


def _lines(path: Path, loaded: Path, place: ByteRange) -> Iterator[_Logged]:
    """What the log says of these bytes of the loaded file."""
    if not path.exists():
        return
    known = {kind.value for kind in Kind}
    with path.open("rb") as handle:
        for line in handle:
            if group := _GROUP.fullmatch(line):
                if int(group[1]) < place.end and place.start < int(group[2]):
                    yield from _apart(group, loaded, place)
                continue
            fields = _LINE.fullmatch(line)
            if fields and fields[1].decode().upper() in known:
                letter, start, end, at, request = (field.decode() for field in fields.groups())
                if int(start) < place.end and place.start < int(end):
                    yield _Logged(letter, int(start), int(end), int(at), request)


def _apart(group: re.Match[bytes], loaded: Path, place: ByteRange) -> Iterator[_Logged]:
    """What requests that share a line have written of these bytes, each by itself."""
    start, end = int(group[1]), int(group[2])
    sorts: dict[bool, list[Stretch]] = {True: [], False: []}
    with opened_here(loaded) as handle:
        handle.seek(start)
        while start < end and (line := handle.readline()):
            sorts[starts_record(line)].append((start, start + len(line)))
            start += len(line)
    first = {True: 0, False: 0}
    for part in group[3].split():
        letter, count, at, request = part.decode().split(":", 3)
        opens = letter == _OPENS
        own = sorts[opens][first[opens] : first[opens] + int(count)]
        first[opens] += int(count)
        for a, b in own:
            if a < place.end and place.start < b:
                yield _Logged(letter, a, b, int(at), request)
                break
