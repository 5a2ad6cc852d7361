"""A target that misbehaves: nothing is missing, nothing doubled, and every retry is counted."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from mypy_boto3_dynamodb import DynamoDBClient

from tests.conftest import S9Database, TableNames
from tests.scenarios.conftest import DONE_TABLES
from tests.support.aws.proxy import (
    REASONS,
    Answer,
    FaultyProxy,
    Plan,
    Request,
    corrupt,
    cut_before,
    cut_within,
    error,
    hang,
    refusing,
    server_error,
    table_of,
    take_and_hang,
    throttled,
    unavailable,
)
from tests.support.faults.sabotage import Result, SabotagedOperator, retries, through
from tests.support.operators.operator import ENTITIES, Operator, scan, scan_all
from tests.support.s9.many_sales import many_sales
from utils.embedded.aws import EmbeddedAws
from utils.telemetry.event_file import read_events
from utils.telemetry.events import Retried
from utils.telemetry.events import Throttled as ThrottledEvent

Behind = Callable[[Operator, Plan], tuple[SabotagedOperator, FaultyProxy]]


@pytest.fixture
def behind(aws: EmbeddedAws) -> Iterator[Behind]:
    """Puts a proxy between an operator and the target."""
    with ExitStack() as opened:

        def put(operator: Operator, plan: Plan) -> tuple[SabotagedOperator, FaultyProxy]:
            proxy = opened.enter_context(FaultyProxy(aws, plan))
            return through(proxy, operator), proxy

        yield put


@pytest.fixture
def clean(alone: Operator, s9: S9Database) -> Operator:
    """An operator with an S9 that nobody finds fault with."""
    many_sales(s9, 150)
    return alone


@pytest.mark.far
def test_every_fault_is_survived_and_every_retry_counted(
    operator: Operator,
    finished: Operator,
    behind: Behind,
    dynamodb: DynamoDBClient,
    tables: TableNames,
) -> None:
    rates = {fault: 0.004 if fault in (hang, take_and_hang) else 0.04 for fault in REASONS}
    tool, proxy = behind(operator, Plan(rates, seed=26))
    tool.run("--full").ended(5)
    assert Result.of(tool, dynamodb, tables) == Result.of(finished, dynamodb, DONE_TABLES)
    assert min(proxy.counts[fault] for fault in REASONS) > 0, proxy.counts
    assert retries(tool) == proxy.reasons
    for entity in ENTITIES:
        assert tool.report("load")["entities"][entity]["items"] == len(tool.items(entity))


@pytest.mark.far
def test_a_verification_survives_every_fault(
    clean: Operator, behind: Behind, tables: TableNames
) -> None:
    tool, proxy = behind(clean, Plan())
    tool.run("--full").ended(0)
    reads = frozenset({"Scan", "Query", "GetItem"})
    faults = (throttled, server_error, unavailable, cut_before, cut_within, corrupt)
    proxy.plan = Plan(dict.fromkeys(faults, 0.06), operations=reads)
    tool.run("--phase", "verify").ended(0)
    assert min(proxy.counts[fault] for fault in faults) > 0, proxy.counts
    assert tool.report("verification")["passed"]


def on_write(nth: int, answer: Answer) -> Callable[[Request], Answer | None]:
    """Gives `answer` to the nth BatchWriteItem, and to no other."""
    lock, seen = threading.Lock(), [0]

    def decide(request: Request) -> Answer | None:
        if request.operation != "BatchWriteItem":
            return None
        with lock:
            seen[0] += 1
            return answer if seen[0] == nth else None

    return decide


def test_a_batch_that_fails_among_others_in_flight_is_sent_by_the_run_that_resumes(
    operator: Operator,
    finished: Operator,
    behind: Behind,
    dynamodb: DynamoDBClient,
    tables: TableNames,
) -> None:
    denied = error("AccessDeniedException", "User is not authorized to perform this")
    tool, proxy = behind(operator, Plan(always=on_write(93, denied)))
    tool.configure(migration={"workers": 8}, checkpoint={"interval": 1})
    assert "denies access" in tool.run("--full").ended(1).last_line
    proxy.plan = Plan()
    tool.run("--resume").ended(5)
    assert Result.of(tool, dynamodb, tables) == Result.of(finished, dynamodb, DONE_TABLES)


def test_what_no_retry_can_mend_is_asked_once_and_the_rest_goes_on(
    operator: Operator,
    finished: Operator,
    behind: Behind,
    dynamodb: DynamoDBClient,
    tables: TableNames,
) -> None:
    asked: list[str] = []

    def no_producers(request: Request) -> Answer | None:
        if request.operation != "BatchWriteItem" or table_of(request) != tables.producers:
            return None
        asked.append(request.operation)
        return error("AccessDeniedException", "no")

    tool, proxy = behind(operator, Plan(always=no_producers))
    tool.configure(migration={"workers": 1})
    outcome = tool.run("--full").ended(1)
    assert len(asked) <= 2  # the one that was in flight, and the one after it
    assert "Sales are left out: they need producers" in outcome.stderr
    assert "producers: " in outcome.last_line and "denies access" in outcome.last_line
    assert "sales: they need producers" in outcome.last_line
    assert outcome.last_line.endswith("--resume")
    assert scan(dynamodb, tables.buyers) == scan(dynamodb, DONE_TABLES.buyers)
    assert scan(dynamodb, tables.sales) == {}

    refused = tool.run("--full").failed(2, "stopped ", "denies access", "--resume", "--restart")
    assert refused.stdout == ""
    proxy.plan = Plan()
    resumed = tool.run("--resume").ended(5)
    assert "denies access" in resumed.stderr
    assert "Load of buyers is already complete" in resumed.stderr
    assert Result.of(tool, dynamodb, tables) == Result.of(finished, dynamodb, DONE_TABLES)


@pytest.mark.far
def test_a_refused_line_keeps_its_sale_out_whole(
    operator: Operator,
    finished: Operator,
    behind: Behind,
    dynamodb: DynamoDBClient,
    tables: TableNames,
) -> None:
    lines = [item for item in finished.items("sales") if item["SK"]["S"].startswith("LINE#")]
    bad = random.Random(3).choice(lines)
    sale = bad["PK"]["S"]
    head = next(item for item in finished.items("sales") if item["PK"]["S"] == sale)
    tool, _ = behind(operator, Plan(always=refusing(bad)))
    tool.configure(migration={"batchSize": 25})
    tool.run("--full").ended(5)
    refusal = tool.quarantine("sales")[head["legacyId"]["S"]]
    assert (refusal["phase"], refusal["rule"]) == ("load", "refused-by-dynamodb")
    assert "One or more parameter values" in refusal["reason"]
    (finding,) = refusal["findings"]
    assert (finding["table"], finding["key"]) == ("msg_line", bad["legacyId"]["S"])
    table = (tool.data / "reports" / "findings.csv").read_text("utf-8-sig").splitlines()
    (row,) = [text for text in table if "refused-by-dynamodb" in text]
    assert row.startswith(f"error;sales;{head['legacyId']['S']};msg_line;{finding['key']};")
    assert row.endswith(";load")
    expected = scan(dynamodb, DONE_TABLES.sales)
    kept = {key: item for key, item in expected.items() if key[0] != sale}
    assert len(kept) < len(expected) - 1
    assert scan(dynamodb, tables.sales) == kept
    result = tool.report("load")["entities"]["sales"]
    assert result["items"] + result["refused"] == len(expected)
    assert tool.report("verification")["passed"]


def test_a_refused_party_takes_the_sales_that_need_it_with_it(
    operator: Operator,
    finished: Operator,
    behind: Behind,
    dynamodb: DynamoDBClient,
    tables: TableNames,
) -> None:
    heads = [item for item in finished.items("sales") if item["SK"]["S"] == "METADATA"]
    ((buyer, _),) = Counter(item["buyerId"]["S"] for item in heads).most_common(1)
    bad = next(item for item in finished.items("buyers") if item["buyerId"]["S"] == buyer)
    needing = {item["legacyId"]["S"] for item in heads if item["buyerId"]["S"] == buyer}
    tool, proxy = behind(operator, Plan(always=refusing(bad)))
    tool.run("--full").ended(5)
    assert tool.quarantine("buyers")[bad["legacyId"]["S"]]["phase"] == "load"
    left_out = {
        key
        for key, refusal in tool.quarantine("sales").items()
        if (refusal["phase"], refusal["rule"]) == ("load", "reference")
    }
    assert left_out == needing
    cause = {"entity": "buyers", "key": bad["legacyId"]["S"], "why": "refused"}
    for key in needing:
        (finding,) = tool.quarantine("sales")[key]["findings"]
        assert finding["cause"] == {**cause, "reason": "refused-by-dynamodb"}
        assert (finding["table"], finding["column"]) == ("msg", "buyer_id")
    found = {(each["entity"], each["rule"]) for each in tool.report("findings")["rules"]}
    assert {("buyers", "refused-by-dynamodb"), ("sales", "reference")} <= found
    target = scan_all(dynamodb, tables)
    assert buyer not in {item["buyerId"]["S"] for item in target["buyers"].values()}
    assert needing.isdisjoint(
        item["legacyId"]["S"] for item in target["sales"].values() if item["SK"]["S"] == "METADATA"
    )
    assert tool.report("verification")["passed"]

    proxy.plan = Plan()  # the cause is mended in the target
    tool.run("retry-quarantine").ended(5)
    assert tool.files()["quarantine/sales.json"] == finished.files()["quarantine/sales.json"]
    assert Result.of(tool, dynamodb, tables) == Result.of(finished, dynamodb, DONE_TABLES)


def test_without_continue_on_error_a_refused_item_stops_the_run_and_is_named(
    clean: Operator, behind: Behind, dynamodb: DynamoDBClient, tables: TableNames
) -> None:
    tool, proxy = behind(clean, Plan())
    tool.configure(migration={"continueOnError": False})
    tool.run("--phase", "extract").ended(0)
    tool.run("--phase", "transform").ended(0)
    bad = tool.items("sales")[31]
    proxy.plan = Plan(always=refusing(bad))
    outcome = tool.run("--full", "--restart")
    outcome.failed(1, bad["PK"]["S"], bad["SK"]["S"], bad["legacyId"]["S"], "continueOnError")
    tool.run("--full").failed(2, "stopped in load, sales", bad["PK"]["S"])
    tool.configure(migration={"continueOnError": True})
    tool.run("--resume").ended(5)
    sale = next(item for item in tool.items("sales") if item["PK"] == bad["PK"])
    assert set(tool.quarantine("sales")) == {sale["legacyId"]["S"]}
    assert bad["PK"]["S"] not in {key for key, _ in scan(dynamodb, tables.sales)}


def test_throttling_without_end_stops_the_run_and_it_goes_on_when_it_is_over(
    clean: Operator, behind: Behind, dynamodb: DynamoDBClient, tables: TableNames
) -> None:
    tool, proxy = behind(clean, Plan({throttled: 1.0}))
    tool.configure(migration={"maxRetries": 2, "continueOnError": False})
    tool.run("--full").failed(
        1,
        "in 3 tries",
        "ProvisionedThroughputExceededException",
        f"IndexWriteKeyRangeThroughputExceeded on {tables.buyers}/index/GSI1",
        "--resume",
    )
    proxy.plan = Plan()
    resumed = tool.run("--resume").ended(0)
    assert "stopped " in resumed.stderr and "in 3 tries" in resumed.stderr
    assert len(scan(dynamodb, tables.sales)) == len(tool.items("sales"))


def test_the_operator_is_told_what_is_throttled_and_why_but_not_each_time(
    clean: Operator, behind: Behind, tables: TableNames
) -> None:
    tool, proxy = behind(clean, Plan({throttled: 0.5}, most=20))
    quick = {
        "load.writing.adaptive_rate._CUT_EVERY": 0.0,
        "load.writing.adaptive_rate._BACK_AT_LEAST": 0.1,
        "load.writing.adaptive_rate._BACK_AT_MOST": 0.1,
    }
    tool.plan["set"].update(quick)
    tool.configure(migration={"batchDelay": 20, "workers": 2})
    outcome = tool.run("--full").ended(0)
    told = [line for line in outcome.stderr.splitlines() if "DynamoDB throttles (" in line]
    assert proxy.counts.total() == 20
    assert 1 <= len(told) <= 6
    assert "IndexWriteKeyRangeThroughputExceeded on" in told[0]
    assert f"{tables.buyers}/index/GSI1" in told[0]
    assert "write units a second" in told[0]
    assert "DynamoDB no longer throttles" in outcome.stderr
    events = [each.event for each in read_events(tool.data / "events.jsonl")]
    short = [each for each in events if isinstance(each, ThrottledEvent)]
    assert sum(each.times for each in short) == 20
    assert f"{tables.buyers}/index/GSI1" in {each.by for each in short}
    assert {each.reason for each in short} == {"IndexWriteKeyRangeThroughputExceeded"}
    assert sum(each.times for each in events if isinstance(each, Retried)) == 20


@pytest.fixture
def signed(clean: Operator) -> Operator:
    """An operator with the credentials of a session, in the usual file."""
    clean.configure(target={"useLocalStack": False, "createTables": True})
    write_credentials(clean, "OLDKEY")
    return clean


def write_credentials(operator: Operator, key_id: str) -> None:
    home = operator.directory / "home" / ".aws"
    home.mkdir(exist_ok=True)
    (home / "credentials").write_text(
        f"[default]\naws_access_key_id = {key_id}\naws_secret_access_key = secret\n"
        "aws_session_token = token\n"
    )


def old_key_expires(after: int, then: Callable[[], None]) -> Callable[[Request], Answer | None]:
    """After so many writes the old key is not accepted any more; `then` happens at that moment."""
    lock, writes, expired = threading.Lock(), [0], [False]

    def decide(request: Request) -> Answer | None:
        with lock:
            writes[0] += request.operation == "BatchWriteItem"
            if request.key_id != "OLDKEY" or writes[0] <= after:
                return None
            if not expired[0]:
                expired[0] = True
                then()
        return error("ExpiredTokenException", "The security token included is expired")

    return decide


@pytest.mark.far
def test_expired_credentials_are_looked_for_again(
    signed: Operator, behind: Behind, dynamodb: DynamoDBClient, tables: TableNames
) -> None:
    tool, proxy = behind(signed, Plan())
    renew = old_key_expires(30, lambda: write_credentials(tool, "NEWKEY"))
    proxy.plan = Plan(always=renew)
    tool.run("--full").ended(0)
    assert 1 <= retries(tool)["ExpiredTokenException"] <= 4 * 4  # as many as are in flight soon
    assert len(scan(dynamodb, tables.sales)) == len(tool.items("sales"))


def test_credentials_that_nobody_renews_stop_the_run_which_can_be_resumed(
    signed: Operator, behind: Behind, dynamodb: DynamoDBClient, tables: TableNames
) -> None:
    tool, proxy = behind(signed, Plan())
    proxy.plan = Plan(always=old_key_expires(30, lambda: None))
    tool.configure(migration={"maxRetries": 3, "continueOnError": False})
    tool.run("--full").failed(1, "credentials", "have expired", "renew them", "--resume")
    tool.run("--resume").failed(1, "have expired")
    write_credentials(tool, "NEWKEY")
    tool.run("--resume").ended(0)
    assert len(scan(dynamodb, tables.sales)) == len(tool.items("sales"))
