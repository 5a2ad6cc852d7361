"""Slots and publications that the tool has made.

A slot that was lost is made anew under another name than the one that was confirmed last (there are
two: `names_of`): whoever is killed before everything has been compared finds the confirmed one
gone, and compares again.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from time import monotonic
from typing import Any

from extract.change_log.postgresql.control import Control, text
from extract.change_log.postgresql.positions import Visible, position_of
from utils.config import SourceConfig
from utils.error_handler import SourceError, SourceUnavailable
from utils.interrupt import StopFlag
from utils.logger import get_logger
from utils.wording.invocation import command

PLUGIN = "pgoutput"
_SLOT = """
    SELECT to_jsonb(s), s.database = current_database(), a.usename::text, a.application_name,
        a.client_addr::text
    FROM pg_replication_slots AS s LEFT JOIN pg_stat_activity AS a ON a.pid = s.active_pid
    WHERE s.slot_name = %s
"""
_MADE = """
    SELECT to_jsonb(s), pg_wal_lsn_diff(CASE WHEN pg_is_in_recovery()
        THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END, s.restart_lsn)::bigint
    FROM pg_replication_slots AS s
    WHERE s.database = current_database() AND left(s.slot_name, length(%s)) = %s
    ORDER BY s.slot_name
"""
# Whoever has written in a transaction that is open holds the lock of its number; a transaction that
# was prepared has no process.
_OPEN = """
    SELECT coalesce(l.pid::text, 'none (a prepared transaction)'), a.usename::text,
        a.application_name, a.client_addr::text,
        to_char(a.xact_start AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')
    FROM pg_locks AS l LEFT JOIN pg_stat_activity AS a ON a.pid = l.pid
    WHERE l.locktype = 'transactionid' AND l.mode = 'ExclusiveLock' AND l.granted
    ORDER BY a.xact_start NULLS FIRST LIMIT 5
"""
_PUBLICATIONS = """
    SELECT pubname::text FROM pg_publication WHERE left(pubname, length(%s)) = %s ORDER BY 1
"""
_OWNER = """
    SELECT pg_get_userbyid(pubowner)::text, pg_has_role(pubowner, 'USAGE')
    FROM pg_publication WHERE pubname = %s
"""
PATIENCE = 3.0  # seconds until the server has noticed that whoever had the slot is gone
_LOOK_EVERY = 0.05
TELL_AFTER = 5.0
_hung_up: set[tuple[str, int]] = set()


@dataclass(frozen=True)
class Slot:
    """A slot as the server describes it; `holder` is who reads it at this moment, "" for nobody.
    `status` and `invalidation` are "" where the version does not tell."""

    name: str
    is_ours: bool
    holder: str
    process: int
    status: str
    invalidation: str
    confirmed: int

    @property
    def trouble(self) -> str:
        """Why its log cannot be read any more, or soon; "" for no reason."""
        why = f" ({self.invalidation})" if self.invalidation else ""
        if self.is_lost:
            return f"the slot {self.name} was given up by the server{why}: what it kept is lost"
        if self.status == "unreserved":
            return (
                f"the server is about to give up the slot {self.name}: more log is kept than "
                "max_slot_wal_keep_size allows"
            )
        return ""

    @property
    def is_lost(self) -> bool:
        return self.status == "lost" or bool(self.invalidation)


def names_of(name: str) -> tuple[str, str]:
    """The names that a slot for a followed log of this name may have."""
    return name, f"{name}_2"


def find_slot(control: Control, name: str) -> Slot | None:
    """The slot of this name, if there is one."""
    for row, is_here, user, application, address in control.rows(_SLOT, name):
        is_ours = row["plugin"] == PLUGIN and row["slot_type"] == "logical" and bool(is_here)
        holder = _holder(row["active_pid"], user, application, address)
        return Slot(
            name,
            is_ours and not row.get("temporary") and not row.get("two_phase"),
            holder if row["active"] else "",
            int(row["active_pid"] or 0),
            row.get("wal_status") or "",
            row.get("invalidation_reason") or ("conflict" if row.get("conflicting") else ""),
            position_of(row["confirmed_flush_lsn"] or "0/0"),
        )
    return None


def _holder(pid: object, user: str | None, application: str | None, address: str | None) -> str:
    words = [f"process {pid}", f"of {user or 'an account'}"]
    words += [f"({application})"] if application else []
    words += [f"from {address}"] if address else []
    return " ".join(words)


def has_hung_up(name: str, process: int) -> None:
    """A connection of this process, which that one of the server served, reads the slot no more.
    Where the network broke, the server notices only after wal_sender_timeout."""
    _hung_up.add((name, process))


def free_slot(control: Control, name: str) -> Slot | None:
    """The slot of this name, when nobody reads it. Raises SourceError when somebody else goes on
    doing so."""
    deadline = monotonic() + PATIENCE
    while True:
        slot = find_slot(control, name)
        if slot is None or not slot.holder:
            return slot
        if (name, slot.process) in _hung_up and monotonic() > deadline - PATIENCE / 2:
            control.rows("SELECT pg_terminate_backend(%s)", slot.process)
        if monotonic() > deadline:
            raise held(slot)
        control.rest(_LOOK_EVERY)


def held(slot: Slot) -> SourceError:
    """Somebody else reads the slot."""
    return SourceError(
        f"S9's log is followed already: {slot.holder} reads the slot {slot.name}",
        remedy=f"stop the other one ({command('sync --stop')} where it runs). One that was killed "
        "is noticed by S9 after wal_sender_timeout (60 seconds, unless set otherwise)",
    )


def make_slot(control: Control, name: str, config: SourceConfig) -> None:
    """Make a slot, which waits until every transaction has ended that is running now. What is
    committed from then on comes whole; what was committed before, everybody sees on return. Raises
    Interrupted."""
    timer = threading.Timer(TELL_AFTER, _tell_who_is_open, (config,))
    timer.daemon = True
    timer.start()
    try:
        control.waiting("SELECT pg_create_logical_replication_slot(%s, %s)", name, PLUGIN)
        _wait_until_seen(control)
    finally:
        timer.cancel()


def _wait_until_seen(control: Control) -> None:
    """A commit may be in the log before the place where a slot begins, and be seen by nobody yet:
    of a transaction that has begun while the slot was waiting for others, and waits for a standby
    itself. So all must have ended that have begun by now."""
    # Takes a number after all of theirs: a snapshot names none that come after the last that ended.
    control.one("SELECT txid_current()")
    begun = visible_now(control).running
    while begun & visible_now(control).running:
        control.rest(_LOOK_EVERY)


def visible_now(control: Control) -> Visible:
    """What a snapshot sees that is taken now."""
    [text] = control.one("SELECT txid_current_snapshot()::text")
    return Visible.of(text)


def open_transactions(control: Control) -> tuple[str, ...]:
    """Who has written in a transaction that is open, on the whole server, the oldest first: a few
    of them, in words. Raises SourceError."""
    return tuple(
        _holder(*who) + (f" since {since}" if since else "") for *who, since in control.rows(_OPEN)
    )


def _tell_who_is_open(config: SourceConfig) -> None:
    with closing(Control(config, StopFlag())) as control:
        try:
            found = open_transactions(control)
        except SourceError:
            found = ()
        get_logger().warning(
            "Waiting for S9: its log can be followed from when all have ended that have a "
            "transaction open now%s",
            f" ({', '.join(found)})" if found else "",
        )


def take_away(control: Control, name: str) -> bool:
    """Drop a slot; whether it was there. Raises SourceError when somebody reads it."""
    if free_slot(control, name) is None:
        return False
    try:
        control.rows("SELECT pg_drop_replication_slot(%s)", name)
    except SourceUnavailable:
        raise
    except SourceError as error:
        raise SourceError(
            f"the slot {name} cannot be dropped: {error.message}",
            remedy="S9 keeps its log for it until a DBA runs: "
            f"SELECT pg_drop_replication_slot({text(name)});",
        ) from error
    return True


def slots_of(config: SourceConfig, prefix: str) -> list[str]:
    """As `leftovers` (extract/following/opening.py)."""
    with closing(Control(config, StopFlag())) as control:
        try:
            slots = control.rows(_MADE, prefix, prefix)
            publications = control.rows(_PUBLICATIONS, prefix, prefix)
        except SourceError as error:
            if type(error) is SourceError:  # the account may not ask
                return []
            raise
    return [
        *(_told(row, kept) for row, kept in slots),
        *(f"publication {name}" for (name,) in publications),
    ]


def _told(row: Mapping[str, Any], kept: int | None) -> str:
    words = f"slot {row['slot_name']}"
    if kept is not None:
        words += f" keeps {size_text(kept)} of log"
    if row["active"]:
        return f"{words}, read by process {row['active_pid']}"
    since = row.get("inactive_since")
    return f"{words}, inactive{f' since {since}' if since else ''}"


def size_text(size: int) -> str:
    """A number of bytes for people."""
    amount = float(size)
    for unit in ("bytes", "KB", "MB", "GB"):
        if amount < 1000 or unit == "GB":
            break
        amount /= 1000
    return f"{amount:.0f} {unit}" if unit in ("bytes", "KB") else f"{amount:.1f} {unit}"


def drop_slot(config: SourceConfig, name: str) -> list[str]:
    """As `drop_log` (extract/following/opening.py)."""
    with closing(Control(config, StopFlag())) as control:
        gone = [f"slot {each}" for each in names_of(name) if take_away(control, each)]
        for owner, is_owned in control.rows(_OWNER, name):
            statement = f"DROP PUBLICATION {control.quote(name)}"
            if is_owned:
                control.write(statement)
                gone.append(f"publication {name}")
            else:
                gone.append(f"not the publication {name}, which is {owner}'s ({statement})")
    return gone
