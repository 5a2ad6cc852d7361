"""Who holds a transaction open that has written into S9's tables: it may still be committed.

PostgreSQL tells every account who holds which lock; whoever has written holds one until the end of
its transaction (its manual, "Explicit Locking"). MySQL and MariaDB tell it only to who has the
privilege PROCESS.
"""

from __future__ import annotations

from extract.engine import open_for
from extract.entities import entities_of
from extract.snapshot.lost import read_in_spite_of_losses
from extract.source import Source
from utils.cutover.ways import Writers
from utils.error_handler import SourceError
from utils.run.run import Run
from utils.wording.invocation import again

# The tables are those that this transaction has read, or holds so that it can: views with what they
# are made of. Their indexes are locked as well, and say nothing more. A prepared transaction has no
# process.
_POSTGRESQL = """
    SELECT coalesce(l.pid, 0), coalesce(a.usename::text, ''), coalesce(a.application_name, ''),
        string_agg(DISTINCT l.relation::regclass::text, ', ')
    FROM pg_locks AS l JOIN pg_class AS c ON c.oid = l.relation AND c.relkind NOT IN ('i', 'I')
        LEFT JOIN pg_stat_activity AS a USING (pid)
    WHERE l.locktype = 'relation' AND l.pid IS DISTINCT FROM pg_backend_pid()
        AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
        AND l.mode IN ('RowExclusiveLock', 'ShareRowExclusiveLock', 'ExclusiveLock',
            'AccessExclusiveLock')
        AND l.relation IN (SELECT m.relation FROM pg_locks AS m
            WHERE m.pid = pg_backend_pid() AND m.locktype = 'relation' AND m.relation >= 16384)
    GROUP BY l.virtualtransaction, 1, 2, 3
    ORDER BY 1, 4
"""
# trx_mysql_thread_id is 0 for a prepared transaction whose connection is gone.
_MYSQL = """
    SELECT t.trx_mysql_thread_id, coalesce(p.user, ''), coalesce(p.db, ''), ''
    FROM information_schema.innodb_trx AS t
        LEFT JOIN information_schema.processlist AS p ON p.id = t.trx_mysql_thread_id
    WHERE t.trx_rows_modified > 0 AND t.trx_mysql_thread_id <> CONNECTION_ID()
    ORDER BY 1
"""


def writers_now(run: Run) -> Writers:
    """Who that is at this moment, as far as the account may see it. Raises SourceError."""

    def look() -> Writers:
        with open_for(run, entities_of(run.config.source.layout)) as source:
            return writers(source, run.config.source.type)

    return read_in_spite_of_losses(run, look, again())


def writers(source: Source, kind: str) -> Writers:
    """The same by an open source. `kind` is `source.type`. Raises BackOff when the connection is
    lost."""
    try:
        rows = source.tally(_MYSQL if kind == "mysql" else _POSTGRESQL)
    except SourceError as error:
        unseen = f"{error.message} (GRANT PROCESS lets the account see it)"
        return Writers(unseen=unseen if kind == "mysql" else error.message)
    return Writers(tuple(dict.fromkeys(_named(*map(str, row)) for row in rows)))


def _named(pid: str, user: str, further: str, table: str) -> str:
    who = f"process {pid} of {user or 'an account'}" if pid != "0" else "a prepared transaction"
    about = " ".join(
        filter(None, [f"({further})" if further else "", f"on {table}" if table else ""])
    )
    return f"{who} {about}".rstrip()
