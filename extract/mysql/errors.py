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
from utils.wording.figures import counted
from utils.wording.invocation import again
from utils.wording.masking import shows_personal_data, up_to_the_first_quote

# Numbers of the servers' manuals that PyMySQL has no name for.
_CONNECTION_KILLED = 1927  # MariaDB
_STATEMENT_TIMEOUT = 1969  # MariaDB: max_statement_time
_EXECUTION_TIMEOUT = 3024  # MySQL: max_execution_time
_COLUMN_ACCESS_DENIED = 1143
_TABLE_CHANGED = 1412
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
    ER.NO_SUCH_TABLE: "check source.database and source.layout, then run",
    ER.BAD_FIELD_ERROR: "check source.layout, and the query or condition in extraction.<entity>, "
    "then run",
    **dict.fromkeys(
        (ER.TABLEACCESS_DENIED_ERROR, _COLUMN_ACCESS_DENIED, ER.SPECIFIC_ACCESS_DENIED_ERROR),
        "grant SELECT on S9's tables to source.username, then run",
    ),
    ER.LOCK_WAIT_TIMEOUT: "somebody is changing the table itself (ALTER, LOCK TABLES, a backup; "
    "SHOW PROCESSLIST shows who): when that is over, run",
    ER.QUERY_INTERRUPTED: "somebody has ended the query (KILL QUERY): when it may run again, run",
    **dict.fromkeys(
        (_STATEMENT_TIMEOUT, _EXECUTION_TIMEOUT),
        "the server limits how long a query may take: raise the limit for source.username, then "
        "run",
    ),
}
_BY_DEFAULT = "check the query or condition in extraction.<entity>, then run"


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
        if not isinstance(error, pymysql.Error) or is_lost(error):
            # PyMySQL lets some errors of a socket that is closed under it through as they are.
            detail = one_line(error) if isinstance(error, pymysql.Error) else str(error)
            changed = isinstance(error, pymysql.Error) and number_of(error) == _TABLE_CHANGED
            raise BackOff(
                "TableRewritten" if changed else "SourceConnectionLost", detail
            ) from error
        said = f"refused a query: {_speakable(error)}"
        if number_of(error) == ER.LOCK_WAIT_TIMEOUT:
            said = "has a table that was not free to be read in time (Lock wait timeout exceeded)"
        raise SourceError(
            f"S9 ({config.database}) {said}",
            remedy=f"{_REMEDIES.get(number_of(error), _BY_DEFAULT)}: {again()}",
        ) from error


# These name tables and columns, or quote the query: nothing of a row.
_NAMING = {
    *(ER.NO_SUCH_TABLE, ER.BAD_FIELD_ERROR, ER.TABLEACCESS_DENIED_ERROR, _COLUMN_ACCESS_DENIED),
    *(ER.SPECIFIC_ACCESS_DENIED_ERROR, ER.PARSE_ERROR, ER.VIEW_INVALID, ER.NON_UNIQ_ERROR),
    *(ER.SP_DOES_NOT_EXIST, ER.PROCACCESS_DENIED_ERROR, ER.QUERY_INTERRUPTED),
}
_SIGNALLED = 1644  # in the words of whoever wrote the function


def _speakable(error: pymysql.Error) -> str:
    """What a server says, without values of S9's rows unless they may be shown."""
    number = number_of(error)
    if number in _NAMING or shows_personal_data():
        return one_line(error)
    if number == _SIGNALLED:
        return f"error {number}, raised by a function of S9's"
    return f"error {number}: {up_to_the_first_quote(one_line(error))}"


def is_lost(error: pymysql.Error) -> bool:
    """Whether the connection is gone, or of no use any more."""
    # An InterfaceError of PyMySQL has number 0: the connection has been closed.
    return number_of(error) in _LOST or isinstance(error, pymysql.InterfaceError)


# What to do about a login that the server refuses, in its own words.
_FULL = "wait until connections are free, or raise the limit for source.username"
_LOGIN = {
    ER.BAD_DB_ERROR: "check source.database",
    ER.DBACCESS_DENIED_ERROR: "check source.database; grant SELECT on its tables to "
    "source.username",
    **dict.fromkeys(
        (ER.ACCESS_DENIED_ERROR, 1698),
        "check source.username and source.password, from which hosts the account may connect, and "
        "whether it requires TLS (source.ssl)",
    ),
    ER.HOST_NOT_PRIVILEGED: "allow this host to the account of source.username, or run where it "
    "may connect from",
    ER.HOST_IS_BLOCKED: "FLUSH HOSTS on the server, which counts broken connections of this host",
    ER.CON_COUNT_ERROR: _FULL,
    ER.TOO_MANY_USER_CONNECTIONS: _FULL,
    ER.USER_LIMIT_REACHED: _FULL,
    3159: "set source.ssl to true: the server accepts connections with TLS only",
    **dict.fromkeys(
        (3118, 4151),
        "unlock the account (ALTER USER … ACCOUNT UNLOCK), or use another source.username",
    ),
    **dict.fromkeys(
        (1820, 1862),
        "give source.username a new password (ALTER USER …), and set source.password",
    ),
    **dict.fromkeys(
        (_PLUGIN_MISSING, 2059, 1251),
        "let source.username use a common authentication method (mysql_native_password, "
        "caching_sha2_password, ed25519)",
    ),
    ER.SERVER_SHUTDOWN: "wait until the server is up",
}


@contextmanager
def connection_errors(config: SourceConfig) -> Iterator[None]:
    """Turn every failure to connect into SourceUnavailable: unreachable, silent, no such server,
    not trusted, refused."""
    try:
        yield
    except SourceUnavailable:
        raise
    except Exception as error:  # a stranger's words may break anything that reads them
        raise _unavailable(config, error) from error


def _unavailable(config: SourceConfig, error: Exception) -> SourceUnavailable:
    cause = getattr(error, "original_exception", error)
    number = number_of(error) if isinstance(error, pymysql.Error) else 0
    said = one_line(error) if isinstance(error, pymysql.Error) else str(error)
    if isinstance(cause, ssl.SSLError) or number == CR.CR_SSL_CONNECTION_ERROR:
        return _untrusted(config, cause, said)
    what, remedy = _no_connection(config, cause, number, said) or _no_server(config, number, said)
    return SourceUnavailable(what, remedy=remedy)


def _no_connection(
    config: SourceConfig, cause: object, number: int, said: str
) -> tuple[str, str] | None:
    """What happened and what to do, when the connection itself was not to be had or held."""
    where = f"S9 at {_place(config)}"
    if number in _LOGIN:
        return None
    if number in _LOST or isinstance(cause, (ConnectionResetError, BrokenPipeError, EOFError)):
        return (
            f"{where} accepts the connection and closes it before anybody can log in",
            "check source.host and source.port: another service may listen there, or a firewall "
            "or a proxy is in between; see the server's log",
        )
    if number in _UNREACHABLE or isinstance(cause, OSError):
        reason = cause.strerror or str(cause) if isinstance(cause, OSError) else said
        return (
            f"{where} cannot be reached: {reason}",
            "check source.host, source.port, the network and that the server runs",
        )
    return None


def _no_server(config: SourceConfig, number: int, said: str) -> tuple[str, str]:
    """The same, when it is a server that refuses, or none of this kind."""
    where = f"S9 at {_place(config)}"
    if "cryptography" in said:  # PyMySQL's word for a library that it lacks
        return (
            f"{where} requires an encrypted connection for the password of {config.username}",
            "set source.ssl to true (or to require)",
        )
    if number and number not in _STRANGE:
        return (
            f"{where} does not let {config.username} in: {said}",
            _LOGIN.get(
                number, "check source.database, source.username, source.password and source.ssl"
            ),
        )
    return (
        f"what answers at {_place(config)} is neither MySQL nor MariaDB",
        "check source.type, source.host and source.port",
    )


_STRANGE = {CR.CR_MALFORMED_PACKET, CR.CR_VERSION_ERROR, CR.CR_UNKNOWN_ERROR}


def _place(config: SourceConfig) -> str:
    return config.host if config.host.startswith("/") else f"{config.host}:{config.tcp_port}"


def silent(config: SourceConfig, *, connected: bool) -> SourceUnavailable:
    """The error for a server that has not let us in while `source.connectionTimeout` lasted."""
    seconds = counted(config.connection_timeout, "second")
    if not connected:
        return SourceUnavailable(
            f"S9 at {_place(config)} cannot be reached: no answer within {seconds}",
            remedy="check source.host, source.port, the network and its firewalls; "
            "source.connectionTimeout is how long to wait",
        )
    return SourceUnavailable(
        f"what listens at {_place(config)} accepts the connection, but did not complete the login "
        f"within {seconds}",
        remedy="check source.type, source.host and source.port: another service may listen there; "
        "if the server is only slow, raise source.connectionTimeout",
    )


def _untrusted(config: SourceConfig, cause: object, said: str) -> SourceUnavailable:
    """A fault of TLS, each kind with its own remedy."""
    reason = str(cause) if isinstance(cause, ssl.SSLError) else said
    where = f"S9 at {_place(config)} cannot be trusted: "
    if isinstance(cause, ssl.SSLCertVerificationError):
        if "mismatch" in reason or "doesn't match" in reason or "not valid for" in reason:
            return SourceUnavailable(
                f"{where}its certificate is for another name ({reason})",
                remedy="set source.host to a name in the certificate, or give the server a "
                "certificate for source.host",
            )
        if "expired" in reason or "not yet valid" in reason:
            return SourceUnavailable(
                f"{where}its certificate is not valid today ({reason})",
                remedy="renew the server's certificate, and check this machine's clock",
            )
        return SourceUnavailable(
            f"{where}its certificate is from an authority that is not known here ({reason})",
            remedy="set source.sslRootCert to the file with the authority's certificate (PEM)",
        )
    if "not support" in reason or "SSL is required" in reason:
        return SourceUnavailable(
            f"{where}it does not speak TLS ({reason})",
            remedy="give the server a certificate; source.ssl: false is for private networks only",
        )
    return SourceUnavailable(
        f"{where}{reason}",
        remedy="check source.host, source.port and source.ssl: the server may speak an old "
        "version of TLS, or something else may listen there",
    )
