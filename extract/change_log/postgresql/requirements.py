"""What following the log needs there: settings of the server, rights of the account, tables that
can be told apart; each with what a DBA runs or sets for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass

from extract.change_log.change_log import Followed
from extract.change_log.postgresql.control import Control
from extract.change_log.postgresql.publication import Publication, find_publication, making
from extract.change_log.postgresql.slots import names_of
from extract.change_log.postgresql.stream import APPLICATION, Replication
from extract.change_log.postgresql.tables import Member, TableFacts, facts_of
from extract.change_log.requirement import Requirement
from utils.config import SourceConfig
from utils.error_handler import SourceError
from utils.interrupt import StopFlag

NAME = "s9_migrate"
_OLDEST = 100000
_SERVER = """
    SELECT current_setting('server_version'), current_setting('server_version_num')::int,
        pg_is_in_recovery(), pg_backend_pid(), current_setting('wal_level'),
        current_setting('max_replication_slots')::int, current_setting('max_wal_senders')::int,
        current_setting('synchronous_standby_names'),
        (SELECT count(*) FROM pg_replication_slots),
        (SELECT count(*) FROM pg_replication_slots WHERE slot_name = ANY(%s)),
        (SELECT count(*) FROM pg_stat_replication),
        (SELECT count(*) FROM pg_stat_replication WHERE application_name = %s),
        current_user::text,
        (SELECT rolsuper OR rolreplication FROM pg_roles WHERE rolname = current_user),
        (SELECT bool_or(pg_has_role(oid, 'USAGE')) FROM pg_roles
            WHERE rolname = 'rds_replication'),
        has_database_privilege(current_database(), 'CREATE'), current_database()::text
"""
_RESTART = "then restart the server"
_ON_RDS = "in the parameter group of the instance"
_ON_AURORA = "in the parameter group of the CLUSTER"


@dataclass(frozen=True)
class _Server:
    """What the server says of itself and of the account."""

    version: str
    number: int
    is_standby: bool
    backend: int
    wal_level: str
    most_slots: int
    most_senders: int
    synchronous: str
    slots: int
    our_slots: int
    senders: int
    our_senders: int
    user: str
    may_replicate: bool
    may_replicate_on_rds: bool | None
    may_create: bool
    database: str


def postgres_requirements(
    config: SourceConfig, followed: Sequence[Followed], name: str = ""
) -> list[Requirement]:
    """As `requirements` (extract/following/opening.py)."""
    with closing(Control(config, StopFlag())) as control:
        return all_requirements(config, control, followed, name)


def all_requirements(
    config: SourceConfig, control: Control, followed: Sequence[Followed], name: str
) -> list[Requirement]:
    """The same, asked over a connection that is open."""
    name = name or NAME
    server = _Server(*control.one(_SERVER, [*names_of(name)], APPLICATION))
    if server.number < _OLDEST:
        return [_version(server)]
    tables = facts_of(control, config.schema, followed)
    found = [
        _primary(server),
        _direct(server, control),
        _level(server),
        _replication(server, control),
        *_room(server),
        _unawaited(server),
        *(_table(facts, control, config.schema) for facts in tables.values()),
    ]
    if all(not facts.unreadable() for facts in tables.values()):
        found.append(_publication(server, control, config.schema, name, tables))
    if all(each.holds for each in found):
        found.append(_connection(config))
    return found


def _version(server: _Server) -> Requirement:
    return Requirement(
        "version", f"PostgreSQL {server.version} has no log of this kind: it came with 10", False
    )


def _primary(server: _Server) -> Requirement:
    told = "it is a replica: only the primary's log can be followed"
    return Requirement(
        "primary",
        told if server.is_standby else f"it is a primary, PostgreSQL {server.version}",
        not server.is_standby,
        own=("let source.host name the primary",),
    )


def _direct(server: _Server, control: Control) -> Requirement:
    holds = control.connection_number == server.backend
    return Requirement(
        "direct",
        "the connection is direct"
        if holds
        else "there is a pooler in between, which cannot carry a log",
        holds,
        own=("let source.host and source.port name the server itself, not the pooler",),
        rds=("let source.host name the endpoint of the instance, not of an RDS Proxy",),
        aurora=("let source.host name the writer endpoint of the cluster, not of an RDS Proxy",),
    )


def _level(server: _Server) -> Requirement:
    holds = server.wal_level == "logical"
    return Requirement(
        "wal_level",
        "wal_level is logical"
        if holds
        else f"wal_level is {server.wal_level}, and has to be logical",
        holds,
        own=("ALTER SYSTEM SET wal_level = 'logical';", _RESTART),
        rds=(f"set rds.logical_replication to 1 {_ON_RDS}", "then reboot the instance"),
        aurora=(
            f"set rds.logical_replication to 1 {_ON_AURORA}",
            "then reboot its writer instance",
        ),
    )


def _replication(server: _Server, control: Control) -> Requirement:
    holds = bool(server.may_replicate or server.may_replicate_on_rds)
    user = control.quote(server.user)
    grant = (f"GRANT rds_replication TO {user};",)
    return Requirement(
        "replication",
        f"the account {server.user} may {'' if holds else 'not '}read the log"
        + ("" if holds else " (REPLICATION)"),
        holds,
        own=(f"ALTER ROLE {user} REPLICATION;",),
        rds=grant,
        aurora=grant,
    )


def _room(server: _Server) -> Iterator[Requirement]:
    for setting, what, most, used in (
        ("max_replication_slots", "slot", server.most_slots, server.slots - server.our_slots),
        ("max_wal_senders", "sender", server.most_senders, server.senders - server.our_senders),
    ):
        holds = used < most
        yield Requirement(
            setting,
            f"there is a free {what} ({used} of {most} used)"
            if holds
            else f"there is no free {what} ({setting} is {most})",
            holds,
            own=(f"ALTER SYSTEM SET {setting} = {most + 5};", _RESTART),
            rds=(f"set {setting} to {most + 5} {_ON_RDS}", "then reboot the instance"),
            aurora=(f"set {setting} to {most + 5} {_ON_AURORA}", "then reboot its writer instance"),
        )


def _unawaited(server: _Server) -> Requirement:
    """Whoever reads a log is a standby to the server, and may be one that commits wait for."""
    waits = "*" in server.synchronous or APPLICATION in server.synchronous
    return Requirement(
        "synchronous_standby_names",
        "commits of S9 would wait for whoever reads its log (synchronous_standby_names is "
        f"{server.synchronous})"
        if waits
        else "no commit of S9 waits for whoever reads its log",
        not waits,
        own=(
            "ALTER SYSTEM SET synchronous_standby_names = '…'; with the names of the standbys "
            "instead of *",
            "SELECT pg_reload_conf();",
        ),
    )


def _table(facts: TableFacts, control: Control, schema: str) -> Requirement:
    table = facts.followed[0].table
    name = f"table {table}"
    if reason := facts.unreadable():
        return Requirement(name, reason, False)
    lacking = facts.without_identity()
    if not lacking:
        return Requirement(name, f"every change of {table} tells its key", True)
    keys = sorted({key for _, key in lacking})
    return Requirement(
        name,
        f"the log would not tell which rows of {table} were changed: "
        f"{', '.join(keys)} is of no primary key, nor of a replica identity",
        False,
        own=tuple(
            statement
            for member, key in lacking
            for statement in _identifying(member, key, control, schema)
        ),
    )


def _identifying(member: Member, key: str, control: Control, schema: str) -> Iterator[str]:
    table = f"{control.quote(schema)}.{control.quote(member.name)}"
    has_primary_key = member.replica_identity == "d" and member.identity
    if not has_primary_key:
        yield f"ALTER TABLE {table} ADD PRIMARY KEY ({control.quote(key)});"
    for index in member.unique:
        yield f"-- or: ALTER TABLE {table} REPLICA IDENTITY USING INDEX {index};"
    yield f"{'' if has_primary_key else '-- or: '}ALTER TABLE {table} REPLICA IDENTITY FULL;"


def _publication(
    server: _Server,
    control: Control,
    schema: str,
    name: str,
    tables: Mapping[str, TableFacts],
) -> Requirement:
    found = find_publication(control, name, schema, tables)
    foreign = [t for t, facts in tables.items() if facts.itself and not facts.itself.is_owned]
    may_make = not foreign and (found.is_owned if found else server.may_create)
    holds = may_make if found is None or found.lacks else True
    statements = making(control, name, schema, [*tables], found)
    return Requirement(
        "publication",
        _of_publication(server, name, found, foreign, holds),
        holds,
        own=tuple(f"{statement};" for statement in statements),
    )


def _of_publication(
    server: _Server, name: str, found: Publication | None, foreign: Sequence[str], holds: bool
) -> str:
    if found is not None and not found.lacks:
        return f"the publication {name} has every table"
    if holds:
        return f"the account {server.user} may make the publication {name}"
    why = (
        f"{', '.join(foreign)} is another account's"
        if foreign
        else "it may create nothing in the database"
    )
    if found is not None:
        return (
            f"the publication {name} {found.lacks}, and the account {server.user} may not alter it"
        )
    return f"there is no publication {name}, and the account {server.user} may not make it ({why})"


def _connection(config: SourceConfig) -> Requirement:
    """The proof: pg_hba.conf may have a say as well."""
    try:
        Replication(config).close()
    except SourceError as error:
        return Requirement("connection", error.message, False, own=(error.remedy,))
    return Requirement("connection", "the server accepts a connection that reads the log", True)
