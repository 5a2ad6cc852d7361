"""A connection to MySQL or MariaDB: TLS, and a session in which nothing is left to chance."""

from __future__ import annotations

import ssl
from contextlib import suppress
from pathlib import Path
from typing import Any

import pymysql
from pymysql.connections import Connection

from extract.mysql_errors import connection_errors
from utils.config import SourceConfig
from utils.error_handler import SourceUnavailable

_SOCKET = "mysqld.sock"
_A_YEAR = 31_536_000  # the servers' own upper bound
LOCK_WAIT_SECONDS = 600
# Nothing of what the server or the account has set may change what is read: PAD_CHAR_TO_FULL_LENGTH
# would pad, ANSI_QUOTES would read texts as names, NO_ZERO_DATE refuse conditions on zero dates.
_PINNED = (
    "sql_mode = ''",
    "sql_select_limit = 18446744073709551615",
    "sql_big_selects = 1",
    f"sort_buffer_size = {32 << 20}",  # lines are sorted in memory, not by files of the server
    f"net_write_timeout = {_A_YEAR}",  # the reader may be slow
    f"net_read_timeout = {_A_YEAR}",
    f"wait_timeout = {_A_YEAR}",
)
# Of these some exist on MySQL only, some on MariaDB only.
_PINNED_WHERE_KNOWN = (
    "max_execution_time = 0",
    "max_statement_time = 0",
    f"max_length_for_sort_data = {1 << 16}",  # what is sorted is not looked up again, one by one
)


def connect(config: SourceConfig) -> Connection[Any]:
    """Connect as `config` says. Texts arrive in UTF-8, whatever the tables have.

    Raises SourceUnavailable when S9 cannot be reached, is not trusted, or does not let us in.
    """
    tls = _tls(config)
    with connection_errors(config):
        opened: Connection[Any] = pymysql.connect(
            **_place(config),
            **tls,
            user=config.username,
            password=str(config.password).encode(),  # PyMySQL would encode a text as Latin-1
            database=config.database,
            connect_timeout=config.connection_timeout,
            charset="utf8mb4",
            program_name="s9-migrate",
            autocommit=True,  # until the transaction begins
        )
        try:
            _pin(opened)
        except BaseException:
            with suppress(pymysql.Error):
                opened.close()
            raise
        return opened


def _pin(opened: Connection[Any]) -> None:
    with opened.cursor() as cursor:
        cursor.execute(f"SET {', '.join(f'SESSION {each}' for each in _PINNED)}")
        cursor.execute(f"SET SESSION lock_wait_timeout = {LOCK_WAIT_SECONDS}")
        for each in _PINNED_WHERE_KNOWN:
            with suppress(pymysql.Error):
                cursor.execute(f"SET SESSION {each}")


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
