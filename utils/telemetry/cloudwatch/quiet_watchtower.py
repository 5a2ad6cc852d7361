"""watchtower's handler, which says nothing itself."""

from __future__ import annotations

import logging
import warnings
from typing import Any

from watchtower import CloudWatchLogHandler, WatchtowerWarning

# Its words are Python's warnings, which would come to the screen.
warnings.simplefilter("ignore", WatchtowerWarning)


class QuietHandler(CloudWatchLogHandler):
    """Sends what it is given to one stream when it is flushed."""

    def __init__(self, group: str, stream: str, *, client: Any, flush_seconds: int) -> None:
        super().__init__(
            log_group_name=group,
            log_stream_name=stream,
            send_interval=flush_seconds,
            boto3_client=client,
            create_log_group=False,
        )
        self.FLUSH_TIMEOUT = flush_seconds

    def deliver(self) -> None:
        """Send what it was given, and wait until that was tried."""
        self.flush()  # type: ignore[no-untyped-call] # the library's

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 # the library's name
        """Its words would come to the screen."""
