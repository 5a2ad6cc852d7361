"""Part D: a document type where S9 has none, and `updatedAt` for browsers that keep a cache."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import orjson
import pytest
from mypy_boto3_dynamodb import DynamoDBClient

from tests.conftest import S9Database, TableNames
from tests.support.operators.operator import Operator, scan_all, small_trade
from tests.support.records.i2_rows import items_of
from tests.support.records.i2_rows import sale_row as i2_row
from tests.support.records.rows import buyer_row, header_of, line_row, rules, sale_row
from transform.engine import rules_of, settings
from transform.transform_buyers import buyer_to_items
from transform.transform_sales import sale_to_items
from utils.config import Config, TransformationConfig
from utils.error_handler import ArtifactError
from utils.files.workspace import Workspace
from utils.run.manifest import Manifest
from utils.run.run import Run
from utils.run.updated_at import check_moment, moment_is_used, set_moment

MOMENT = "2026-11-26T10:00:00.123Z"


def run_with(tmp_path: Path, **chosen: Any) -> Run:
    config = Config(transformation=TransformationConfig(**chosen))
    workspace = Workspace(tmp_path)
    workspace.prepare()
    return Run(config, workspace, Manifest.new())


# docType


@pytest.mark.parametrize(
    ("row", "document"),
    [
        ({}, "invoice"),
        ({"doc_type": "  "}, "invoice"),
        ({"doc_type": "proforma"}, "proforma"),
        ({"status": "proforma"}, "proforma"),
        ({"status": "annullata"}, "invoice"),
    ],
)
def test_a_sale_without_a_document_type_is_an_invoice(row: dict[str, Any], document: str) -> None:
    assert header_of(sale_row(**row), default_document="invoice")["docType"] == {"S": document}


def test_of_the_younger_tables_only_the_status_says_proforma() -> None:
    for status, document in (("proforma", "proforma"), ("new", "invoice"), ("sent", "invoice")):
        (item,) = items_of("sales", i2_row(status=status), default_document="invoice")
        assert item["docType"] == {"S": document}


def test_the_document_type_is_a_setting(tmp_path: Path) -> None:
    assert rules_of(run_with(tmp_path)).default_document == "invoice"
    assert rules_of(run_with(tmp_path, default_doc_type=None)).default_document == ""
    assert "docType" not in header_of(sale_row())


# updatedAt


def test_every_item_has_the_moment_and_keeps_s9s_creation() -> None:
    stamps: dict[str, Any] = {
        "created_at": "2024-03-05T10:00:00",
        "updated_at": "2024-04-05T10:00:00",
    }
    chosen = rules(updated_at=MOMENT)
    items = sale_to_items(sale_row(**stamps, lines=[line_row(34, **stamps), line_row(35)]), chosen)
    items += buyer_to_items(buyer_row(created_at="2024-03-05T10:00:00"), chosen)
    assert {item["updatedAt"]["S"] for item in items} == {MOMENT}
    assert [item["createdAt"]["S"][:10] for item in items] == [
        *("2024-03-05", "2024-03-05", "2026-01-30", "2024-03-05"),
    ]


def test_the_moment_is_new_until_a_load_has_begun_with_it_and_then_stays(tmp_path: Path) -> None:
    run = run_with(tmp_path, updated_at="migration")
    set_moment(run)
    run.manifest.updated_at = first = run.manifest.updated_at.replace("20", "19", 1)
    digest = settings(run)
    set_moment(run)
    assert first != run.manifest.updated_at
    assert settings(run) != digest  # what was made with the other one is made again
    moment_is_used(run)
    loaded = run.manifest.updated_at
    again = run_with(tmp_path, updated_at="migration")
    stored = Manifest.load(run.workspace.manifest)
    assert stored is not None
    again.manifest = stored
    set_moment(again)
    assert again.manifest.updated_at == loaded
    again.manifest.rolled_back = "done"
    again.manifest.updated_at = first
    set_moment(again)
    assert again.manifest.updated_at >= loaded  # not the first, which is long ago


def test_a_load_by_hand_does_not_take_an_old_moment(tmp_path: Path) -> None:
    run = run_with(tmp_path, updated_at="migration")
    set_moment(run)
    check_moment(run)
    later = replace(run, began=datetime.now(timezone.utc) + timedelta(hours=3))
    with pytest.raises(ArtifactError, match="would never see them"):
        check_moment(later)
    moment_is_used(run)  # what a load has begun with, another one goes on with
    check_moment(later)


def test_with_the_time_of_s9_there_is_no_moment(tmp_path: Path) -> None:
    run = run_with(tmp_path)
    set_moment(run)
    assert run.manifest.updated_at == rules_of(run).updated_at == ""


def test_a_migration_with_its_own_moment_is_the_same_in_every_run(
    alone: Operator, s9: S9Database, dynamodb: DynamoDBClient, tables: TableNames
) -> None:
    small_trade(s9)
    alone.configure(transformation={"updatedAt": "migration"})
    before = datetime.now(timezone.utc).isoformat()[:23]
    alone.run("--full").ended(0)
    after = datetime.now(timezone.utc).isoformat()[:23]
    items = [item for found in scan_all(dynamodb, tables).values() for item in found.values()]
    (moment,) = {item["updatedAt"]["S"] for item in items}
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", moment)
    assert before <= moment[:-1] <= after
    files = alone.transformed()
    alone.run("--full").ended(0)
    assert alone.transformed() == files
    assert alone.report("load")["entities"]["sales"]["alreadyThere"] > 0
    manifest = orjson.loads((alone.data / "manifest.json").read_bytes())
    assert manifest["updated_at"] == moment
    alone.configure(load={"onConflict": "newer"})
    alone.run("--full").failed(2, "load.onConflict")
