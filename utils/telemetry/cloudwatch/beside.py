"""CloudWatch beside a run: opened with its log files, settled before the last words, closed before
the log files. One run at a time, as there is one set of log files.

Whoever does not use it does not import botocore for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from utils.config import Config
from utils.telemetry.events import EventStream

if TYPE_CHECKING:
    from utils.telemetry.cloudwatch.work import Work

_open: list[Work] = []


def open_cloudwatch(config: Config, run_id: str, events: EventStream) -> None:
    """Send to CloudWatch what the configuration says, from now on; `run_id` is "" for a command
    that is no run. Nobody is asked for anything here, and nothing waits."""
    if config.logging.cloud_watch or config.logging.cloud_watch_metrics:
        from utils.telemetry.cloudwatch.work import Work  # noqa: PLC0415

        _open.append(Work(config, run_id, events))


def settle_cloudwatch() -> None:
    """The last words come: what is left goes out before them, and what CloudWatch has refused is
    said before them. Waits for a few seconds at most, together with `close_cloudwatch`."""
    for work in _open:
        work.settle()


def close_cloudwatch() -> None:
    """Send what is left, for as long as an end may take, and be done with it."""
    while _open:
        _open.pop().close()
