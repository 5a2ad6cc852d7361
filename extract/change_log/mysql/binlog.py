"""The log of MySQL and MariaDB."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from extract.change_log.change_log import ChangeLog, Followed
from utils.config import SourceConfig
from utils.interrupt import StopFlag


def open_binlog(
    config: SourceConfig,
    stop: StopFlag | None,
    followed: Sequence[Followed],
    name: str,
    known: Mapping[str, str],
) -> ChangeLog:
    """As `open_log` (extract/following/opening.py)."""
    raise NotImplementedError
