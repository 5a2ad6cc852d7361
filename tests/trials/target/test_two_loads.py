"""Two loads at once into one target: one of them is refused, none overwrites (trial A11)."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from mypy_boto3_dynamodb import DynamoDBClient

from load.target import writer_mark
from load.target.writer_mark import Holder, marked
from tests.conftest import S9Database, TableNames
from tests.support.aws.proxy import Answer, FaultyProxy, Plan, Request
from tests.support.faults.sabotage import SabotagedOperator
from tests.support.operators.operator import Operator, scan_all, small_trade
from utils.config import Config, MigrationConfig, TargetConfig
from utils.dynamodb.table_spec import MARK_KEY
from utils.embedded.aws import EmbeddedAws
from utils.error_handler import TargetError
from utils.files.workspace import Workspace
from utils.interrupt import StopFlag
from utils.run.session import AtWork
from utils.telemetry.tasks import Tasks


def test_a_second_load_into_a_target_is_refused_and_names_the_first(
    alone: Operator,
    s9: S9Database,
    aws: EmbeddedAws,
    dynamodb: DynamoDBClient,
    tables: TableNames,
) -> None:
    """The first is held up in its first batch while the second begins."""
    small_trade(s9)
    held, go_on = threading.Event(), threading.Event()

    def hold(request: Request) -> Answer | None:
        if request.operation == "BatchWriteItem" and not held.is_set():
            held.set()
            go_on.wait(120)
        return None

    with FaultyProxy(aws, Plan(always=hold)) as proxy:
        alone.configure(target={"endpoint": proxy.url})
        with alone.start("--full") as first:
            first.wait_for(held.is_set)
            marks = [sk for _, sk in scan_all(dynamodb, tables)["sales"]]
            assert marks == ["LOCK"]
            before = list(map(set, scan_all(dynamodb, tables).values()))
            run_id = alone.manifest()["run_id"]
            alone.configure(target={"endpoint": aws.endpoint_url}, data={"directory": "data-2"})
            refused = alone.run("--full").failed(1, run_id, "a load", "since", "--resume")
            assert "nothing was written" in refused.output
            assert list(map(set, scan_all(dynamodb, tables).values())) == before
            go_on.set()
            first.end().ended(0)
    alone.run("--resume").ended(0)
    assert sum(len(items) for items in scan_all(dynamodb, tables).values()) == 8


def test_a_run_that_was_killed_goes_on_at_once_and_leaves_no_mark(
    alone: Operator, s9: S9Database, dynamodb: DynamoDBClient, tables: TableNames
) -> None:
    small_trade(s9)
    tool = SabotagedOperator.like(alone)
    tool.killed("--full", phase="load", entity="sales", what="after request", after=1)
    assert ("MIGRATION#LOCK", "LOCK") in scan_all(dynamodb, tables)["sales"]
    alone.run("--resume").ended(0)
    for items in scan_all(dynamodb, tables).values():
        assert ("MIGRATION#LOCK", "LOCK") not in items


class Clock:
    """Time that passes when somebody sleeps; then `meanwhile` happens."""

    def __init__(self) -> None:
        self.now = 0.0
        self.meanwhile: Any = lambda: None

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.meanwhile()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    watch = writer_mark._watch
    monkeypatch.setattr(
        writer_mark,
        "_watch",
        lambda found, look, sleep: watch(found, look, sleep, lambda: clock.now),
    )
    return clock


@pytest.fixture
def table(dynamodb: DynamoDBClient, tables: TableNames) -> Iterator[str]:
    dynamodb.create_table(
        TableName=tables.sales,
        KeySchema=[
            {"AttributeName": "PK", "KeyType": "HASH"},
            {"AttributeName": "SK", "KeyType": "RANGE"},
        ],
        AttributeDefinitions=[
            {"AttributeName": "PK", "AttributeType": "S"},
            {"AttributeName": "SK", "AttributeType": "S"},
        ],
        BillingMode="PAY_PER_REQUEST",
    )
    yield tables.sales


def desk(root: Path, aws: EmbeddedAws, clock: Clock) -> AtWork:
    """Somebody with a data directory of his own."""
    files = Workspace(root)
    files.prepare()
    stop = StopFlag()
    stop.sleep = clock.sleep  # type: ignore[method-assign]
    target = TargetConfig(use_local_stack=True, endpoint=aws.endpoint_url)
    config = SimpleNamespace(target=target, migration=MigrationConfig())
    parts = {"config": cast(Config, config), "workspace": files, "stop": stop}
    return cast(AtWork, SimpleNamespace(**parts, progress=Tasks()))


def leave_mark(dynamodb: DynamoDBClient, table: str, work: AtWork, renewed: str) -> None:
    """What somebody who was killed has left, renewed at a time of his clock."""
    mark = {**Holder.of(work, "a load").item(3), "renewed": {"S": renewed}}
    dynamodb.put_item(TableName=table, Item=mark)


@pytest.mark.parametrize("renewed", ["2001-01-01T00:00:00Z", "2099-01-01T00:00:00Z"])
def test_the_mark_of_one_who_was_killed_is_taken_over_whatever_the_clocks_say(
    tmp_path: Path,
    aws: EmbeddedAws,
    dynamodb: DynamoDBClient,
    table: str,
    clock: Clock,
    renewed: str,
) -> None:
    leave_mark(dynamodb, table, desk(tmp_path / "a", aws, clock), renewed)
    mine = desk(tmp_path / "b", aws, clock)
    with marked(mine, [table], "a load"):
        assert clock.now >= writer_mark.LEASE
        found = dynamodb.get_item(TableName=table, Key=MARK_KEY)["Item"]
        assert found["owner"]["S"] == Holder.of(mine, "").owner
    assert "Item" not in dynamodb.get_item(TableName=table, Key=MARK_KEY)


def test_one_who_renews_his_mark_keeps_it_however_wrong_his_clock_is(
    tmp_path: Path, aws: EmbeddedAws, dynamodb: DynamoDBClient, table: str, clock: Clock
) -> None:
    theirs = desk(tmp_path / "a", aws, clock)
    leave_mark(dynamodb, table, theirs, "2001-01-01T00:00:00Z")

    def renew() -> None:
        mark = {**Holder.of(theirs, "a load").item(4), "renewed": {"S": "2001-01-01T00:00:15Z"}}
        dynamodb.put_item(TableName=table, Item=mark)

    clock.meanwhile = renew
    mine = desk(tmp_path / "b", aws, clock)
    with pytest.raises(TargetError, match="somebody else"), marked(mine, [table], "a load"):
        pass
    assert dynamodb.get_item(TableName=table, Key=MARK_KEY)["Item"]["renewals"]["N"] == "4"


def test_a_run_whose_mark_was_taken_over_stops(
    tmp_path: Path,
    aws: EmbeddedAws,
    dynamodb: DynamoDBClient,
    table: str,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It was asleep for longer than its mark lasts."""
    monkeypatch.setattr(writer_mark, "RENEWED_EVERY", 0.01)
    mine, theirs = desk(tmp_path / "a", aws, clock), desk(tmp_path / "b", aws, clock)
    stopped = threading.Event()
    monkeypatch.setattr(mine.stop, "request", stopped.set)
    with pytest.raises(TargetError, match="taken over"), marked(mine, [table], "a load"):
        leave_mark(dynamodb, table, theirs, "2001-01-01T00:00:00Z")
        assert stopped.wait(30)
    found = dynamodb.get_item(TableName=table, Key=MARK_KEY)["Item"]
    assert found["owner"]["S"] == Holder.of(theirs, "").owner
