"""A backup that is taken while the application is at work has each record whole."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from load.backup import segment_reader
from load.backup.engine import back_up, new_name, unfinished
from load.backup.folder import BackupFolder
from tests.support.application.desk import Desk
from tests.support.application.desks import backed_up, desk_with, put
from tests.support.application.parties_and_sales import sale_of
from tests.support.application.sale_module import SaleModule, torn
from tests.support.aws.proxy import Answer, FaultyProxy, Plan, Request
from tests.support.records.transformed import identity
from utils.embedded.aws import EmbeddedAws
from utils.interrupt import Interrupted

pytestmark = pytest.mark.usefixtures("quick")
SALE, OTHER = (f"SALE#{identity('sale', number)}" for number in (1, 2))
SALES = 12


@pytest.fixture
def desk(tmp_path: Path, aws: EmbeddedAws) -> Iterator[Desk]:
    with desk_with(tmp_path, aws, [sale_of(n, lines=3) for n in range(1, SALES + 1)]) as opened:
        opened.create_tables()
        for entity in opened.records:
            put(opened, entity)
        opened.settings(workers=2)
        yield opened


def sales_of(desk: Desk) -> dict[tuple[str, str], Any]:
    return {key: item for key, item in desk.scan().items() if key[0].startswith("SALE#")}


def in_it(folder: BackupFolder) -> dict[tuple[str, str], Any]:
    items = [orjson.loads(line)["Item"] for line in folder.items()]
    found = {(item["PK"]["S"], item["SK"]["S"]): item for item in items}
    assert len(found) == len(items) == folder.entry.items
    return found


@pytest.mark.parametrize("act", ["add_line", "edit_line", "delete_line"])
def test_a_sale_that_is_being_changed_is_in_a_backup_as_it_is_when_that_is_done(
    desk: Desk, application: SaleModule, act: str
) -> None:
    """The line is written, its header is not yet, when the scan comes past them."""
    begun = getattr(application, act)(SALE)
    next(begun)
    next(begun)
    desk.clock.meanwhile = lambda: list(begun)
    folder = backed_up(desk)
    found, there = in_it(folder), desk.scan()
    assert found == {key: item for key, item in there.items() if key[0].startswith("SALE#")}
    parties = {key: item for key, item in there.items() if not key[0].startswith("SALE#")}
    assert not torn(found | parties)
    with folder.keys() as index:
        assert all(index.find(item) is not None for item in found.values())


def test_a_sale_that_never_rests_is_in_a_backup_all_the_same_and_it_is_said(
    desk: Desk, application: SaleModule, caplog: pytest.LogCaptureFixture
) -> None:
    list(application.edit(SALE))
    desk.clock.meanwhile = lambda: list(application.edit(SALE))
    with caplog.at_level(logging.WARNING):
        folder = backed_up(desk)
    assert in_it(folder).keys() == {key for key in desk.scan() if key[0].startswith("SALE#")}
    assert "1 record kept changing" in caplog.text


def test_what_nobody_changes_is_read_once(desk: Desk, aws: EmbeddedAws) -> None:
    with FaultyProxy(aws) as proxy:
        desk.settings(endpoint=proxy.url)
        folder = backed_up(desk)
        assert proxy.requests["Query"] == 0
    assert not desk.clock.slept
    assert len(in_it(folder)) == 4 * SALES


@pytest.mark.parametrize("stop_at", range(2, 12, 3))
def test_records_that_go_over_pages_are_in_a_backup_once_also_after_a_stop(
    desk: Desk,
    application: SaleModule,
    aws: EmbeddedAws,
    monkeypatch: pytest.MonkeyPatch,
    stop_at: int,
) -> None:
    monkeypatch.setattr(segment_reader, "PAGE_ITEMS", 3)
    list(application.add_line(OTHER))
    before = sales_of(desk)
    work, table = desk.session(), desk.table("sales")
    name = new_name(work.config, table)
    scans: list[Request] = []

    def stopping(request: Request) -> Answer | None:
        if request.operation == "Scan":
            scans.append(request)
            if len(scans) == stop_at:
                list(application.add_line(SALE))
                work.stop.request()
        return None

    with FaultyProxy(aws, Plan(always=stopping)) as proxy:
        desk.settings(endpoint=proxy.url)
        work.config = desk.config
        with pytest.raises(Interrupted):
            back_up(work, table, name)
        assert unfinished(desk.config, table) == name
        folder = back_up(desk.session(), table, name)
    found, there = in_it(folder), sales_of(desk)
    assert {key: item for key, item in found.items() if key[0] != SALE} == {
        key: item for key, item in there.items() if key[0] != SALE
    }
    # The scan has come past it before or after: it is as it was, or as it is.
    assert {key: item for key, item in found.items() if key[0] == SALE} in [
        {key: item for key, item in moment.items() if key[0] == SALE} for moment in (before, there)
    ]
