"""A restore over a table in use changes what was there when it looked: what the application does
between that and the restore's writes stays, and is told."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from mypy_boto3_dynamodb import DynamoDBClient

from load.backup.folder import BackupFolder
from load.restore import shared_work
from load.restore.engine import Restored, restore
from load.restore.records import Restoring
from tests.conftest import S9Database, TableNames
from tests.support.application.desk import Desk
from tests.support.application.desks import backed_up, desk_with, does, put
from tests.support.application.parties_and_sales import sale_of
from tests.support.application.sale_module import SaleModule, torn
from tests.support.aws.proxy import Answer, FaultyProxy, Plan, Request
from tests.support.operators.operator import Operator, scan, small_trade
from tests.support.records.transformed import identity
from utils.embedded.aws import EmbeddedAws
from utils.error_handler import ConfigurationError
from utils.interrupt import Interrupted

pytestmark = pytest.mark.usefixtures("quick")
SALES = 6
SALE, OTHER, THIRD = (f"SALE#{identity('sale', number)}" for number in (1, 2, 3))
WRITES = ("TransactWriteItems", "PutItem", "DeleteItem", "BatchWriteItem")
Acts = Callable[[], object]


@pytest.fixture
def desk(tmp_path: Path, aws: EmbeddedAws) -> Iterator[Desk]:
    """The tables with six sales of two lines each."""
    with desk_with(tmp_path, aws, [sale_of(n, lines=2) for n in range(1, SALES + 1)]) as opened:
        opened.create_tables()
        for entity in opened.records:
            put(opened, entity)
        opened.settings(workers=1)
        yield opened


def put_back(desk: Desk, folder: BackupFolder) -> Restored:
    return restore(desk.session(), folder, desk.table("sales"), (), agreed=True)


def edit_all(desk: Desk) -> None:
    """Every header gets a note, and every sale a line that belongs to it."""
    for (pk, sk), item in desk.scan().items():
        if pk.startswith("SALE#") and sk == "METADATA":
            edited = {**item, "notes": {"S": "before the restore"}}
            desk.client.put_item(TableName=desk.table("sales"), Item=edited)
            attached = {"PK": item["PK"], "SK": {"S": "ATTACHMENT#1"}}
            desk.client.put_item(TableName=desk.table("sales"), Item=attached)


@contextmanager
def meanwhile(
    desk: Desk, aws: EmbeddedAws, act: Acts, *, operation: tuple[str, ...] = WRITES
) -> Iterator[None]:
    """Something happens as the first request of a kind arrives."""
    done: list[int] = []

    def decide(request: Request) -> Answer | None:
        if request.operation in operation and not done:
            done.append(1)
            act()
        return None

    with FaultyProxy(aws, Plan(always=decide)) as proxy:
        desk.settings(endpoint=proxy.url)
        yield
        desk.settings(endpoint=aws.endpoint_url)
    assert done


ACTS = ["edit", "add_line", "delete_line", "attach"]


@pytest.mark.parametrize("act", ACTS)
def test_what_the_application_does_before_the_writes_keeps_its_record_whole(
    desk: Desk, application: SaleModule, aws: EmbeddedAws, act: str
) -> None:
    before, folder = desk.scan(), backed_up(desk)
    edit_all(desk)
    edited = desk.scan()
    acted: dict[Any, Any] = {}

    def acts() -> None:
        for pk in (SALE, OTHER, THIRD):
            does(getattr(application, act)(pk))
        acted.update(desk.scan())

    # Whatever is only added is seen by those who look, and takes nothing from what is written.
    operation = ("Query",) if act == "attach" else WRITES
    with meanwhile(desk, aws, acts, operation=operation):
        done = put_back(desk, folder)
    now = desk.scan()
    assert not application.undone(now)
    assert not torn(now)
    worked_on = {SALE, OTHER, THIRD}
    assert {key: item for key, item in now.items() if key[0] not in worked_on} == {
        key: item for key, item in before.items() if key[0] not in worked_on
    }
    assert {key: item for key, item in now.items() if key[0] in worked_on} == {
        key: item for key, item in acted.items() if key[0] in worked_on
    }
    assert edited != before
    assert done.left_records == 3
    assert (done.replaced, done.deleted) == (SALES - 3, SALES - 3)
    differing = {key for key in now.keys() | before.keys() if now.get(key) != before.get(key)}
    assert done.left.count == len(differing)


def test_a_sale_that_is_created_meanwhile_stays(
    desk: Desk, application: SaleModule, aws: EmbeddedAws
) -> None:
    before, folder = desk.scan(), backed_up(desk)
    edit_all(desk)
    with meanwhile(desk, aws, lambda: does(application.create_sale())):
        done = put_back(desk, folder)
    now = desk.scan()
    assert not application.undone(now)
    assert (done.left_records, done.left.count, done.replaced) == (1, 2, SALES)
    assert {key: now.get(key) for key in before} == before


@pytest.mark.parametrize("operation", ["DescribeTimeToLive", "Query"])
def test_what_happens_while_the_restore_makes_its_backup_is_not_what_was_agreed_to(
    desk: Desk, application: SaleModule, aws: EmbeddedAws, operation: str
) -> None:
    folder = backed_up(desk)
    edit_all(desk)
    with meanwhile(desk, aws, lambda: does(application.edit(SALE)), operation=(operation,)):
        done = put_back(desk, folder)
    assert not application.undone(desk.scan())
    assert (done.left_records, done.left.count) == (1, 2)  # the header, and what hangs on it


def test_what_was_lost_and_comes_again_meanwhile_is_not_overwritten(
    desk: Desk, aws: EmbeddedAws
) -> None:
    """An item that is to be added is added where there is still none."""
    before, folder = desk.scan(), backed_up(desk)
    keys = [key for key in before if key[0] == SALE]
    table = desk.table("sales")
    for pk, sk in keys:
        desk.client.delete_item(TableName=table, Key={"PK": {"S": pk}, "SK": {"S": sk}})
    again = {**before[SALE, "METADATA"], "notes": {"S": "entered once more"}}
    with meanwhile(desk, aws, lambda: desk.client.put_item(TableName=table, Item=again)):
        done = put_back(desk, folder)
    assert {key: item for key, item in desk.scan().items() if key[0] == SALE} == {
        (SALE, "METADATA"): again
    }
    assert (done.added, done.left_records) == (0, 1)


def test_what_a_restore_that_was_cut_short_has_written_is_not_the_application_s(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, folder = desk.scan(), backed_up(desk)
    edit_all(desk)
    work, table = desk.session(), desk.table("sales")
    original, seen = Restoring.restore, []

    def stopping(self: Any, parts: Any) -> Any:
        seen.append(parts)
        if len(seen) == SALES // 2:
            work.stop.request()
        return original(self, parts)

    with monkeypatch.context() as patch:
        patch.setattr(shared_work, "TOGETHER", 1)
        patch.setattr(Restoring, "restore", stopping)
        with pytest.raises(Interrupted):
            restore(work, folder, table, (), agreed=True)
    assert desk.scan() != before
    with pytest.raises(ConfigurationError, match="replace"):
        restore(desk.session(), folder, table, (), agreed=False)
    done = put_back(desk, folder)
    assert desk.scan() == before
    assert done.left.count == 0
    assert 0 < done.replaced < SALES


def test_an_answer_that_is_lost_is_not_the_application_s(desk: Desk, aws: EmbeddedAws) -> None:
    before, folder = desk.scan(), backed_up(desk)
    edit_all(desk)

    def lost(request: Request, forward: Callable[[bytes], Answer]) -> Answer | None:
        forward(request.body)
        return None

    plan = Plan({lost: 1.0}, most=1, operations=frozenset({"TransactWriteItems"}))
    with FaultyProxy(aws, plan) as proxy:
        desk.settings(endpoint=proxy.url)
        done = put_back(desk, folder)
        assert proxy.counts.total()
    assert desk.scan() == before
    assert (done.left.count, done.replaced, done.deleted) == (0, SALES, SALES)


def test_a_record_with_more_changes_than_a_transaction_takes_is_put_back(
    desk: Desk, application: SaleModule, aws: EmbeddedAws
) -> None:
    table, lines = desk.table("sales"), 130
    header = desk.scan()[SALE, "METADATA"]
    for number in range(lines):
        item = {"PK": header["PK"], "SK": {"S": f"NOTE#{number}"}, "text": {"S": "first"}}
        desk.client.put_item(TableName=table, Item=item)
    before, folder = desk.scan(), backed_up(desk)
    for number in range(lines):
        item = {"PK": header["PK"], "SK": {"S": f"NOTE#{number}"}, "text": {"S": "second"}}
        desk.client.put_item(TableName=table, Item=item)
    with meanwhile(desk, aws, lambda: does(application.edit(OTHER))):
        done = put_back(desk, folder)
    now = desk.scan()
    assert {key: now[key] for key in now if key[0] != OTHER} == {
        key: before[key] for key in before if key[0] != OTHER
    }
    assert (done.replaced, done.left_records) == (lines, 1)


def test_the_last_line_says_what_stays(
    alone: Operator,
    s9: S9Database,
    dynamodb: DynamoDBClient,
    tables: TableNames,
    aws: EmbeddedAws,
) -> None:
    small_trade(s9)
    alone.run("--full").ended(0)
    alone.run("backup").ended(0)
    name = max(path.name for path in (alone.data / "backups").glob(f"{tables.sales}-*"))
    edited = _edit(dynamodb, tables.sales, "before the restore")
    meanwhile: list[Any] = []

    def decide(request: Request) -> Answer | None:
        if request.operation == "TransactWriteItems" and not meanwhile:
            meanwhile.extend(_edit(dynamodb, tables.sales, "while it was at work", most=1))
        return None

    with FaultyProxy(aws, Plan(always=decide)) as proxy:
        alone.configure(target={"endpoint": proxy.url})
        done = alone.run("restore", name, "--yes").ended(5)
        alone.configure(target={"endpoint": aws.endpoint_url})
    assert done.closing == "restored-but"
    assert "except for 1 record that the application has changed in the meantime" in done.last_line
    assert done.last_line.endswith(f"restore {name}")
    key = meanwhile[0]["PK"]["S"], meanwhile[0]["SK"]["S"]
    assert f"As the application has them: {' '.join(key)}" in done.stdout
    there = scan(dynamodb, tables.sales)
    assert there[key]["notes"] == {"S": "while it was at work"}
    assert len(edited) > 1
    alone.run("restore", name).failed(2, "replace 1 item")
    assert alone.run("restore", name, "--yes").ended(0).closing == "restored"


def _edit(
    client: DynamoDBClient, table: str, words: str, *, most: int | None = None
) -> list[dict[str, Any]]:
    """Give sales a note; returns them."""
    items = scan(client, table)
    headers = [items[key] for key in sorted(items) if key[1] == "METADATA"][:most]
    for item in headers:
        client.put_item(TableName=table, Item={**item, "notes": {"S": words}})
    return headers
