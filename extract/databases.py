"""The databases that S9 can be on, and opening the one that is configured."""

from __future__ import annotations

from pathlib import Path

from extract.source import Reads, Snapshot, Source
from utils.config import SourceConfig
from utils.error_handler import SourceUnavailable
from utils.interrupt import StopFlag
from utils.wording.invocation import again


def join_snapshot(config: SourceConfig, snapshot: Snapshot) -> Source:
    """A further connection to S9, from whatever machine, which sees what the one sees that has
    taken `snapshot`, for as long as that one is open. Only of a snapshot that has a name.

    Raises SourceUnavailable when there is no connection to be had, or the snapshot is not known
    where it leads.
    """
    from extract.postgresql.source import PostgresSource

    return PostgresSource(config, joins=snapshot)


def open_source(
    config: SourceConfig, stop: StopFlag | None, scratch: Path, reads: Reads | None = None
) -> Source:
    """Connect to S9 and take a snapshot; `scratch` is where rows may be kept in between, `reads`
    is what the snapshot is for.

    Raises SourceUnavailable when there is no connection to be had, SourceError when somebody
    keeps a table from being read.
    """
    try:
        return _open(config, stop, scratch, reads)
    except SourceUnavailable as error:
        raise SourceUnavailable(error.message, remedy=f"{error.remedy}; then: {again()}") from error


def _open(
    config: SourceConfig, stop: StopFlag | None, scratch: Path, reads: Reads | None
) -> Source:
    if config.type == "mysql":  # each database's library is loaded only when it is asked for
        from extract.mysql.source import MySqlSource

        return MySqlSource(config, stop, scratch, reads)
    from extract.postgresql.source import PostgresSource

    return PostgresSource(config, stop, reads)
