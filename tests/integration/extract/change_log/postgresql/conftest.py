"""A PostgreSQL with a logical log, and three small tables of S9's in a schema of the test's own."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg2.extensions
import pytest

from extract.following.opening import drop_log
from extract.postgresql.source import PostgresSource
from tests.support.s9.logged import LOGICAL, LoggedS9
from utils.config import Secret, SourceConfig
from utils.embedded.postgresql import EmbeddedPostgres

TABLES = (
    "CREATE TABLE msg_anag (first_id bigint PRIMARY KEY, name text)",
    "CREATE TABLE msg (first_id bigint PRIMARY KEY, buyer_id bigint, notes text)",
    "CREATE TABLE msg_line (id bigint PRIMARY KEY, msg_id bigint NOT NULL, quantity int, "
    "notes text)",
    "CREATE UNIQUE INDEX msg_line_of ON msg_line (msg_id, id)",
    "CREATE TABLE elsewhere (n int)",
    "INSERT INTO msg_anag SELECT n, 'party' FROM generate_series(1, 5) AS n",
    "INSERT INTO msg SELECT n, 1 FROM generate_series(1, 9) AS n",
    "INSERT INTO msg_line SELECT n * 10, n, 1 FROM generate_series(1, 9) AS n",
)
_numbers = itertools.count(1)


@dataclass(kw_only=True)
class LivingS9(LoggedS9):
    """S9 with its log, on a PostgreSQL."""

    server: EmbeddedPostgres
    schema: str

    def again(self) -> None:
        """Connect again, to a server that was started again."""
        self.connection = self.server.connect()
        self.connection.autocommit = True
        self.run(f"SET search_path = {self.schema}")

    @contextmanager
    def writer(self) -> Iterator[psycopg2.extensions.connection]:
        """A connection of S9's own application, whose transactions it ends itself."""
        with closing(self.server.connect()) as connection:
            with connection.cursor() as cursor:
                cursor.execute(f"SET search_path = {self.schema}")
            connection.commit()
            yield connection

    def source(self) -> PostgresSource:
        return PostgresSource(self.config)


@contextmanager
def living_on(logical: EmbeddedPostgres) -> Iterator[LivingS9]:
    """A schema with S9's tables on a server."""
    schema = f"s9_{next(_numbers)}"
    config = SourceConfig(
        host=logical.host,
        port=logical.port,
        database=logical.database,
        username=logical.owner,
        password=Secret(logical.owner_password),
        ssl=False,
        schema=schema,
        connection_timeout=3,
    )
    with closing(logical.connect()) as connection:
        connection.autocommit = True
        s9 = LivingS9(
            server=logical,
            schema=schema,
            name=f"follow_{schema}",
            connection=connection,
            config=config,
        )
        s9.run(f"CREATE SCHEMA {schema}", f"SET search_path = {schema}", *TABLES)
        yield s9
    drop_log(config, s9.name)
    with closing(logical.connect()) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(f"DROP SCHEMA {schema} CASCADE")


@pytest.fixture
def living(logical: EmbeddedPostgres) -> Iterator[LivingS9]:
    with living_on(logical) as s9:
        yield s9


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[LivingS9]:
    """S9 on a server of its own, whose files may be changed."""
    with EmbeddedPostgres(tmp_path / "own", settings=LOGICAL) as server, living_on(server) as s9:
        yield s9
