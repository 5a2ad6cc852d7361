"""A whole migration that is loaded by import from S3."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest
from mypy_boto3_dynamodb import DynamoDBClient

from tests.conftest import S9Database, Sample
from tests.scenarios.conftest import DONE_TABLES
from tests.scenarios.imports.conftest import (
    BUCKET,
    NEW,
    client,
    importer,
    keys_in,
)
from tests.support.operators.operator import (
    ENTITIES,
    Operator,
    by_key,
    exists,
    insert,
    party,
    scan_all,
    small_trade,
)
from utils.embedded.aws import EmbeddedAws

SETTINGS = {
    "pointInTimeRecovery": True,
    "deletionProtection": True,
    "stream": "NEW_AND_OLD_IMAGES",
    "timeToLive": {"sales": "ttl"},
    "tags": {"team": "migration"},
}
# What the load's report has of one by batches and of one by import: the same.
SAME = ("items", "records", "sentBytes", "refused", "kept", "replaced", "onlyInTarget")


def test_tables_are_made_and_filled_as_by_batches(
    importer_of_sample: Operator,
    importing: EmbeddedAws,
    new_tables: DynamoDBClient,
    finished: Operator,
    dynamodb: DynamoDBClient,
) -> None:
    done = importer_of_sample.run("--full").ended(5)
    assert scan_all(new_tables, NEW) == scan_all(dynamodb, DONE_TABLES)
    assert importer_of_sample.files() == finished.files()
    assert keys_in(importing) == []
    assert f'"salesTable": "{NEW.sales}"' in done.stdout
    page = (importer_of_sample.data / "reports" / "report.html").read_text(encoding="utf-8")
    assert "Tables that were made by import from S3" in page
    report, expected = importer_of_sample.report("load"), finished.report("load")
    for name in ENTITIES:
        ours, theirs = report["entities"][name], expected["entities"][name]
        assert {key: ours[key] for key in SAME} == {key: theirs[key] for key in SAME}
        assert ours["consumedWriteUnits"] == 0
        assert ours["import"]["importedItems"] == ours["items"]
    for ours, theirs in zip(
        (NEW.sales, NEW.buyers, NEW.producers),
        (DONE_TABLES.sales, DONE_TABLES.buyers, DONE_TABLES.producers),
        strict=True,
    ):
        assert layout(new_tables, ours) == layout(dynamodb, theirs)


def layout(dynamodb: DynamoDBClient, name: str) -> Any:
    """What of a table is the same however it was made."""
    table: Any = dynamodb.describe_table(TableName=name)["Table"]
    indexes = {
        each["IndexName"]: (each["KeySchema"], each["Projection"])
        for each in table["GlobalSecondaryIndexes"]
    }
    return table["KeySchema"], indexes, table["BillingModeSummary"]["BillingMode"]


def test_the_second_judge_finds_the_same(tmp_path: Path, s9: S9Database, moto: EmbeddedAws) -> None:
    small_trade(s9)  # its reader of JSON is its own: it gets over no quotation mark in a text
    operator = importer(tmp_path, s9, moto)
    operator.run("--full").ended(0)
    there = scan_all(client(moto, "dynamodb"), NEW)
    assert there == {name: by_key(operator.items(name)) for name in ENTITIES}
    assert keys_in(moto) == []


def test_tables_get_the_settings_that_an_import_cannot_make(
    importer_of_sample: Operator, new_tables: DynamoDBClient
) -> None:
    importer_of_sample.configure(load={"newTables": SETTINGS}).run("--full").ended(5)
    for name in (NEW.sales, NEW.buyers):
        table = new_tables.describe_table(TableName=name)["Table"]
        assert table["DeletionProtectionEnabled"]
        assert table["StreamSpecification"]["StreamViewType"] == "NEW_AND_OLD_IMAGES"
        tags = new_tables.list_tags_of_resource(ResourceArn=table["TableArn"])["Tags"]
        assert tags == [{"Key": "team", "Value": "migration"}]
        found = new_tables.describe_continuous_backups(TableName=name)
        recovery = found["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"]
        assert recovery["PointInTimeRecoveryStatus"] == "ENABLED"
    living = new_tables.describe_time_to_live(TableName=NEW.sales)["TimeToLiveDescription"]
    assert living["AttributeName"] == "ttl"
    report = importer_of_sample.report("load")["entities"]["sales"]["import"]
    assert "timeToLive ttl" in report["settings"]


def test_objects_stay_where_they_are_asked_to(
    importer_of_sample: Operator, importing: EmbeddedAws
) -> None:
    importer_of_sample.configure(load={"s3": {"keepObjects": True}}).run("--full").ended(5)
    assert len(keys_in(importing)) == len(ENTITIES)
    importer_of_sample.configure(load={"s3": {"keepObjects": False}})
    importer_of_sample.run("--phase", "verify").ended(5)
    assert keys_in(importing) == []


def test_objects_stay_until_a_verification_has_passed(
    importer_of_sample: Operator, importing: EmbeddedAws, new_tables: DynamoDBClient
) -> None:
    importer_of_sample.configure(migration={"validateAfterLoad": False}).run("--full").ended(5)
    item = importer_of_sample.items("buyers")[0]
    key = {name: item[name] for name in ("PK", "SK")}
    new_tables.delete_item(TableName=NEW.buyers, Key=key)
    importer_of_sample.run("--phase", "verify").ended(4)
    assert len(keys_in(importing)) == len(ENTITIES)
    importer_of_sample.run("--phase", "verify", "--repair").ended(5)
    assert keys_in(importing) == []


def test_an_aws_that_only_says_that_it_has_imported_is_found_out(
    tmp_path: Path, sample: Sample, pretending: EmbeddedAws
) -> None:
    operator = importer(tmp_path, sample.s9, pretending)
    operator.run("--full").failed(1, "of no use", "has read nothing", "it has processed 0")
    # What is there may be kept: the rest is written in batches.
    operator.configure(load={"method": "batch"}).run("--resume").ended(5)
    assert keys_in(pretending) == []


def test_a_table_that_is_there_is_refused_before_s9_is_read(
    importer_of_sample: Operator, new_tables: DynamoDBClient, importing: EmbeddedAws
) -> None:
    importer_of_sample.run("--full").ended(5)
    before = scan_all(new_tables, NEW)
    importer_of_sample.run("--full").failed(1, NEW.buyers, "is there already")
    assert scan_all(new_tables, NEW) == before
    assert keys_in(importing) == []


def test_the_load_of_a_run_that_has_imported_can_be_repeated_without_harm(
    importer_of_sample: Operator, new_tables: DynamoDBClient
) -> None:
    importer_of_sample.run("--full").ended(5)
    before = scan_all(new_tables, NEW)
    importer_of_sample.run("--phase", "load").ended(5)
    assert importer_of_sample.report("load")["entities"]["sales"]["alreadyThere"]
    assert scan_all(new_tables, NEW) == before


def test_without_the_bucket_nothing_is_made(
    importer_of_sample: Operator, new_tables: DynamoDBClient
) -> None:
    importer_of_sample.configure(load={"s3": {"bucket": "there-is-none"}})
    importer_of_sample.run("--full").failed(1, "no bucket there-is-none")
    assert not exists(new_tables, NEW.buyers)
    importer_of_sample.configure(load={"s3": {"bucket": BUCKET}}).run("--resume").ended(5)


@pytest.mark.parametrize(
    ("load", "words"),
    [
        ({"method": "bulk"}, ["StartBulkPutItems", "never tried"]),
        ({"newTables": {"timeToLive": {"sales": "total"}}}, ["total", "delete them"]),
        ({"s3": {"bucket": None}}, ["load.s3.bucket"]),
    ],
)
def test_what_would_do_harm_is_refused(
    importer_of_sample: Operator, load: dict[str, Any], words: list[str]
) -> None:
    importer_of_sample.configure(load=load).run("--full").failed(2, *words)


def test_an_entity_without_a_record_gets_its_empty_table(
    tmp_path: Path, s9: S9Database, importing: EmbeddedAws, new_tables: DynamoDBClient
) -> None:
    insert(s9, "msg_anag", party(1, 2), party(3, 1))
    operator = importer(tmp_path, s9, importing)
    operator.run("--full").ended(0)
    there = scan_all(new_tables, NEW)
    assert [len(there[name]) for name in ENTITIES] == [1, 1, 0]
    assert exists(new_tables, NEW.sales)
    assert keys_in(importing) == []


def test_one_entity_s_table_can_be_imported_by_hand(
    importer_of_sample: Operator, new_tables: DynamoDBClient
) -> None:
    for phase in ("extract", "transform", "validate"):
        importer_of_sample.run("--phase", phase)
    importer_of_sample.run("--phase", "load", "--entity", "buyers").ended(5)
    assert exists(new_tables, NEW.buyers)
    assert not exists(new_tables, NEW.sales)
    importer_of_sample.run("--phase", "load", "--entity", "producers").ended(5)
    importer_of_sample.run("--phase", "load", "--entity", "sales").ended(5)
    importer_of_sample.run("--phase", "verify").ended(5)


def test_a_check_looks_at_the_bucket_and_for_tables_in_the_way(
    importer_of_sample: Operator, importing: EmbeddedAws
) -> None:
    found = checked(importer_of_sample)
    assert found[f"bucket {BUCKET}"]["state"] == "ok"
    assert found[f"expiry in {BUCKET}"]["state"] == "warning"
    assert found[f"table {NEW.sales}"]["state"] == "ok"
    rule = {
        "ID": "expire",
        "Status": "Enabled",
        "Filter": {"Prefix": "s9-import/"},
        "Expiration": {"Days": 7},
    }
    s3 = client(importing, "s3")
    s3.put_bucket_lifecycle_configuration(Bucket=BUCKET, LifecycleConfiguration={"Rules": [rule]})
    client(importing, "dynamodb").create_table(
        TableName=NEW.buyers,
        KeySchema=[{"AttributeName": "PK", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "PK", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    found = checked(importer_of_sample)
    assert "after 7 days" in found[f"expiry in {BUCKET}"]["found"]
    assert found[f"table {NEW.buyers}"]["state"] == "failed"
    importer_of_sample.configure(load={"s3": {"bucket": "there-is-none"}})
    assert checked(importer_of_sample)["bucket there-is-none"]["state"] == "failed"
    s3.delete_bucket_lifecycle(Bucket=BUCKET)


def checked(operator: Operator) -> dict[str, Any]:
    outcome = operator.run("check", "--json")
    return {each["name"]: each for each in orjson.loads(outcome.stdout)["checks"]}


def test_a_plan_has_price_and_time_of_the_import_beside_batches(
    importer_of_sample: Operator, new_tables: DynamoDBClient, importing: EmbeddedAws
) -> None:
    planned = importer_of_sample.run("--dry-run").ended(5)
    assert "It is loaded by import (load.method): " in planned.stdout
    path = importer_of_sample.data / "dry-run" / "reports" / "plan.json"
    forecast = orjson.loads(path.read_bytes())["forecast"]
    assert forecast["import"]["chosen"]
    assert forecast["import"]["objects"] == len(ENTITIES)
    assert forecast["price"]["importFromS3"]["total"] < forecast["price"]["batchWrites"]["total"]
    assert not exists(new_tables, NEW.buyers)
    assert keys_in(importing) == []
    importer_of_sample.run("--full").ended(5)
    loads = importer_of_sample.report("load")["entities"]
    assert forecast["import"]["bytes"] == sum(each["sentBytes"] for each in loads.values())
    foretold = {name: each["sentBytes"] for name, each in forecast["tables"].items()}
    assert foretold == {name: each["sentBytes"] for name, each in loads.items()}
    importer_of_sample.run("--dry-run").failed(1, NEW.buyers, "is there already")
