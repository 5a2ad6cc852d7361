"""Two machines at one place in S3, an S3 that is out, and what is not as it should be there."""

from __future__ import annotations

import re
import shutil
import signal
import time
from collections.abc import Iterator
from dataclasses import replace

import orjson
import pytest
from mypy_boto3_dynamodb import DynamoDBClient

from tests.conftest import S9Database, TableNames
from tests.support.aws.s3_places import PlaceInS3, forget_the_lock, lose_the_machine
from tests.support.aws.s3_watch import S3Watch
from tests.support.faults.sabotage import SabotagedOperator
from tests.support.operators.operator import ENTITIES, IMPATIENT, Operator, scan_all, small_trade
from utils.embedded.aws import EmbeddedAws


@pytest.fixture
def here(alone: Operator, s9: S9Database, place: PlaceInS3) -> Operator:
    """An operator at one machine, with a small trade to migrate."""
    small_trade(s9)
    return alone.configure(data={"directory": str(place)})


@pytest.fixture
def there(here: Operator) -> Iterator[Operator]:
    """The same operator at another machine."""
    directory = here.directory.parent / f"{here.directory.name}-there"
    directory.mkdir()
    config = {name: dict(settings) for name, settings in here.config.items()}
    yield replace(here, directory=directory, config=config, outcomes=[])
    shutil.rmtree(directory)


@pytest.fixture
def way(aws: EmbeddedAws, here: Operator) -> Iterator[S3Watch]:
    """The operator's way to S3."""
    with S3Watch(aws) as watch:
        here.environment["AWS_ENDPOINT_URL_S3"] = watch.url
        yield watch


def test_two_machines_are_kept_apart_and_each_goes_on_where_the_other_ended(
    here: Operator, there: Operator, dynamodb: DynamoDBClient, tables: TableNames
) -> None:
    tool = SabotagedOperator.like(here)
    with tool.held("--full", phase="load", entity="sales", after=1) as running:
        there.run("--resume").failed(1, "another machine is at work on s3://", "process ")
        there.run("clean", "--yes").failed(1, "another machine is at work on s3://")
        seen = there.run("status").ended(0)
        assert re.search(r"Run [0-9a-f]{8} \(.*\) is at work on s3://", seen.output), seen.output
        tool.let_go()
        assert running.end().code == 0
    there.run("--phase", "verify").ended(0)
    here.run("status").ended(0)
    here.run("sync").ended(0)
    there.run("rollback", "--yes")
    assert "there is nothing to resume" in here.run("--resume").output


def test_a_machine_that_is_gone_is_told_and_one_that_comes_back_writes_nothing_more(
    here: Operator,
    there: Operator,
    place: PlaceInS3,
    dynamodb: DynamoDBClient,
    tables: TableNames,
) -> None:
    here.configure(migration={"batchSize": 1, "workers": 1, "processes": 1})
    tool = SabotagedOperator.like(here)
    with tool.held("--full", phase="load", entity="buyers", after=1) as running:
        running.process.send_signal(signal.SIGSTOP)
        forget_the_lock(place)
        time.sleep(2)
        soon = {**tool.plan["set"], "load.target.writer_mark.LEASE": 1.0}
        SabotagedOperator.like(there, set=soon).run("--resume").ended(0)
        held = scan_all(dynamodb, tables)
        tool.let_go()
        running.process.send_signal(signal.SIGCONT)
        running.end().failed(1, "no longer this machine's")
    assert scan_all(dynamodb, tables) == held
    assert there.run("--phase", "verify").code == 0
    here.run("--phase", "verify").ended(0)


def test_an_outage_of_s3_is_waited_out_or_told_and_nothing_is_lost(
    here: Operator, way: S3Watch, place: PlaceInS3, dynamodb: DynamoDBClient, tables: TableNames
) -> None:
    here.configure(migration=IMPATIENT)
    tool = SabotagedOperator.like(here)
    with tool.held("--full", phase="load", entity="sales", after=1) as running:
        way.is_away = True
        tool.let_go()
        told = running.end()
        told.failed(1, "the files of this migration are kept in s3://", "--resume")
    assert not scan_all(dynamodb, tables)["sales"]
    way.is_away = False
    here.run("--resume").ended(0)
    place.assert_whole()
    assert {name: bool(items) for name, items in scan_all(dynamodb, tables).items()} == (
        dict.fromkeys(ENTITIES, True)
    )


def test_what_is_missing_or_damaged_in_s3_is_named(here: Operator, place: PlaceInS3) -> None:
    here.run("--full").ended(0)
    lose_the_machine(here)
    entry = place.index()["transformed/sales.json"]
    key = entry["key"].removeprefix(f"{place.prefix}/")
    content = place.get(key)
    place.put(key, content[:-1] + b" ")
    here.run("--phase", "verify").failed(1, f"{place}/{key}", "SHA-256 differs")
    place.delete(key)
    here.run("--phase", "verify").failed(1, f"{place}/{key}", "transformed/sales.json", "missing")
    place.put(key, content)
    here.run("--phase", "verify").ended(0)
    index = place.get("index.json")
    place.put("index.json", index[:-9])
    lose_the_machine(here)
    here.run("--phase", "verify").failed(1, f"{place}/index.json", "damaged")
    place.put("index.json", index)
    here.run("--phase", "verify").ended(0)
    place.delete("index.json")
    here.run("--phase", "verify").failed(1, f"{place}/index.json", "no longer there")


def test_a_working_copy_belongs_to_one_place_and_to_no_other_migration(
    here: Operator, place: PlaceInS3
) -> None:
    other = PlaceInS3.at(place, "other")
    here.run("--full").ended(0)
    here.configure(data={"directory": str(other)})
    here.run("--full").failed(2, str(place), str(other), "data.workingCopy")
    here.configure(data={"directory": "data"})
    here.run("--full", "--restart").failed(2, f"is the working copy of {place}")
    here.run("status").ended(0)
    lose_the_machine(here)
    here.run("--dry-run")
    here.configure(data={"directory": str(other)})
    here.run("--full").failed(2, "holds other files", "data.workingCopy")


def test_what_clean_deletes_is_gone_in_s3_with_all_versions(
    here: Operator, aws: EmbeddedAws
) -> None:
    place = PlaceInS3(aws, "files-with-versions")
    here.configure(data={"directory": str(place)})
    place.s3.put_bucket_versioning(
        Bucket=place.bucket, VersioningConfiguration={"Status": "Enabled"}
    )
    here.run("--full").ended(0)
    lose_the_machine(here)
    here.run("clean", "--yes").ended(0)
    assert not [name for name in place.index() if name.startswith(("extracted", "transformed"))]
    versions = place.s3.list_object_versions(Bucket=place.bucket, Prefix=f"{place.prefix}/files/")
    there = {each["Key"] for each in versions.get("Versions", ())}
    assert there == {entry["key"] for entry in place.index().values() if entry["key"]}
    manifest = orjson.loads((here.data / "manifest.json").read_bytes())
    assert not manifest["artifacts"]
    here.run("--full").ended(0)
