"""The servers and databases that tests share. A server is started when the first test asks."""

from __future__ import annotations

import itertools
import logging
import os
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import boto3
import pytest
from hypothesis import settings
from mypy_boto3_dynamodb import DynamoDBClient
from playwright.sync_api import Browser as Chromium

from tests.support.browser import Browser, chromium_of_all_tests
from tests.support.records import in_parts
from tests.support.s9.logged import BINLOG, LOGICAL
from utils.demo.sample.data import SampleReport, SampleSize, generate
from utils.demo.sample.schema import AnyConnection, create_tables
from utils.embedded.aws import EmbeddedAws
from utils.embedded.mariadb import EmbeddedMariaDB, installed
from utils.embedded.postgresql import EmbeddedPostgres
from utils.telemetry.troubles import take_troubles
from utils.wording import invocation, masking

# A slow moment of the machine is not a failure of the property. The examples are the same for
# everyone and every time; whoever sets NEW_EXAMPLES looks for others.
NEW_EXAMPLES = bool(os.environ.get("NEW_EXAMPLES"))
settings.register_profile("unhurried", deadline=None, derandomize=not NEW_EXAMPLES)
settings.load_profile("unhurried")
in_parts.install()

# Where tests are started in the background Ctrl-C is ignored, and by all that they start as well:
# whoever is pressed Ctrl-C at here heeds it, as at a terminal.
signal.signal(signal.SIGINT, signal.default_int_handler)

REGION = "eu-west-1"
SAMPLE_SIZE = SampleSize(buyers=60, producers=25, sales=300)
_numbers = itertools.count(1)


@dataclass(frozen=True)
class S9Database:
    """A database of the shared server with S9's tables. `connection` is the owner's."""

    server: EmbeddedPostgres | EmbeddedMariaDB
    name: str
    connection: AnyConnection

    @property
    def type(self) -> str:
        """What `source.type` says of it."""
        return "mysql" if isinstance(self.server, EmbeddedMariaDB) else "postgresql"

    def execute(self, statement: str, *values: object) -> None:
        """Run a statement as the owner, and commit."""
        with self._transaction() as cursor:
            cursor.execute(statement, values or None)

    def rows(self, query: str, *values: object) -> list[tuple[object, ...]]:
        """The rows of a query, as the owner."""
        with self._transaction() as cursor:
            cursor.execute(query, values or None)
            return list(cursor.fetchall())

    @contextmanager
    def _transaction(self) -> Iterator[Any]:
        try:
            with self.connection.cursor() as cursor:
                yield cursor
        except BaseException:
            self.connection.rollback()
            raise
        self.connection.commit()


@dataclass(frozen=True)
class Sample:
    """A database filled with a small sample, and what is in it. Shared: only for reading."""

    s9: S9Database
    report: SampleReport


@dataclass(frozen=True)
class TableNames:
    """Names of target tables that no other test uses."""

    sales: str
    buyers: str
    producers: str


_IN_MEMORY = Path("/dev/shm")
_ROOM = 4 << 30  # bytes


def pytest_configure() -> None:
    """What the tests write goes into memory where there is room: a tenth of their time is waiting
    for a disk to be sure of what nobody will read again."""
    if _IN_MEMORY.is_dir() and shutil.disk_usage(_IN_MEMORY).free >= _ROOM:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(_IN_MEMORY))


# What takes long comes first, so that no process is still at it when the others have nothing left.
_LONGEST_FIRST = (
    "tests/unit/test_bench_smoke.py",
    "tests/scenarios/",
    "tests/trials/",
    "tests/integration/",
    "",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(
        key=lambda item: next(
            place for place, folder in enumerate(_LONGEST_FIRST) if item.nodeid.startswith(folder)
        )
    )


@pytest.fixture(autouse=True)
def _as_at_the_start() -> None:
    """What a test before has left in this process is forgotten: that the tool's logger speaks to
    its own handlers only (else caplog would hear it twice), how the tool was called, which words
    are secrets, and what went wrong that nobody has been told of."""
    logging.getLogger("migrate").propagate = True
    invocation.restore(invocation.Invocation())
    masking.restore(replace(masking.state(), known=()))
    take_troubles()


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    with EmbeddedPostgres(tmp_path_factory.mktemp("postgres")) as server:
        yield server


@pytest.fixture(scope="session")
def mariadb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedMariaDB]:
    if installed() is None:
        pytest.skip("needs mariadbd: apt-get install mariadb-server")
    with EmbeddedMariaDB(tmp_path_factory.mktemp("mariadb")) as server:
        yield server


@pytest.fixture(scope="session")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedAws]:
    with EmbeddedAws(tmp_path_factory.mktemp("aws") / "aws.log") as server:
        yield server


@pytest.fixture(scope="session")
def chromium() -> Iterator[Chromium]:
    with chromium_of_all_tests() as browser:
        yield browser


@pytest.fixture
def browser(chromium: Chromium) -> Iterator[Browser]:
    """Windows of the test's own. What they ask for must have come from where the page came from."""
    windows = Browser(chromium)
    try:
        yield windows
        assert windows.strangers() == []
    finally:
        windows.close()


@pytest.fixture(scope="session")
def dynamodb(aws: EmbeddedAws) -> DynamoDBClient:
    """A client of the embedded DynamoDB in REGION."""
    return boto3.client(
        "dynamodb",
        endpoint_url=aws.endpoint_url,
        region_name=REGION,
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )


@contextmanager
def database_of(server: EmbeddedPostgres | EmbeddedMariaDB) -> Iterator[S9Database]:
    """A database of a server's own with S9's tables, empty."""
    name = f"s9_{next(_numbers)}"
    server.create_database(name)
    connection = server.connect(name)
    try:
        create_tables(connection)
        yield S9Database(server, name, connection)
    finally:
        connection.close()
        if server.running:
            server.drop_database(name)


@pytest.fixture
def s9(postgres: EmbeddedPostgres) -> Iterator[S9Database]:
    """A database of the test's own with S9's tables, empty."""
    with database_of(postgres) as database:
        yield database


@pytest.fixture
def s9_on_mysql(mariadb: EmbeddedMariaDB) -> Iterator[S9Database]:
    """As `s9`, on MariaDB."""
    with database_of(mariadb) as database:
        yield database


@pytest.fixture(scope="session")
def logical(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    """A PostgreSQL whose log can be followed."""
    with EmbeddedPostgres(tmp_path_factory.mktemp("logical"), settings=LOGICAL) as server:
        yield server


@pytest.fixture(scope="session")
def logging_mariadb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedMariaDB]:
    """A MariaDB whose binlog can be followed."""
    if installed() is None:
        pytest.skip("needs mariadbd: apt-get install mariadb-server")
    with EmbeddedMariaDB(tmp_path_factory.mktemp("binlog"), options=BINLOG) as server:
        yield server


@pytest.fixture
def s9_with_binlog(logging_mariadb: EmbeddedMariaDB) -> Iterator[S9Database]:
    """As `s9_on_mysql`, with a log that can be followed."""
    with database_of(logging_mariadb) as database:
        yield database


@pytest.fixture
def s9_with_log(logical: EmbeddedPostgres) -> Iterator[S9Database]:
    """As `s9`, with a log that can be followed; no slot is left in it."""
    with database_of(logical) as database:
        yield database
        database.execute(
            "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots "
            "WHERE database = current_database() AND active"
        )
        for _ in range(50):
            left = database.rows(
                "SELECT slot_name, active FROM pg_replication_slots "
                "WHERE database = current_database()"
            )
            if not any(active for _, active in left):
                break
            time.sleep(0.1)
        for name, _ in left:
            database.execute("SELECT pg_drop_replication_slot(%s)", name)


@pytest.fixture(scope="session")
def sample(postgres: EmbeddedPostgres) -> Iterator[Sample]:
    postgres.create_database("sample")
    connection = postgres.connect("sample")
    try:
        create_tables(connection)
        report = generate(connection, SAMPLE_SIZE)
        yield Sample(S9Database(postgres, "sample", connection), report)
    finally:
        connection.close()


@pytest.fixture(scope="session")
def sample_on_mysql(mariadb: EmbeddedMariaDB) -> Iterator[Sample]:
    """The same sample as `sample`, on MariaDB."""
    mariadb.create_database("sample")
    connection = mariadb.connect("sample")
    try:
        create_tables(connection)
        report = generate(connection, SAMPLE_SIZE)
        yield Sample(S9Database(mariadb, "sample", connection), report)
    finally:
        connection.close()


@pytest.fixture
def tables(dynamodb: DynamoDBClient) -> Iterator[TableNames]:
    """Table names of the test's own; the tables that it created are deleted afterwards."""
    prefix = f"t{next(_numbers)}-"
    names = TableNames(f"{prefix}Sales", f"{prefix}Buyers", f"{prefix}Producers")
    yield names
    for name in (names.sales, names.buyers, names.producers):
        with suppress(dynamodb.exceptions.ResourceNotFoundException):
            dynamodb.delete_table(TableName=name)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """With FORBID_SKIPS, as in CI, a skipped test is a failure: it was to be made possible.

    Only what needs data from outside the project may be skipped there.
    """
    if not os.environ.get("FORBID_SKIPS"):
        return
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None:
        return
    skipped = reporter.stats.get("skipped", [])
    forbidden = [report.nodeid for report in skipped if "northwind" not in str(report.longrepr)]
    if forbidden:
        reporter.write_line(f"skipped, and must not be: {', '.join(forbidden)}", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
