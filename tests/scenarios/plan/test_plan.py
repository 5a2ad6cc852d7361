"""A plan against what comes: figures, causes, a part, and a rehearsal on throw-away tables."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import orjson
from mypy_boto3_dynamodb import DynamoDBClient

from tests.conftest import S9Database, TableNames
from tests.support.aws.proxy import FaultyProxy, Gate, Plan
from tests.support.operators.operator import Operator, small_trade
from utils.embedded.aws import EmbeddedAws


def plan_of(operator: Operator) -> Any:
    return orjson.loads((operator.rehearsal.data / "reports" / "plan.json").read_bytes())


def rehearsal_tables(dynamodb: DynamoDBClient) -> list[str]:
    return [name for name in dynamodb.list_tables()["TableNames"] if name.startswith("rehearsal-")]


def test_what_is_planned_is_loaded_and_causes_are_named_first(operator: Operator) -> None:
    operator.run("--dry-run").ended(5)
    plan = plan_of(operator)
    operator.run("--full").ended(plan["exitCode"])
    loaded = operator.report("load")["entities"]
    for entity, forecast in plan["forecast"]["tables"].items():
        items = loaded[entity]["items"]
        assert items == forecast["items"] == forecast["new"] == plan["tables"][entity]["new"]
        assert loaded[entity]["sentBytes"] == forecast["sentBytes"]
        assert loaded[entity]["consumedWriteUnits"] == forecast["writeUnits"]
    follows = ["goes away" in each["remedy"] for each in plan["toDo"]]
    assert follows == sorted(follows)
    assert follows[-1]
    assert "reference" in plan["toDo"][-1]["what"]
    operator.assert_keeps_its_secrets(operator.outcomes[0])


def test_what_is_known_is_shown_when_a_plan_ends_early(operator: Operator) -> None:
    """The tables are missing, and nobody may create them."""
    name = operator.config["target"]["salesTable"]
    operator.configure(target={"createTables": False})
    outcome = operator.run("--dry-run").failed(1, name)
    assert "Checked: " in outcome.stdout
    assert name in outcome.stdout.partition("What to do")[2]
    assert plan_of(operator)["exitCode"] == 1


def test_a_part_speaks_for_the_whole(operator: Operator) -> None:
    outcome = operator.run("--dry-run", "--limit", "100").ended(5)
    plan = plan_of(operator)
    assert plan["extrapolated"] == {"entity": "sales", "read": 100, "of": 300}
    assert plan["limit"] == {"sales": 100}
    assert plan["forecast"]["tables"]["sales"]["extrapolated"]
    assert not plan["forecast"]["tables"]["buyers"]["extrapolated"]
    assert "Extrapolated from 100 of 300 sales" in outcome.stdout
    assert "as far as the first 100 sales show" in outcome.last_line
    assert "verification" not in plan
    refused = operator.run("--full", "--limit", "3").ended(2)
    assert "--limit goes with --dry-run" in refused.stderr


@contextmanager
def nobody_may_call() -> Iterator[tuple[str, list[object]]]:
    """A server that notes who connects."""
    callers: list[object] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def listen() -> None:
            while True:
                try:
                    connection, address = server.accept()
                except OSError:
                    return
                callers.append(address)
                connection.close()

        threading.Thread(target=listen, daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}", callers
        server.shutdown(socket.SHUT_RDWR)


def test_a_rehearsal_calls_nothing_but_the_aws_that_it_starts(
    alone: Operator, s9: S9Database
) -> None:
    small_trade(s9)
    with nobody_may_call() as (url, callers):
        alone.environment |= {
            "AWS_ENDPOINT_URL": url,
            "AWS_ACCESS_KEY_ID": "AKIAEXAMPLE",
            "AWS_SECRET_ACCESS_KEY": "elsewhere",
            "HTTP_PROXY": url,
            "http_proxy": url,
        }
        alone.configure(
            target={"useLocalStack": False, "endpoint": url}, logging={"cloudWatch": False}
        )
        alone.run("--dry-run", "--rehearse").ended(0)
    assert callers == []
    found = plan_of(alone)["rehearsal"]
    assert found["passed"]
    assert found["items"] == {"buyers": 2, "producers": 1, "sales": 5}
    assert found["where"] != url
    assert not (alone.data / "manifest.json").exists()


def test_a_rehearsal_on_localstack_leaves_no_table_not_even_of_one_that_was_killed(
    alone: Operator,
    s9: S9Database,
    aws: EmbeddedAws,
    dynamodb: DynamoDBClient,
    tables: TableNames,
) -> None:
    small_trade(s9)
    gate = Gate()
    with FaultyProxy(aws, Plan(always=gate.holds)) as proxy:
        alone.configure(target={"endpoint": proxy.url})
        with alone.start("--dry-run", "--rehearse") as rehearsing:
            rehearsing.wait_for(gate.asked.is_set)
            rehearsing.process.kill()
        assert rehearsal_tables(dynamodb)
        gate.let.set()
        alone.run("--dry-run", "--rehearse").ended(0)
    assert rehearsal_tables(dynamodb) == []
    assert tables.sales not in dynamodb.list_tables()["TableNames"]
    assert plan_of(alone)["rehearsal"]["passed"]
