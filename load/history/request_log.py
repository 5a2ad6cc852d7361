"""When, and in which request, what of a transformed file was written: data/undo/{entity}.requests.

A line for each request that DynamoDB has acknowledged:

    KIND START END MILLISECONDS REQUEST

KIND is the letter of a `Kind`, a capital for items that open records, a small one for what belongs
to records. The request wrote every item of that sort that the file has from byte START to byte END;
MILLISECONDS is the time of the answer since 1970 (UTC), and REQUEST DynamoDB's own id of it, "-"
where the answer has none (emulators). A request that wrote several stretches of the file has a line
for each.

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

from utils.error_handler import StorageError
from utils.files.closing import Closes
from utils.files.pieces import ByteRange
from utils.files.storage import open_plain
from utils.wording.figures import moment_text

_LINE = re.compile(rb"([A-Za-z]) (\d{1,15}) (\d{1,15}) (\d{1,14}) ([!-~]{1,200})\n")
_NO_ID = "-"

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
        self._file: int | None = None
        self._lines: deque[str] = deque()
        if path is not None:
            with suppress(OSError, StorageError):
                self._file = open_plain(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def add(
        self, kind: Kind, stretches: Iterable[Stretch], request_id: str, *, opens: bool
    ) -> None:
        """A request was answered just now that has written what these stretches have of the items
        that open records (`opens`), or of the others."""
        if self._file is None:
            return
        letter = kind.value if opens else kind.value.lower()
        end = f"{time.time_ns() // 1_000_000} {request_id or _NO_ID}\n"
        for start, stop in stretches:
            self._lines.append(f"{letter} {start} {stop} {end}")

    def flush(self) -> None:
        """Put what has been taken on disk, in one write: lines of several processes do not mix."""
        lines: list[str] = []
        with suppress(IndexError):  # whatever other threads add meanwhile
            while True:
                lines.append(self._lines.popleft())
        if not lines or self._file is None:
            return
        try:
            os.write(self._file, "".join(lines).encode("ascii", "replace"))
        except OSError:
            self._give_up()

    def close(self) -> None:
        self.flush()
        self._give_up()

    def _give_up(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            os.close(file)


def request_for(path: Path, place: int, *, opens: bool) -> LoggedRequest | None:
    """The last request that has written the item whose line begins at byte `place` of the loaded
    file, and opens a record or not; None where the log has none. Reads all of it, in constant
    memory."""
    found = None
    for logged in _lines(path):
        if logged.start <= place < logged.end and logged.letter.isupper() == opens:
            found = logged
    return found.as_request() if found else None


def requests_in(path: Path, place: ByteRange) -> tuple[LoggedRequest | None, list[LoggedRequest]]:
    """The last request that has written the item that opens the record which the loaded file has at
    these bytes, and those that have written what belongs to it, in the order of their answers."""
    head: _Logged | None = None
    lines: dict[str, _Logged] = {}
    for logged in _lines(path):
        if logged.start < place.end and place.start < logged.end:
            if logged.letter.islower():
                lines[f"{logged.at} {logged.request}"] = logged
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


def _lines(path: Path) -> Iterator[_Logged]:
    if not path.exists():
        return
    known = {kind.value for kind in Kind}
    with path.open("rb") as handle:
        for line in handle:
            fields = _LINE.fullmatch(line)
            if fields and fields[1].decode().upper() in known:
                letter, start, end, at, request = (field.decode() for field in fields.groups())
                yield _Logged(letter, int(start), int(end), int(at), request)
