"""A load that several processes share: nothing is lost or doubled, whichever of them ends."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from mypy_boto3_dynamodb import DynamoDBClient

from tests.conftest import S9Database, TableNames
from tests.scenarios.conftest import DONE_TABLES
from tests.support.application.application import Application
from tests.support.aws.proxy import REASONS, FaultyProxy, Plan, hang, refusing, take_and_hang
from tests.support.faults.sabotage import (
    Result,
    SabotagedOperator,
    retries,
    shared,
    start_over,
    through,
)
from tests.support.operators.helpers import command_line, helpers, within
from tests.support.operators.operator import ENTITIES, Operator, Running, scan
from tests.support.s9.many_sales import many_sales
from utils.embedded.aws import EmbeddedAws

AT_ONCE = 2 * 4 * 12 * 5  # items that two processes take together, some of which have arrived
SLOW = {"batchSize": 5, "workers": 4, "batchDelay": 100, "validateAfterLoad": False}


@pytest.fixture
def proxy(aws: EmbeddedAws) -> Iterator[FaultyProxy]:
    with FaultyProxy(aws) as opened:
        yield opened


@pytest.fixture
def clean(alone: Operator, s9: S9Database, proxy: FaultyProxy) -> SabotagedOperator:
    """An operator whose loads are shared, with an S9 of 200 sales, and 400 lines."""
    many_sales(s9, 200)
    return shared(through(proxy, alone.configure(checkpoint={"interval": 10})))


def loading_sales(running: Running, proxy: FaultyProxy) -> int:
    """Wait until the sales are on their way; returns the process that helps with them, which is
    the first that was started."""
    before = proxy.requests["BatchWriteItem"]
    running.wait_for(lambda: proxy.requests["BatchWriteItem"] > before + 30)
    return helpers(running)[0]


def loaded(operator: Operator, dynamodb: DynamoDBClient, tables: TableNames) -> bool:
    """Whether the target holds every item, once each."""
    return len(scan(dynamodb, tables.sales)) == len(operator.items("sales")) == 600


def test_every_fault_is_survived_by_several_processes_and_every_retry_counted(
    operator: Operator,
    finished: Operator,
    proxy: FaultyProxy,
    dynamodb: DynamoDBClient,
    tables: TableNames,
) -> None:
    tool = shared(through(proxy, operator))
    proxy.plan = Plan(
        {fault: 0.003 if fault in (hang, take_and_hang) else 0.03 for fault in REASONS}, seed=4
    )
    tool.run("--full").ended(5)
    assert Result.of(tool, dynamodb, tables) == Result.of(finished, dynamodb, DONE_TABLES)
    assert retries(tool) == proxy.reasons
    for entity in ENTITIES:
        assert tool.report("load")["entities"][entity]["items"] == len(tool.items(entity))


def test_the_report_is_the_same_for_any_number_of_processes(
    clean: SabotagedOperator, dynamodb: DynamoDBClient, tables: TableNames
) -> None:
    reports: list[Any] = []
    for processes in (1, 3):
        if reports:  # a second load would write nothing
            start_over(clean, dynamodb, tables)
        clean.configure(migration={"processes": processes})
        clean.run("--full").ended(0)
        entities = clean.report("load")["entities"]
        for entity in ENTITIES:
            for name in ("at", "seconds", "itemsPerSecond"):
                del entities[entity][name]
        reports.append(entities)
    assert reports[0] == reports[1]
    assert reports[0]["sales"]["items"] == 600
    assert loaded(clean, dynamodb, tables)


def test_a_refused_item_keeps_its_sale_out_whichever_process_meets_it(
    clean: SabotagedOperator, proxy: FaultyProxy, dynamodb: DynamoDBClient, tables: TableNames
) -> None:
    clean.run("--phase", "extract").ended(0)
    clean.run("--phase", "transform").ended(0)
    bad = [clean.items("sales")[place] for place in (31, 577)]
    rules = [refusing(item) for item in bad]
    proxy.plan = Plan(always=lambda request: rules[0](request) or rules[1](request))
    clean.run("--full", "--restart").ended(5)
    keys = {item["PK"]["S"] for item in bad}
    assert len(clean.quarantine("sales")) == 2
    assert keys.isdisjoint(key for key, _ in scan(dynamodb, tables.sales))
    assert clean.report("verification")["passed"]


def test_killed_the_whole_load_ends_at_once_and_is_resumed(
    clean: SabotagedOperator, proxy: FaultyProxy, dynamodb: DynamoDBClient, tables: TableNames
) -> None:
    clean.configure(migration=SLOW)
    with clean.start("--full") as running:
        loading_sales(running, proxy)
        started = helpers(running)
        running.process.send_signal(signal.SIGKILL)
        running.process.wait()
        assert within(30, lambda: not any(map(command_line, started)))
        asked = proxy.requests["BatchWriteItem"]
        time.sleep(0.5)
        assert proxy.requests["BatchWriteItem"] == asked
    saved = orjson.loads((clean.data / ".checkpoint.json").read_bytes())["checkpoint"]
    assert 0 < saved["done"] <= len(scan(dynamodb, tables.sales)) < 600
    clean.configure(migration={"batchDelay": 0})
    clean.run("--resume").ended(0)
    assert loaded(clean, dynamodb, tables)
    assert clean.report("load")["entities"]["sales"]["items"] == 600


def test_a_process_that_is_killed_stops_the_load_with_a_remedy_and_a_checkpoint(
    clean: SabotagedOperator, proxy: FaultyProxy, dynamodb: DynamoDBClient, tables: TableNames
) -> None:
    clean.configure(migration=SLOW)
    with clean.start("--full") as running:
        helper = loading_sales(running, proxy)
        os.kill(helper, signal.SIGKILL)
        outcome = running.end()
    outcome.failed(1, "one of the processes that share the work ended", "code -9", "--resume")
    saved = orjson.loads((clean.data / ".checkpoint.json").read_bytes())["checkpoint"]
    assert 0 < saved["done"] <= len(scan(dynamodb, tables.sales)) < 600
    clean.configure(migration={"batchDelay": 0})
    clean.run("--resume").ended(0)
    assert loaded(clean, dynamodb, tables)


def test_ctrl_c_to_all_of_them_finishes_what_is_in_flight_and_saves_it(
    clean: SabotagedOperator, proxy: FaultyProxy, dynamodb: DynamoDBClient, tables: TableNames
) -> None:
    clean.configure(migration=SLOW)
    with clean.start("--full") as running:
        helper = loading_sales(running, proxy)
        os.kill(helper, signal.SIGINT)  # as a terminal would
        running.interrupt()
        outcome = running.end()
    outcome.failed(130, "interrupted by the operator", "--resume")
    counted = re.search(r"stopped in load, sales, ([0-9]+) of 600 items", outcome.stderr)
    assert counted
    there = len(scan(dynamodb, tables.sales))
    # Every batch in flight was waited for; done with are sales, whose lines arrive before them.
    ahead = there - int(counted[1])
    assert 0 <= ahead <= AT_ONCE
    clean.configure(migration={"batchDelay": 0})
    assert "[Load] Sales: 100% (600/600)" in clean.run("--resume").ended(0).stderr
    # Of what had not been sent that was known, so it went out in batches.
    assert clean.report("load")["entities"]["sales"]["conditionalRequests"] <= AT_ONCE
    assert loaded(clean, dynamodb, tables)


@pytest.fixture
def few(alone: Operator, s9: S9Database, proxy: FaultyProxy) -> SabotagedOperator:
    """The same with 60 sales."""
    many_sales(s9, 60)
    return shared(through(proxy, alone.configure(migration={"validateAfterLoad": False})))


def test_a_rollback_by_several_processes_goes_on_after_one_of_them_is_killed(
    few: SabotagedOperator, proxy: FaultyProxy, dynamodb: DynamoDBClient, tables: TableNames
) -> None:
    few.configure(migration={"workers": None, "batchSize": 25})
    few.run("--full").ended(0)
    application = Application(dynamodb, tables)
    items = few.items("sales")
    application.change("sales", items[0], status={"S": "paid"})  # and its parties stay with it
    application.change("sales", items[91], notes={"S": "urgent"})
    with few.start("rollback", "--yes") as running:
        before = proxy.requests["TransactWriteItems"]
        running.wait_for(lambda: proxy.requests["TransactWriteItems"] > before + 2)
        os.kill(helpers(running)[0], signal.SIGKILL)
        outcome = running.end()
    outcome.failed(1, "one of the processes that share the work ended", "rollback")
    few.run("rollback", "--yes").ended(0)
    report = few.report("rollback")
    assert report["closes"]
    assert report["entities"]["sales"]["created"] == {
        "count": 180,
        "deleted": 174,
        "kept": 6,
        "gone": 0,
    }
    left = scan(dynamodb, tables.sales)
    assert {key for key, _ in left} == {items[n]["PK"]["S"] for n in (0, 91)}
    assert len(left) == 6
    buyers = {item["buyerId"]["S"] for item in left.values() if "buyerId" in item}
    assert {key for key, _ in scan(dynamodb, tables.buyers)} == {f"BUYER#{id}" for id in buyers}


def test_records_are_replaced_by_several_processes_whatever_fails(
    few: SabotagedOperator,
    proxy: FaultyProxy,
    s9: S9Database,
    dynamodb: DynamoDBClient,
    tables: TableNames,
) -> None:
    few.run("--full").ended(0)
    s9.execute("UPDATE msg SET internal_notes = 'changed later' WHERE first_id % 2 = 0")
    s9.execute("DELETE FROM msg_line WHERE msg_id % 4 = 0")
    loaded = scan(dynamodb, tables.sales)
    edited = next(item for (_, sk), item in loaded.items() if sk == "METADATA")
    Application(dynamodb, tables).change("sales", edited, status={"S": "paid"})
    faults = {fault: 0.05 for fault in REASONS if fault not in (hang, take_and_hang)}
    proxy.plan = Plan(faults, seed=6)
    few.configure(load={"onConflict": "overwrite"})
    few.run("--full", "--restart").ended(0)
    few.run("--phase", "verify").ended(0)
    assert few.report("verification")["passed"]
