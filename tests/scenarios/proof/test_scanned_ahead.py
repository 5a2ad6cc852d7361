"""`verify --from-source` scans the largest table while it reads S9: killed meanwhile, or the table
written meanwhile, it says what is so."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import orjson
import pytest
from mypy_boto3_dynamodb import DynamoDBClient

from tests.conftest import S9Database
from tests.support.aws.proxy import Answer, FaultyProxy, Forward, Plan, Request
from tests.support.faults.sabotage import SabotagedOperator
from tests.support.operators.operator import Operator, Running, scan
from tests.support.s9.many_sales import many_sales
from utils.embedded.aws import EmbeddedAws

FROM_SOURCE = ("--phase", "verify", "--from-source")
_SEGMENTS, _SALES = 32, 60
_READING_SALES = {"phase": "extract", "entity": "sales", "what": "begin", "after": 1}


class Scans:
    """The scans of the table of sales, as they go through a proxy: how many were `answered`, and
    that no more are than are `let_through` (None: all)."""

    def __init__(self) -> None:
        self.table = ""
        self.answered = 0
        self.let_through: int | None = None
        self._asked, self._change = 0, threading.Condition()

    def begin(self, let_through: int | None) -> None:
        """Count from here on, and let so many through."""
        with self._change:
            self._asked, self.answered, self.let_through = 0, 0, let_through
            self._change.notify_all()

    def __call__(self, request: Request, forward: Forward) -> Answer:
        asked = orjson.loads(request.body)
        if asked["TableName"] != self.table or "IndexName" in asked or "TotalSegments" not in asked:
            return forward(request.body)
        with self._change:
            self._asked += 1
            number = self._asked
            self._change.wait_for(lambda: self.let_through is None or number <= self.let_through)
        answer = forward(request.body)
        with self._change:
            self.answered += 1
        return answer


@pytest.fixture
def scans(aws: EmbeddedAws, alone: Operator) -> Iterator[Scans]:
    """The scans of an operator's."""
    made = Scans()
    with FaultyProxy(aws, Plan({made: 1.0}, operations=frozenset({"Scan"}))) as proxy:
        alone.configure(target={"endpoint": proxy.url})
        made.table = alone.config["target"]["salesTable"]
        yield made
        made.begin(None)


@pytest.fixture
def loaded(alone: Operator, s9: S9Database, scans: Scans) -> SabotagedOperator:
    """An operator whose sales are scanned by two processes, however few they are."""
    assert scans.table
    many_sales(s9, _SALES)
    alone.configure(migration={"processes": 2})
    alone.run("--full").ended(0)
    return SabotagedOperator.like(alone, set={"validate.verify.bench._FEWEST_SEGMENTS": _SEGMENTS})


@contextmanager
def reading(operator: SabotagedOperator, scans: Scans, scanned: int) -> Iterator[Running]:
    """S9's sales are about to be read, and so much of the table has been scanned meanwhile."""
    scans.begin(scanned)
    with operator.held(*FROM_SOURCE, **_READING_SALES) as running:
        running.wait_for(lambda: scans.answered == scanned)
        yield running
        scans.begin(None)


def told(operator: Operator) -> dict[str, Any]:
    """What a verification reports, but for when that was, what was read for it, and the proof that
    S9 is still what it was before it was resumed."""
    report = operator.report("verification")
    assert report["snapshot"]["consistent"]
    apart = ("at", "readUnits", "snapshot")
    return {name: each for name, each in report.items() if name not in apart}


def table_of(operator: Operator, dynamodb: DynamoDBClient) -> list[dict[str, Any]]:
    found = scan(dynamodb, operator.config["target"]["salesTable"])
    return [found[key] for key in sorted(found)]


def delete_one(operator: Operator, dynamodb: DynamoDBClient) -> dict[str, Any]:
    """A line of a sale goes; returns it."""
    item = next(each for each in table_of(operator, dynamodb) if each["SK"]["S"] != "METADATA")
    dynamodb.delete_item(
        TableName=operator.config["target"]["salesTable"],
        Key={name: item[name] for name in ("PK", "SK")},
    )
    return item


def left(operator: Operator) -> list[str]:
    """What there is below the data directory."""
    return sorted(str(path.relative_to(operator.data)) for path in operator.data.rglob("*"))


def counts(operator: Operator) -> dict[str, int]:
    keys = operator.report("verification")["keys"]["sales"]
    return {kind: keys[kind]["count"] for kind in ("missing", "extra", "different")}


@pytest.mark.parametrize("scanned", [_SEGMENTS // 4, _SEGMENTS], ids=["under way", "over"])
@pytest.mark.parametrize("damaged", [True, False], ids=["damaged", "sound"])
def test_killed_while_the_table_is_scanned_the_same_command_says_the_same(
    loaded: SabotagedOperator,
    scans: Scans,
    dynamodb: DynamoDBClient,
    scanned: int,
    damaged: bool,
) -> None:
    if damaged:
        delete_one(loaded, dynamodb)
    code = loaded.run(*FROM_SOURCE).code
    assert code == (4 if damaged else 0)
    undisturbed, before = told(loaded), left(loaded)
    with reading(loaded, scans, scanned) as running:
        running.process.kill()
        running.end()
    loaded.let_go()
    loaded.run(*FROM_SOURCE).ended(code)
    assert told(loaded) == undisturbed
    assert left(loaded) == before
    loaded.run("--phase", "verify").ended(code)


def test_what_was_damaged_and_is_mended_meanwhile_is_no_difference(
    loaded: SabotagedOperator, scans: Scans, dynamodb: DynamoDBClient
) -> None:
    item = delete_one(loaded, dynamodb)
    with reading(loaded, scans, _SEGMENTS) as running:
        dynamodb.put_item(TableName=loaded.config["target"]["salesTable"], Item=item)
        scans.begin(None)
        loaded.let_go()
        running.end().ended(0)


@pytest.mark.parametrize("kind", ["missing", "extra", "different"])
def test_what_is_damaged_after_it_was_scanned_is_for_the_next_look(
    loaded: SabotagedOperator, scans: Scans, dynamodb: DynamoDBClient, kind: str
) -> None:
    """What was the same is not read again, as in any verification that takes a while."""
    name = loaded.config["target"]["salesTable"]
    with reading(loaded, scans, _SEGMENTS) as running:
        item = delete_one(loaded, dynamodb)
        if kind == "different":
            dynamodb.put_item(TableName=name, Item={**item, "productName": {"S": "odd"}})
        if kind == "extra":
            dynamodb.put_item(TableName=name, Item=item)
            dynamodb.put_item(TableName=name, Item={**item, "SK": {"S": "LINE#another"}})
        scans.begin(None)
        loaded.let_go()
        running.end().ended(0)
    assert counts(loaded) == {"missing": 0, "extra": 0, "different": 0}
    loaded.run(*FROM_SOURCE).ended(4)
    assert counts(loaded) == {"missing": 0, "extra": 0, "different": 0, kind: 1}


def test_watching_a_look_that_has_come_too_early_is_not_the_last(
    loaded: SabotagedOperator, scans: Scans, dynamodb: DynamoDBClient
) -> None:
    scans.begin(_SEGMENTS)
    with loaded.held(*FROM_SOURCE, "--watch", "0", **_READING_SALES) as running:
        running.wait_for(lambda: scans.answered == _SEGMENTS)
        delete_one(loaded, dynamodb)
        scans.begin(None)
        loaded.let_go()
        outcome = running.end().ended(4)
    assert outcome.output.count("Looking again in 0 s") == 2
    assert counts(loaded)["missing"] == 1
