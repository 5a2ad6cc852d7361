"""A MariaDB to migrate from: the installed mariadbd, on a free local port, with files of its own.

The data are disposable: nothing is synced to disk, and everything is deleted at the end.
"""

from __future__ import annotations

import atexit
import os
import pwd
import shutil
import signal
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pymysql
from pymysql.connections import Connection

from utils.embedded.database import EmbeddedDatabase
from utils.embedded.ports import free_port, is_free
from utils.embedded.process import ServerProcess, log_tail
from utils.error_handler import ConfigurationError, SourceError
from utils.wording.invocation import again

START_SECONDS = 60.0
_POLL_SECONDS = 0.05
_ATTEMPTS = 5
_SERVER, _INSTALLER = "mariadbd", "mariadb-install-db"
# Where distributions put what is not for everybody's PATH.
_PLACES = os.pathsep.join(("/usr/sbin", "/usr/libexec", "/usr/local/sbin", "/usr/bin"))
_SETTINGS = (
    # What is committed is with the operating system: an immediate stop loses nothing of it.
    "--innodb-flush-log-at-trx-commit=2",
    "--innodb-flush-method=nosync",
    "--innodb-doublewrite=0",
    "--innodb-buffer-pool-size=64M",
    "--innodb-log-file-size=32M",
    "--sync-binlog=0",
    "--skip-log-bin",
    "--skip-name-resolve",
    "--performance-schema=OFF",
    "--character-set-server=utf8mb4",
    "--default-time-zone=+00:00",
    "--max-connections=60",
    "--max-allowed-packet=64M",
)


def installed() -> str | None:
    """The path of mariadbd, None where it is not installed."""
    return _program(_SERVER)


def _program(name: str) -> str | None:
    return shutil.which(name) or shutil.which(name, path=_PLACES)


class EmbeddedMariaDB(EmbeddedDatabase["Connection[Any]"]):
    """The server; its log is `directory`/mariadb.log."""

    ends_with, breaks_off_with = signal.SIGTERM, signal.SIGKILL

    def __init__(
        self, directory: Path, *, database: str = "s9", options: Sequence[str] = ()
    ) -> None:
        """`options` are further options of mariadbd."""
        super().__init__(directory, database, "mariadb.log")
        self._options = tuple(options)

    def start(self) -> None:
        """Start and wait until it answers; a second call does nothing.

        The first start creates the accounts and `database`; after a `stop`, it continues with the
        same data on the same port. Raises ConfigurationError when MariaDB is not installed,
        SourceError when it does not start.
        """
        if self.running:
            return
        if self._home is not None:
            self._run()
            return
        self._require()
        self.directory.mkdir(parents=True, exist_ok=True)
        self._home = Path(tempfile.mkdtemp(prefix="mariadb-", dir=self.directory))
        atexit.register(self.close)
        try:
            self._initialize(self._home)
            self._run()
            self.create_database(self.database)
        except BaseException:
            self.close()
            raise

    def create_database(self, name: str) -> None:
        """Create an empty database; the reader may select from all that is made there."""
        self._maintain(f"CREATE DATABASE `{name}` CHARACTER SET utf8mb4")

    def drop_database(self, name: str) -> None:
        """Drop a database if it is there."""
        self._maintain(f"DROP DATABASE IF EXISTS `{name}`")

    def _maintain(self, statement: str) -> None:
        owner = self._connect("", self.owner, self.owner_password)
        try:
            with owner.cursor() as cursor:
                cursor.execute(statement)
        finally:
            owner.close()

    def _require(self) -> None:
        if not (installed() and _program(_INSTALLER)):
            raise ConfigurationError(
                "MariaDB is not installed: there is no mariadbd to start",
                remedy="install it (Debian, Ubuntu: apt-get install mariadb-server; Fedora: dnf "
                f"install mariadb-server; macOS: brew install mariadb), then: {again()}",
            )

    def _initialize(self, home: Path) -> None:
        command = [
            *(str(_program(_INSTALLER)), "--no-defaults", f"--datadir={home / 'data'}"),
            *("--skip-test-db", "--auth-root-authentication-method=normal", *_account()),
        ]
        installer = ServerProcess(command, log=self.log, directory=home, scratch=home)
        code = installer.wait(START_SECONDS)
        if code != 0:
            raise self._failure(f"{_INSTALLER} ended with exit code {code}")

    def _run(self) -> None:
        for _ in range(_ATTEMPTS):
            first = not self.port
            self.port = self.port or free_port()
            self._server = ServerProcess(
                self._command(), log=self.log, directory=self._home, scratch=self._home
            )
            if self._answers():
                return
            self._server.stop(signal.SIGKILL)
            if not first or is_free(self.port):
                break
            self.port = 0  # somebody else took it in the meantime
        raise self._failure(f"it does not answer on {self.host}:{self.port}")

    def _command(self) -> list[str]:
        assert self._home is not None
        # One of its own: a server that starts deletes the others' temporary tables in it.
        temporary = self._home / "tmp"
        temporary.mkdir(mode=0o700, exist_ok=True)
        accounts = self._home / "accounts.sql"  # run at every start: it changes nothing then
        accounts.write_text(self._accounts(), encoding="utf-8")
        accounts.chmod(0o600)
        return [
            *(str(installed()), "--no-defaults", f"--datadir={self._home / 'data'}", *_account()),
            *(f"--bind-address={self.host}", f"--port={self.port}", f"--init-file={accounts}"),
            f"--tmpdir={temporary}",
            *(f"--socket={self._home / 's'}", f"--pid-file={self._home / 'pid'}"),
            *_SETTINGS,
            *self._options,
        ]

    def _accounts(self) -> str:
        return (
            "".join(
                f"CREATE USER IF NOT EXISTS '{name}'@'%' IDENTIFIED BY '{password}';\n"
                f"GRANT {rights} ON *.* TO '{name}'@'%'{more};\n"
                for name, password, rights, more in (
                    (self.owner, self.owner_password, "ALL PRIVILEGES", " WITH GRANT OPTION"),
                    (self.reader, self.reader_password, "SELECT", ""),
                )
            )
            + "DROP USER IF EXISTS ''@'localhost';\nDROP USER IF EXISTS 'root'@'localhost';\n"
        )

    def _answers(self) -> bool:
        deadline = time.monotonic() + START_SECONDS
        while self.running and time.monotonic() < deadline:
            # Only this server has the account, whoever else may have the port.
            with suppress(pymysql.Error):
                self._connect("", self.owner, self.owner_password).close()
                return self.running
            time.sleep(_POLL_SECONDS)
        return False

    def _connect(self, database: str, user: str, password: str) -> Connection[Any]:
        return pymysql.connect(
            host=self.host,
            port=self.port,
            user=user,
            password=password,
            database=database or None,
            charset="utf8mb4",
            connect_timeout=10,
            ssl_disabled=True,
        )

    def _failure(self, what: str) -> SourceError:
        return SourceError(
            f"the embedded MariaDB did not start: {what}. The end of its log:\n"
            f"{log_tail(self.log)}",
            remedy=f"read {self.log}; most often memory or disk space is short",
        )


def _account() -> tuple[str, ...]:
    """mariadbd wants to be told whom to run as when it is started by root."""
    return (f"--user={pwd.getpwuid(0).pw_name}",) if os.geteuid() == 0 else ()
