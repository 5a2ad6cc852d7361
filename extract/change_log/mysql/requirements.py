"""What following the binlog needs, and what a DBA runs for it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from extract.change_log.change_log import Followed
from extract.change_log.mysql.cascades import cascades
from extract.change_log.mysql.control import Control
from extract.change_log.requirement import Requirement
from utils.config import SourceConfig
from utils.error_handler import SourceError
from utils.interrupt import StopFlag

_RETENTION = "CALL mysql.rds_set_configuration('binlog retention hours', 24);"


class _Setting(NamedTuple):
    """A variable of the server, the value that it must have, and why."""

    name: str
    value: str
    why: str
    is_dynamic: bool = True
    may_lack: bool = False  # a server that does not know it does what is wanted


_OF_BOTH = (
    _Setting("log_bin", "ON", "there is no binlog otherwise", is_dynamic=False),
    _Setting("binlog_format", "ROW", "statements do not tell which rows they change"),
    _Setting("binlog_row_image", "FULL", "of a moved line the old sale must be in it"),
    _Setting("binlog_row_metadata", "FULL", "the columns must have their names in it"),
)
_OF_MARIADB = (
    *_OF_BOTH,
    _Setting("log_bin_compress", "OFF", "compressed events cannot be read", may_lack=True),
)
_OF_MYSQL = (
    *_OF_BOTH,
    _Setting("gtid_mode", "ON", "a place in the binlog is known by its GTIDs"),
    _Setting(
        "binlog_transaction_compression",
        "OFF",
        "compressed transactions cannot be read",
        may_lack=True,
    ),
)
_ON_ALL = re.compile(r"GRANT (.+?) ON \*\.\* TO ", re.DOTALL)
_INTEGERS = ("tinyint", "smallint", "mediumint", "int", "bigint")


def mysql_requirements(config: SourceConfig, followed: Sequence[Followed]) -> list[Requirement]:
    """As `requirements` (extract/following/opening.py)."""
    control = Control(config, StopFlag())
    try:
        return list(all_requirements(config, control, followed))
    finally:
        control.close()


def all_requirements(
    config: SourceConfig, control: Control, followed: Sequence[Followed]
) -> Iterator[Requirement]:
    """The same, asked on a connection."""
    yield from _settings(control)
    yield from _rights(config, control)
    yield from _logged(control)
    yield from _tables(control, followed)
    yield from cascades(control, followed)


def _settings(control: Control) -> Iterator[Requirement]:
    wanted = _OF_MARIADB if control.is_mariadb else _OF_MYSQL
    found = control.variables(*(each.name for each in wanted))
    for each in wanted:
        value = found.get(each.name)
        holds = each.may_lack if value is None else value.upper() == each.value
        now = f"it is {value}" if value is not None else "this server does not have it"
        yield Requirement(
            each.name,
            f"{each.name} is {each.value}"
            if holds
            else f"{each.name} must be {each.value}, and {now}: {each.why}",
            holds,
            own=tuple(_own(each)),
            rds=tuple(_managed(each, "the DB parameter group", control)),
            aurora=tuple(_managed(each, "the DB cluster parameter group", control)),
        )


def _own(each: _Setting) -> Iterator[str]:
    if each.name == "log_bin":  # its value is what the files are called
        yield "my.cnf, [mysqld]: log_bin = binlog"
        yield "my.cnf, [mysqld]: server_id = 1  -- one that no other server of yours has"
    else:
        yield f"my.cnf, [mysqld]: {each.name} = {each.value}"
    if each.is_dynamic:
        yield f"SET GLOBAL {each.name} = {each.value};  -- then let S9's application connect again"
    else:
        yield "and restart the server"


def _managed(each: _Setting, group: str, control: Control) -> Iterator[str]:
    if each.name == "log_bin":
        yield "turn automated backups on (retention of a day or more)"
        if group.endswith("cluster parameter group"):
            yield f"{group}: binlog_format = ROW, then reboot"
    else:
        yield f"{group}: {each.name} = {each.value}"
    if each.name == "log_bin" and not control.is_mariadb:
        yield _RETENTION


def _rights(config: SourceConfig, control: Control) -> Iterator[Requirement]:
    lines = [str(row[0]).upper() for row in control.if_allowed("SHOW GRANTS")]
    found = [match[1].split(",") for line in lines if (match := _ON_ALL.match(line))]
    of_server = {right.strip() for rights in found for right in rights}
    account = _account(config, control)
    wanted = ["REPLICATION SLAVE"] + ([] if control.is_mariadb else ["REPLICATION CLIENT"])
    for right in wanted:
        names = {right, right.replace("SLAVE", "REPLICA"), "ALL PRIVILEGES", "ALL"}
        # It lets an account ask where the log ends, but not read it.
        names |= {"SUPER"} if right == "REPLICATION CLIENT" else set()
        holds = bool(names & of_server)
        statement = f"GRANT {right} ON *.* TO {account};"
        yield Requirement(
            right.lower(),
            f"{config.username} has {right}"
            if holds
            else f"{config.username} needs the privilege {right}",
            holds,
            own=(statement,),
            rds=(statement,),
            aurora=(statement,),
        )


def _account(config: SourceConfig, control: Control) -> str:
    """The account that we have come in by, as a statement names it: a grant to the same name at
    another host would be one to another account."""
    [(current,)] = control.rows("SELECT CURRENT_USER()")
    user, _, host = str(current or f"{config.username}@%").rpartition("@")
    return "@".join("'" + each.replace("'", "''") + "'" for each in (user, host))


def _logged(control: Control) -> Iterator[Requirement]:
    """Whether the database is in the log at all, as far as the account may ask."""
    for word in ("BINARY LOG", "BINLOG", "MASTER"):
        found = control.if_allowed(f"SHOW {word} STATUS")
        if not found or len(found[0]) < 4:
            continue
        only, without = (str(found[0][at] or "") for at in (2, 3))
        names = [each.strip().lower() for each in only.split(",") if each.strip()]
        left_out = [each.strip().lower() for each in without.split(",") if each.strip()]
        database = control.database.lower()
        holds = (not names or database in names) and database not in left_out
        yield Requirement(
            "binlog filter",
            f"{control.database} is in the binlog"
            if holds
            else f"{control.database} is left out of the binlog (binlog-do-db, binlog-ignore-db)",
            holds,
            own=("my.cnf: take the database out of binlog-ignore-db, or into binlog-do-db",),
        )
        return


def _tables(control: Control, followed: Sequence[Followed]) -> Iterator[Requirement]:
    for each in followed:
        try:
            rows = control.rows(
                "SELECT t.table_type, c.column_name, c.data_type "
                "FROM information_schema.tables AS t JOIN information_schema.columns AS c "
                "ON c.table_schema = t.table_schema AND c.table_name = t.table_name "
                "WHERE t.table_schema = %s AND t.table_name = %s",
                control.database,
                each.table,
            )
        except SourceError:
            rows = []
        kinds = {str(kind).upper() for kind, _, _ in rows}
        types = {str(name).lower(): str(kind).lower() for _, name, kind in rows}
        wrong = ""
        if not rows:
            wrong = f"the account sees no table {each.table}"
        elif kinds != {"BASE TABLE"}:
            wrong = f"{each.table} is no table but a view: its rows are in no log"
        for column in filter(None, (each.key, each.parent)):
            if rows and types.get(column.lower()) not in _INTEGERS:
                wrong = wrong or f"{each.table}.{column} is no whole number"
        yield Requirement(
            f"table {each.table}",
            wrong or f"{each.table} can be followed",
            not wrong,
            own=("keep in step without the log: sync --every",),
        )
