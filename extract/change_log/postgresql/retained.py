"""What PostgreSQL keeps of its log for a slot.

What was confirmed is forgotten a while later: a slot's begin moves when the server has noted which
transactions run, some fifteen seconds after, and never beyond the oldest of them. So what is kept
right after a confirmation says nothing; what is kept a minute after does.
"""

from __future__ import annotations

from time import monotonic

from extract.change_log.change_log import Retained
from extract.change_log.postgresql.control import Control
from extract.change_log.postgresql.slots import find_slot, open_transactions

GRACE = 60.0  # seconds after which the server has forgotten what it may
_KEPT = """
    SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), s.restart_lsn)::bigint,
        pg_wal_lsn_diff(s.restart_lsn, '0/0')::bigint,
        (SELECT setting::bigint FROM pg_settings WHERE name = 'max_slot_wal_keep_size')
    FROM pg_replication_slots AS s WHERE s.slot_name = %s
"""


class RetainedLog:
    """Looks at what is kept for one slot, and remembers what it was told that it may forget."""

    def __init__(self, control: Control) -> None:
        self._control = control
        self._told: list[tuple[float, int]] = []  # when, and up to where

    def look(self, slot_name: str) -> Retained:
        """What is kept now. Raises SourceError."""
        slot = find_slot(self._control, slot_name)
        found = self._control.rows(_KEPT, slot_name)
        if slot is None or not found:
            return Retained(0, trouble=f"the slot {slot_name} is not there any more")
        [(kept, begin, megabytes)] = found
        stuck = max(0, self._forgettable(slot.confirmed) - int(begin or 0))
        return Retained(
            int(kept or 0),
            None if megabytes is None or megabytes < 0 else int(megabytes) << 20,
            slot.trouble,
            stuck,
            open_transactions(self._control) if stuck else (),
        )

    def _forgettable(self, confirmed: int) -> int:
        """Up to where it was confirmed long enough ago; 0 while that is not known."""
        now = monotonic()
        self._told.append((now, confirmed))
        due = [at for at, _ in self._told if at <= now - GRACE]
        del self._told[: len(due) - 1 if due else 0]
        return self._told[0][1] if due else 0
