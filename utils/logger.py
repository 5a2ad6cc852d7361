"""Logging: lines for the operator, JSON lines for the record.

The screen gets `2026-01-30 15:30:15 - INFO - Extracted 1250 buyers`; data/reports/migration.log
the same as JSON, one object a line, and migration_errors.log what is an error; both are rotated.
Whatever is told, by the tool or by a library, is scrubbed first (utils/wording/masking.py).
"""

from __future__ import annotations

import logging
import os
import sys
import threading
from contextlib import suppress
from datetime import datetime, timezone
from io import TextIOWrapper
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import BinaryIO, cast

import orjson

from utils.config import LoggingConfig
from utils.error_handler import traceback_of
from utils.files.storage import open_private
from utils.wording.figures import moment_text
from utils.wording.masking import scrub
from utils.wording.terminal import canvas, indented, printable

LOGGER_NAME = "migrate"
IN_THE_FILES = {"files_only": True}
"""The `extra` of what is not to come to the screen, which has said it in its own way."""
OF_THE_WHOLE = {"of_the_whole": True}
"""The `extra` of what is said of one pass after the other, and not in one of them."""
MEGABYTE = 1_000_000
_MOST_SAID = 10_000
_SCREEN_FORMAT = "%(asctime)s - %(levelname)s - %(message)s"
# Of these the tool says itself what an operator has to know.
_TOLD_OTHERWISE = ("botocore.credentials", "botocore.tokens", "botocore.utils", "urllib3")
_RED, _YELLOW, _PLAIN = "\x1b[31m", "\x1b[33m", "\x1b[0m"


def get_logger() -> logging.Logger:
    """The tool's logger."""
    return logging.getLogger(LOGGER_NAME)


_this_thread = threading.local()


def hush_this_thread() -> None:
    """What libraries have to say in this thread is told nowhere: it works beside the run, and says
    itself what an operator has to know."""
    _this_thread.hushed = True


class _Scrubbed(logging.Filter):
    """Lets what is to be told pass, without secrets and personal data."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.name != LOGGER_NAME and getattr(_this_thread, "hushed", False):
            return False
        record.msg, record.args = scrub(record.getMessage()), None
        if record.exc_info and record.exc_info[1] and not record.exc_text:
            record.exc_text = traceback_of(record.exc_info[1])
        context = getattr(record, "context", {})
        record.context = {name: scrub(str(text)) for name, text in context.items()}
        return True


class _ScreenHandler(logging.Handler):
    """Writes to the screen, above what is drawn there (utils/wording/terminal.py)."""

    def __init__(self, *, color: bool) -> None:
        super().__init__()
        self.addFilter(_Scrubbed())
        self._color = color
        self.setFormatter(logging.Formatter(_SCREEN_FORMAT, "%Y-%m-%d %H:%M:%S"))

    def emit(self, record: logging.LogRecord) -> None:
        if getattr(record, "files_only", False) or record.name.startswith(_TOLD_OTHERWISE):
            return
        if record.name != LOGGER_NAME and record.exc_info:  # a library's traceback is for the file
            record = logging.makeLogRecord({**vars(record), "exc_info": None, "exc_text": None})
        text = printable(indented(self.format(record)))
        if self._color and record.levelno >= logging.WARNING:
            tone = _RED if record.levelno >= logging.ERROR else _YELLOW
            text = f"{tone}{text}{_PLAIN}"
        canvas(sys.stderr).write(f"{text}\n")


class JsonLines(logging.Formatter):
    """One JSON object a line: time (UTC), level, message, and what `extra` adds as `context`."""

    def __init__(self, run_id: str) -> None:
        super().__init__()
        self._run_id = run_id

    def format(self, record: logging.LogRecord) -> str:
        moment = datetime.fromtimestamp(record.created, timezone.utc)
        line = {
            "time": moment_text(moment),
            "level": record.levelname,
            "runId": self._run_id,
            "message": _valid(record.getMessage()),
            **{name: _valid(text) for name, text in getattr(record, "context", {}).items()},
        }
        return orjson.dumps(line).decode()


def _valid(text: str) -> str:
    """A text as it can be written: names of files may hold what is no character."""
    return text.encode("utf-8", "replace").decode()


class _LogFile(RotatingFileHandler):
    """Appends to a file that only its owner can read; a full one becomes NAME.1, and so on."""

    def __init__(self, path: Path, config: LoggingConfig) -> None:
        size = max(1, int(config.max_file_size * MEGABYTE))
        super().__init__(path, maxBytes=size, backupCount=config.kept_files)

    def _open(self) -> TextIOWrapper:
        file = open_private(Path(self.baseFilename), self.mode + "b")
        return TextIOWrapper(cast(BinaryIO, file), "utf-8", errors="replace")

    def shouldRollover(self, record: logging.LogRecord) -> bool:  # noqa: N802 # the library's name
        """As the library has it, by bytes, and never for a file that has nothing in it yet."""
        if self.stream is None:
            self.stream = self._open()
        self.stream.seek(0, os.SEEK_END)
        there = self.stream.tell()
        coming = len(self.format(record).encode("utf-8", "replace")) + 1
        return there > 0 and there + coming > self.maxBytes

    def doRollover(self) -> None:  # noqa: N802 # the library's name
        """As the library has it; what cannot be renamed is continued."""
        try:
            super().doRollover()
        except OSError:
            self.stream = None  # closed; the next message opens it again

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 # the library's name
        """A full disk must not turn every message into a traceback: the phase that writes
        artifacts meets the same disk and stops with its own error."""

    def close(self) -> None:
        with suppress(OSError):
            super().close()


def set_up_screen(config: LoggingConfig, *, verbose: bool, quiet: bool, color: bool) -> None:
    """Send messages to the screen; `verbose` and `quiet` win over the configured level."""
    close_logs()
    logger = get_logger()
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    if not config.console:
        return
    handler = _ScreenHandler(color=color)
    level = logging.getLevelName(config.level)
    handler.setLevel(logging.DEBUG if verbose else logging.ERROR if quiet else level)
    _add(handler)


class _SaidBefore(logging.Filter):
    """Lets pass what has not been said in the same words, of warnings; and nothing below them."""

    def __init__(self) -> None:
        super().__init__()
        self._said: set[str] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno < logging.WARNING:
            return bool(getattr(record, "of_the_whole", False))
        text = record.getMessage()
        if text in self._said:
            return False
        if len(self._said) < _MOST_SAID:
            self._said.add(text)
        return True


def say_once_on_screen(*, verbose: bool) -> None:
    """What is told now is told again and again, for weeks: the screen gets what is OF_THE_WHOLE,
    and each warning once, unless it is `verbose`. The files get everything."""
    if verbose:
        return
    for handler in get_logger().handlers:
        if isinstance(handler, _ScreenHandler):
            handler.addFilter(_SaidBefore())


def add_lines(handler: logging.Handler, config: LoggingConfig, run_id: str) -> None:
    """Have a handler get what migration.log gets, line by line."""
    handler.addFilter(_Scrubbed())
    handler.setLevel(min(logging.INFO, logging.getLevelName(config.level)))
    handler.setFormatter(JsonLines(run_id))
    _add(handler)


def _add(handler: logging.Handler) -> None:
    """Give a handler the tool's messages, and the warnings of libraries."""
    get_logger().addHandler(handler)
    logging.getLogger().addHandler(handler)


def set_up_files(config: LoggingConfig, log: Path, error_log: Path, run_id: str) -> None:
    """Send messages also to the two log files."""
    if config.file:
        add_lines(_LogFile(log, config), config, run_id)
        errors = _LogFile(error_log, config)
        add_lines(errors, config, run_id)
        errors.setLevel(logging.ERROR)


def close_logs() -> None:
    """Close and remove every handler."""
    logger = get_logger()
    for handler in list(logger.handlers):
        logger.removeHandler(handler)
        logging.getLogger().removeHandler(handler)
        handler.close()
