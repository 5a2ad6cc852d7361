"""A migration by the tool itself, whose target is then damaged and verified in this process."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import boto3
import orjson
from mypy_boto3_dynamodb import DynamoDBClient

from load.entities import TABLES
from tests.conftest import REGION, S9Database, TableNames
from tests.scenarios.conftest import hire
from tests.support.damage.reported import ItemAt, Reported, recorded, reported
from tests.support.damage.tables import MigratedTables
from tests.support.damage.trade import trade
from tests.support.operators.operator import Operator
from utils.config import Config
from utils.demo.sample.schema import create_tables
from utils.embedded.aws import EmbeddedAws
from utils.embedded.mariadb import EmbeddedMariaDB
from utils.embedded.postgresql import EmbeddedPostgres
from utils.entities import ENTITY_NAMES
from utils.files.workspace import Workspace
from utils.run.lifecycle import Start, begin
from utils.run.manifest import Manifest
from utils.run.run import Run
from utils.settings.config_file import load_config
from utils.telemetry.tasks import Tasks
from validate.verify.engine import verify


@dataclass(frozen=True)
class Verdict:
    """What a verification says: its report, what that says of items, and what the files of
    differences say of them."""

    report: dict[str, Any]
    said: Reported
    recorded: dict[ItemAt, str]

    @property
    def passed(self) -> bool:
        return bool(self.report["passed"])


@dataclass
class Migrated:
    """A migration that has ended: its operator, its S9, and the tables that it has loaded."""

    operator: Operator
    s9: S9Database
    tables: MigratedTables

    def verified(self) -> Verdict:
        """Verify in this process, with what is on disk, as `--phase verify` does."""
        config = self._config()
        workspace = Workspace(Path(config.data.directory))
        manifest = Manifest.load(workspace.manifest)
        assert manifest is not None
        run = Run(config, workspace, manifest, Tasks())
        begin(run, Start.BY_HAND)
        with run.workers:
            verify(run, TABLES, list(ENTITY_NAMES), sleep=lambda _seconds: None)
        report = orjson.loads(workspace.report("verification").read_bytes())
        return Verdict(report, reported(report), recorded(workspace))

    def _config(self) -> Config:
        operator = self.operator
        config = load_config(operator.directory / "config.json", operator.environment)
        return replace(
            config,
            data=replace(config.data, directory=str(operator.data)),
            migration=replace(config.migration, processes=1),
        )


def migrate(directory: Path, s9: S9Database, aws: EmbeddedAws, names: TableNames) -> Migrated:
    """Fill an S9 with the small trade, and migrate it into tables of these names."""
    trade(s9)
    operator = hire(directory, s9, aws, names)
    operator.run("--full").ended(0)
    by_entity = {name: str(getattr(names, name)) for name in ENTITY_NAMES}
    tables = MigratedTables(client_of(aws), by_entity)
    tables.loaded = tables.scan()
    return Migrated(operator, s9, tables)


def client_of(aws: EmbeddedAws) -> DynamoDBClient:
    """A client of a local server."""
    return boto3.client(
        "dynamodb",
        endpoint_url=aws.endpoint_url,
        region_name=REGION,
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )


@contextmanager
def database(server: EmbeddedPostgres | EmbeddedMariaDB, name: str) -> Iterator[S9Database]:
    """A database with S9's tables, empty; dropped afterwards."""
    server.create_database(name)
    connection = server.connect(name)
    try:
        create_tables(connection)
        yield S9Database(server, name, connection)
    finally:
        connection.close()
        if server.running:
            server.drop_database(name)


def require(verdict: Verdict, done: Reported, told: Sequence[str] = ()) -> None:
    """A verdict says what was done, item by item, and nothing else; and it passes only what is
    harmless. `told` is what happened."""
    said, problems = verdict.said, verdict.report["problems"]
    wrong = [
        *(
            f"{where}: not {how}, but {said.items.get(where)}"
            for where, how in done.items.items()
            if said.items.get(where) != how
        ),
        *(f"{where}: {how}" for where, how in said.items.items() if where not in done.items),
        *(f"lines: {pk}" for pk in sorted(said.lines ^ done.lines)),
        *(f"reference: {pair}" for pair in sorted(said.references ^ done.references)),
        *(
            f"it does not say {words}"
            for words in done.says
            if not any(words in problem for problem in problems)
        ),
    ]
    assert verdict.recorded == said.items, "the files of differences say something else"
    assert not wrong, "\n".join([*wrong, "--", *told])
    assert verdict.passed == done.harmless, "\n".join([*problems, "--", *told])
