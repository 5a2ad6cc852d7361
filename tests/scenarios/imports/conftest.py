"""Operators who load by import from S3: into a ministack that reads what it imports, or moto."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from mypy_boto3_dynamodb import DynamoDBClient

from tests.conftest import REGION, S9Database, Sample, TableNames
from tests.scenarios.conftest import hire
from tests.support.aws.import_server import MISSING, ImportingAws, is_installed
from tests.support.aws.moto_server import MotoAws
from tests.support.operators.operator import Operator
from utils.embedded.aws import EmbeddedAws

BUCKET = "imports"
NEW = TableNames("New-Sales", "New-Buyers", "New-Producers")


def client(aws: EmbeddedAws, service: str) -> Any:
    """A client of a server."""
    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
    of_any: Any = boto3.client
    # The ministack's tokens are shorter than AWS's ever are.
    unchecked = Config(parameter_validation=False)
    return of_any(
        service, endpoint_url=aws.endpoint_url, region_name=REGION, config=unchecked, **keys
    )


def prepared(aws: EmbeddedAws) -> EmbeddedAws:
    """A server with an empty bucket, and none of the new tables."""
    s3, dynamodb = client(aws, "s3"), client(aws, "dynamodb")
    if BUCKET not in {each["Name"] for each in s3.list_buckets()["Buckets"]}:
        place = {"LocationConstraint": REGION}
        s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration=place)
    if isinstance(aws, ImportingAws):
        wait_for_imports(dynamodb)
    for key in keys_in(aws):
        s3.delete_object(Bucket=BUCKET, Key=key)
    there = dynamodb.list_tables()["TableNames"]
    for name in (NEW.sales, NEW.buyers, NEW.producers):
        if name in there:
            if dynamodb.describe_table(TableName=name)["Table"].get("DeletionProtectionEnabled"):
                dynamodb.update_table(TableName=name, DeletionProtectionEnabled=False)
            dynamodb.delete_table(TableName=name)
    return aws


def wait_for_imports(dynamodb: Any) -> None:
    """Wait until none is at work any more: one of a command that was killed ends without its files,
    and the server then drops the table of its name, whoever has made that meanwhile."""
    deadline = time.monotonic() + 30
    while any(each["ImportStatus"] == "IN_PROGRESS" for each in _imports(dynamodb)):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _imports(dynamodb: Any) -> Iterator[Any]:
    token: dict[str, str] | None = {}
    while token is not None:
        page = dynamodb.list_imports(**token)
        yield from page["ImportSummaryList"]
        token = {"NextToken": page["NextToken"]} if page.get("NextToken") else None


def keys_in(aws: EmbeddedAws) -> list[str]:
    """The keys of the objects that are in the bucket."""
    listed = client(aws, "s3").list_objects_v2(Bucket=BUCKET)
    return [each["Key"] for each in listed.get("Contents", ())]


@pytest.fixture(scope="session")
def _importing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedAws]:
    if not is_installed():
        pytest.skip(MISSING)
    with ImportingAws(tmp_path_factory.mktemp("import") / "aws.log") as server:
        yield server


@pytest.fixture(scope="session")
def _moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedAws]:
    with MotoAws(tmp_path_factory.mktemp("moto") / "aws.log") as server:
        yield server


@pytest.fixture
def importing(_importing: EmbeddedAws) -> EmbeddedAws:
    """The ministack that imports."""
    return prepared(_importing)


@pytest.fixture
def moto(_moto: EmbeddedAws) -> EmbeddedAws:
    """The second judge."""
    return prepared(_moto)


@pytest.fixture
def pretending(aws: EmbeddedAws) -> EmbeddedAws:
    """The embedded AWS, which says that it has imported, and has read nothing."""
    return prepared(aws)


def importer(directory: Path, s9: S9Database, aws: EmbeddedAws) -> Operator:
    """An operator who loads by import."""
    operator = hire(directory, s9, aws, NEW)
    return operator.configure(load={"method": "import", "s3": {"bucket": BUCKET}})


@pytest.fixture
def importer_of_sample(tmp_path: Path, sample: Sample, importing: EmbeddedAws) -> Operator:
    """The same with the shared sample as S9, on the ministack."""
    return importer(tmp_path, sample.s9, importing)


@pytest.fixture
def new_tables(importing: EmbeddedAws) -> DynamoDBClient:
    """A client of the ministack that imports."""
    found: DynamoDBClient = client(importing, "dynamodb")
    return found
