"""A MariaDB with a binlog, and three small tables of S9's in a database of the test's own."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from pymysql.connections import Connection

from extract.change_log.change_log import ChangeLog, Changes, Followed
from extract.following.opening import open_log
from extract.mysql.source import MySqlSource
from tests.conftest import BINLOG
from utils.config import Secret, SourceConfig
from utils.embedded.mariadb import EmbeddedMariaDB, installed

FOLLOWED = (
    Followed("msg_anag", "first_id"),
    Followed("msg", "first_id"),
    Followed("msg_line", "id", "msg_id"),
)
TABLES = (
    "CREATE TABLE msg_anag (first_id BIGINT PRIMARY KEY, name TEXT)",
    # Columns of all kinds that may stand before a key whose signs are told beside them.
    "CREATE TABLE msg (made YEAR, flag BIT(3), rate DECIMAL(5,2), kind ENUM('a', 'b'), "
    "first_id BIGINT UNSIGNED PRIMARY KEY, buyer_id BIGINT, notes TEXT CHARACTER SET latin1)",
    "CREATE TABLE msg_line (id BIGINT PRIMARY KEY, msg_id BIGINT, quantity INT)",
    "CREATE TABLE elsewhere (n INT)",
    "INSERT INTO msg_anag SELECT seq, 'party' FROM seq_1_to_5",
    "INSERT INTO msg (first_id, buyer_id) SELECT seq, 1 FROM seq_1_to_9",
    "INSERT INTO msg_line SELECT seq * 10, seq, 1 FROM seq_1_to_9",
)
_numbers = itertools.count(1)


@dataclass
class LivingS9:
    """S9 with its log: `config` is the owner's, who may do everything."""

    server: EmbeddedMariaDB
    database: str
    connection: Connection[Any]
    config: SourceConfig
    scratch: Path
    known: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """What the log is called."""
        return f"follow_{self.database}"

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
    def writer(self) -> Iterator[Connection[Any]]:
        """A connection of S9's own application, whose transactions it ends itself."""
        with closing(self.server.connect(self.database)) as connection:
            yield connection

    def again(self) -> None:
        """Connect again, to a server that was started again."""
        self.connection = self.server.connect(self.database)
        self.connection.autocommit(True)

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
            with self.follow():
                pass
        with self.follow() as log:
            assert log.begins_anew == ""
            yield log

    def source(self) -> MySqlSource:
        return MySqlSource(self.config, None, self.scratch)


def everything(log: ChangeLog) -> Changes:
    """All that S9 has committed up to now, put together."""
    fence, found = log.fence(), Changes()
    for _ in range(30):
        found.add(log.read(1))
        if log.has_passed(fence):
            return found
    raise AssertionError(f"the log never gets to {fence}")


@contextmanager
def living_on(server: EmbeddedMariaDB, scratch: Path) -> Iterator[LivingS9]:
    """A database with S9's tables on a server."""
    name = f"s9_log_{next(_numbers)}"
    server.create_database(name)
    config = SourceConfig(
        type="mysql",
        host=server.host,
        port=server.port,
        database=name,
        username=server.owner,
        password=Secret(server.owner_password),
        ssl=False,
        connection_timeout=3,
    )
    s9 = LivingS9(server, name, server.connect(name), config, scratch)
    try:
        s9.connection.autocommit(True)
        s9.run(*TABLES)
        yield s9
    finally:
        s9.connection.close()
        if server.running:
            server.drop_database(name)


@pytest.fixture
def living(logging_mariadb: EmbeddedMariaDB, tmp_path: Path) -> Iterator[LivingS9]:
    with living_on(logging_mariadb, tmp_path) as s9:
        yield s9


@pytest.fixture(scope="module")
def own_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedMariaDB]:
    """One that may be stopped, and whose log may be thrown away."""
    if installed() is None:
        pytest.skip("needs mariadbd: apt-get install mariadb-server")
    with EmbeddedMariaDB(tmp_path_factory.mktemp("own"), options=BINLOG) as server:
        yield server


@pytest.fixture
def alone(own_server: EmbeddedMariaDB, tmp_path: Path) -> Iterator[LivingS9]:
    """S9 on a server of its own."""
    with living_on(own_server, tmp_path) as s9:
        yield s9
