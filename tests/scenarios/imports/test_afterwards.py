"""What comes after a load by import: it goes on as after one in batches."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pytest
from mypy_boto3_dynamodb import DynamoDBClient

from tests.conftest import S9Database
from tests.scenarios.imports.conftest import BUCKET, NEW, client, importer, keys_in
from tests.support.application.application import Application
from tests.support.aws.proxy import FaultyProxy, Plan, Request
from tests.support.faults.sabotage import SabotagedOperator
from tests.support.operators.operator import (
    ENTITIES,
    Operator,
    by_key,
    insert,
    party,
    sale,
    scan_all,
    small_trade,
)
from utils.embedded.aws import EmbeddedAws


@pytest.fixture
def imported(tmp_path: Path, s9: S9Database, importing: EmbeddedAws) -> Operator:
    """An operator who has imported two sales with three lines."""
    small_trade(s9)
    operator = importer(tmp_path, s9, importing)
    operator.run("--full").ended(0)
    return operator


@pytest.fixture
def application(new_tables: DynamoDBClient) -> Application:
    return Application(new_tables, NEW)


def test_a_sync_knows_what_was_imported_and_brings_it_up_to_s9(
    imported: Operator, s9: S9Database, application: Application, new_tables: DynamoDBClient
) -> None:
    done = imported.run("sync").ended(0)
    assert "0 records new, 0 records changed, 0 records taken away, 5 records as" in done.last_line
    application.change("buyers", imported.items("buyers")[0], city={"S": "Lecco"})
    s9.execute("UPDATE msg SET notes = 'urgente' WHERE first_id = 10")
    s9.execute("UPDATE msg_anag SET city = 'Como' WHERE first_id = 1")
    insert(s9, "msg_anag", party(4, 2))
    s9.execute("DELETE FROM msg_line WHERE msg_id = 11")
    s9.execute("DELETE FROM msg WHERE first_id = 11")
    imported.configure(load={"onConflict": "skip"})
    imported.run("sync").ended(0)
    there = scan_all(new_tables, NEW)
    assert {each["legacyId"]["S"] for each in there["sales"].values()} >= {"10"}
    assert not [key for key, each in there["sales"].items() if each["legacyId"]["S"] == "11"]
    cities = {each["legacyId"]["S"]: each["city"]["S"] for each in there["buyers"].values()}
    assert cities["1"] == "Lecco"
    assert "4" in cities


def test_a_rollback_takes_back_what_was_imported_and_keeps_what_was_changed(
    imported: Operator, application: Application, new_tables: DynamoDBClient
) -> None:
    changed = imported.items("buyers")[0]
    application.change("buyers", changed, city={"S": "Lecco"})
    imported.run("rollback", "--yes").ended(0)
    there = scan_all(new_tables, NEW)
    assert [key[0] for key in there["buyers"]] == [changed["PK"]["S"]]
    left = {key[0] for key in there["sales"]}
    assert all(record in str(imported.report("rollback")["kept"]) for record in left)


def test_after_a_rollback_new_tables_are_imported_again(
    imported: Operator, new_tables: DynamoDBClient
) -> None:
    imported.run("rollback", "--yes").ended(0)
    imported.run("--phase", "load").failed(1, NEW.buyers, "is there already")
    for name in (NEW.buyers, NEW.producers, NEW.sales):
        new_tables.delete_table(TableName=name)
    imported.run("--phase", "load").ended(0)
    imported.run("--phase", "verify").ended(0)
    there = scan_all(new_tables, NEW)
    assert there == {name: by_key(imported.items(name)) for name in ENTITIES}
    imported.run("rollback", "--yes").ended(0)
    assert scan_all(new_tables, NEW) == {name: {} for name in ENTITIES}


def test_quarantined_records_come_later_and_a_rollback_takes_all_of_it_back(
    tmp_path: Path, s9: S9Database, importing: EmbeddedAws, new_tables: DynamoDBClient
) -> None:
    small_trade(s9)
    insert(s9, "msg_anag", party(7, 2, country="XQ1"))
    insert(s9, "msg", sale(12, 7, 3))
    operator = importer(tmp_path, s9, importing)
    operator.run("--full").ended(5)
    s9.execute("UPDATE msg_anag SET country = 'IT' WHERE first_id = 7")
    operator.run("retry-quarantine").ended(0)
    there = scan_all(new_tables, NEW)
    assert there == {name: by_key(operator.items(name)) for name in ENTITIES}
    assert "7" in {each["legacyId"]["S"] for each in there["buyers"].values()}
    operator.run("rollback", "--yes").ended(0)
    assert scan_all(new_tables, NEW) == {name: {} for name in ENTITIES}


def test_it_can_be_explained_and_switched(imported: Operator) -> None:
    told = imported.run("explain", "sales", "10", "--json").ended(0)
    assert orjson.loads(told.stdout)["verdict"]
    imported.run("cutover", "--s9-is-stopped").ended(0)


@dataclass
class Spoiler:
    """Puts a line that DynamoDB cannot use to the buyers, when DynamoDB is asked to import them."""

    aws: EmbeddedAws
    key: str = ""

    def __call__(self, request: Request) -> None:
        if request.operation == "ImportTable" and not self.key:
            body = orjson.loads(request.body)
            if body["TableCreationParameters"]["TableName"] == NEW.buyers:
                self.key = body["S3BucketSource"]["S3KeyPrefix"] + "zz.json.gz"
                content = gzip.compress(b'{"Item":{"PK":{"S":"BUYER#only"}}}\n')
                self.s3.put_object(Bucket=BUCKET, Key=self.key, Body=content)

    @property
    def s3(self) -> Any:
        return client(self.aws, "s3")


@pytest.fixture
def spoiled(
    tmp_path: Path, s9: S9Database, importing: EmbeddedAws
) -> Iterator[tuple[Operator, Spoiler]]:
    """An operator whose import of the buyers fails, once."""
    small_trade(s9)
    spoiler = Spoiler(importing)
    with FaultyProxy(importing, Plan(always=spoiler)) as proxy:
        operator = importer(tmp_path, s9, importing).configure(target={"endpoint": proxy.url})
        operator.environment["AWS_ENDPOINT_URL_S3"] = importing.endpoint_url
        yield operator, spoiler


def test_an_import_that_fails_is_told_with_its_error_log_and_done_again(
    spoiled: tuple[Operator, Spoiler], new_tables: DynamoDBClient, importing: EmbeddedAws
) -> None:
    operator, spoiler = spoiled
    told = operator.run("--full").failed(1, "of no use", "FAILED", "ItemValidationError")
    assert f"{spoiler.key}, item 0: One or more parameter values" in told.stderr
    assert f"delete-table --table-name {NEW.buyers}" in told.stderr
    report = operator.report("load")["entities"]
    assert "buyers" not in report
    assert report["sales"]["import"]["errors"] == 0  # the others are none the worse for it
    operator.run("--resume").failed(1, "was not put there by this load")
    spoiler.s3.delete_object(Bucket=BUCKET, Key=spoiler.key)
    operator.run("--resume").failed(1, "of no use")
    new_tables.delete_table(TableName=NEW.buyers)
    operator.run("--resume").ended(0)
    there = scan_all(new_tables, NEW)
    assert there == {name: by_key(operator.items(name)) for name in ENTITIES}
    assert keys_in(importing) == []


def test_what_a_failed_import_has_left_is_completed_in_batches(
    spoiled: tuple[Operator, Spoiler], new_tables: DynamoDBClient, importing: EmbeddedAws
) -> None:
    operator, _ = spoiled
    operator.run("--full").failed(1, "of no use")
    first = operator.items("buyers")[0]
    key = {name: first[name] for name in ("PK", "SK")}
    new_tables.delete_item(TableName=NEW.buyers, Key=key)
    operator.configure(load={"method": "batch"}).run("--resume").ended(0)
    there = scan_all(new_tables, NEW)
    assert there == {name: by_key(operator.items(name)) for name in ENTITIES}
    assert keys_in(importing) == []
    operator.run("rollback", "--yes").ended(0)


def test_a_migration_that_starts_over_takes_its_files_out_of_s3(
    spoiled: tuple[Operator, Spoiler], new_tables: DynamoDBClient, importing: EmbeddedAws
) -> None:
    operator, spoiler = spoiled
    operator.run("--full").failed(1, "of no use")
    operator.run("--full", "--restart").failed(1, NEW.buyers)
    for name in (NEW.buyers, NEW.producers, NEW.sales):
        new_tables.delete_table(TableName=name)
    spoiler.s3.delete_object(Bucket=BUCKET, Key=spoiler.key)
    operator.run("--full", "--restart").ended(0)
    assert keys_in(importing) == []


def test_while_an_import_is_at_work_nothing_is_undone(
    tmp_path: Path, s9: S9Database, importing: EmbeddedAws
) -> None:
    small_trade(s9)
    tool = SabotagedOperator.like(importer(tmp_path, s9, importing))
    tool.killed("--full", phase="load", entity="sales", what="after request", after=1)
    tool.run("rollback", "--yes").failed(2, "was not followed to its end")
    cleaned = tool.run("clean", "--yes", "--unfinished").ended(0)
    assert cleaned.stdout.count("aws s3 rm --recursive s3://imports/s9-import/") == len(ENTITIES)
    assert not list((tool.data / "import").glob("*"))
