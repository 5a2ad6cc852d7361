"""What a load keeps because the application was faster is listed like what its survey has found."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from load.conflicts.report import entries_of
from tests.support.application.desk import Desk
from tests.support.application.desks import desk_with, does
from tests.support.application.parties_and_sales import sale_of
from tests.support.application.sale_module import SaleModule
from tests.support.aws.proxy import Answer, FaultyProxy, Plan, Request, error
from tests.support.records.transformed import identity
from utils.embedded.aws import EmbeddedAws
from utils.files.line_marks import KEPT_MARKS, LineMarks

pytestmark = pytest.mark.usefixtures("quick")
SALES = 4
SALE, *OTHERS = (f"SALE#{identity('sale', number)}" for number in range(1, SALES + 1))


@pytest.fixture
def desk(tmp_path: Path, aws: EmbeddedAws) -> Iterator[Desk]:
    with desk_with(tmp_path, aws, [sale_of(n, lines=2) for n in range(1, SALES + 1)]) as opened:
        yield opened


def listed(desk: Desk) -> dict[str, set[tuple[str, str]]]:
    """What the report says of each record: kind and decision of its entries."""
    report = orjson.loads(desk.workspace.report("conflicts").read_bytes())
    assert report["count"] == len(report["conflicts"])
    keys = [(each["PK"], each["SK"]) for each in report["conflicts"]]
    assert len(keys) == len(set(keys)), "nothing is listed twice"
    found: dict[str, set[tuple[str, str]]] = {}
    for each in report["conflicts"]:
        found.setdefault(each["PK"], set()).add((each["kind"], each["decision"]))
    return found


def kept(desk: Desk) -> set[tuple[str, str]]:
    """What the plan of the sales' load has kept, by key."""
    with LineMarks(desk.workspace.plan("sales")) as plan:
        lines = list(plan.lines_of(desk.workspace.transformed("sales")))
    items = [orjson.loads(line)["Item"] for _, line, mark in lines if mark in KEPT_MARKS]
    return {(item["PK"]["S"], item["SK"]["S"]) for item in items}


def changed_in_s9(desk: Desk) -> None:
    """Each sale has other notes; the first one has lost a line, and got another."""
    for header, *_ in desk.records["sales"]:
        header["notes"] = {"S": "changed in S9"}
    first = desk.records["sales"][0]
    first[2] = sale_of(9, lines=2)[2] | {"PK": first[0]["PK"], "saleId": first[0]["saleId"]}


@pytest.mark.parametrize("act", ["edit", "add_line"])
def test_a_record_that_is_kept_when_it_is_to_be_replaced_is_listed_as_kept(
    desk: Desk, application: SaleModule, aws: EmbeddedAws, act: str
) -> None:
    desk.full()
    changed_in_s9(desk)
    acted: list[Any] = []

    def meanwhile(request: Request) -> Answer | None:
        writes = request.operation in ("PutItem", "TransactWriteItems")
        if writes and SALE.encode() in request.body and not acted:
            acted.append(act)
            does(getattr(application, act)(SALE))
        return None

    with FaultyProxy(aws, Plan(always=meanwhile)) as proxy:
        desk.settings(endpoint=proxy.url, on_conflict="overwrite")
        desk.full()
    assert acted
    of = listed(desk)
    assert {pk for pk, _ in kept(desk)} == {SALE}
    assert of[SALE] >= {("differs", "keep"), ("absent", "keep")}
    assert {decision for _, decision in of[SALE]} == {"keep"}
    assert [of[pk] for pk in OTHERS] == [{("differs", "replace")}] * (SALES - 1)


def test_of_records_that_share_a_transaction_only_the_one_that_was_changed_is_kept(
    desk: Desk, application: SaleModule, aws: EmbeddedAws
) -> None:
    desk.full()
    for record in desk.records["sales"]:
        for item in record[:2]:
            item["notes"] = {"S": "changed in S9"}
    sent: list[bytes] = []

    def meanwhile(request: Request) -> Answer | None:
        if request.operation == "TransactWriteItems":
            sent.append(request.body)
            if len(sent) == 1:
                does(application.edit(SALE))
        return None

    with FaultyProxy(aws, Plan(always=meanwhile)) as proxy:
        desk.settings(endpoint=proxy.url, on_conflict="overwrite")
        desk.full()
    assert all(pk.encode() in sent[0] for pk in (SALE, *OTHERS)), "they share one"
    there = desk.scan()
    for record in desk.records["sales"][1:]:
        assert all(there[item["PK"]["S"], item["SK"]["S"]] == item for item in record)
    assert {pk for pk, _ in kept(desk)} == {SALE}
    assert there[SALE, "METADATA"]["notes"] != {"S": "changed in S9"}


def test_what_the_application_changes_between_a_kill_and_the_way_on_is_listed(
    desk: Desk, aws: EmbeddedAws
) -> None:
    """The tables were empty: the survey had nothing to list."""
    taken: list[Request] = []

    def lost(request: Request) -> Answer | None:
        if SALE.encode() not in request.body:
            return None
        if request.operation == "BatchWriteItem" and not taken:
            taken.append(request)
        if request.operation in ("BatchWriteItem", "PutItem"):
            return error("InternalServerError", "the answer is lost", 500)
        return None

    with FaultyProxy(aws, Plan(always=lost)) as proxy:
        desk.settings(endpoint=proxy.url)
        desk.killed(lambda: bool(taken))
        proxy.plan = Plan()
        desk.arrives(taken)
        key = next(key for key in desk.scan() if key[0] == SALE)
        desk.client.update_item(
            TableName=desk.table("sales"),
            Key={"PK": {"S": key[0]}, "SK": {"S": key[1]}},
            UpdateExpression="SET notes = :n",
            ExpressionAttributeValues={":n": {"S": "by hand"}},
        )
        desk.resume()
    assert kept(desk) == {key}
    assert listed(desk) == {SALE: {("differs", "keep")}}
    report = orjson.loads(desk.workspace.report("conflicts").read_bytes())
    assert report["conflicts"][0]["attributes"] == ["notes"]


@pytest.mark.parametrize(
    "edited",
    [b"", b"{", b"{}\n[],\n", b'{}\n{"entity":1}\n', b"{}\n{},\n", b"{}\n\xff\n", b"\n\n\n"],
)
def test_of_a_report_that_somebody_has_edited_nothing_more_is_read(
    tmp_path: Path, edited: bytes
) -> None:
    path = tmp_path / "report.json"
    assert not list(entries_of(path))
    path.write_bytes(edited)
    assert not list(entries_of(path))
