"""A migration as a job: what `package` has made is run by spark-submit, as a managed Spark does it,
where nothing of the tool is."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import boto3
import orjson
import pytest
from mypy_boto3_dynamodb import DynamoDBClient

from tests.conftest import REGION, S9Database, TableNames
from tests.scenarios.fleet.conftest import SparkHire
from tests.support.aws.moto_server import MotoAws
from tests.support.aws.s3_places import PlaceInS3
from tests.support.operators.operator import Operator, scan_all, small_trade
from utils.embedded.aws import EmbeddedAws

ROLE = "arn:aws:iam::111122223333:role/S9Migration"


def secret_with(aws: EmbeddedAws, **variables: str) -> str:
    """The ARN of a secret that has these variables."""
    of_any: Any = boto3.client
    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
    secrets = of_any("secretsmanager", endpoint_url=aws.endpoint_url, region_name=REGION, **keys)
    made = secrets.create_secret(
        Name=f"s9-{len(variables)}", SecretString=orjson.dumps(variables).decode()
    )
    return str(made["ARN"])


@pytest.fixture
def secrets(tmp_path: Path) -> Iterator[MotoAws]:
    """An AWS that keeps secrets."""
    server = MotoAws(tmp_path / "moto.log")
    with server:
        yield server


def submitted(operator: Operator, job: Path, elsewhere: Path, *told: str) -> tuple[int, str]:
    """Run the job as Glue does; returns its exit code, and all that it has said."""
    submit = Path(sys.executable).with_name("spark-submit")
    files = ["--py-files", str(job / "s9-migration.zip"), str(job / "s9_migration_job.py")]
    own = ["--JOB_NAME", "s9-migration", "--JOB_RUN_ID", "jr_1"]
    ended = subprocess.run(
        [str(submit), "--master", "local[2,4]", *files, *own, *told],
        cwd=elsewhere,
        env=operator.environment,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    return ended.returncode, ended.stdout + ended.stderr


def test_a_job_leaves_what_a_command_leaves_and_is_looked_at_from_here(
    tmp_path: Path,
    aws: EmbeddedAws,
    secrets: MotoAws,
    s9: S9Database,
    spark_operator: SparkHire,
    dynamodb: DynamoDBClient,
    tables: TableNames,
) -> None:
    small_trade(s9)
    operator, place = spark_operator(s9), PlaceInS3(aws)
    [variable] = re.findall(r"\$\{(\w+)\}", operator.config["source"]["password"])
    config = {
        **operator.config,
        "target": {
            **operator.config["target"],
            "endpoint": None,
            "useLocalStack": False,
            "createTables": True,
        },
        "data": {"directory": str(place)},
        "engine": {"type": "spark"},
    }
    here = replace(operator, config=config)
    here.environment |= {
        "AWS_ENDPOINT_URL": aws.endpoint_url,
        "AWS_ENDPOINT_URL_SECRETS_MANAGER": secrets.endpoint_url,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
    }
    secret = secret_with(secrets, **{variable: here.environment[variable]})
    to = f"s3://{place.bucket}/{place.prefix}-job"
    given = ["--to", to, "--role", ROLE, "--secret", secret]
    here.run("package", "glue", *given).ended(0)
    job, elsewhere = tmp_path / "job", tmp_path / "elsewhere"
    shutil.move(here.directory / "package", job)
    elsewhere.mkdir()
    there = replace(here, environment={**here.environment, "PYSPARK_PYTHON": sys.executable})
    del there.environment[variable]
    code, said = submitted(there, job, elsewhere, "--secret", secret, "--migrate", "--full")
    assert code == 0, said
    assert len(scan_all(dynamodb, tables)["sales"]) == 5
    assert list(elsewhere.iterdir()) == []
    assert "Done: every record arrived." in here.run("status").ended(0).output
    verify = "--migrate", "--phase verify"  # by a machine that has nothing
    code, said = submitted(there, job, elsewhere, "--secret", secret, *verify)
    assert code == 0, said
    mistyped = "--migrate", "--phase nothing"
    code, said = submitted(there, job, elsewhere, "--secret", secret, *mistyped)
    assert code == 2, said  # which the service shows as failed
