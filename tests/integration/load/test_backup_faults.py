"""Backup and restore over a way on which things go wrong."""

from __future__ import annotations

import logging
from dataclasses import replace

import orjson
import pytest
from mypy_boto3_dynamodb import DynamoDBClient

from load.backup import segment_reader
from load.backup.engine import back_up
from load.backup.part import PartBuilder
from load.restore.engine import restore
from load.writing import adaptive_rate
from tests.conftest import TableNames
from tests.integration.conftest import Begin, fill
from tests.support.aws.proxy import (
    Fault,
    FaultyProxy,
    Plan,
    corrupt,
    cut_before,
    cut_within,
    request_limit,
    server_error,
    take_and_cut,
    unavailable,
    unprocessed,
)
from utils.dynamodb import table_reader
from utils.embedded.aws import EmbeddedAws
from utils.error_handler import TargetError
from utils.run.session import Session

FAULTS = (request_limit, server_error, unavailable, cut_before, cut_within, corrupt)


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segment_reader, "PAGE_ITEMS", 10)
    monkeypatch.setattr(table_reader, "PAGE_ITEMS", 10)
    monkeypatch.setattr(adaptive_rate, "_LEAST", 1e6)  # the faults do not come of reading too fast
    monkeypatch.setattr(adaptive_rate, "_CUT_EVERY", 0.0)


def patient(work: Session) -> Session:
    work.config = replace(
        work.config, migration=replace(work.config.migration, max_retries=50, retry_delay=0.002)
    )
    return work


def test_every_item_comes_through_once(
    aws: EmbeddedAws,
    dynamodb: DynamoDBClient,
    tables: TableNames,
    begin: Begin,
    small_pages: None,
    caplog: pytest.LogCaptureFixture,
) -> None:
    fill(dynamodb, tables.sales, 300)
    rates: dict[Fault, float] = dict.fromkeys((*FAULTS, take_and_cut), 0.07)
    plan = Plan(rates=rates, operations=frozenset({"Scan"}))
    with FaultyProxy(aws, plan) as proxy, caplog.at_level(logging.WARNING, "migrate"):
        folder = back_up(patient(begin(proxy.url)), tables.sales, "faults-20260101-000000")
        assert proxy.counts[request_limit]
    keys = [orjson.loads(line)["Item"]["PK"]["S"] for line in folder.items()]
    assert sorted(keys) == sorted(f"SALE#{number}" for number in range(300))
    assert "DynamoDB throttles (RequestLimitExceeded" in caplog.text
    assert "read units a second" in caplog.text

    plan = Plan(
        rates={**dict.fromkeys(FAULTS, 0.05), unprocessed: 0.3},
        operations=frozenset({"Scan", "BatchWriteItem"}),
    )
    with FaultyProxy(aws, plan) as proxy:
        work = patient(begin(proxy.url))
        assert restore(work, folder, tables.buyers, (), agreed=False).added == 300
        assert proxy.counts[unprocessed]
    assert restore(begin(), folder, tables.buyers, (), agreed=False).added == 0


def test_what_does_not_pass_stops_it_and_the_next_goes_on(
    aws: EmbeddedAws,
    dynamodb: DynamoDBClient,
    tables: TableNames,
    begin: Begin,
    small_pages: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(PartBuilder, "full", property(lambda part: part.items >= 20))
    fill(dynamodb, tables.sales, 200)
    pages = 0

    def after_a_while(request: object) -> object:
        nonlocal pages
        pages += getattr(request, "operation", "") == "Scan"
        return unavailable(request, None) if pages > 10 else None  # type: ignore[arg-type]

    with (
        FaultyProxy(aws, Plan(always=after_a_while)) as proxy,  # type: ignore[arg-type]
        pytest.raises(TargetError, match="did not accept a request"),
    ):
        back_up(begin(proxy.url), tables.sales, "outage-20260101-000000")
    folder = back_up(begin(), tables.sales, "outage-20260101-000000")
    assert (folder.entry.items, folder.entry.continued) == (200, 1)
