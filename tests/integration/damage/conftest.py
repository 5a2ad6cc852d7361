"""Migrated targets to be damaged: one of a PostgreSQL in the embedded AWS, one of a MariaDB in
moto."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.conftest import TableNames
from tests.support.application.desk import one_session
from tests.support.aws.moto_server import MotoAws
from tests.support.damage.desk import Migrated, database, migrate
from utils.embedded.aws import EmbeddedAws
from utils.embedded.mariadb import EmbeddedMariaDB
from utils.embedded.postgresql import EmbeddedPostgres
from validate.verify import engine

NAMES = TableNames("damaged-Sales", "damaged-Buyers", "damaged-Producers")


@pytest.fixture(autouse=True, scope="module")
def quick() -> Iterator[None]:
    """Verifications share what opening a session of AWS takes, and ask an index only twice: no
    emulator's lags behind its table."""
    with one_session(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine, "_INDEX_RETRIES", 1)
        yield


@pytest.fixture(scope="session")
def first_judge(
    tmp_path_factory: pytest.TempPathFactory, postgres: EmbeddedPostgres, aws: EmbeddedAws
) -> Iterator[Migrated]:
    """A PostgreSQL's target in the embedded AWS."""
    with database(postgres, "damaged") as s9:
        yield migrate(tmp_path_factory.mktemp("damaged"), s9, aws, NAMES)


@pytest.fixture(scope="session")
def second_judge(
    tmp_path_factory: pytest.TempPathFactory, mariadb: EmbeddedMariaDB
) -> Iterator[Migrated]:
    """A MariaDB's target in moto, which keeps numbers as they are written."""
    directory = tmp_path_factory.mktemp("damaged")
    with ExitStack() as opened:
        moto = opened.enter_context(MotoAws(directory / "moto.log"))
        s9 = opened.enter_context(database(mariadb, "damaged"))
        yield migrate(directory, s9, moto, NAMES)


@pytest.fixture
def migrated(first_judge: Migrated) -> Iterator[Migrated]:
    """The first of them, and afterwards it is made as it was."""
    yield first_judge
    first_judge.tables.heal()


@pytest.fixture
def elsewhere(second_judge: Migrated) -> Iterator[Migrated]:
    """The second."""
    yield second_judge
    second_judge.tables.heal()


@pytest.fixture
def kept(migrated: Migrated) -> Iterator[Migrated]:
    """The migration, whose files are put back afterwards."""
    data = migrated.operator.data
    before = data.with_name("before")
    shutil.rmtree(data / "from-source", ignore_errors=True)  # known by its inode
    shutil.copytree(data, before)
    yield migrated
    shutil.rmtree(data)
    before.rename(data)
