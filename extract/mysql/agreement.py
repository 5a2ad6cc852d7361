"""Several connections to MySQL or MariaDB that see the same, though none can share its snapshot.

Each begins a snapshot of its own, and it is proved that nothing was committed in between:

- InnoDB's log (its LSN) stood still from before the first until after the last. Whoever commits a
  change has written to it, also what no binary log tells of: sessions that keep out of that
  (sql_log_bin), replicas that do not log what they apply, databases that are filtered out.
- Where the server tells of which position of the binary log a session's snapshot is (MariaDB,
  Percona Server: `binlog_snapshot_position`, to every account), it is the same for all.

A change is in InnoDB's log a moment before it is seen (microseconds, as long as the server's thread
is not held up in between). Of what is in the binary log the position tells that exactly. Where not
everything is, the log has to have stood still for a while before the first snapshot, too.

Positions of the binary log before and after would be no proof: a change is there before it can be
seen, and on a server that waits for its replicas that may take seconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pymysql
from pymysql.constants import ER

from extract.mysql.errors import is_lost, number_of
from extract.mysql.session import Session
from utils.interrupt import StopFlag

# MariaDB's name, and that of MySQL from 8.0.30 on.
_LSN = ("Innodb_lsn_current", "Innodb_redo_log_current_lsn")
_BINLOG = ("Binlog_snapshot_file", "Binlog_snapshot_position")
_WITH_TRANSACTIONS = {"InnoDB", "SEQUENCE"}
_TRIES = 20
_PATIENCE = 2  # seconds to wait for a table that somebody changes
_STILL = 0.05  # seconds in which whoever has written his commit has made it seen
_WRITTEN_TO = "S9 was being written to whenever several began"
_NOW = "SELECT DATE_FORMAT(UTC_TIMESTAMP(6), '%Y-%m-%dT%H:%i:%s.%f'), VERSION()"


@dataclass(frozen=True)
class Begun:
    """Snapshots that have begun: a moment of the server's clock whose state they see, or a later
    one; its version; and why they cannot be proved to be the same, "" when they are."""

    moment: str
    server: str
    differ: str = ""


def begin(sessions: Sequence[Session], stop: StopFlag) -> Begun:
    """Begin a snapshot in each of the sessions, again and again until all of them are the same.
    The first one's is good in any case. Raises what PyMySQL raises."""
    why = _cannot_tell(sessions) if len(sessions) > 1 else ""
    if why or len(sessions) == 1:
        return _begun(sessions[:1], why)
    pause = 0.0 if _has_log_of_all(sessions[0]) else _STILL
    for _ in range(_TRIES):
        before = sessions[0].status(*_LSN)
        stop.sleep(pause)
        begun = _begun(sessions, "")
        # The last one asks: what it sees cannot be older than that.
        if sessions[-1].status(*_LSN) == before and len(set(map(_place, sessions))) == 1:
            return begun
    return Begun(begun.moment, begun.server, _WRITTEN_TO)


def hold(sessions: Sequence[Session], queries: Sequence[str]) -> str:
    """Let each session open what is going to be read, so that nobody can change the tables until it
    ends; why one cannot, "" when all can. Later, one might have to wait for somebody who waits for
    another of them. Raises what PyMySQL raises when a connection is lost."""
    for session in sessions:
        with session.hurried(_PATIENCE):
            for query in queries:
                try:
                    session.all(f"SELECT * FROM ({query}) AS q LIMIT 0")
                except pymysql.Error as error:
                    if number_of(error) == ER.LOCK_WAIT_TIMEOUT:
                        return "somebody is changing one of S9's tables"
                    if is_lost(error):
                        raise
                    # Else it is told by whoever reads it.
    return ""


def _begun(sessions: Sequence[Session], differ: str) -> Begun:
    [(moment, server)] = sessions[0].all(_NOW)
    for session in sessions:
        session.begin()
    return Begun(str(moment), str(server), differ)


def _cannot_tell(sessions: Sequence[Session]) -> str:
    """Why nothing could be proved, whatever the sessions see; "" when it can."""
    first, *others = sessions
    here = first.identity()
    if any(other.identity() != here for other in others):
        return "further connections lead to another server"
    if not first.status(*_LSN):
        return "the server does not tell where InnoDB's log is (MySQL does from 8.0.30 on)"
    engines = first.all(
        "SELECT ENGINE FROM information_schema.ENGINES "
        "WHERE SUPPORT IN ('YES', 'DEFAULT') AND TRANSACTIONS = 'YES'"
    )
    strange = sorted({str(name) for (name,) in engines} - _WITH_TRANSACTIONS)
    if strange:
        return f"the server has other engines with transactions than InnoDB: {', '.join(strange)}"
    return ""


def _place(session: Session) -> tuple[str, ...]:
    """Of which position of the binary log the session's snapshot is, where that is told."""
    found = session.status_of_its_own(*_BINLOG)
    return tuple(found.get(name.lower(), "") for name in _BINLOG)


def _has_log_of_all(session: Session) -> bool:
    """Whether a snapshot's position is told, and the binary log has what a replica applies, too."""
    if not session.status_of_its_own(*_BINLOG).get("binlog_snapshot_file"):
        return False
    said = session.variables("log_slave_updates", "log_replica_updates", "wsrep_on")
    if "ON" in (said.get("log_slave_updates"), said.get("log_replica_updates")):
        return True
    applies = session.status("Slaves_running").get("slaves_running") != "0"
    return said.get("wsrep_on") != "ON" and not applies
