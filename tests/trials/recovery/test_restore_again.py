"""A restore looks again: what the application had read before, and writes to afterwards, is neither
lost nor left in pieces; and a party that a sale names stays."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from mypy_boto3_dynamodb import DynamoDBClient

from load.backup.folder import BackupFolder
from load.restore import engine as restoring
from load.restore.engine import Restored, restore
from tests.conftest import S9Database, TableNames
from tests.support.application.desk import Desk
from tests.support.application.desks import backed_up, desk_with, put
from tests.support.application.parties_and_sales import sale_of
from tests.support.application.sale_module import SaleModule, torn
from tests.support.operators.operator import Operator, scan, small_trade
from tests.support.records.transformed import identity
from utils.embedded.aws import EmbeddedAws
from utils.error_handler import ConfigurationError

pytestmark = pytest.mark.usefixtures("quick")
SALE, OTHER = (f"SALE#{identity('sale', number)}" for number in (1, 2))
BUYER, SECOND = (f"BUYER#{identity('buyer', number)}" for number in (1, 2))
Acts = Callable[[], object]


@pytest.fixture
def afterwards(monkeypatch: pytest.MonkeyPatch) -> list[Acts]:
    """What happens when a restore has written, before it looks again."""
    acts: list[Acts] = []
    original = restoring._look_again

    def look_again(*arguments: Any) -> None:
        for act in acts:
            act()
        original(*arguments)

    monkeypatch.setattr(restoring, "_look_again", look_again)
    return acts


@pytest.fixture
def desk(tmp_path: Path, aws: EmbeddedAws) -> Iterator[Desk]:
    """Two sales of three lines each, one of each buyer; a backup of each table is taken by
    `backed_up`."""
    with desk_with(tmp_path, aws, [sale_of(n, buyer=n, lines=3) for n in (1, 2)]) as opened:
        opened.create_tables()
        for entity in opened.records:
            put(opened, entity)
        opened.settings(workers=1)
        yield opened


def take_away(desk: Desk, pk: str, *sks: str) -> None:
    """Delete items of a record, all if none are named."""
    entity = {"SALE": "sales", "BUYER": "buyers"}[pk.partition("#")[0]]
    for key in [key for key in desk.scan() if key[0] == pk and (not sks or key[1] in sks)]:
        named = {"PK": {"S": key[0]}, "SK": {"S": key[1]}}
        desk.client.delete_item(TableName=desk.table(entity), Key=named)


def put_back(desk: Desk, folder: BackupFolder, entity: str = "sales") -> Restored:
    return restore(desk.session(), folder, desk.table(entity), (), agreed=True)


def does(act: Any) -> None:
    for _ in act:
        pass


ACTS = ["edit", "add_line", "edit_line", "delete_line", "delete_sale", "confirm", "attach"]


@pytest.mark.parametrize("act", ACTS)
def test_a_sale_that_was_read_and_then_taken_away_is_whole_when_it_is_written_to(
    desk: Desk, application: SaleModule, act: str, afterwards: list[Acts]
) -> None:
    take_away(desk, SALE)
    folder = backed_up(desk)
    put(desk, "sales")
    before = desk.scan()
    begun = getattr(application, act)(SALE)
    next(begun)
    afterwards.append(lambda: does(begun))
    done = put_back(desk, folder)
    now = desk.scan()
    assert application.acts
    assert not application.undone(now)
    assert not torn(now)
    assert before.keys() <= now.keys()
    assert (done.left_records, done.deleted) == (1, 0)
    assert done.left.count == len([key for key in now if key[0] == SALE])


@pytest.mark.parametrize("act", ["edit_line", "delete_line", "add_line", "confirm"])
@pytest.mark.parametrize("chance", range(3))
def test_a_sale_that_was_read_with_a_line_that_is_then_taken_away_adds_up_when_it_is_written_to(
    desk: Desk, application: SaleModule, act: str, chance: int, afterwards: list[Acts]
) -> None:
    """Whether the line is the one that is written to or another."""
    application.chance.seed(chance)
    folder = backed_up(desk)
    does(application.add_line(SALE))
    does(application.edit(OTHER))
    application.done.clear()
    begun = getattr(application, act)(SALE)
    next(begun)
    afterwards.append(lambda: does(begun))
    done = put_back(desk, folder)
    now = desk.scan()
    assert not application.undone(now)
    assert not torn(now)
    assert (done.left_records, done.deleted) == (1, 0)


def test_what_is_read_and_written_after_a_restore_stays_upon_it(
    desk: Desk, application: SaleModule, afterwards: list[Acts]
) -> None:
    before, folder = desk.scan(), backed_up(desk)
    does(application.add_line(SALE))
    application.done.clear()
    afterwards.append(lambda: does(application.edit(SALE)))
    done = put_back(desk, folder)
    now = desk.scan()
    assert now.keys() == before.keys()
    assert not torn(now)
    assert not application.undone(now)
    assert (done.left.count, done.deleted, done.replaced) == (1, 1, 1)


def test_a_party_that_was_read_and_then_taken_away_is_whole_when_it_is_written_to(
    desk: Desk, application: SaleModule, afterwards: list[Acts]
) -> None:
    take_away(desk, OTHER)
    take_away(desk, SECOND)
    folder = backed_up(desk, "buyers")
    put(desk, "buyers")
    before = desk.scan()
    name = before[SECOND, "METADATA"]["companyName"]
    item = {"PK": {"S": SECOND}, "SK": {"S": "METADATA"}}
    afterwards.append(lambda: application._update("buyers", item, notes={"S": "edited"}))
    done = put_back(desk, folder, "buyers")
    now = desk.scan()
    assert now[SECOND, "METADATA"]["companyName"] == name
    assert not application.undone(now)
    assert (done.left_records, done.deleted, done.in_use) == (1, 0, {})


def test_a_party_that_a_sale_names_is_not_taken_away(desk: Desk, application: SaleModule) -> None:
    """The backup has neither buyer; one of them is named by a sale of the application's own."""
    take_away(desk, BUYER)
    take_away(desk, SECOND)
    folder = backed_up(desk, "buyers")
    put(desk, "buyers")
    for pk in (SALE, OTHER):
        take_away(desk, pk)
    does(application.create_sale(BUYER))
    (sale,) = {pk for pk, _ in desk.scan() if pk.startswith("SALE#")}
    with pytest.raises(ConfigurationError, match="but for parties that a sale names: they stay"):
        restore(desk.session(), folder, desk.table("buyers"), (), agreed=False)
    done = put_back(desk, folder, "buyers")
    now = desk.scan()
    assert (BUYER, "METADATA") in now
    assert (SECOND, "METADATA") not in now
    assert not torn(now)
    assert done.in_use == {BUYER: sale}
    assert (done.left_records, done.left.count, done.deleted) == (1, 1, 1)


def test_a_party_for_which_a_sale_is_made_after_it_was_taken_away_comes_back(
    desk: Desk, application: SaleModule, afterwards: list[Acts]
) -> None:
    take_away(desk, OTHER)
    take_away(desk, SECOND)
    folder = backed_up(desk, "buyers")
    put(desk, "buyers")
    before = desk.scan()
    begun = application.create_sale(SECOND)
    next(begun)
    afterwards.append(lambda: does(begun))
    done = put_back(desk, folder, "buyers")
    now = desk.scan()
    assert now[SECOND, "METADATA"] == before[SECOND, "METADATA"]
    assert not torn(now)
    assert list(done.in_use) == [SECOND]
    assert (done.left_records, done.deleted) == (1, 0)


def test_parties_that_are_nowhere_though_restored_sales_name_them_are_told(desk: Desk) -> None:
    folder = backed_up(desk)
    take_away(desk, OTHER)
    take_away(desk, SECOND)
    done = put_back(desk, folder)
    assert done.nowhere == {SECOND: OTHER}
    assert put_back(desk, folder).nowhere == {}  # nothing was put back


def test_without_a_table_of_sales_no_party_is_in_use(desk: Desk, application: SaleModule) -> None:
    take_away(desk, SECOND)
    folder = backed_up(desk, "buyers")
    put(desk, "buyers")
    desk.client.delete_table(TableName=desk.table("sales"))
    done = put_back(desk, folder, "buyers")
    assert (done.left_records, done.deleted) == (0, 1)
    desk.create_tables()


def test_the_last_line_names_the_parties_that_a_sale_names(
    alone: Operator, s9: S9Database, dynamodb: DynamoDBClient, tables: TableNames
) -> None:
    small_trade(s9)
    alone.run("--full").ended(0)
    buyers = scan(dynamodb, tables.buyers).values()
    for item in buyers:
        key = {name: item[name] for name in ("PK", "SK")}
        dynamodb.delete_item(TableName=tables.buyers, Key=key)
    alone.run("backup", "--table", tables.buyers).ended(0)
    for item in buyers:
        dynamodb.put_item(TableName=tables.buyers, Item=item)
    name = max(path.name for path in (alone.data / "backups").glob(f"{tables.buyers}-*"))
    done = alone.run("restore", name, "--yes").ended(5)
    assert done.closing == "restored-but"
    assert "except for 2 parties that a sale names" in done.last_line
    assert "In use: BUYER#" in done.stdout
    assert "restore them first" in done.stdout
