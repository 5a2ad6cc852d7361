"""What MySQL and MariaDB say when something goes wrong, as errors with an operator's remedy."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager

import pymysql
from pymysql.constants import CR, ER

from utils.config import SourceConfig
from utils.error_handler import BackOff, SourceError, SourceUnavailable
from utils.interrupt import Interrupted, StopFlag
from utils.invocation import again

# Numbers of the servers' manuals that PyMySQL has no name for.
_CONNECTION_KILLED = 1927  # MariaDB
_STATEMENT_TIMEOUT = 1969  # MariaDB: max_statement_time
_EXECUTION_TIMEOUT = 3024  # MySQL: max_execution_time
_COLUMN_ACCESS_DENIED = 1143
_TABLE_CHANGED = 1412
_NO_SUCH_TIME_ZONE = 1298
_PLUGIN_MISSING = 1524

_LOST = {
    CR.CR_SERVER_GONE_ERROR,
    CR.CR_SERVER_LOST,
    CR.CR_SERVER_LOST_EXTENDED,
    ER.SERVER_SHUTDOWN,
    ER.NORMAL_SHUTDOWN,
    _CONNECTION_KILLED,
    _TABLE_CHANGED,  # the table was altered after the snapshot: another one is needed
}
_UNREACHABLE = {CR.CR_CONN_HOST_ERROR, CR.CR_CONNECTION_ERROR, CR.CR_UNKNOWN_HOST}
_REMEDIES = {
    ER.NO_SUCH_TABLE: "check source.database and source.layout, then go on",
    ER.BAD_FIELD_ERROR: "check source.layout, and the query or condition in extraction.<entity>, "
    "then go on",
    **dict.fromkeys(
        (ER.TABLEACCESS_DENIED_ERROR, _COLUMN_ACCESS_DENIED, ER.SPECIFIC_ACCESS_DENIED_ERROR),
        "grant SELECT on S9's tables to source.username, then go on",
    ),
    ER.LOCK_WAIT_TIMEOUT: "somebody is changing the table itself (ALTER, LOCK TABLES, a backup): "
    "go on when that is over",
    ER.QUERY_INTERRUPTED: "somebody has ended the query (KILL QUERY): go on when it may run",
    **dict.fromkeys(
        (_STATEMENT_TIMEOUT, _EXECUTION_TIMEOUT),
        "the server limits how long a query may take: raise the limit for source.username, "
        "then go on",
    ),
}
_BY_DEFAULT = "check the query or condition in extraction.<entity>, then go on"


def number_of(error: pymysql.Error) -> int:
    """The server's (or PyMySQL's) number of an error, 0 for none."""
    number = error.args[0] if error.args else 0
    return number if isinstance(number, int) else 0


def one_line(error: pymysql.Error) -> str:
    """What an error says, on one line."""
    return " ".join(str(error.args[-1] if error.args else error).split())


@contextmanager
def query_errors(config: SourceConfig, stop: StopFlag) -> Iterator[None]:
    """Turn what the server refuses into a SourceError with a remedy, a lost connection into a
    BackOff, and whatever ends a query after a stop was asked for into Interrupted."""
    try:
        yield
    except (pymysql.Error, OSError, ValueError) as error:
        if stop.requested:
            raise Interrupted from error
        if not isinstance(error, pymysql.Error) or _is_lost(error):
            # PyMySQL lets some errors of a socket that is closed under it through as they are.
            detail = one_line(error) if isinstance(error, pymysql.Error) else str(error)
            raise BackOff("SourceConnectionLost", detail) from error
        raise SourceError(
            f"S9 ({config.database}) refused a query: {one_line(error)}",
            remedy=f"{_REMEDIES.get(number_of(error), _BY_DEFAULT)}: {again()}",
        ) from error


def _is_lost(error: pymysql.Error) -> bool:
    # An InterfaceError of PyMySQL has number 0: the connection has been closed.
    return number_of(error) in _LOST or isinstance(error, pymysql.InterfaceError)


@contextmanager
def connection_errors(config: SourceConfig) -> Iterator[None]:
    """Turn every failure to connect into SourceUnavailable: unreachable, not trusted, refused."""
    try:
        yield
    except (pymysql.Error, OSError, RuntimeError) as error:
        raise _unavailable(config, error) from error


def _unavailable(config: SourceConfig, error: Exception) -> SourceUnavailable:
    place = config.host if config.host.startswith("/") else f"{config.host}:{config.tcp_port}"
    number = number_of(error) if isinstance(error, pymysql.Error) else 0
    said = one_line(error) if isinstance(error, pymysql.Error) else str(error)
    cause = getattr(error, "original_exception", error)
    if isinstance(cause, ssl.SSLError) or number == CR.CR_SSL_CONNECTION_ERROR:
        reason = str(cause) if isinstance(cause, ssl.SSLError) else said
        return SourceUnavailable(
            f"S9 at {place} cannot be trusted: {reason}",
            remedy="check source.host, source.ssl and source.sslRootCert",
        )
    if number in _UNREACHABLE or isinstance(cause, OSError):
        reason = cause.strerror or str(cause) if isinstance(cause, OSError) else said
        return SourceUnavailable(
            f"S9 at {place} cannot be reached: {reason}",
            remedy="check source.host, source.port, the network and that the server runs",
        )
    return SourceUnavailable(
        f"S9 at {place} does not let {config.username} in: {said}",
        remedy="check source.database, source.username, source.password and source.ssl",
    )
