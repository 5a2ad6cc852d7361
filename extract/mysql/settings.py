"""A session on MySQL or MariaDB with every setting pinned that selects rows or renders values.

Whatever the server's configuration, `init_connect` or the account have set, what is read and how it
is written must not depend on it. Every setting is made, and then asked back within the transaction
in which everything is read: a proxy in between may have answered from another session.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any, NamedTuple

import pymysql
from pymysql.connections import Connection

from utils.error_handler import SourceError

_A_YEAR = 31_536_000  # the servers' own upper bound


class PinnedSetting(NamedTuple):
    """A setting: its name, the value in SQL, and the value as the server shows it."""

    name: str
    value: str
    shown: str


_UNLIMITED = str(2**64 - 1)
_NO_LIMIT = PinnedSetting("sql_select_limit", _UNLIMITED, _UNLIMITED)
# What there is on both, in all their versions.
_EVERYWHERE = (
    _NO_LIMIT,  # also of what is asked back
    # PAD_CHAR_TO_FULL_LENGTH would pad, ANSI_QUOTES read texts as names, PIPES_AS_CONCAT and
    # HIGH_NOT_PRECEDENCE change conditions, NO_ZERO_DATE refuse conditions on zero dates.
    PinnedSetting("sql_mode", "''", ""),
    PinnedSetting("sql_big_selects", "1", "ON"),
    PinnedSetting("sql_auto_is_null", "0", "OFF"),  # `key IS NULL` would find the row inserted last
    PinnedSetting("div_precision_increment", "4", "4"),  # digits of a quotient in a view
    PinnedSetting("group_concat_max_len", str(1 << 30), str(1 << 30)),  # cuts texts in a view
    PinnedSetting("lc_time_names", "'en_US'", "en_US"),
    PinnedSetting("default_week_format", "0", "0"),
    PinnedSetting("completion_type", "0", "NO_CHAIN"),
    PinnedSetting("sql_quote_show_create", "1", "ON"),
    PinnedSetting("character_set_client", "utf8mb4", "utf8mb4"),
    PinnedSetting("character_set_results", "utf8mb4", "utf8mb4"),
    PinnedSetting("character_set_connection", "utf8mb4", "utf8mb4"),
    PinnedSetting("collation_connection", "utf8mb4_general_ci", "utf8mb4_general_ci"),
)
# What only one of them has, or only some versions.
_WHERE_KNOWN = (
    PinnedSetting("max_execution_time", "0", "0"),
    PinnedSetting("max_statement_time", "0", "0.000000"),
    PinnedSetting("idle_transaction_timeout", "0", "0"),
    PinnedSetting("idle_readonly_transaction_timeout", "0", "0"),
    PinnedSetting("old_mode", "''", ""),
    PinnedSetting("system_versioning_asof", "DEFAULT", "DEFAULT"),  # rows of another time
    PinnedSetting("use_secondary_engine", "OFF", "OFF"),  # a copy that lags behind
    PinnedSetting("windowing_use_high_precision", "1", "ON"),
    PinnedSetting("wsrep_dirty_reads", "0", "OFF"),  # a node of a cluster that has lost the others
    PinnedSetting("wsrep_sync_wait", "1", "1"),  # what the cluster has committed has arrived
)
# Of these only the reading's duration depends, or they cannot be asked back.
_PATIENCE = (
    "timestamp = DEFAULT",  # of NOW() in a view, and of the snapshot
    f"sort_buffer_size = {32 << 20}",  # lines are sorted in memory, not by files of the server
    f"net_write_timeout = {_A_YEAR}",  # the reader may be slow
    f"net_read_timeout = {_A_YEAR}",
    f"wait_timeout = {_A_YEAR}",
    f"max_length_for_sort_data = {1 << 16}",  # what is sorted is not looked up again, one by one
)
# One of the two exists on MySQL 8, the other on MariaDB, both on MySQL 5.7.
_REPEATABLE = tuple(
    PinnedSetting(name, "", "REPEATABLE-READ") for name in ("transaction_isolation", "tx_isolation")
)


def pin(opened: Connection[Any], lock_wait_seconds: int) -> None:
    """Make every setting of a new session. Raises what PyMySQL raises where one that all servers
    have is refused; of the others `check` says whether they hold."""
    with opened.cursor() as cursor:
        with suppress(pymysql.Error):
            cursor.execute("SET SESSION max_statement_time = 0")  # also for what follows
        cursor.execute(f"SET SESSION sql_select_limit = {_UNLIMITED}, sql_big_selects = 1")
        known = _values(cursor, _EVERYWHERE + _WHERE_KNOWN)
        pinned = [each for each in _EVERYWHERE + _WHERE_KNOWN if each.name in known]
        with suppress(pymysql.Error):  # one by one, where not all can be set
            cursor.execute(
                "SET " + ", ".join(f"SESSION {each.name} = {each.value}" for each in pinned)
            )
            pinned = []
        for each in pinned:
            with suppress(pymysql.Error):
                cursor.execute(f"SET SESSION {each.name} = {each.value}")
        for patience in (*_PATIENCE, f"lock_wait_timeout = {lock_wait_seconds}"):
            with suppress(pymysql.Error):
                cursor.execute(f"SET SESSION {patience}")


def check(opened: Connection[Any]) -> None:
    """Ask the session whether every setting holds. Raises SourceError when one does not."""
    with opened.cursor() as cursor:
        found = _values(cursor, _EVERYWHERE + _WHERE_KNOWN)
        isolation = _values(cursor, _REPEATABLE)
    wanted = {each.name: each.shown for each in _EVERYWHERE + _WHERE_KNOWN}
    wanted.update({each.name: each.shown for each in _REPEATABLE})
    found.update(isolation)
    wrong = [name for name, value in found.items() if value != wanted[name]]
    missing = [each.name for each in _EVERYWHERE if each.name not in found]
    if not isolation:
        missing.append("transaction_isolation")
    if wrong or missing:
        said = [f"{name} is {found[name] or 'empty'}" for name in wrong]
        said += [f"{name} is not reported" for name in missing]
        raise SourceError(
            f"S9 does not keep the session's settings: {', '.join(said)}",
            remedy="connect to the database directly, or through a proxy that keeps a session's "
            "settings; if the server forbids them to source.username, allow them",
        )


def _values(cursor: Any, settings: Iterable[PinnedSetting]) -> dict[str, str]:
    names = ", ".join(f"'{each.name}'" for each in settings)
    cursor.execute(f"SHOW SESSION VARIABLES WHERE Variable_name IN ({names})")
    return {str(name): str(value) for name, value in cursor.fetchall()}


def identity(settings: Mapping[str, str], database: str) -> dict[str, str]:
    """What tells this server from another, of its settings: MySQL has a UUID, MariaDB a number
    and an id of its own making, older ones only a place."""
    for name in ("server_uuid", "server_uid"):
        if settings.get(name):
            return {name: settings[name], "database": database}
    names = ("server_id", "hostname", "port", "datadir")
    return {**{name: settings[name] for name in names if name in settings}, "database": database}


IDENTIFYING = ("server_uuid", "server_uid", "server_id", "hostname", "port", "datadir")
