"""Refusals that are the table's, not the records' (trial C4)."""

from __future__ import annotations

import pytest
from mypy_boto3_dynamodb import DynamoDBClient

from load.refusals import Refusals, RefusesNearlyAll
from load.writing.batch_writer import RefusedItem
from tests.conftest import S9Database, TableNames
from tests.support.aws.proxy import Answer, FaultyProxy, Plan, Request, error
from tests.support.operators.operator import Operator, insert, line, party, sale, scan_all
from utils.embedded.aws import EmbeddedAws


def refuse_headers(request: Request) -> Answer | None:
    """An index of the sales wants an attribute of another type."""
    if request.operation in ("BatchWriteItem", "PutItem") and b'"saleNumber"' in request.body:
        return error("ValidationException", "Type mismatch for Index Key saleNumber Expected: S")
    return None


@pytest.mark.parametrize("sales", [40, 4])
def test_when_nearly_all_records_are_refused_alike_the_load_stops_and_can_go_on(
    alone: Operator,
    s9: S9Database,
    aws: EmbeddedAws,
    dynamodb: DynamoDBClient,
    tables: TableNames,
    sales: int,
) -> None:
    insert(s9, "msg_anag", party(1, 2), party(3, 1))
    for number in range(10, 10 + sales):
        insert(s9, "msg", sale(number, 1, 3))
        insert(s9, "msg_line", line(number, number, line_number=1))
    with FaultyProxy(aws, Plan(always=refuse_headers)) as proxy:
        alone.configure(target={"endpoint": proxy.url})
        outcome = alone.run("--full").ended(1)
        assert "not in single records" in outcome.output
        assert "Type mismatch" in outcome.output
        assert not alone.quarantine("sales")
        proxy.plan = Plan()
        alone.run("--resume").ended(0)
    assert len(scan_all(dynamodb, tables)["sales"]) == 2 * sales


def refused(number: int, reason: str) -> RefusedItem:
    line = b'{"Item":{"PK":{"S":"SALE#%d"},"SK":{"S":"METADATA"}}}' % number
    return RefusedItem(line, reason)


def test_some_refused_records_among_many_are_matters_of_their_own() -> None:
    refusals = Refusals({})
    for number in range(100):
        refusals.add(refused(number, f"Item {number} is too large"), written=number + 10)
    refusals.check_all(210)


def test_different_reasons_are_matters_of_single_records() -> None:
    refusals = Refusals({})
    for number in range(19):
        refusals.add(refused(number, f"Item {number} is too large"))
        refusals.add(refused(number + 100, f"'{number}' is no number"))
    refusals.check_all(38)
    with pytest.raises(RefusesNearlyAll):
        refusals.add(refused(50, "Item 50 is too large"))
