"""What `--resume` says and does, and which checkpoints it refuses."""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
from mypy_boto3_dynamodb import DynamoDBClient

from tests.conftest import S9Database, TableNames
from tests.support.faults.sabotage import SabotagedOperator
from tests.support.operators.operator import Operator, Outcome, first_to_end, scan, small_trade
from tests.support.s9.many_sales import many_sales
from utils.checkpoint import VERSION


def stamps(operator: Operator) -> dict[str, int]:
    """When each file was written, but for the logs."""
    return {
        path.relative_to(operator.data).as_posix(): path.stat().st_mtime_ns
        for path in operator.data.rglob("*.json")
    }


def test_a_complete_run_is_said_to_be_complete_and_nothing_is_done_again(
    alone: Operator, s9: S9Database
) -> None:
    alone.run("--resume").failed(2, "nothing to resume", "--full")
    small_trade(s9)
    s9.execute("UPDATE msg SET status = 'sospeso' WHERE first_id = 11")
    alone.run("--full").ended(5)
    before = stamps(alone)
    outcome = alone.run("--resume").ended(5)
    assert re.search(r"Run \w{8} is complete: there is nothing to resume", outcome.stderr)
    after = stamps(alone)
    assert {name for name in after if after[name] != before.get(name)} <= {"manifest.json"}


def test_a_complete_run_whose_settings_changed_is_done_again_as_far_as_they_reach(
    alone: Operator, s9: S9Database, dynamodb: DynamoDBClient, tables: TableNames
) -> None:
    small_trade(s9)
    s9.execute("UPDATE msg SET status = 'sospeso' WHERE first_id = 11")
    alone.run("--full").ended(5)
    alone.configure(transformation={"statusMapping": {"sospeso": "draft"}})
    outcome = alone.run("--resume").ended(0)
    assert "settings or files have changed since" in outcome.stderr
    assert "Extract of sales is already complete" in outcome.stderr
    assert len(scan(dynamodb, tables.sales)) == 5


def test_one_line_says_where_and_why(alone: Operator, s9: S9Database) -> None:
    many_sales(s9, 200)
    alone.configure(migration={"workers": 1}, checkpoint={"interval": 1})
    tool = SabotagedOperator.like(alone)
    tool.killed("--full", phase="load", entity="sales", what="step", after=5)
    outcome = tool.run("--resume").ended(0)
    (line,) = [line for line in outcome.stderr.splitlines() if "stopped in" in line]
    assert re.search(
        r"run \w{8} stopped in load, sales, [1-9][0-9]* of 600 items: it was killed", line
    )


def forged(path: Path, **changes: Any) -> None:
    """A checkpoint with other values, and the digest that goes with them."""
    body = {**orjson.loads(path.read_bytes())["checkpoint"], **changes}
    digest = hashlib.sha256(orjson.dumps(body)).hexdigest()
    path.write_bytes(orjson.dumps({"sha256": digest, "checkpoint": body}))


def test_a_checkpoint_that_does_not_fit_is_refused_and_the_remedy_works(
    alone: Operator, s9: S9Database, dynamodb: DynamoDBClient, tables: TableNames
) -> None:
    many_sales(s9, 100)
    alone.configure(migration={"workers": 1}, checkpoint={"interval": 1})
    tool = SabotagedOperator.like(alone)
    tool.killed("--full", phase="load", entity="sales", what="step", after=3)
    path = tool.data / ".checkpoint.json"
    whole = path.read_bytes()
    before = scan(dynamodb, tables.sales)
    assert before

    def refused(*words: str) -> Outcome:
        outcome = tool.run("--resume").failed(1, *words)
        assert scan(dynamodb, tables.sales) == before
        return outcome

    damages: list[Callable[[], object]] = [
        lambda: path.write_bytes(whole[: random.Random(1).randrange(len(whole))]),
        lambda: path.write_bytes(b""),
        lambda: path.write_bytes(whole.replace(b'"lanes":', b'"lanes":1')),
    ]
    for damage in damages:
        damage()
        refused("is damaged", f"delete {path.relative_to(tool.directory)}", "--resume")
    path.write_bytes(whole)
    forged(path, version=VERSION + 1)
    refused(f"has version {VERSION + 1}, this tool understands {VERSION}", "delete")
    forged(path, version=VERSION, run_id="01234567")
    refused("belongs to another run (01234567)", "--full --restart")
    path.write_bytes(whole)
    tool.configure(transformation={"defaultCurrency": "CHF"})
    refused("another configuration: transformation changed", "put the configuration back")
    tool.configure(transformation={"defaultCurrency": "EUR"})
    path.unlink()  # what the remedy of a damaged one says
    tool.run("--resume").ended(0)
    assert len(scan(dynamodb, tables.sales)) == 300
    assert tool.report("verification")["passed"]


def test_of_two_that_resume_at_once_one_does(
    alone: Operator, s9: S9Database, dynamodb: DynamoDBClient, tables: TableNames
) -> None:
    many_sales(s9, 100)
    tool = SabotagedOperator.like(alone)
    tool.killed("--full", phase="transform", entity="sales", after=1)
    tool.hold(phase="transform", entity="sales", after=1)
    with tool.start("--resume") as one, tool.start("--resume") as other:
        second = first_to_end(one, other)
        first = other if second is one else one
        second.end().failed(1, "another run is at work", f"process {first.process.pid},")
        tool.wait_until_held(first)
        tool.let_go()
        first.end().ended(0)
    assert len(scan(dynamodb, tables.sales)) == 300
