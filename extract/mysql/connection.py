"""A connection to MySQL or MariaDB: TLS, patience, and a session that is pinned."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pymysql
from pymysql.connections import Connection

from extract.mysql.errors import connection_errors, silent
from extract.mysql.settings import pin
from utils.config import SourceConfig
from utils.error_handler import SourceUnavailable

_SOCKET = "mysqld.sock"
LOCK_WAIT_SECONDS = 60
_NOT_CONNECTED = "Not connected"  # PyMySQL's word before it has a socket
# A connection that says nothing for long is asked whether it is there, by the operating system.
_KEEPALIVE = {"TCP_KEEPIDLE": 30, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 6}


def connect(config: SourceConfig) -> Connection[Any]:
    """Connect as `config` says. Texts arrive in UTF-8, whatever the tables have.

    Raises SourceUnavailable when S9 cannot be reached, is not trusted, does not let us in, or has
    not done so within `source.connectionTimeout`.
    """
    tls = _tls(config)
    opened: Any = pymysql.Connection(
        **_place(config),
        **tls,
        user=config.username,
        password=str(config.password).encode(),  # PyMySQL would encode a text as Latin-1
        database=config.database,
        connect_timeout=config.connection_timeout,
        read_timeout=config.connection_timeout,
        charset="utf8mb4",
        collation="utf8mb4_general_ci",  # the one that all versions have
        program_name="s9-migrate",
        autocommit=True,  # until the transaction begins
        defer_connect=True,
    )
    with connection_errors(config):
        try:
            with _in_time(opened, config):
                opened.connect()
                pin(opened, LOCK_WAIT_SECONDS)
            _wait_from_here_on(opened)
        except BaseException:
            with suppress(pymysql.Error, OSError):
                opened.close()
            raise
    settled: Connection[Any] = opened
    return settled


@contextmanager
def _in_time(opened: Any, config: SourceConfig) -> Iterator[None]:
    """Break off what has not come about in time: PyMySQL's own limits hold for one read each, and
    whoever sends a byte now and then keeps it waiting. Raises SourceUnavailable."""
    over = threading.Event()

    def end() -> None:
        over.set()
        with suppress(OSError, AttributeError):
            opened._sock.shutdown(socket.SHUT_RDWR)

    clock = threading.Timer(config.connection_timeout, end)
    clock.daemon = True
    clock.start()
    try:
        yield
    except Exception as error:
        if over.is_set() or "timed out" in str(error):
            raise silent(config, connected=opened.host_info != _NOT_CONNECTED) from error
        raise
    finally:
        clock.cancel()


def _wait_from_here_on(opened: Any) -> None:
    """A query takes as long as it takes; whether the other end is still there, the operating
    system asks."""
    opened._read_timeout = opened._current_timeout = None
    opened._sock.settimeout(None)
    if opened._sock.family != socket.AF_UNIX:
        for name, value in _KEEPALIVE.items():
            if hasattr(socket, name):
                opened._sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def _place(config: SourceConfig) -> dict[str, Any]:
    if not config.host.startswith("/"):
        return {"host": config.host, "port": config.tcp_port}
    place = Path(config.host)
    return {"unix_socket": str(place / _SOCKET if place.is_dir() else place)}


def _tls(config: SourceConfig) -> dict[str, Any]:
    """libpq's words, as MySQL can do them: `allow` is `prefer`, since a client cannot know before
    it asks; `require` with a root certificate verifies the authority, as libpq does."""
    if config.ssl in (False, "disable") or config.host.startswith("/"):
        return {"ssl_disabled": True}
    mode = "verify-full" if config.ssl is True else str(config.ssl)
    if mode in ("allow", "prefer"):
        return {}  # PyMySQL's own way when nothing is said: TLS where the server has it
    context = _trusting(config.ssl_root_cert)
    # As PyMySQL does: the certificates that MySQL makes for itself are not strictly X.509.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    context.check_hostname = mode == "verify-full"
    if mode == "require" and not config.ssl_root_cert:
        context.verify_mode = ssl.CERT_NONE
    return {"ssl": context}


def _trusting(root: str | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=root)
    except OSError as error:
        raise SourceUnavailable(
            f"the certificate in {root} cannot be read: {error.strerror or error}",
            remedy="source.sslRootCert is the file with the authority's certificate (PEM)",
        ) from error
