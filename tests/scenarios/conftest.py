"""Operators at their desks: one for each test, with servers to migrate between."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import S9Database, Sample, TableNames
from tests.support.aws import proxy
from tests.support.aws.proxy import endpoint_of
from tests.support.operators.operator import MOMENT, Operator, environment
from utils.embedded.aws import EmbeddedAws


@pytest.fixture(autouse=True)
def _far_away(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """For a test that is marked `far`, every answer of the target takes as long as DynamoDB's."""
    if request.node.get_closest_marker("far"):
        monkeypatch.setattr(proxy, "distance", proxy.FAR)


Hire = Callable[[S9Database, TableNames], Operator]


def hire(directory: Path, s9: S9Database, aws: EmbeddedAws, tables: TableNames) -> Operator:
    """An operator who migrates `s9` into `tables`."""
    password = s9.server.reader_password
    return Operator(
        directory=directory,
        config={
            "source": {
                "type": s9.type,
                "host": s9.server.host,
                "port": s9.server.port,
                "database": s9.name,
                "username": s9.server.reader,
                "password": "${S9_PASSWORD}",
                "ssl": False,
            },
            "target": {
                "useLocalStack": True,
                "endpoint": endpoint_of(aws),
                "salesTable": tables.sales,
                "buyersTable": tables.buyers,
                "producersTable": tables.producers,
            },
            "migration": {"continueOnError": True},
            "transformation": {"migrationTimestamp": MOMENT},
            "verify": {"sample": 20},  # the embedded AWS takes its time
        },
        environment=environment(directory / "home", S9_PASSWORD=password),
        secrets=[password],
    )


@pytest.fixture
def operator(tmp_path: Path, sample: Sample, aws: EmbeddedAws, tables: TableNames) -> Operator:
    """An operator with the shared sample as S9 (for reading), and no table in the target yet."""
    return hire(tmp_path, sample.s9, aws, tables)


@pytest.fixture
def alone(tmp_path: Path, s9: S9Database, aws: EmbeddedAws, tables: TableNames) -> Operator:
    """An operator with an S9 of the test's own, empty, and no table in the target yet."""
    return hire(tmp_path, s9, aws, tables)


DONE_TABLES = TableNames("done-Sales", "done-Buyers", "done-Producers")
# Folders of tests that share this fixture each have one of their own, but there is one run.
_finished: list[Operator] = []


@pytest.fixture(scope="session")
def finished(
    tmp_path_factory: pytest.TempPathFactory, sample: Sample, aws: EmbeddedAws
) -> Operator:
    """The operator of a run over the shared sample that has ended. For reading only."""
    if not _finished:
        done = hire(tmp_path_factory.mktemp("finished"), sample.s9, aws, DONE_TABLES)
        done.run("--full").ended(5)
        _finished.append(done)
    return _finished[0]


@pytest.fixture
def after_a_run(tmp_path: Path, finished: Operator) -> Operator:
    """An operator with a copy of the finished run's files, to do with as the test likes."""
    shutil.copytree(finished.data, tmp_path / "data")
    shutil.copy(finished.directory / "config.json", tmp_path)
    return Operator(
        tmp_path,
        {name: dict(settings) for name, settings in finished.config.items()},
        environment(tmp_path / "home", S9_PASSWORD=finished.secrets[0]),
        finished.secrets,
    )
