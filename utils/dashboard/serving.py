"""The dashboard's web server: on this machine's own address and nowhere else, until it is ended."""

from __future__ import annotations

import asyncio
import errno
import logging
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

import uvicorn
from starlette.types import ASGIApp

from utils.dashboard.board import MOST_STREAMS, Boards
from utils.error_handler import ConfigurationError
from utils.wording.invocation import command
from utils.wording.masking import scrub

ADDRESS = "127.0.0.1"
_MOST_CONNECTIONS = 4 * MOST_STREAMS
_FAREWELL = 2  # seconds that the pages have to hear that it ends
_LONGEST_HEAD = 16 << 10  # bytes of a request before its body
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def listening(port: int) -> socket.socket:
    """A socket of this machine's own address; with port 0 on one that is free. Raises
    ConfigurationError when the port cannot be had."""
    opened = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.bind((ADDRESS, port))
        opened.listen()  # now, so that two cannot have the same
    except OSError as error:
        opened.close()
        taken = error.errno == errno.EADDRINUSE
        why = "is in use by another program" if taken else f"cannot be had: {error.strerror}"
        raise ConfigurationError(
            f"port {port} of {ADDRESS} {why}",
            remedy=f"leave it out, for one that is free: {command('dashboard')}; or name another "
            "with --port",
        ) from error
    return opened


def serve(
    application: ASGIApp,
    boards: Boards,
    opened: socket.socket,
    *,
    began: Callable[[], None],
    complain: Callable[[str], None],
) -> None:
    """Answer until somebody ends it (Ctrl-C, SIGTERM, a terminal that goes). `began` is called when
    it answers; `complain` gets what is a defect."""
    logger = logging.getLogger("uvicorn.error")
    logger.handlers, logger.propagate = [_Complaints(complain)], False
    config = uvicorn.Config(
        application,
        http="h11",
        ws="none",
        loop="asyncio",
        lifespan="on",
        log_config=None,
        log_level="error",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        limit_concurrency=_MOST_CONNECTIONS,
        timeout_graceful_shutdown=_FAREWELL,
        h11_max_incomplete_event_size=_LONGEST_HEAD,
    )
    asyncio.run(_Server(config, boards, began).serve([opened]))


class _Complaints(logging.Handler):
    """What the web server takes for an error of the application."""

    def __init__(self, complain: Callable[[str], None]) -> None:
        super().__init__(logging.ERROR)
        self._complain = complain

    def emit(self, record: logging.LogRecord) -> None:
        """Pass it on, without what it may quote; that somebody still waits at the end is none."""
        error = record.exc_info[1] if record.exc_info else None
        is_cut_short = isinstance(error, asyncio.CancelledError)
        if not is_cut_short and "timeout graceful shutdown" not in record.getMessage():
            self._complain(scrub(self.format(record)))


class _Server(uvicorn.Server):
    """Says when it answers, and tells the pages when it ends."""

    def __init__(self, config: uvicorn.Config, boards: Boards, began: Callable[[], None]) -> None:
        super().__init__(config)
        self._boards = boards
        self._began = began

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._began()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._boards.close()
        await asyncio.sleep(0.1)  # for the pages to be told
        await super().shutdown(sockets)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """As uvicorn has it, but that a signal is its end and nobody else's."""

        def end(_: int, __: FrameType | None) -> None:
            self.should_exit = True

        before = {each: signal.signal(each, end) for each in _SIGNALS}
        try:
            yield
        finally:
            for each, handler in before.items():
                signal.signal(each, handler)
