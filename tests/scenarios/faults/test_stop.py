"""Ctrl-C and SIGTERM: the first finishes what is in flight, the second leaves at once."""

from __future__ import annotations

import re
import signal
import threading
import time

from mypy_boto3_dynamodb import DynamoDBClient

from tests.conftest import S9Database, TableNames
from tests.scenarios.conftest import DONE_TABLES
from tests.support.aws.proxy import Answer, FaultyProxy, Forward, Plan, Request
from tests.support.faults.sabotage import PHASES, Result, SabotagedOperator
from tests.support.operators.operator import TIMEOUT, Operator, scan
from tests.support.s9.many_sales import many_sales
from utils.embedded.aws import EmbeddedAws


def test_stopped_in_every_phase_it_says_where_and_goes_on_to_the_same_result(
    operator: Operator, finished: Operator, dynamodb: DynamoDBClient, tables: TableNames
) -> None:
    operator.configure(migration={"batchSize": 5, "workers": 2}, checkpoint={"interval": 10})
    tool = SabotagedOperator.like(operator, pace=0.005)
    command = "--full"
    for number, phase in enumerate(PHASES):
        what = "before request" if phase == "verify" else "step"
        with tool.held(command, phase=phase, entity="sales", what=what, after=5) as running:
            running.process.send_signal((signal.SIGINT, signal.SIGTERM)[number % 2])
            tool.let_go()
            outcome = running.end()
        outcome.failed(130, "interrupted by the operator", "--resume")
        assert "Stopping: finishing what is in flight" in outcome.stderr
        where = re.search(r"Error: run \w{8} stopped (?:in )?(.*)", outcome.stderr)
        assert where, outcome.stderr
        unit = {"extract": "records", "transform": "records", "validate": "records"}
        if phase == "verify":
            assert where[1].startswith("after load of sales:")
        else:
            counted = rf"{phase}, sales, [1-9][0-9,]* of [0-9,]+ {unit.get(phase, 'items')}: "
            assert re.match(counted, where[1]), where[1]
        command = "--resume"
    tool.plan = {}
    resumed = tool.run("--resume").ended(5)
    assert "interrupted by the operator" in resumed.stderr
    assert Result.of(tool, dynamodb, tables) == Result.of(finished, dynamodb, DONE_TABLES)


def test_a_second_ctrl_c_leaves_at_once_and_the_run_can_be_resumed(
    alone: Operator, s9: S9Database, aws: EmbeddedAws, dynamodb: DynamoDBClient, tables: TableNames
) -> None:
    many_sales(s9, 100)
    over = threading.Event()

    def silent(request: Request, forward: Forward) -> Answer | None:
        over.wait(TIMEOUT)
        return None

    with FaultyProxy(aws, Plan({silent: 1.0})) as proxy:
        alone.configure(target={"endpoint": proxy.url})
        with alone.start("--full") as running:
            running.wait_for(lambda: proxy.requests["BatchWriteItem"])
            running.interrupt()
            time.sleep(0.5)
            assert running.process.poll() is None, "it has not waited for what is in flight"
            running.interrupt()
            outcome = running.end(TIMEOUT / 2)
            over.set()
        assert outcome.code == 130
        assert "again to leave at once" in outcome.stderr
        proxy.plan = Plan()
        alone.run("--resume").ended(0)
    assert len(scan(dynamodb, tables.sales)) == 300
