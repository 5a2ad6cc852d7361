"""Operators who keep their files in S3."""

from __future__ import annotations

import pytest
from mypy_boto3_dynamodb import DynamoDBClient

from tests.conftest import TableNames
from tests.support.application.application import Application
from tests.support.aws.s3_places import PlaceInS3
from utils.embedded.aws import EmbeddedAws


@pytest.fixture
def place(aws: EmbeddedAws) -> PlaceInS3:
    """A place in S3 where nothing is yet."""
    return PlaceInS3(aws)


@pytest.fixture
def application(dynamodb: DynamoDBClient, tables: TableNames) -> Application:
    """The Sale Module, at work on the tables."""
    return Application(dynamodb, tables)
