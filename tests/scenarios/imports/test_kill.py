"""Killed, stopped, or left without an answer at any step of an import, and resumed to the same."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from mypy_boto3_dynamodb import DynamoDBClient

from tests.conftest import S9Database, Sample
from tests.scenarios.imports.conftest import NEW, client, importer, keys_in, prepared
from tests.support.aws.proxy import FaultyProxy, Plan, take_and_cut
from tests.support.faults.imports import ALL_SETTINGS, of_load, result, sabotaged
from tests.support.faults.sabotage import events, start_over
from tests.support.operators.operator import Operator, scan_all, small_trade
from utils.embedded.aws import EmbeddedAws

SEED = 20261127
KILLS = 4  # all of them are in tests/torture/torture_imports.py


def test_killed_anywhere_in_an_import_and_resumed_to_the_same(
    tmp_path: Path, s9: S9Database, importing: EmbeddedAws, new_tables: DynamoDBClient
) -> None:
    small_trade(s9)
    tool = sabotaged(importer(tmp_path, s9, importing).configure(load=ALL_SETTINGS))
    happened = events(tool, "--full")
    expected = result(tool, new_tables, NEW)
    for moment in sorted(random.Random(SEED).sample(of_load(happened), KILLS)):
        start_over(tool, new_tables, NEW)
        prepared(importing)
        tool.killed("--full", after=moment)
        tool.run("--resume").ended(0)
        assert result(tool, new_tables, NEW) == expected, happened[moment - 1]
        assert keys_in(importing) == [], happened[moment - 1]


def test_killed_in_the_middle_of_an_upload_it_sends_nothing_twice(
    tmp_path: Path, sample: Sample, importing: EmbeddedAws, new_tables: DynamoDBClient
) -> None:
    tool = sabotaged(importer(tmp_path, sample.s9, importing))
    happened = events(tool, "--full")
    written = happened.count("validate sales after fsync")
    start_over(tool, new_tables, NEW)
    prepared(importing)
    # The last of them are of objects of the sales.
    tool.killed("--full", phase="validate", entity="sales", what="after fsync", after=written - 12)
    s3 = client(importing, "s3")
    before = {each["Key"]: each["LastModified"] for each in listed(s3)}
    known = {orjson.loads(line)["key"] for line in logged(tool)}
    assert 0 < len(known) < 30
    held = sabotaged(tool)
    with held.held("--resume", phase="load", entity="sales", what="before request", after=1):
        now = {each["Key"]: each["LastModified"] for each in listed(s3)}
        assert known < now.keys()
        assert all(now[key] == before[key] for key in known)
        held.let_go()
    held.run("--resume").ended(5)
    assert keys_in(importing) == []


def listed(s3: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = s3.list_objects_v2(Bucket="imports").get("Contents", [])
    return found


def logged(tool: Operator) -> list[bytes]:
    return (tool.data / "import" / "sales.objects").read_bytes().splitlines()


@pytest.fixture
def losing(importing: EmbeddedAws) -> Iterator[FaultyProxy]:
    """A way to DynamoDB on which the answer to ImportTable is lost each time it is taken."""
    plan = Plan(rates={take_and_cut: 1.0}, operations=frozenset({"ImportTable"}), most=3)
    with FaultyProxy(importing, plan) as proxy:
        yield proxy


def test_an_import_whose_answer_was_lost_is_found_by_what_it_reads(
    tmp_path: Path,
    s9: S9Database,
    importing: EmbeddedAws,
    losing: FaultyProxy,
    new_tables: DynamoDBClient,
) -> None:
    small_trade(s9)
    operator = importer(tmp_path, s9, importing).configure(target={"endpoint": losing.url})
    operator.environment["AWS_ENDPOINT_URL_S3"] = importing.endpoint_url
    operator.run("--full").ended(0)
    imports = new_tables.list_imports()["ImportSummaryList"]
    tables = [each["TableArn"].rpartition("/")[2] for each in imports]
    assert sorted(tables[-3:]) == sorted([NEW.buyers, NEW.producers, NEW.sales])


def test_stopped_while_it_waits_it_waits_on(
    tmp_path: Path, s9: S9Database, importing: EmbeddedAws, new_tables: DynamoDBClient
) -> None:
    small_trade(s9)
    tool = sabotaged(importer(tmp_path, s9, importing))
    happened = events(tool, "--full")
    start_over(tool, new_tables, NEW)
    prepared(importing)
    asked = happened.index("load sales after request") + 1
    with tool.held("--full", after=asked) as running:
        running.interrupt()
        tool.let_go()
        assert running.end().code in (130, 0)
    tool.go_on().ended(0)
    assert scan_all(new_tables, NEW)["sales"]
