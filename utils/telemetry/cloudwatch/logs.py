"""The lines of migration.log, also in CloudWatch Logs.

watchtower puts them there (streams, sizes and order of a batch are its business). What it does not
promise is kept here: nobody who logs ever waits, memory is bounded, and what has not been taken is
known and is sent again, unless it may have arrived.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from utils.aws.errors import clock
from utils.aws.services import open_service
from utils.config import LoggingConfig, TargetConfig
from utils.logger import LOGGER_NAME, hush_this_thread
from utils.telemetry.cloudwatch.quiet_watchtower import QuietHandler
from utils.telemetry.cloudwatch.troubles import LogGroupMissing, NotTaken, trouble_of
from utils.wording.figures import counted

if TYPE_CHECKING:
    from botocore.client import BaseClient

SERVICE = "CloudWatch Logs"
_MOST_LINES = 20_000
_MOST_BYTES = 8_000_000
_AT_ONCE = 2_000  # lines
_BYTES_AT_ONCE = 800_000  # of 1,048,576, which count 26 for each line
_FLUSH_SECONDS = 60


@dataclass(frozen=True)
class _Line:
    created: float  # seconds since 1970, as a LogRecord has it
    text: str

    @property
    def size(self) -> int:
        return len(self.text) + 26


class CloudWatchLines(logging.Handler):
    """Keeps lines until they are taken; the oldest go when there are too many."""

    def __init__(self) -> None:
        super().__init__()
        self._lines: deque[_Line] = deque()
        self._bytes = 0
        self._guard = threading.Lock()
        self.dropped = 0

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = _Line(record.created, self.format(record))
        except Exception:  # a message that cannot be written stops nothing
            return
        with self._guard:
            self._lines.append(line)
            self._bytes += line.size
            while len(self._lines) > _MOST_LINES or self._bytes > _MOST_BYTES:
                self._bytes -= self._lines.popleft().size
                self.dropped += 1

    @property
    def waiting(self) -> int:
        """How many lines there are to send."""
        return len(self._lines)

    def first(self) -> list[_Line]:
        """The oldest lines, as many as one request takes."""
        size, chosen = 0, list[_Line]()
        with self._guard:
            for line in islice(self._lines, _AT_ONCE):
                size += line.size
                if chosen and size > _BYTES_AT_ONCE:
                    break
                chosen.append(line)
        return chosen

    def done(self, lines: list[_Line]) -> None:
        """These need not be sent any more."""
        with self._guard:
            for line in lines:
                if self._lines and self._lines[0] is line:  # else it was dropped meanwhile
                    self._bytes -= self._lines.popleft().size


class LogSender:
    """Sends lines to a stream of a group, both of which are made when they are missing."""

    def __init__(
        self, lines: CloudWatchLines, target: TargetConfig, config: LoggingConfig, run_id: str
    ) -> None:
        self._lines = lines
        self._target = target
        self._group = config.cloud_watch_group
        self._stream = config.cloud_watch_stream or run_id
        self._guarded: _Guarded | None = None
        self._handler: QuietHandler | None = None

    def send(self) -> None:
        """Send all that there is. Raises whatever kept it from being taken."""
        if self._handler is None:
            self._handler = self._open()
        while batch := self._lines.first():
            self._put(batch)

    def close(self) -> None:
        """Nothing waits for it any more, not even the end of the interpreter."""
        if self._handler is not None:
            self._handler.shutting_down = True

    def _open(self) -> QuietHandler:
        self._guarded = _Guarded(open_service(self._target, "logs"))
        return QuietHandler(
            self._group, self._stream, client=self._guarded, flush_seconds=_FLUSH_SECONDS
        )

    def _put(self, batch: list[_Line]) -> None:
        assert self._guarded is not None and self._handler is not None
        self._guarded.begin()
        for line in batch:
            record = {"name": LOGGER_NAME, "msg": line.text, "created": line.created}
            self._handler.handle(logging.makeLogRecord(record))
        self._handler.deliver()
        failure = self._guarded.failure
        if failure is None and self._guarded.taken < len(batch):
            failure = NotTaken(f"{self._guarded.taken} of {counted(len(batch), 'line')}")
        if failure is None or not trouble_of(failure, self._target).untouched:
            self._lines.done(batch)
        if failure is not None:
            raise failure


class _Guarded:
    """The client that watchtower uses: a call that fails is the last one of a batch, since
    watchtower would try five times without a pause; and what has failed is known."""

    def __init__(self, client: BaseClient) -> None:
        self._client: Any = client
        self.exceptions: Any = client.exceptions
        self.meta = client.meta
        self.begin()

    def begin(self) -> None:
        """A batch begins."""
        self.failure: Exception | None = None
        self.taken = 0

    def put_log_events(self, **request: Any) -> Any:
        hush_this_thread()
        if self.failure is not None:
            raise self.failure
        known = self.exceptions
        try:
            answer = self._client.put_log_events(**request)
        except (
            known.ResourceNotFoundException,  # the stream is made
            known.InvalidSequenceTokenException,  # the right one is taken
            known.DataAlreadyAcceptedException,
        ):
            raise
        except Exception as error:
            self.failure = error
            raise
        if answer.get("rejectedLogEventsInfo"):
            self.failure = NotTaken(
                "the time of lines is too far from its own; this machine's clock says " + clock()
            )
        self.taken += len(request["logEvents"])
        return answer

    def create_log_stream(self, **request: Any) -> Any:
        """Make the stream, and its group if there is none."""
        try:
            try:
                return self._client.create_log_stream(**request)
            except self.exceptions.ResourceNotFoundException:
                self._create_group(request["logGroupName"])
                return self._client.create_log_stream(**request)
        except self.exceptions.ResourceAlreadyExistsException:
            raise
        except Exception as error:
            self.failure = error
            raise

    def _create_group(self, name: str) -> None:
        try:
            self._client.create_log_group(logGroupName=name)
        except self.exceptions.ResourceAlreadyExistsException:
            return
        except self.exceptions.ClientError as error:
            raise LogGroupMissing(f"{name}, and it may not be created ({error})") from error
