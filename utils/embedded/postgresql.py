"""A PostgreSQL to migrate from: version 18 from a wheel, on a free local port.

The data are disposable: nothing is synced to disk, and everything is deleted at the end.
"""

from __future__ import annotations

import atexit
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg2
from psycopg2 import sql
from psycopg2.extensions import connection, cursor

from utils.embedded.database import EmbeddedDatabase
from utils.embedded.ports import free_port, is_free
from utils.embedded.postgres_files import Installation, give, install, make_home, server_account
from utils.embedded.process import ServerProcess, log_tail
from utils.error_handler import SourceError

START_SECONDS = 30.0
_POLL_SECONDS = 0.01
_ATTEMPTS = 5
_MAINTENANCE = "postgres"
_OF_VERSION_18 = (
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",
    "--no-data-checksums",
)
_SETTINGS = (
    "unix_socket_directories=",
    "fsync=off",
    "full_page_writes=off",
    "wal_level=minimal",
    "max_wal_senders=0",
    "max_connections=60",
    "shared_buffers=32MB",
    "autovacuum=off",
    "jit=off",
    "log_checkpoints=off",
    "timezone=UTC",
    "log_timezone=UTC",
)


class EmbeddedPostgres(EmbeddedDatabase[connection]):
    """The server; its log is `directory`/postgresql.log. It asks for passwords by SCRAM-SHA-256,
    the reader's transactions are read-only, and it has no TLS."""

    ends_with, breaks_off_with = signal.SIGINT, signal.SIGQUIT

    def __init__(
        self,
        directory: Path,
        *,
        database: str = "s9",
        programs: Path | None = None,
        settings: Sequence[str] = (),
    ) -> None:
        """`programs` is the directory of another PostgreSQL's programs, as Debian's; `settings` are
        further ones ("wal_level=logical"), which win over these here."""
        super().__init__(directory, database, "postgresql.log")
        self._settings = (*_SETTINGS, *settings)
        self._programs = programs
        self._installation: Installation | None = None

    def start(self) -> None:
        """Start and wait until it answers; a second call does nothing.

        The first start creates the accounts and `database`; after a `stop`, it continues with the
        same data on the same port. Raises ConfigurationError when the wheel is not installed,
        SourceError when the server does not start, StorageError when it has no place for its
        files.
        """
        if self.running:
            return
        if self._home is not None:
            self._run()
            return
        self.directory.mkdir(parents=True, exist_ok=True)
        account = server_account()
        self._home = make_home(self.directory, account)
        atexit.register(self.close)
        try:
            self._installation = (
                Installation(self._programs, account)
                if self._programs
                else install(self._home, account)
            )
            self._initialize(self._installation, self._home)
            self._run()
            self._create_accounts()
            self.create_database(self.database)
        except BaseException:
            self.close()
            raise

    def create_database(self, name: str) -> None:
        """Create an empty database; the reader may select from all that the owner makes there."""
        statement = sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name))
        with self._maintenance() as session:
            session.execute(statement)

    def drop_database(self, name: str) -> None:
        """Drop a database if it is there, ending its connections."""
        statement = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)")
        with self._maintenance() as session:
            session.execute(statement.format(sql.Identifier(name)))

    @property
    def data_directory(self) -> str:
        """Where the server keeps its files, while it is started."""
        return f"{self._home}/data"

    def _initialize(self, installation: Installation, home: Path) -> None:
        password = home / "password"
        password.write_text(self.owner_password, encoding="ascii")
        password.chmod(0o600)
        give(password, installation.account)
        command = [
            *(installation.program("initdb"), "-D", self.data_directory, "-U", self.owner),
            *("--auth=scram-sha-256", f"--pwfile={password}", "--encoding=UTF8", "--locale=C"),
            *("--no-sync", "--no-instructions"),
            *(() if self._programs else _OF_VERSION_18),
        ]
        initdb = ServerProcess(
            command,
            log=self.log,
            account=installation.account,
            directory=Path("/"),
            scratch=home,
        )
        code = initdb.wait(START_SECONDS)
        password.unlink()
        if code != 0:
            raise self._failure(f"initdb ended with exit code {code}")

    def _run(self) -> None:
        assert self._installation is not None
        for _ in range(_ATTEMPTS):
            first = not self.port
            self.port = self.port or free_port()
            settings = (f"listen_addresses={self.host}", f"port={self.port}", *self._settings)
            options = [part for setting in settings for part in ("-c", setting)]
            self._server = ServerProcess(
                [self._installation.program("postgres"), "-D", self.data_directory, *options],
                log=self.log,
                stop_signal=signal.SIGINT,
                account=self._installation.account,
                directory=Path("/"),
                scratch=self._home,
            )
            if self._answers():
                return
            self._server.stop(signal.SIGQUIT)
            if not first or is_free(self.port):
                break
            self.port = 0  # somebody else took it in the meantime
        raise self._failure(f"it does not answer on {self.host}:{self.port}")

    def _answers(self) -> bool:
        deadline = time.monotonic() + START_SECONDS
        while self.running and time.monotonic() < deadline:
            if self._ready():
                with suppress(psycopg2.OperationalError):
                    self._connect(_MAINTENANCE, self.owner, self.owner_password).close()
                    return self.running
            time.sleep(_POLL_SECONDS)
        return False

    def _ready(self) -> bool:
        # The last line of this file is what pg_ctl waits for. Asking the port instead would ask
        # whoever else may have it.
        with suppress(FileNotFoundError):
            return (
                Path(self.data_directory, "postmaster.pid").read_text().rstrip().endswith("\nready")
            )
        return False

    def _create_accounts(self) -> None:
        reader = sql.Identifier(self.reader)
        create = sql.SQL("CREATE ROLE {} LOGIN PASSWORD %s").format(reader)
        restrict = sql.SQL("ALTER ROLE {} SET default_transaction_read_only = on").format(reader)
        with self._maintenance() as session:
            session.execute(create, (self.reader_password,))
            session.execute(restrict)
        # In the template: every database that is created later has these from the start.
        with self._maintenance("template1") as session:
            for privilege in ("SELECT ON TABLES", "USAGE ON SCHEMAS"):
                grant = sql.SQL(f"ALTER DEFAULT PRIVILEGES GRANT {privilege} TO {{}}")
                session.execute(grant.format(reader))

    @contextmanager
    def _maintenance(self, database: str = _MAINTENANCE) -> Iterator[cursor]:
        owner = self._connect(database, self.owner, self.owner_password)
        try:
            owner.autocommit = True
            with owner.cursor() as session:
                yield session
        finally:
            owner.close()

    def _connect(self, database: str, user: str, password: str) -> connection:
        return psycopg2.connect(
            host=self.host,
            port=self.port,
            dbname=database,
            user=user,
            password=password,
            connect_timeout=10,
            sslmode="disable",
            gssencmode="disable",
        )

    def _failure(self, what: str) -> SourceError:
        return SourceError(
            f"the embedded PostgreSQL did not start: {what}. The end of its log:\n"
            f"{log_tail(self.log)}",
            remedy=f"read {self.log}; most often memory, disk space or shared memory is short",
        )
