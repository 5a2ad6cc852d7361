"""What PostgreSQL says of itself and of S9's tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import psycopg2
from psycopg2 import errorcodes

from extract.checks.database_facts import (
    DENIED,
    LOCKED,
    MISSING,
    OTHER,
    Remark,
    ServerFacts,
    TableFacts,
    listed,
    text,
)
from extract.source import Source
from utils.config import SourceConfig
from utils.error_handler import BackOff, SourceError
from utils.wording.figures import counted

_OLDEST = 100000
# Other than the transaction's, which are pinned: what the server, the database or the account has.
_SETTINGS = "SELECT name, reset_val FROM pg_settings WHERE name IN ('TimeZone', 'server_encoding')"
_SERVER = (
    "SELECT current_setting('server_version'), current_setting('server_version_num')::int, "
    "current_user::text, r.rolsuper, pg_backend_pid(), pg_is_in_recovery(), "
    "coalesce(extract(epoch FROM now() - pg_last_xact_replay_timestamp()), 0)::bigint "
    "FROM pg_roles AS r WHERE r.rolname = current_user"
)
_STANDBY = (
    "SELECT current_setting('hot_standby_feedback'), current_setting('max_standby_streaming_delay')"
)
# Nothing of it waits for a lock. A table that was never analysed has no estimate; a unique index
# tells rows apart where it is of one plain column and of all rows.
_TABLES = """
    SELECT c.relname::text, c.relkind::text,
        CASE WHEN c.reltuples <= 0 AND c.relpages = 0 THEN -1 ELSE c.reltuples::bigint END,
        has_table_privilege(c.oid, 'SELECT'),
        array(SELECT a.attname::text FROM pg_index AS i
            JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum = i.indkey[0]
            WHERE i.indrelid = c.oid AND i.indisunique AND i.indisvalid AND i.indpred IS NULL
                AND i.indnatts = 1)
    FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE n.nspname = {schema} AND c.relname IN ({names}) AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
"""
_VIEWS = ("v", "m", "f")


class PostgresFacts:
    """Asks PostgreSQL, through an open source."""

    def __init__(self, source: Source, config: SourceConfig) -> None:
        self._source = source
        self._config = config

    def hurry(self, seconds: int) -> None:
        """For the rest of the transaction; it is no setting that the source has pinned."""
        self._source.tally(f"SELECT set_config('lock_timeout', '{seconds}s', true)")

    def server(self) -> ServerFacts:
        """What the server says of itself; without tables."""
        [(version, number, user, is_super, pid, is_standby, behind)] = self._source.tally(_SERVER)
        remarks = [*self._account(user, is_super), *self._schema(user), *self._way(int(pid))]
        if is_standby:
            remarks += self._standby(int(behind))
        return ServerFacts(f"PostgreSQL {version}", number < _OLDEST, [*remarks, *self._settings()])

    def tables(self, names: Sequence[str]) -> Mapping[str, TableFacts]:
        """Those of the tables that are there; it needs no right on them to see that."""
        query = _TABLES.format(schema=text(self._config.schema), names=listed(names))
        return {
            name: TableFacts(
                is_view=kind in _VIEWS,
                rows=rows if rows >= 0 and kind not in ("v", "f") else None,
                unique=frozenset(unique),
                readable=readable,
            )
            for name, kind, rows, readable, unique in self._source.tally(query)
        }

    def elsewhere(self, name: str) -> list[str]:
        """The other schemas that have a table of this name."""
        rows = self._source.tally(
            "SELECT n.nspname::text FROM pg_class AS c JOIN pg_namespace AS n ON "
            f"n.oid = c.relnamespace WHERE c.relname = {text(name)} "
            f"AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname <> "
            f"{text(self._config.schema)} ORDER BY 1 LIMIT 5"
        )
        return [str(schema) for (schema,) in rows]

    def kind_of(self, error: SourceError | BackOff) -> str:
        """By SQLSTATE."""
        if isinstance(error, BackOff):
            return LOCKED if error.reason == "TableLocked" else OTHER
        cause = error.__cause__
        code = cause.pgcode if isinstance(cause, psycopg2.Error) else ""
        kinds = {errorcodes.INSUFFICIENT_PRIVILEGE: DENIED, errorcodes.UNDEFINED_TABLE: MISSING}
        return kinds.get(code or "", OTHER)

    def grant(self, table: str) -> str:
        """The grant that an administrator types."""
        account = self._source.quote(self._config.username)
        return f"GRANT SELECT ON {self._source.table(table)} TO {account}"

    def _account(self, user: str, is_super: bool) -> Iterator[Remark]:
        if is_super:
            yield Remark(
                "account",
                f"{user} is a superuser. Nothing in S9 is changed, because the session is "
                "read-only",
                "use an account that can only SELECT (docs/security.md has the SQL)",
            )

    def _schema(self, user: str) -> Iterator[Remark]:
        schema = self._config.schema
        rows = self._source.tally(
            "SELECT has_schema_privilege(n.oid, 'USAGE') FROM pg_namespace AS n "
            f"WHERE n.nspname = {text(schema)}"
        )
        if rows and not rows[0][0]:
            names = [self._source.quote(name) for name in (schema, user)]
            yield Remark(
                "schema",
                f"{user} may not use the schema {schema}",
                "let an administrator type: GRANT USAGE ON SCHEMA {} TO {}".format(*names),
                is_bad=True,
            )

    def _way(self, pid: int) -> Iterator[Remark]:
        """A pooler gives its clients numbers of its own making."""
        if self._source.connection_number != pid:
            yield Remark(
                "pooler",
                "there is a pooler in between; everything is set, and confirmed, inside each "
                "transaction",
            )

    def _standby(self, behind: int) -> Iterator[Remark]:
        lag = f"{counted(behind, 'second')} since it last got a change"
        [(feedback, delay)] = self._source.tally(_STANDBY)
        if feedback == "on" or delay == "-1":
            yield Remark("replica", f"a replica, {lag}")
            return
        yield Remark(
            "replica",
            f"a replica, {lag}; it may end a query that lasts for more than {delay} "
            "(max_standby_streaming_delay), and the extract would begin again",
            "while the extract lasts, set hot_standby_feedback to on at the replica: ALTER SYSTEM "
            "SET hot_standby_feedback = on; SELECT pg_reload_conf()",
        )

    def _settings(self) -> Iterator[Remark]:
        found = {name: str(value) for name, value in self._source.tally(_SETTINGS)}
        zone = self._config.timezone
        yield Remark(
            "time zone",
            f"times without a zone are taken as those of {zone} (source.timezone); the server's "
            f"own is {found.get('TimeZone', 'not told')}",
        )
        encoding = found.get("server_encoding", "not told")
        if encoding == "SQL_ASCII":
            yield Remark(
                "encoding",
                "the database has no encoding (SQL_ASCII): texts are taken as UTF-8, and records "
                "with a text that is none are refused",
                "nothing needs to be done; what was refused is in quarantine after the extract, "
                "to be fixed in S9",
            )
        else:
            yield Remark("encoding", f"{encoding}, read as UTF-8")
