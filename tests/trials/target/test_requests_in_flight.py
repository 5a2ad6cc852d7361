"""What is on its way: requests whose answer is lost, sales whose lines are not all there yet."""

from __future__ import annotations

from collections import Counter
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mypy_boto3_dynamodb import DynamoDBClient

from load.writing.batches import wholes
from tests.conftest import S9Database, TableNames
from tests.support.application.application import Application
from tests.support.aws.proxy import Answer, FaultyProxy, Forward, Plan, Request, server_error
from tests.support.operators.operator import Operator, insert, line, party, sale
from utils.embedded.aws import EmbeddedAws
from utils.files.artifacts import starts_record


@pytest.fixture
def application(dynamodb: DynamoDBClient, tables: TableNames) -> Application:
    return Application(dynamodb, tables)


@pytest.fixture
def trade(alone: Operator, s9: S9Database) -> Operator:
    """Thirty sales of one to four lines, a buyer and a producer."""
    insert(s9, "msg_anag", party(1, 2), party(3, 1))
    for number in range(10, 40):
        insert(s9, "msg", sale(number, 1, 3))
        for place in range(1 + number % 4):
            insert(s9, "msg_line", line(number * 10 + place, number, line_number=place + 1))
    return alone


def torn(sales: dict[tuple[str, str], dict[str, Any]]) -> list[str]:
    """Sales that do not have as many lines as they say."""
    lines = Counter(pk for pk, sk in sales if sk.startswith("LINE#"))
    return [
        pk
        for (pk, sk), item in sales.items()
        if sk == "METADATA" and item["linesCount"]["N"] != str(lines[pk])
    ]


def test_an_edit_between_two_attempts_stays_and_a_sale_is_seen_only_when_it_is_whole(
    trade: Operator, aws: EmbeddedAws, application: Application
) -> None:
    """An answer is lost after the request was done (a connection that breaks, an error of the
    server); before it is sent again the application changes an item."""
    edited: list[dict[str, Any]] = []
    seen: list[list[str]] = []

    def take_and_lose(request: Request, forward: Forward) -> Answer | None:
        forward(request.body)
        ((table, asked),) = orjson.loads(request.body)["RequestItems"].items()
        if table == application.table("sales"):
            item = asked[0]["PutRequest"]["Item"]
            application.change("sales", item, notes={"S": "by hand"})
            edited.append(item)
        return server_error(request, forward) if len(edited) % 2 else None

    def look(request: Request) -> Answer | None:
        if request.operation in ("BatchWriteItem", "PutItem"):
            seen.append(torn(application.scan()["sales"]))
        return None

    plan = Plan({take_and_lose: 0.6}, look, most=6, seed=3)
    trade.configure(migration={"workers": 3, "batchSize": 10, "retryDelay": 0.01})
    with FaultyProxy(aws, plan) as proxy:
        trade.configure(target={"endpoint": proxy.url})
        trade.run("--full")
    assert len(edited) >= 2
    assert len(seen) > 10
    assert not any(seen)
    sales = application.scan()["sales"]
    for item in edited:
        assert sales[item["PK"]["S"], item["SK"]["S"]]["notes"]["S"] == "by hand"
    assert len(sales) == len(trade.items("sales"))
    assert trade.report("load")["entities"]["sales"]["kept"] == len(edited)


RECORDS = st.lists(st.integers(0, 70), max_size=60)


@given(counts=RECORDS, before=st.integers(0, 40))
def test_what_is_taken_together_are_whole_records_and_all_of_them(
    counts: list[int], before: int
) -> None:
    def text(sk: str) -> bytes:
        return b'{"Item":{"PK":{"S":"SALE#1"},"SK":{"S":"%b"}}}\n' % sk.encode()

    lines = [text(f"LINE#{n}") for n in range(before)]
    for count in counts:
        lines += [text("METADATA"), *(text(f"LINE#{n}") for n in range(count))]
    groups = list(wholes(lines, 10, 40, 120))
    assert [each for group in groups for each in group] == lines
    rest = groups[1:] if not before else [g for g in groups if any(map(starts_record, g))][1:]
    assert all(starts_record(group[0]) for group in rest)
    for group in groups:
        heads = [place for place, each in enumerate(group) if starts_record(each)]
        assert not heads or heads[-1] < 120  # only its last record may make it longer
