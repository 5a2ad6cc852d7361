"""The log of PostgreSQL: a replication slot, read with pgoutput.

Beside the stream the catalogue is looked at whenever something is given out, since there is much
that the stream does not tell: that a table was dropped and made anew, rewritten, altered.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from extract.change_log.change_log import ChangeLog, Changes, Followed, Retained
from extract.change_log.postgresql.control import CHECK, UNPRIVILEGED, Control, patiently
from extract.change_log.postgresql.inbox import Inbox
from extract.change_log.postgresql.positions import Visible, position_of, position_text
from extract.change_log.postgresql.publication import Publication, find_publication, making
from extract.change_log.postgresql.requirements import all_requirements
from extract.change_log.postgresql.slots import (
    find_slot,
    free_slot,
    make_slot,
    names_of,
    take_away,
)
from extract.change_log.postgresql.stream import CannotGoOn, Replication, Server, Stream, begin
from extract.change_log.postgresql.tables import TableFacts, facts_of
from extract.change_log.postgresql.touched import Transactions
from extract.source import Source
from utils.config import SourceConfig
from utils.error_handler import SourceError
from utils.interrupt import StopFlag
from utils.logger import get_logger
from utils.wording.invocation import command

PREFIX = "s9-migrate"
_SNAPSHOT = "SELECT txid_current_snapshot()::text"
_RETAINED = """
    SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), s.restart_lsn)::bigint,
        (SELECT setting::bigint FROM pg_settings WHERE name = 'max_slot_wal_keep_size')
    FROM pg_replication_slots AS s WHERE s.slot_name = %s
"""


def open_slot_log(
    config: SourceConfig,
    stop: StopFlag | None,
    followed: Sequence[Followed],
    name: str,
    known: Mapping[str, str],
) -> ChangeLog:
    """As `open_log` (extract/following/opening.py)."""
    raise NotImplementedError
