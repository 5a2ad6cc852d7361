"""S9 as `check` and the plan look at it: everything that an extract needs of it, without a row.

What is asked is what the extract itself asks, by the same functions; a thing that is not as it must
be hides none of the others.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from ipaddress import ip_address

from extract.checks.database_facts import DENIED, LOCKED, MISSING, Facts, Remark, TableFacts
from extract.databases import open_source
from extract.declaration import ColumnMapping, Entity, Table, recognise
from extract.entities import entities_of
from extract.following.at_s9 import forgotten
from extract.selection import configured, configured_sql, plan, whole
from extract.snapshot.rights import tables_of_all
from extract.source import CONNECTIONS, Reads, Source
from utils.checking.looking import Looking
from utils.config import LAYOUTS, Config, SourceConfig
from utils.error_handler import BackOff, MigrationError, SourceError, SourceUnavailable
from utils.files.workspace import Workspace
from utils.interrupt import StopFlag
from utils.wording.figures import counted
from utils.wording.invocation import again, command

CONNECTION, ROWS, LOG = "connection", "rows", "followed log"


def check_source(config: Config, files: Workspace, looking: Looking) -> None:
    """Look at S9: connection, TLS, server, account, tables and columns, what is selected."""
    stop = StopFlag()
    looking.ends_by(stop.request)
    looking.at(CONNECTION)
    began = time.monotonic()
    try:
        source = open_source(config.source, stop, files.scratch, Reads(connections=CONNECTIONS))
    except (MigrationError, BackOff) as error:
        _not_connected(config.source, looking, error)
        return
    took = time.monotonic() - began
    with source:
        looking.ok(
            CONNECTION,
            f"{_place(config.source)} lets {config.source.username} into the database "
            f"{config.source.database} ({took * 1000:.0f} ms); the session is read-only, and the "
            "server confirms its settings",
        )
        _Looked(config, source, looking).all()
    with looking.step(LOG):
        for left in forgotten(config, files):
            looking.warn(
                LOG,
                f"S9 keeps its log for somebody: {left}",
                "if no other migration follows S9 with it, have a DBA drop it: SELECT "
                "pg_drop_replication_slot('NAME'); else S9's disk fills up",
            )


def _not_connected(config: SourceConfig, looking: Looking, error: MigrationError | BackOff) -> None:
    """What failed, and whether it was the way or the door."""
    reached = isinstance(error, SourceUnavailable) and _answers(config)
    if reached:
        looking.ok("network", f"{_place(config)} can be reached")
    looking.failed(CONNECTION, error)
    why = "S9 does not let the tool in" if reached else "S9 cannot be reached"
    for name in ("TLS", "server", "rights", "tables"):
        looking.skip(name, f"because {why}")


def _answers(config: SourceConfig) -> bool:
    if config.host.startswith("/"):
        return False
    with suppress(OSError, UnicodeError):
        address = config.host, config.tcp_port
        socket.create_connection(address, timeout=config.connection_timeout).close()
        return True
    return False


def _place(config: SourceConfig) -> str:
    return config.host if config.host.startswith("/") else f"{config.host}:{config.tcp_port}"


def _facts_of(source: Source, config: SourceConfig) -> Facts:
    if config.type == "mysql":  # each database's library is loaded only when it is asked for
        from extract.checks.mysql_facts import MySqlFacts

        return MySqlFacts(source, config)
    from extract.checks.postgresql_facts import PostgresFacts

    return PostgresFacts(source, config)


class _Looked:
    """The steps, once there is a connection."""

    def __init__(self, config: Config, source: Source, looking: Looking) -> None:
        self._config = config
        self._source = source
        self._look = looking
        self._facts = _facts_of(source, config.source)
        self._declared = entities_of(config.source.layout)
        self._good: set[str] = set()

    def all(self) -> None:
        """Every step; one that fails does not end the others."""
        self._encryption()
        with self._look.step("server"):
            self._facts.hurry(max(1, self._config.source.connection_timeout // 4))
            self._server()
        tables = _tables_read(self._declared, self._config)
        with self._look.step("tables"):
            found = self._facts.tables(list(tables))
            with self._look.step("rights"):
                self._rights(found)
            for table in tables.values():
                with self._look.step(f"table {table.name}"):
                    self._table(table, found.get(table.name))
            self._rows(tables, found)
            with self._look.step("one moment"):
                self._one_moment(tables)
        for entity in self._declared.values():
            name = f"selection of {entity.name}"
            self._look.at(name)
            try:
                self._selection(entity)
            except MigrationError as error:  # which knows of no entity
                remedy = error.remedy.replace("<entity>", entity.name)
                self._look.fail(name, error.message, remedy)

    def _encryption(self) -> None:
        """TLS, and whether it was verified who is at the other end."""
        config, name = self._config.source, "TLS"
        protocol = self._source.encryption
        if config.host.startswith("/"):
            self._look.ok(name, "a socket of this machine needs none")
        elif protocol and config.ssl in (True, "verify-full"):
            self._look.ok(name, f"{protocol}; the server's certificate and name are verified")
        elif protocol and _verifies_authority(config):
            self._look.ok(
                name, f"{protocol}; the authority of the server's certificate is verified"
            )
        elif protocol:
            self._look.warn(
                name,
                f"{protocol}, but who is at the other end is not verified "
                f"(source.ssl: {config.ssl})",
                "set source.ssl to true, and source.sslRootCert where the authority is a private "
                "one",
            )
        elif _is_this_machine(config.host):
            self._look.ok(name, "not used: S9 is on this machine")
        else:
            self._look.warn(
                name,
                "not used: password and data go over the network in clear",
                "set source.ssl to true; false is for private networks only",
            )

    def _server(self) -> None:
        said = self._facts.server()
        if said.is_old:
            self._look.warn(
                "server",
                f"{said.product}, which is older than what the tool is made for",
                f"rehearse before anything else: {command('--dry-run')}",
            )
        else:
            self._look.ok("server", said.product)
        for remark in said.remarks:
            self._remark(remark)

    def _remark(self, remark: Remark) -> None:
        if remark.is_bad:
            self._look.fail(remark.name, remark.found, remark.remedy)
        elif remark.remedy:
            self._look.warn(remark.name, remark.found, remark.remedy)
        else:
            self._look.ok(remark.name, remark.found)

    def _rights(self, found: Mapping[str, TableFacts]) -> None:
        """Best is an account that can do no more than read."""
        writable = self._source.writable(list(found))
        user = self._config.source.username
        if writable:
            self._look.warn(
                "rights",
                f"{user} may change {', '.join(writable)}. Nothing in S9 is changed, because the "
                "session is read-only",
                "use an account that can only SELECT (docs/security.md has the SQL)",
            )
        else:
            self._look.ok("rights", f"{user} can change none of S9's tables")

    def _table(self, table: Table, facts: TableFacts | None) -> None:
        """A table: is it there, may it be read, has it the columns that every record needs."""
        name = f"table {table.name}"
        try:
            present = [column.name for column in self._source.columns(whole(table, self._source))]
        except (SourceError, BackOff) as error:
            self._unreadable(table, facts, error)
            return
        mapping = recognise(table.columns, present)
        missing = [c for c in table.columns if c.required and c.name in mapping.missing]
        if missing:
            lacking = "; ".join(" or ".join(column.names) for column in missing)
            strange = ", ".join(mapping.unmapped) or "none"
            self._look.fail(
                name,
                f"{table.name} lacks a column that every record needs: {lacking}. Columns there "
                f"that are not known: {strange}",
                self._with_column(table, missing[0].name, mapping),
            )
            return
        self._good.add(table.name)
        self._look.ok(name, ", ".join(_described(mapping, facts)))
        self._key(table, mapping, facts)

    def _key(self, table: Table, mapping: ColumnMapping, facts: TableFacts | None) -> None:
        """What tells rows apart: a database that sees to it, or the extract, which stops."""
        key = next(name for name, known in mapping.recognised.items() if known == table.key)
        if facts and not facts.is_view and key not in facts.unique:
            self._look.warn(
                f"key of {table.name}",
                f"{key} has no unique index: a key that occurs twice is found only by the extract, "
                "which stops at it",
                f"see whether there is one: SELECT {key}, count(*) FROM {table.name} GROUP BY "
                f"{key} HAVING count(*) > 1",
            )

    def _unreadable(
        self, table: Table, facts: TableFacts | None, error: SourceError | BackOff
    ) -> None:
        name, kind = f"table {table.name}", self._facts.kind_of(error)
        user, database = self._config.source.username, self._config.source.database
        if kind == LOCKED:
            self._look.fail(
                name,
                f"{table.name} is locked: somebody is changing the table itself (ALTER, TRUNCATE, "
                "LOCK TABLES, a backup)",
                f"wait until that is over, or ask whoever does it to end it; then: {again()}",
            )
        elif isinstance(error, BackOff):
            raise error
        elif kind == DENIED and not (facts and facts.readable):
            self._look.fail(
                name,
                f"{user} may not read {table.name}: {error.message}",
                f"let an administrator type: {self._facts.grant(table.name)}; then: {again()}",
            )
        elif kind == MISSING:
            where = database
            if self._config.source.type != "mysql":
                where += f", schema {self._config.source.schema}"
            self._look.fail(
                name, f"there is no table {table.name} in {where}", self._where_it_may_be(table)
            )
        else:  # what it says already has its remedy: row level security, a view that is broken, …
            self._look.failed(name, error)

    def _where_it_may_be(self, table: Table) -> str:
        """What to set, from what is found instead."""
        setting = "database" if self._config.source.type == "mysql" else "schema"
        if others := self._facts.elsewhere(table.name):
            found = " or ".join(f'"{name}"' for name in others)
            return f"there is one in another {setting}: set source.{setting} to {found}"
        for layout in LAYOUTS:
            wanted = tables_of_all(entities_of(layout).values())
            if layout != self._config.source.layout and len(self._facts.tables(wanted)) == len(
                wanted
            ):
                return f'the tables of another layout are there: set source.layout to "{layout}"'
        return (
            f"check source.database{', source.schema' if setting == 'schema' else ''} and "
            "source.layout: they say where S9's tables are"
        )

    def _with_column(self, table: Table, canonical: str, mapping: ColumnMapping) -> str:
        """How to say which column is meant, where there is one under another name."""
        readers = [each for each in self._declared.values() if each.table == table]
        column = mapping.unmapped[0] if len(mapping.unmapped) == 1 else "ITS_COLUMN"
        if not readers:
            return (
                f"make a view {table.name}, in a schema of its own (source.schema), that has the "
                f"column as {canonical}"
            )
        policy = self._config.extraction.disabled_parties
        said = [
            f'extraction.{each.name}.query: "'
            + each.queries[policy].replace("SELECT *", f"SELECT *, {column} AS {canonical}", 1)
            + '"'
            for each in readers
            if "{" not in each.queries[policy]
        ]
        return (
            "check source.schema and source.layout; or, if it has another name here, say which: "
            + " and ".join(said)
        )

    def _rows(self, tables: Iterable[str], found: Mapping[str, TableFacts]) -> None:
        """How many rows there are, by the server's own estimate."""
        rows = {name: found[name].rows for name in tables if name in found}
        known = {name: count for name, count in rows.items() if count is not None}
        if len(known) < len(rows) or not known:
            self._look.ok(
                ROWS, "the server has no estimate (it has not analysed the tables)", **known
            )
        else:
            self._look.ok(
                ROWS, f"about {sum(known.values()):,} in all, by the server's estimate", **known
            )

    def _one_moment(self, tables: Iterable[str]) -> None:
        """What no snapshot covers, and what does not show all of its rows."""
        good = [name for name in tables if name in self._good]
        if self._config.source.type == "mysql":  # elsewhere it counts every table
            self._source.rows_of(good)
        if exceptions := self._source.exceptions(good):
            self._look.warn(
                "one moment",
                exceptions,
                "let nobody work in S9 while the extract lasts, or read from a copy that stands "
                "still",
            )
        else:
            self._look.ok("one moment", "one snapshot covers every table")

    def _selection(self, entity: Entity) -> None:
        """What is selected, with the SQL that is configured: asked for, and no row is read."""
        name, extraction = f"selection of {entity.name}", self._config.extraction
        needed = _needed(entity, self._config)
        if bad := sorted({table.name for table in needed} - self._good):
            self._look.skip(name, f"because of {', '.join(bad)}")
            return
        chosen = extraction.of(entity.name)
        configured_sql(entity, chosen, self._config.source.type)
        planned = plan(
            entity,
            extraction.disabled_parties,
            chosen,
            self._source,
            parties={c.of: extraction.of(c.of) for c in entity.copies if c.of},
        )
        if chosen.where or chosen.limit:
            self._source.columns(planned.records.query)
        said = [
            f"extraction.{entity.name}.{part}"
            for part in ("query", "where", "limit")
            if getattr(chosen, part)
        ]
        self._look.ok(name, f"as {' and '.join(said)} says" if said else "as the layout has it")


def _described(mapping: ColumnMapping, facts: TableFacts | None) -> list[str]:
    """A table that is as it must be, in words."""
    said = ["can be read", counted(len(mapping.recognised), "known column")]
    if mapping.unmapped:
        said.append(f"not known: {' '.join(mapping.unmapped)} (kept under `legacy`)")
    if facts and facts.rows is not None:
        said.append(f"about {counted(facts.rows, 'row')}")
    return said


def _needed(entity: Entity, config: Config) -> Sequence[Table]:
    """The tables without which an entity cannot be read: not those in whose place a configured
    query stands."""
    extraction = config.extraction
    own = bool(configured(extraction.of(entity.name)))
    tables = [] if own else [entity.table]
    if not own:
        query = entity.queries[extraction.disabled_parties]
        tables += [table for table in entity.mentions if f"{{{table.name}." in query]
    tables += [
        copy.table for copy in entity.copies if not (copy.of and configured(extraction.of(copy.of)))
    ]
    if entity.children:
        tables.append(entity.children.table)
    return tables


def _tables_read(declared: Mapping[str, Entity], config: Config) -> dict[str, Table]:
    """Every table that is read, by name, in the order of the entities."""
    return {table.name: table for entity in declared.values() for table in _needed(entity, config)}


def _verifies_authority(config: SourceConfig) -> bool:
    """Also `require` does, where an authority is named, as libpq has it."""
    return config.ssl == "verify-ca" or (config.ssl == "require" and bool(config.ssl_root_cert))


def _is_this_machine(host: str) -> bool:
    if host == "localhost":
        return True
    with suppress(ValueError):
        return ip_address(host).is_loopback
    return False
