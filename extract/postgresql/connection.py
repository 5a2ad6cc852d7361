"""A connection to PostgreSQL: TLS as configured, and a sentence of its own for every failure."""

from __future__ import annotations

import re
import socket
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg2
from psycopg2 import extensions
from psycopg2.extensions import libpq_version

from utils.config import SourceConfig
from utils.error_handler import SourceUnavailable
from utils.wording.figures import counted

_SYSTEM_CERTIFICATES_SINCE = 160000  # libpq 16 knows sslrootcert=system


def connect(config: SourceConfig, **further: Any) -> extensions.connection:
    """Connect as `config` says; texts arrive in UTF-8. Nothing is set for the session. `further`
    arguments are psycopg2's: of what kind the connection is.

    Raises SourceUnavailable when S9 cannot be reached, is not trusted, or does not let us in.
    """
    _check_root_certificate(config)
    _probe(config)
    try:
        opened: extensions.connection = psycopg2.connect(
            **_ssl(config),
            host=config.host,
            port=config.tcp_port,
            dbname=config.database,
            user=config.username,
            password=str(config.password) or None,
            connect_timeout=config.connection_timeout,
            client_encoding="UTF8",
            keepalives_idle=30,
            keepalives_interval=10,
            keepalives_count=6,
            # Not what the environment says of them: PGHOSTADDR would lead to another server, and a
            # pooler does not know the options of PGOPTIONS.
            hostaddr="",
            options="",
            **further,
        )
    except (psycopg2.Error, UnicodeError) as error:
        raise _unavailable(config, " ".join(str(error).split())) from error
    return opened


def _ssl(config: SourceConfig) -> dict[str, Any]:
    if config.ssl is False:
        return {"sslmode": "disable"}
    mode = _mode(config)
    if config.ssl_root_cert:
        return {"sslmode": mode, "sslrootcert": config.ssl_root_cert}
    if mode == "verify-full" and libpq_version() >= _SYSTEM_CERTIFICATES_SINCE:
        return {"sslmode": mode, "sslrootcert": "system"}
    return {"sslmode": mode}


def _mode(config: SourceConfig) -> str:
    return "verify-full" if config.ssl is True else str(config.ssl or "disable")


def _check_root_certificate(config: SourceConfig) -> None:
    """A file that is not there, or holds no certificate, is told before anything is connected."""
    if not config.ssl_root_cert or _mode(config) == "disable":
        return
    path = Path(config.ssl_root_cert)
    try:
        text = path.read_text(encoding="ascii", errors="ignore")
        ssl.create_default_context(cadata=text)
    except OSError as error:
        if isinstance(error, ssl.SSLError):
            raise _no_certificates(path, "it holds no certificate in PEM form") from error
        raise _no_certificates(path, error.strerror or str(error)) from error
    except ValueError as error:
        raise _no_certificates(path, "it holds no certificate in PEM form") from error


def _no_certificates(path: Path, why: str) -> SourceUnavailable:
    return SourceUnavailable(
        f"the certificates of source.sslRootCert cannot be read from {path}: {why}",
        remedy="let source.sslRootCert name the file with the certificate of the authority that "
        "has signed the server's (PEM), readable for this user",
    )


def _probe(config: SourceConfig) -> None:
    """Tell an unreachable server from one that refuses: libpq reports both as one error."""
    if config.host.startswith("/"):
        return
    try:
        address = (config.host, config.tcp_port)
        socket.create_connection(address, timeout=config.connection_timeout).close()
    except (OSError, UnicodeError) as error:
        raise _unreachable(config, error) from error


def _unreachable(config: SourceConfig, error: OSError | UnicodeError) -> SourceUnavailable:
    head = f"S9 at {place(config)} cannot be reached"
    if isinstance(error, (socket.gaierror, UnicodeError)):
        return SourceUnavailable(
            f"{head}: the host name {config.host} cannot be resolved",
            remedy="check source.host and this machine's name service (DNS, VPN)",
        )
    if isinstance(error, ConnectionRefusedError):
        return SourceUnavailable(
            f"{head}: the connection is refused, nothing listens there",
            remedy="check source.host, source.port and that the server runs and listens on the "
            "network",
        )
    if isinstance(error, TimeoutError):
        return SourceUnavailable(
            f"{head}: no answer within {counted(config.connection_timeout, 'second')}",
            remedy="check source.host, source.port and the firewalls between; a slow network needs "
            "a longer source.connectionTimeout",
        )
    return SourceUnavailable(
        f"{head}: {error.strerror or error}",
        remedy="check source.host, source.port, the network and that the server runs",
    )


def place(config: SourceConfig) -> str:
    return config.host if config.host.startswith("/") else f"{config.host}:{config.tcp_port}"


@dataclass(frozen=True)
class _Failure:
    """What libpq's words mean (they have no codes; its own are always English, the server's are in
    the server's language), what is told of it, and what to do."""

    words: str
    told: str
    remedy: str

    def found_in(self, said: str) -> bool:
        return re.search(self.words, said, re.I) is not None


_AUTHORITY = (
    "let source.sslRootCert name the certificate of the authority that has signed the server's "
    "(ask who runs the database for it)"
)
# The first that is found counts: what is special comes before what is general.
_FAILURES = (
    _Failure(
        "does not support SSL",
        "is not used: the server offers no TLS (SSL), and source.ssl asks for it",
        "turn TLS on at the server; source.ssl: false sends everything in clear, which is for "
        "private networks only",
    ),
    _Failure(
        "does not match host name|IP address mismatch|hostname mismatch",
        "is not trusted: its certificate does not match host name {host}",
        "set source.host to a name in the certificate, or give the server a certificate for this "
        "name",
    ),
    _Failure(
        "certificate has expired|certificate is not yet valid",
        "is not trusted: its certificate is not valid today",
        "have the server's certificate renewed; check the clock of this machine as well",
    ),
    _Failure(
        "root certificate file|could not load system root certificate|root\\.crt",
        "is not trusted: there is no authority's certificate to check it against",
        _AUTHORITY,
    ),
    _Failure(
        "certificate verify failed|self.signed certificate|unable to get (local )?issuer",
        "is not trusted: its certificate is not signed by an authority that is known here "
        "(certificate verify failed)",
        _AUTHORITY,
    ),
    _Failure(
        "requires a valid client certificate|certificate required|client certificate|"
        "alert handshake failure",
        "asks for a client certificate, and this tool has none",
        "use an account that the server lets in with a password (pg_hba.conf)",
    ),
    _Failure(
        r"SSL error|\bTLS\b|SSL connection|SSL negotiation|unsupported protocol|certificate",
        "and this machine cannot agree on TLS",
        "check that source.port is PostgreSQL's own, that both sides know a common version of TLS, "
        "and source.ssl and source.sslRootCert",
    ),
    _Failure(
        "could not translate host name",
        "cannot be reached: the host name {host} cannot be resolved",
        "check source.host and this machine's name service (DNS, VPN)",
    ),
    _Failure(
        "timeout expired|timed out",
        "does not answer: {user} was not logged in within {seconds}",
        "check that source.port is PostgreSQL's own and that the server is not overloaded; a slow "
        "network needs a longer source.connectionTimeout",
    ),
    _Failure(
        "no pg_hba.conf entry|pg_hba\\.conf",
        "has no rule that lets {user} into {database} from here",
        "add this machine, account and database to the server's pg_hba.conf; if it requires TLS "
        "there, turn source.ssl on",
    ),
    _Failure(
        "password authentication failed|no password supplied|SASL authentication failed|"
        "autenticazione con password|wrong password|auth failed|Ident authentication|"
        "Peer authentication|authentication failed",
        "does not let {user} in: the account name or the password is wrong",
        "check source.username and source.password",
    ),
    _Failure(
        'database "[^"]*" does not exist|no such database',
        'does not let {user} in: there is no database "{database}"',
        "check source.database",
    ),
    _Failure(
        'role "[^"]*" does not exist|not permitted to log in|no such user',
        "does not let {user} in: there is no such account, or it may not log in",
        "check source.username",
    ),
    _Failure(
        "permission denied for database",
        "does not let {user} into the database {database}",
        "grant CONNECT on the database to source.username",
    ),
    _Failure(
        "to start WAL ?sender",
        "does not let {user} read its log",
        "let a DBA give the account the right to read it (REPLICATION; on Amazon RDS and Aurora "
        "the role rds_replication)",
    ),
    _Failure(
        "requested standby connections",
        "has no connection left that reads its log",
        "free one, or raise max_wal_senders",
    ),
    _Failure(
        "too many (clients|connections)|remaining connection slots|query_wait_timeout|"
        "no more connections allowed|max_client_conn",
        "has no connection left for {user}",
        "the tool needs two: free some, or raise the limit of the server, the account or the "
        "pooler",
    ),
    _Failure(
        "starting up|shutting down|recovery mode|not yet accepting",
        "is starting up or shutting down",
        "wait until it answers",
    ),
    _Failure(
        "unsupported startup parameter|unsupported frontend protocol",
        "is a pooler that does not accept one of the connection's parameters",
        "unset the variables PGTZ, PGDATESTYLE, PGGEQO and PGOPTIONS of this machine, or connect "
        "to the database directly",
    ),
    _Failure(
        "No such file or directory|Connection refused|is the server running",
        "cannot be reached: no server listens there",
        "check source.host, source.port and that the server runs",
    ),
    _Failure(
        "server closed the connection|received invalid response|expected authentication request|"
        "unexpected message|invalid response",
        "is not PostgreSQL, or closed the connection",
        "check source.type, source.host and source.port (5432 is PostgreSQL's own)",
    ),
)


def _unavailable(config: SourceConfig, said: str) -> SourceUnavailable:
    """What libpq's words (on one line) mean to an operator."""
    without_names = re.sub(r'"[^"]*"', '""', said)
    for failure in _FAILURES:
        if failure.found_in(without_names):
            told = failure.told.format(
                host=config.host,
                user=config.username,
                database=config.database,
                seconds=counted(config.connection_timeout, "second"),
            )
            return SourceUnavailable(f"S9 at {place(config)} {told}", remedy=failure.remedy)
    return _by_what_it_names(config, said)


def _by_what_it_names(config: SourceConfig, said: str) -> SourceUnavailable:
    """The server speaks another language: in all of them it quotes what it refuses."""
    head = f"S9 at {place(config)} does not let {config.username} in"
    words = said.rpartition("failed: ")[2]
    database, account = (
        any(f"{a}{name}{b}" in words for a, b in ('""', "«»", "“”", "„“"))
        for name in (config.database, config.username)
    )
    if database and not account:
        return SourceUnavailable(f"{head}: {words}", remedy="check source.database")
    if account and not database:
        return SourceUnavailable(
            f"{head}: {words}", remedy="check source.username and source.password"
        )
    return SourceUnavailable(
        f"{head}: {words}", remedy="check source.database, source.username and source.password"
    )
