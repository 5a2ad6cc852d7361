"""A PostgreSQL with a logical log, and three small tables of S9's in a schema of the test's own."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import psycopg2.extensions
import pytest

from extract.change_log.change_log import ChangeLog, Changes, Followed
from extract.following.opening import drop_log, open_log
from extract.postgresql.source import PostgresSource
from utils.config import Secret, SourceConfig
from utils.embedded.postgresql import EmbeddedPostgres

SETTINGS = ("wal_level=logical", "max_wal_senders=6", "max_replication_slots=6")
FOLLOWED = (
    Followed("msg_anag", "first_id"),
    Followed("msg", "first_id"),
    Followed("msg_line", "id", "msg_id"),
)
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


@dataclass
class LivingS9:
    """S9 with its log: `config` is the owner's, who may do everything."""

    server: EmbeddedPostgres
    schema: str
    connection: psycopg2.extensions.connection
    config: SourceConfig
    known: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """What the log is called."""
        return f"follow_{self.schema}"

    def run(self, *statements: str) -> None:
        """Each is a transaction of its own."""
        for statement in statements:
            with self.connection.cursor() as cursor:
                cursor.execute(statement)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with self.connection.cursor() as cursor:
            cursor.execute(query)
            return list(cursor.fetchall())

    @contextmanager
    def writer(self) -> Iterator[psycopg2.extensions.connection]:
        """A connection of S9's own application, whose transactions it ends itself."""
        with closing(self.server.connect()) as connection:
            with connection.cursor() as cursor:
                cursor.execute(f"SET search_path = {self.schema}")
            connection.commit()
            yield connection

    @contextmanager
    def follow(self, **changes: Any) -> Iterator[ChangeLog]:
        """The log, from where it was confirmed last, which is kept in the end."""
        followed = changes.pop("followed", FOLLOWED)
        config = replace(self.config, **changes)
        with open_log(config, None, followed, self.name, self.known) as log:
            yield log
            self.known = log.state()

    @contextmanager
    def going_on(self) -> Iterator[ChangeLog]:
        """As `follow`, of a log that has begun before: everything was compared."""
        if not self.known:
            with self.follow() as log:
                log.confirm(log.read(0).position)
        with self.follow() as log:
            assert log.begins_anew == ""
            yield log

    def source(self) -> PostgresSource:
        return PostgresSource(self.config)


def everything(log: ChangeLog) -> Changes:
    """All that S9 has committed up to now, put together."""
    fence, found = log.fence(), Changes()
    while not log.has_passed(fence):
        changes = log.read(10)
        for into, keys in ((found.keys, changes.keys), (found.parents, changes.parents)):
            for table, numbers in keys.items():
                into.setdefault(table, set()).update(numbers)
        found.whole |= changes.whole
        found.transactions += changes.transactions
        found.oldest, found.newest = found.oldest or changes.oldest, changes.newest or found.newest
        found.position = changes.position
        found.seen = (*found.seen, *changes.seen)
    return found


@pytest.fixture(scope="session")
def logical(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    with EmbeddedPostgres(tmp_path_factory.mktemp("logical"), settings=SETTINGS) as server:
        yield server


@pytest.fixture
def living(logical: EmbeddedPostgres) -> Iterator[LivingS9]:
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
        s9 = LivingS9(logical, schema, connection, config)
        s9.run(f"CREATE SCHEMA {schema}", f"SET search_path = {schema}", *TABLES)
        yield s9
    drop_log(config, s9.name)
    with closing(logical.connect()) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(f"DROP SCHEMA {schema} CASCADE")
