"""CloudWatch beside a run: what is read back is what the reports say, and nothing that CloudWatch
does is felt by the run."""

from __future__ import annotations

import socket
from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from itertools import count
from typing import Any

import boto3
import orjson
import pytest

from tests.conftest import REGION
from tests.support.aws.proxy import (
    Answer,
    FaultyProxy,
    Plan,
    Request,
    error,
    server_error,
    throttled,
    unprocessed,
)
from tests.support.faults.sabotage import SabotagedOperator
from tests.support.operators.operator import ENTITIES, Operator, Outcome
from utils.embedded.aws import EmbeddedAws
from utils.embedded.ports import free_port

ON = {"cloudWatch": True, "cloudWatchMetrics": True}
# Whoever reads back what was sent needs all of it, however slow this machine is just now.
PATIENT = {"utils.telemetry.cloudwatch.work.END_SECONDS": 60.0}
GROUP = "/migration/s9"
VARIABLES = ("AWS_ENDPOINT_URL_CLOUDWATCH_LOGS", "AWS_ENDPOINT_URL_CLOUDWATCH")


def client(aws: EmbeddedAws, service: str) -> Any:
    return boto3.client(  # type: ignore[call-overload]
        service,
        endpoint_url=aws.endpoint_url,
        region_name=REGION,
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )


def sums(aws: EmbeddedAws, run: str) -> dict[str, dict[tuple[str, str], float]]:
    """The Sum of each metric of a run, by phase and entity."""
    cloudwatch, now = client(aws, "cloudwatch"), datetime.now(timezone.utc)
    found: dict[str, dict[tuple[str, str], float]] = defaultdict(dict)
    for metric in cloudwatch.list_metrics(Namespace="Migration")["Metrics"]:
        named = {each["Name"]: each["Value"] for each in metric["Dimensions"]}
        if named["run"] == run:
            points = cloudwatch.get_metric_statistics(
                Namespace="Migration",
                MetricName=metric["MetricName"],
                Dimensions=metric["Dimensions"],
                StartTime=now - timedelta(hours=1),
                EndTime=now + timedelta(hours=1),
                Period=3600,
                Statistics=["Sum"],
            )["Datapoints"]
            total = sum(each["Sum"] for each in points)
            found[metric["MetricName"]][named["phase"], named["entity"]] = total
    return found


def lines(aws: EmbeddedAws, stream: str, group: str = GROUP) -> list[str]:
    """What a log stream holds."""
    found = client(aws, "logs").get_log_events(
        logGroupName=group, logStreamName=stream, startFromHead=True
    )
    return [event["message"] for event in found["events"]]


def denied(request: Request) -> Answer:
    """No permission for anything, as each of CloudWatch's two services says it."""
    code = "AccessDenied" if request.operation == "PutMetricData" else "AccessDeniedException"
    return error(code, f"User is not authorized to perform: {request.operation}")


def log_of(operator: Operator) -> list[str]:
    return (operator.data / "reports" / "migration.log").read_text().splitlines()


def messages(operator: Operator, word: str) -> list[str]:
    """The messages in migration.log that have a word."""
    told = [orjson.loads(line)["message"] for line in log_of(operator)]
    return [text for text in told if word in text]


def test_what_is_read_back_is_what_files_and_reports_say(
    operator: Operator, aws: EmbeddedAws
) -> None:
    operator = SabotagedOperator.like(operator, set=PATIENT)
    plan = Plan({throttled: 0.2, unprocessed: 0.2, server_error: 0.1})
    with FaultyProxy(aws, plan) as proxy:
        operator.configure(
            logging={**ON, "cloudWatchGroup": "/office/s9"},
            target={"endpoint": proxy.url},
            migration={"retryDelay": 0.001},
        )
        operator.run("--full").ended(5)
    manifest = operator.manifest()
    assert lines(aws, manifest["run_id"], "/office/s9") == log_of(operator)
    found, load = sums(aws, manifest["run_id"]), operator.report("load")["entities"]
    artifacts, phases = manifest["artifacts"], manifest["phases"]
    for name in ENTITIES:
        records = artifacts[f"extracted/{name}.json"]["records"]
        assert found["RecordsProcessed"]["extract", name] == records
        assert found["RecordsProcessed"]["transform", name] == records
        transformed = phases["transform"][name]["result"]["records"]
        assert found["Errors"]["transform", name] == records - transformed
        assert found["RecordsProcessed"]["load", name] == load[name]["items"]
        assert found["ConsumedWriteUnits"]["load", name] == load[name]["consumedWriteUnits"]
        assert found["RetryCount"]["load", name] == sum(load[name]["retries"].values())
        assert all(found["Duration"][phase, name] > 0 for phase in phases)
    throttles = [found["ThrottledRequests"]["load", name] for name in ENTITIES]
    assert sum(throttles) == proxy.counts[throttled] + proxy.counts[unprocessed] > 0


def test_a_resumed_run_adds_what_it_does_itself(operator: Operator, aws: EmbeddedAws) -> None:
    operator = SabotagedOperator.like(operator, set=PATIENT)
    sent = count(1)

    def fail_once(request: Request) -> Answer | None:
        wants = request.operation == "BatchWriteItem" and b"SALE#" in request.body
        return error("AccessDeniedException", "no more") if wants and next(sent) == 8 else None

    with FaultyProxy(aws, Plan(always=fail_once)) as proxy:
        operator.configure(
            logging={**ON, "cloudWatchStream": "stopped"},
            target={"endpoint": proxy.url},
            migration={"workers": 1, "processes": 1},
            extraction={"sales": {"limit": 100}},
        )
        assert "denies access" in operator.run("--full").ended(1).output
        run = operator.manifest()["run_id"]
        before = sums(aws, run)
        operator.run("--resume").ended(5)
    load, after = operator.report("load")["entities"]["sales"], sums(aws, run)
    for name, total in (
        ("RecordsProcessed", "items"),
        ("ConsumedWriteUnits", "consumedWriteUnits"),
    ):
        assert before[name]["load", "sales"] <= after[name]["load", "sales"] == load[total]
        assert after[name]["load", "buyers"] == before[name]["load", "buyers"]
    again = after["ConsumedWriteUnits"].get(("load: conditional writes", "sales"), 0)
    assert again == load["conditionalWriteUnits"]
    assert lines(aws, "stopped") == log_of(operator)


def test_a_run_that_fails_has_sent_why(operator: Operator, aws: EmbeddedAws) -> None:
    operator.configure(logging={**ON, "cloudWatchStream": "a-failure"})
    operator.configure(
        migration={"continueOnError": False},
        extraction={"sales": {"query": "SELECT 1 / 0 AS first_id"}},
    )
    outcome = operator.run("--full").failed(1)
    sent = lines(aws, "a-failure")
    assert sent == log_of(operator)
    assert orjson.loads(sent[-1])["message"] in outcome.stderr
    found = sums(aws, operator.manifest()["run_id"])
    assert found["RecordsProcessed"]["extract", "buyers"] == 60


def test_a_dry_run_sends_nothing(operator: Operator, aws: EmbeddedAws) -> None:
    with FaultyProxy(aws) as proxy:
        operator.configure(logging=ON, target={"endpoint": proxy.url})
        operator.run("--dry-run").ended(5)
        assert not {"PutLogEvents", "PutMetricData"} & set(proxy.requests)


@pytest.fixture
def hung() -> Iterator[str]:
    """The address of somebody who takes every connection and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def assert_said_once(operator: Operator, outcome: Outcome, *words: str) -> None:
    """One warning, before the last words; the log file has all there is."""
    told = [line for line in outcome.output.splitlines() if "CloudWatch" in line]
    assert len(told) == 1, outcome.output
    for word in ("WARNING", "The migration continues without it. For the next run: ", *words):
        assert word in told[0]
    assert "Watchtower" not in outcome.output
    assert messages(operator, "Extracted 300 sales")
    assert messages(operator, words[0])


@pytest.mark.parametrize("variables", [VARIABLES, VARIABLES[:1], VARIABLES[1:]])
def test_a_cloudwatch_that_is_down_costs_a_warning(
    operator: Operator, variables: tuple[str, ...]
) -> None:
    operator.configure(logging=ON)
    operator.environment.update(dict.fromkeys(variables, f"http://127.0.0.1:{free_port()}"))
    outcome = operator.run("--phase", "extract").ended(0)
    assert_said_once(operator, outcome, "cannot be reached", "check the network, the proxy")
    assert outcome.closing


def test_a_cloudwatch_that_does_not_answer_costs_the_end_a_moment(
    operator: Operator, hung: str
) -> None:
    operator.configure(logging=ON)
    operator.environment.update(dict.fromkeys(VARIABLES, hung))
    outcome = operator.run("--phase", "extract").ended(0)
    assert_said_once(operator, outcome, "gives no answer within 4 seconds")


def test_a_cloudwatch_that_forbids_costs_a_warning(operator: Operator, aws: EmbeddedAws) -> None:
    with FaultyProxy(aws, Plan(always=denied)) as proxy:
        operator.configure(logging=ON)
        operator.environment.update(dict.fromkeys(VARIABLES, proxy.url))
        outcome = operator.run("--phase", "extract").ended(0)
        asked = dict(proxy.requests)
    assert_said_once(operator, outcome, "denies access", "attach the policy cloudWatch")
    assert asked.keys() == {"PutLogEvents", "PutMetricData"}


def test_without_credentials_it_is_said_once(operator: Operator) -> None:
    operator.configure(logging=ON, target={"useLocalStack": False, "endpoint": None})
    outcome = operator.run("--phase", "extract").ended(0)
    assert_said_once(operator, outcome, "no AWS credentials were found", "give it AWS credentials")
