"""The live application wins: what `load.onConflict` makes of items that are there already."""

from __future__ import annotations

import re
from typing import Any

import pytest
from mypy_boto3_dynamodb import DynamoDBClient

from tests.conftest import S9Database, TableNames
from tests.support.application.application import LATER, Application
from tests.support.aws.proxy import Answer, FaultyProxy, Plan, Request
from tests.support.faults.sabotage import SabotagedOperator
from tests.support.operators.foretold import foretold_of_replacing
from tests.support.operators.operator import Operator, small_trade
from tests.support.operators.undone import closes, headers
from utils.embedded.aws import EmbeddedAws

EARLIER = "2001-01-01T00:00:00.000Z"


@pytest.fixture
def application(dynamodb: DynamoDBClient, tables: TableNames) -> Application:
    return Application(dynamodb, tables)


@pytest.fixture
def used(alone: Operator, s9: S9Database, application: Application) -> Operator:
    """An operator who has migrated once; since then the application has changed a buyer, and made
    a sale younger and another older than they are in S9. S9 has got a line more for the first
    sale."""
    small_trade(s9)
    alone.run("--full").ended(0)
    application.change("buyers", headers(alone, "buyers")[0], city={"S": "Lecco"})
    younger, older = headers(alone, "sales")
    application.change("sales", younger, status={"S": "paid"})
    application.change("sales", older, status={"S": "paid"}, updatedAt={"S": EARLIER})
    s9.execute(
        "INSERT INTO msg_line (id, msg_id, line_number, product_description, quantity, unit_price)"
        " VALUES (9, 10, 3, 'Rondella', 1, 2)"
    )
    return alone


WRITES = ("BatchWriteItem", "PutItem", "DeleteItem", "TransactWriteItems")


def test_a_run_that_changes_nothing_writes_nothing(
    alone: Operator, s9: S9Database, aws: EmbeddedAws, application: Application
) -> None:
    small_trade(s9)
    alone.run("--full").ended(0)
    before = application.scan()
    writes: list[bytes] = []

    def note(request: Request) -> Answer | None:
        if request.operation in WRITES and b"MIGRATION#LOCK" not in request.body:
            writes.append(request.body)
        return None

    with FaultyProxy(aws, Plan(always=note)) as proxy:
        alone.configure(target={"endpoint": proxy.url}, data={"directory": "data-2"})
        alone.run("--full").ended(0)
    assert not writes
    assert application.scan() == before
    assert alone.report("load")["entities"]["sales"]["alreadyThere"] == 5
    alone.run("rollback", "--yes").failed(2, "no run has written anything")
    assert application.scan() == before


def test_fail_stops_before_the_first_write_with_a_list(
    used: Operator, application: Application
) -> None:
    before = application.scan()
    outcome = used.run("--full").failed(1, "3 items", "load.onConflict", "--resume")
    assert application.scan() == before
    report = used.report("conflicts")
    assert report["count"] == len(report["conflicts"]) == 3
    listed = {entry["PK"]: entry for entry in report["conflicts"]}
    buyer, (younger, older) = headers(used, "buyers")[0], headers(used, "sales")
    assert listed[buyer["PK"]["S"]]["attributes"] == ["city", "updatedAt", "updatedBy"]
    assert listed[younger["PK"]["S"]]["newer"] == "table"
    assert listed[older["PK"]["S"]]["newer"] == "s9"
    assert {entry["decision"] for entry in listed.values()} == {"stop"}
    for value in ("Lecco", "someone@example.com", buyer["companyName"]["S"]):
        assert value not in outcome.output
        assert value not in (used.data / "reports" / "conflicts_report.json").read_text()


def test_skip_keeps_whole_records_and_the_ledger_closes(
    used: Operator, application: Application
) -> None:
    before = application.scan()
    used.run("--full").failed(1, "onConflict")
    used.configure(load={"onConflict": "skip"})
    outcome = used.run("--resume").ended(5)
    assert re.search(r"loaded +kept +in target\n", outcome.stdout)
    assert re.search(r"\nSales .* 3 +3 +3\n", outcome.stdout), outcome.stdout
    assert application.scan() == before  # the new line belongs to a sale that is kept
    loaded = used.report("load")["entities"]["sales"]
    assert (loaded["keptRecords"], loaded["kept"], loaded["items"]) == (2, 3, 3)
    verified = used.report("verification")
    assert verified["counts"]["sales"]["kept"] == {"records": 2, "items": 3}
    assert all(entity["closes"] for entity in verified["counts"].values())
    assert {entry["decision"] for entry in used.report("conflicts")["conflicts"]} == {"keep"}


def test_overwrite_replaces_and_a_rollback_brings_back(
    used: Operator, application: Application
) -> None:
    before = application.scan()
    used.configure(load={"onConflict": "overwrite"})
    used.run("--full").ended(0)
    wanted = {entity: used.items(entity) for entity in ("buyers", "producers", "sales")}
    after = application.scan()
    for entity, items in wanted.items():
        assert sorted(map(str, after[entity])) == sorted(
            str((item["PK"]["S"], item["SK"]["S"])) for item in items
        )
        assert all(after[entity][i["PK"]["S"], i["SK"]["S"]] == i for i in items)
    for entity in ("buyers", "sales"):
        least, most = foretold_of_replacing(used, entity).replacing
        assert least <= used.report("load")["entities"][entity]["conditionalWriteUnits"] <= most
    used.run("rollback", "--yes").ended(0)
    assert application.scan() == before
    assert closes(used)["sales"]["created"]["deleted"] == 1


def test_newer_replaces_only_what_is_older(used: Operator, application: Application) -> None:
    before = application.scan()
    used.configure(load={"onConflict": "newer"})
    used.run("--full").ended(5)
    after = application.scan()
    _, older = headers(used, "sales")
    key = older["PK"]["S"], older["SK"]["S"]
    assert after["sales"].pop(key) == older
    del before["sales"][key]
    assert after == before


def test_what_the_application_changes_while_the_load_replaces_is_kept(
    used: Operator, aws: EmbeddedAws, application: Application
) -> None:
    edited: list[dict[str, Any]] = []

    def edit(request: Request) -> Answer | None:
        if request.operation == "PutItem" and b"BUYER#" in request.body and not edited:
            edited.append(headers(used, "buyers")[0])
            application.change("buyers", edited[0], city={"S": "Varese"}, notes={"S": "now"})
        return None

    with FaultyProxy(aws, Plan(always=edit)) as proxy:
        used.configure(
            target={"endpoint": proxy.url},
            load={"onConflict": "overwrite"},
            data={"directory": "data-2"},
        )
        used.run("--full").ended(0)
    assert edited
    key = edited[0]["PK"]["S"], "METADATA"
    assert application.scan()["buyers"][key]["city"]["S"] == "Varese"
    assert used.report("load")["entities"]["buyers"]["kept"] == 1


def test_what_the_application_changed_during_a_crash_is_its_own(
    alone: Operator, s9: S9Database, application: Application
) -> None:
    small_trade(s9)
    alone.configure(migration={"batchSize": 1, "workers": 1})
    tool = SabotagedOperator.like(alone)
    tool.killed("--full", phase="load", entity="sales", what="after request", after=2)
    arrived = [item for item in application.scan()["sales"].values() if "legacyId" in item]
    assert arrived
    application.change("sales", arrived[0], updatedAt={"S": LATER})
    alone.run("--resume").ended(0)
    wanted = {(i["PK"]["S"], i["SK"]["S"]): i for i in alone.items("sales")}
    expected = application.on_top_of({**application.scan(), "sales": wanted})
    assert application.scan() == expected
    assert alone.report("load")["entities"]["sales"]["kept"] == 1
    alone.run("rollback", "--yes").ended(0)
    (kept,) = {pk for pk, _ in application.left["sales"]}
    assert application.scan()["sales"] == {
        key: item for key, item in expected["sales"].items() if key[0] == kept
    }


def test_without_a_backup_the_survey_looks_for_itself(
    used: Operator, application: Application
) -> None:
    before = application.scan()
    used.configure(migration={"backupBeforeLoad": False}, load={"onConflict": "overwrite"})
    used.run("--full").ended(0)
    assert application.scan() != before
    used.run("rollback", "--yes").ended(0)
    assert application.scan() == before
