"""A Query whose answer has lost its end, and says nothing of it: nothing is decided by what is left
of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from load.backup.engine import back_up, new_name
from load.restore.engine import restore
from tests.support.application.desk import Desk
from tests.support.application.desks import desk_with
from tests.support.application.parties_and_sales import sale_of
from tests.support.application.sale_module import SaleModule, torn
from tests.support.aws.proxy import Answer, FaultyProxy, Forward, Plan, Request
from tests.support.records.transformed import identity
from utils.config import OVERWRITE
from utils.embedded.aws import EmbeddedAws

pytestmark = pytest.mark.usefixtures("quick")
SALE, OTHER, THIRD = (f"SALE#{identity('sale', number)}" for number in (1, 2, 3))
FIRST = f"BUYER#{identity('buyer', 1)}"


@pytest.fixture
def desk(tmp_path: Path, aws: EmbeddedAws) -> Iterator[Desk]:
    with desk_with(tmp_path, aws, [sale_of(n, lines=3) for n in range(1, 5)]) as opened:
        opened.create_tables()
        opened.settings(workers=2)
        yield opened


def cut(request: Request, forward: Forward) -> Answer:
    """One item, and not a word of there being more."""
    body = {**orjson.loads(request.body), "Limit": 1}
    answer = orjson.loads(forward(orjson.dumps(body)).content)
    answer.pop("LastEvaluatedKey", None)
    return Answer(200, orjson.dumps(answer))


@pytest.fixture
def cutting(aws: EmbeddedAws) -> Iterator[FaultyProxy]:
    with FaultyProxy(aws, Plan({cut: 1.0}, operations=frozenset({"Query"}))) as proxy:
        yield proxy
        assert proxy.counts[cut]


def test_a_rollback_keeps_and_deletes_records_whole(
    desk: Desk, application: SaleModule, cutting: FaultyProxy
) -> None:
    desk.full()
    for _ in application.edit(SALE):
        pass
    for _ in application.attach(OTHER):
        pass
    desk.settings(endpoint=cutting.url)
    rolled = desk.rollback()
    now = desk.scan()
    assert {pk for pk, _ in now if pk.startswith("SALE#")} == {SALE, OTHER}
    assert not application.undone(now)
    assert not torn(now)
    assert rolled.reasons == {"changed": 2, "inUse": 2}


def test_a_party_is_in_use_also_where_the_first_sale_that_is_listed_is_about_to_be_deleted(
    desk: Desk, application: SaleModule, cutting: FaultyProxy
) -> None:
    """In a dry run all sales of the load are still listed, before the application's own."""
    desk.full()
    for _ in application.create_sale(FIRST):
        pass
    desk.settings(endpoint=cutting.url)
    assert desk.foreseen().reasons["inUse"] == 2


def test_a_restore_keeps_and_puts_back_records_whole(
    desk: Desk, application: SaleModule, cutting: FaultyProxy
) -> None:
    desk.full()
    before = desk.scan()
    work, table = desk.session(), desk.table("sales")
    folder = back_up(work, table, new_name(work.config, table))
    for act in (application.edit(SALE), application.add_line(OTHER)):
        for _ in act:
            pass
    desk.settings(endpoint=cutting.url)
    done = restore(desk.session(), folder, table, (), agreed=True)
    assert desk.scan() == before
    assert done.left_records == 0


def test_a_load_replaces_records_whole(
    desk: Desk, application: SaleModule, cutting: FaultyProxy
) -> None:
    desk.full()
    desk.records["sales"] = [sale_of(n, lines=2) for n in range(1, 5)]
    for _ in application.add_line(THIRD):
        pass
    desk.settings(endpoint=cutting.url, on_conflict=OVERWRITE)
    desk.full()
    now = desk.scan()
    assert not torn(now)
    assert not application.undone(now)
    assert len([key for key in now if key[0] == SALE]) == 3
