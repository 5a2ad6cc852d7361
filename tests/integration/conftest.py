"""Tables with items of every type, and a desk to back them up from: for tests of backups."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from mypy_boto3_dynamodb import DynamoDBClient

from tests.conftest import REGION, TableNames
from tests.support.aws.moto_server import MotoAws
from tests.support.aws.proxy import endpoint_of
from utils.config import BackupConfig, Config, DataConfig, MigrationConfig, TargetConfig
from utils.embedded.aws import EmbeddedAws
from utils.files.workspace import Workspace
from utils.run.session import Session
from utils.telemetry.tasks import Tasks


@pytest.fixture(scope="module")
def moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedAws]:
    with MotoAws(tmp_path_factory.mktemp("moto") / "moto.log") as server:
        yield server


@pytest.fixture(params=["ministack", "moto"])
def judge(request: pytest.FixtureRequest, aws: EmbeddedAws) -> EmbeddedAws:
    """Each of the two DynamoDBs."""
    if request.param == "ministack":
        return aws
    server: EmbeddedAws = request.getfixturevalue("moto")
    return server


Begin = Callable[..., Session]


@pytest.fixture
def begin(tmp_path: Path, aws: EmbeddedAws) -> Begin:
    """Opens a session at the desk of this test, on the embedded AWS if nothing else is said."""

    def opened(endpoint: str = endpoint_of(aws), workers: int = 3, **settings: Any) -> Session:
        config = Config(
            target=TargetConfig(region=REGION, use_local_stack=True, endpoint=endpoint),
            migration=MigrationConfig(workers=workers, max_retries=2, retry_delay=0.001),
            backup=BackupConfig(**settings),
            data=DataConfig(str(tmp_path / "data")),
        )
        files = Workspace(Path(config.data.directory))
        files.prepare()
        return Session(config, files, Tasks())

    return opened


def client_of(server: EmbeddedAws) -> DynamoDBClient:
    return boto3.client(
        "dynamodb",
        endpoint_url=server.endpoint_url,
        region_name=REGION,
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )


def fill(client: DynamoDBClient, table: str, count: int) -> list[dict[str, Any]]:
    """Create a table with `count` items of every type; returns them."""
    client.create_table(
        TableName=table,
        KeySchema=[
            {"AttributeName": "PK", "KeyType": "HASH"},
            {"AttributeName": "SK", "KeyType": "RANGE"},
        ],
        AttributeDefinitions=[
            {"AttributeName": "PK", "AttributeType": "S"},
            {"AttributeName": "SK", "AttributeType": "S"},
        ],
        BillingMode="PAY_PER_REQUEST",
        Tags=[{"Key": "owner", "Value": "sales"}],
    )
    items = [item(number) for number in range(count)]
    for start in range(0, count, 25):
        requests: Any = [{"PutRequest": {"Item": each}} for each in items[start : start + 25]]
        client.batch_write_item(RequestItems={table: requests})
    return items


def item(number: int) -> dict[str, Any]:
    return {
        "PK": {"S": f"SALE#{number}"},
        "SK": {"S": "METADATA"},
        "name": {"S": 'Café "Übermaß"\nand 🎻'},
        "amount": {"N": f"-{number}.25"},
        "flags": {"BOOL": number % 2 == 0},
        "nothing": {"NULL": True},
        "bytes": {"B": b"\x00\xff"},
        "words": {"SS": ["a", "b"]},
        "nested": {"M": {"list": {"L": [{"N": "1"}, {"S": ""}]}}},
        "updatedAt": {"S": "2026-01-30T08:00:00.000Z"},
        **({"legacyId": {"S": str(number)}} if number % 3 == 0 else {}),
    }


@pytest.fixture
def table(judge: EmbeddedAws, tables: TableNames) -> Iterator[str]:
    yield tables.sales
    client = client_of(judge)
    if tables.sales in client.list_tables()["TableNames"]:
        client.delete_table(TableName=tables.sales)
