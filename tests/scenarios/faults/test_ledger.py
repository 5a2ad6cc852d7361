"""A ledger that does not close makes the run fail, whoever has tampered with what."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import orjson
import pytest
from mypy_boto3_dynamodb import DynamoDBClient

from tests.conftest import S9Database, TableNames
from tests.support.faults.sabotage import SabotagedOperator
from tests.support.operators.operator import Operator, small_trade

Manifest = dict[str, Any]


@pytest.fixture
def migrated(alone: Operator, s9: S9Database) -> Operator:
    """An operator whose migration has just come to its end, and who has little patience with
    indexes that do not follow."""
    small_trade(s9)
    s9.execute("UPDATE msg SET status = 'sospeso' WHERE first_id = 11")
    alone.run("--full").ended(5)
    return SabotagedOperator.like(alone, set={"validate.verify.engine._INDEX_DELAY": 0.001})


def differs(operator: Operator) -> Any:
    """Assert that verification finds a difference; returns its report."""
    outcome = operator.run("--phase", "verify").ended(4)
    assert "The target differs from S9" in outcome.last_line
    report = operator.report("verification")
    assert not report["passed"]
    return report


def test_an_item_that_is_gone_changed_or_added_in_the_target(
    migrated: Operator, dynamodb: DynamoDBClient, tables: TableNames
) -> None:
    line = next(item for item in migrated.items("sales") if item["SK"]["S"] != "METADATA")
    key = {name: line[name] for name in ("PK", "SK")}
    dynamodb.delete_item(TableName=tables.sales, Key=key)
    report = differs(migrated)
    assert report["keys"]["sales"]["missing"]["count"] == 1
    assert not report["counts"]["sales"]["closes"]

    changed = {**line, "netAmount": {"N": "20.99"}}
    dynamodb.put_item(TableName=tables.sales, Item=changed)
    report = differs(migrated)
    assert report["keys"]["sales"]["different"]["count"] == 1
    assert report["counts"]["sales"]["closes"]

    dynamodb.put_item(TableName=tables.sales, Item=line)
    migrated.run("--phase", "verify").ended(5)
    added = {**line, "SK": {"S": "LINE#00000000-0000-5000-8000-000000000000"}}
    dynamodb.put_item(TableName=tables.sales, Item=added)
    report = differs(migrated)
    assert report["keys"]["sales"]["extra"]["count"] == 1
    assert report["counts"]["sales"]["closes"]  # what was loaded is there; this is told apart


def one_more_in_s9(manifest: Manifest) -> None:
    manifest["phases"]["extract"]["sales"]["result"]["source"]["records"] += 1


def one_more_extracted(manifest: Manifest) -> None:
    manifest["artifacts"]["extracted/sales.json"]["records"] += 1


def one_less_in_quarantine(manifest: Manifest) -> None:
    manifest["artifacts"]["quarantine/sales.json"]["records"] -= 1


def one_more_loaded(manifest: Manifest) -> None:
    manifest["phases"]["load"]["sales"]["result"]["items"] += 1


@pytest.mark.parametrize(
    "tamper", [one_more_in_s9, one_more_extracted, one_less_in_quarantine, one_more_loaded]
)
def test_a_count_in_the_manifest(migrated: Operator, tamper: Callable[[Manifest], None]) -> None:
    manifest = migrated.manifest()
    tamper(manifest)
    (migrated.data / "manifest.json").write_bytes(orjson.dumps(manifest))
    report = differs(migrated)
    assert not report["counts"]["sales"]["closes"]
    assert report["counts"]["sales"]["problems"]
    assert report["counts"]["buyers"]["closes"]


def test_a_record_that_is_taken_out_of_a_file_with_its_digest_put_right(
    migrated: Operator,
) -> None:
    path = migrated.data / "transformed" / "buyers.json"
    first, _ = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(first)
    manifest = migrated.manifest()
    entry = manifest["artifacts"]["transformed/buyers.json"]
    entry |= {"bytes": len(first), "sha256": hashlib.sha256(first).hexdigest()}
    entry |= {"records": 1, "items": 1}
    (migrated.data / "manifest.json").write_bytes(orjson.dumps(manifest))
    report = differs(migrated)
    assert not report["counts"]["buyers"]["closes"]
    assert report["keys"]["buyers"]["extra"]["count"] == 1
