"""What DynamoDB is asked for an import is what its own description of the service takes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore.validate import ParamValidator

from load.entities import TABLES
from load.s3_import import import_table
from load.s3_import.import_state import ImportState
from utils.config import Config, LoadConfig, S3Config
from utils.entities import ENTITY_NAMES
from utils.files.artifacts import ArtifactEntry
from utils.files.workspace import Workspace
from utils.run.manifest import Manifest
from utils.run.run import Run


def model(operation: str) -> Any:
    session: Any = botocore.session.Session()
    return session.get_service_model("dynamodb").operation_model(operation)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    files, manifest = Workspace(tmp_path), Manifest.new()
    files.prepare()
    for name in ENTITY_NAMES:
        manifest.artifacts[f"transformed/{name}.json"] = ArtifactEntry(1, 2, 300, "sha", "")
    s3 = S3Config(bucket="a-bucket", owner="111122223333")
    return Run(replace(Config(), load=LoadConfig(method="import", s3=s3)), files, manifest)


@pytest.mark.parametrize("entity", ENTITY_NAMES)
def test_an_import_is_asked_for_as_the_service_takes_it(run: Run, entity: str) -> None:
    state = ImportState.new(run, entity)
    request = import_table._request(run, TABLES[entity], state)
    shape = model("ImportTable").input_shape
    problems = ParamValidator().validate(request, shape)
    assert not problems.has_errors(), problems.generate_report()
    assert request["S3BucketSource"]["S3KeyPrefix"] == state.prefix
    assert state.prefix.endswith(f"/{run.config.target.table(entity)}/")  # and not Sales2's
    assert len(request["TableCreationParameters"]["GlobalSecondaryIndexes"]) == len(
        TABLES[entity].indexes
    )


def test_that_it_may_have_been_asked_is_on_disk_before_it_is(run: Run) -> None:
    state = ImportState.new(run, "sales")
    first = import_table._request(run, TABLES["sales"], state)
    known = ImportState.load(run.workspace.import_state("sales"))
    assert known is not None
    assert known.asked
    assert known.token == first["ClientToken"]
    assert import_table._request(run, TABLES["sales"], known) == first  # the same token again


def test_what_is_read_of_an_answer_is_what_the_service_describes() -> None:
    members = model("DescribeImport").output_shape.members["ImportTableDescription"].members
    read = {
        "ImportArn",
        "ImportStatus",
        "TableArn",
        "TableId",
        "S3BucketSource",
        "CloudWatchLogGroupArn",
        "ProcessedItemCount",
        "ImportedItemCount",
        "ErrorCount",
        "ProcessedSizeBytes",
        "FailureCode",
        "FailureMessage",
    }
    assert read <= set(members)
    summary = model("ListImports").output_shape.members["ImportSummaryList"].member.members
    assert {"ImportArn", "ImportStatus", "TableArn", "S3BucketSource"} <= set(summary)


def test_two_imports_never_have_the_same_place(run: Run) -> None:
    places = {ImportState.new(run, "sales").prefix for _ in range(50)}
    assert len(places) == 50
