"""A MariaDB with a binlog, and three small tables of S9's in a database of the test's own."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pymysql.connections import Connection

from extract.mysql.source import MySqlSource
from tests.support.s9.logged import BINLOG, LoggedS9
from utils.config import Secret, SourceConfig
from utils.embedded.mariadb import EmbeddedMariaDB, installed

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


@dataclass(kw_only=True)
class LivingS9(LoggedS9):
    """S9 with its log, on a MariaDB."""

    server: EmbeddedMariaDB
    database: str
    scratch: Path

    @contextmanager
    def writer(self) -> Iterator[Connection[Any]]:
        """A connection of S9's own application, whose transactions it ends itself."""
        with closing(self.server.connect(self.database)) as connection:
            yield connection

    def again(self) -> None:
        """Connect again, to a server that was started again."""
        self.connection = self.server.connect(self.database)
        self.connection.autocommit(True)

    def source(self) -> MySqlSource:
        return MySqlSource(self.config, None, self.scratch)


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
    s9 = LivingS9(
        server=server,
        database=name,
        name=f"follow_{name}",
        connection=server.connect(name),
        config=config,
        scratch=scratch,
    )
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
